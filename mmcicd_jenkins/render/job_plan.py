"""What `jobs sync` would do: the items wanted against the items that are there. Pure.

The law: nothing is overwritten that we did not make, unless it is adopted by word; the type of an item never
changes; what is unchanged is not posted, because each POST of a multibranch project scans every branch.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.render.job_compare import Difference, differences
from mmcicd_jenkins.render.job_items import CLASSES, Item
from mmcicd_jenkins.render.job_xml import XmlUnreadable, parse, read_mark

# create: not there. update: post it. keep: somebody else's, and we can live with it. refuse: a person must decide.
Do = Literal["create", "update", "unchanged", "keep", "refuse"]
WRITES = ("create", "update")


@dataclass(frozen=True, kw_only=True)
class Live:
    """An item as Jenkins has it. `xml` None: not fetched, so the mark alone is believed."""

    path: str
    java_class: str
    description: str
    xml: str | None = None


@dataclass(frozen=True, kw_only=True)
class Action:
    """One item, what is to be done with it, and why."""

    do: Do
    path: str
    reason: str = ""
    fix: str = ""
    item: Item | None = None
    differences: tuple[Difference, ...] = ()


def plan(
    desired: Iterable[Item], live: Mapping[str, Live], repository: str, *, adopt: bool = False
) -> tuple[Action, ...]:
    """One action for each wanted item, in their order.

    Args:
        repository: the identity that our marks carry; what another repository made is not ours.
        adopt: take over what stands in the way, whoever made it.
    """
    return tuple(_decide(item, live.get(item.path), repository, adopt=adopt) for item in desired)


def _decide(item: Item, live: Live | None, repository: str, *, adopt: bool) -> Action:
    if live is None:
        return Action(do="create", path=item.path, item=item, reason="not there")
    if live.java_class != CLASSES[item.kind]:
        return Action(
            do="refuse",
            path=item.path,
            reason=f"it is a {live.java_class.rpartition('.')[2]}, and Jenkins cannot change the type of an item",
            fix="rename or delete it on Jenkins, or rename the model",
        )
    if item.shared:
        return Action(do="unchanged", path=item.path, item=item)
    mark = read_mark(live.description)
    if (mark is None or mark.repository != repository) and not adopt:
        return _not_ours(item, made_by_us=mark is not None)
    found = _differences(item, live)
    if isinstance(found, Action):
        return found
    if mark is None or mark.repository != repository:
        return Action(do="update", path=item.path, item=item, reason="adopted", differences=found)
    if mark.digest != item.digest:
        # Even when all that we want is there: something that we no longer want may be there too.
        return Action(do="update", path=item.path, item=item, reason="mmcicd.yaml changed", differences=found)
    if found:
        return Action(do="update", path=item.path, item=item, reason="changed on Jenkins", differences=found)
    return Action(do="unchanged", path=item.path, item=item)


def _not_ours(item: Item, *, made_by_us: bool) -> Action:
    whose = "another repository made it" if made_by_us else "it was not made by mmcicd-jenkins"
    fix = "take it over with --adopt"
    if item.kind == "folder":
        return Action(
            do="keep",
            path=item.path,
            reason=f"{whose}; its permissions are left as they are",
            fix=fix,
            item=item,
        )
    if made_by_us:
        fix = "rename the model, use another jenkins.folder, or " + fix
    return Action(do="refuse", path=item.path, reason=whose, fix=fix, item=item)


def _differences(item: Item, live: Live) -> tuple[Difference, ...] | Action:
    if live.xml is None:
        return ()
    try:
        return differences(item.tree, parse(live.xml))
    except XmlUnreadable as e:
        return Action(
            do="refuse",
            path=item.path,
            reason=f"Jenkins sends no readable XML for it: {e}",
            fix="look at it on Jenkins; delete it when it is broken",
        )


def orphans(desired: Iterable[Item], live: Mapping[str, Live], repository: str) -> tuple[str, ...]:
    """Jobs that this repository once made and does not want any more; folders are never among them."""
    wanted = {item.path for item in desired}
    found = []
    for path, entry in live.items():
        mark = read_mark(entry.description)
        if mark is None or mark.repository != repository or path in wanted:
            continue
        if entry.java_class != CLASSES["folder"]:
            found.append(path)
    return tuple(sorted(found))


def dropped(item: Item, xml: str) -> tuple[Difference, ...]:
    """What Jenkins did not keep of an item that was just posted: it forgets elements of plugins that it lacks.

    Raises:
        XmlUnreadable: what it sends back is no XML.
    """
    return differences(item.tree, parse(xml))
