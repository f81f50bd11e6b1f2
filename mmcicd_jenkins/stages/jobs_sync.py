"""Bring the jobs on Jenkins to what mmcicd.yaml says: look, plan, apply. Through ports alone.

The law: a look costs one request per folder, and one more for each job only where something must be compared or
written; folders are made before what is in them; what was posted is read back. Killed anywhere, the same command
again goes on: each item is written whole by one request, and its mark says that it is done.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from xml.etree.ElementTree import Element

from mmcicd_jenkins.errors import InputError, MmcicdError, OutsideFailed
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.ports.jenkins import JenkinsItems
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.render.job_compare import Difference, merged
from mmcicd_jenkins.render.job_items import Item
from mmcicd_jenkins.render.job_plan import WRITES, Action, Live, dropped, orphans, plan
from mmcicd_jenkins.render.job_xml import XmlUnreadable, parse, read_mark, written

# Requests at the same time. Jenkins writes each item to its disk; more at once only wait there.
AT_ONCE = 8
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is on Jenkins, and what there is to do."""

    live: Mapping[str, Live]
    actions: tuple[Action, ...]


@dataclass(frozen=True, kw_only=True)
class Done:
    """What became of an action. `lost` is what Jenkins did not keep."""

    action: Action
    error: MmcicdError | None = None
    lost: tuple[Difference, ...] = ()


def look(
    items: JenkinsItems, desired: Sequence[Item], repository: str, *, deep: bool = False, adopt: bool = False
) -> Look:
    """List the folders, then fetch what must be compared: everything with `deep`, else what has another mark."""
    live = _listed(items, desired)
    actions = plan(desired, live, repository, adopt=adopt)
    wanted = [a.path for a in actions if _must_compare(a, deep=deep)]
    fetched = dict(zip(wanted, _at_once(items.config, wanted), strict=True))
    for path, xml in fetched.items():
        before = live.pop(path)
        if xml is not None:  # else it was deleted meanwhile
            live[path] = Live(
                path=path, java_class=before.java_class, description=before.description, xml=xml
            )
    if fetched:
        actions = plan(desired, live, repository, adopt=adopt)
    return Look(live=live, actions=actions)


def glance(items: JenkinsItems, desired: Sequence[Item], repository: str) -> tuple[Action, ...]:
    """What there is to do as far as marks tell: one request per folder, and no right to read a configuration."""
    return plan(desired, _listed(items, desired), repository)


def _must_compare(action: Action, *, deep: bool) -> bool:
    if action.item is None or action.item.shared:
        return False
    return action.do == "update" or (deep and action.do == "unchanged")


def _listed(items: JenkinsItems, desired: Sequence[Item]) -> dict[str, Live]:
    """Everything in the folders that hold a wanted item; a folder that is not there holds nothing."""
    live: dict[str, Live] = {}
    missing: set[str] = set()
    for folder in dict.fromkeys(item.path.rpartition("/")[0] for item in desired):
        if folder in missing or folder.rpartition("/")[0] in missing:
            missing.add(folder)
            continue
        children = items.children(folder)
        if children is None:
            missing.add(folder)
            continue
        for child in children:
            path = f"{folder}/{child.name}".lstrip("/")
            live[path] = Live(path=path, java_class=child.java_class, description=child.description)
    return live


def apply(
    items: JenkinsItems,
    found: Look,
    on_done: Callable[[Done], None] = lambda _: None,
) -> tuple[Done, ...]:
    """Write what the plan says, folders first. One item that fails does not stop its neighbours.

    Raises:
        OutsideFailed: a folder could not be made, so nothing below it was tried; or Jenkins went away.
    """
    folders = [a for a in found.actions if a.do in WRITES and a.item and a.item.kind == "folder"]
    rest = [a for a in found.actions if a.do in WRITES and a.item and a.item.kind != "folder"]
    results = []
    for action in folders:
        done = _write(items, action, found.live.get(action.path))
        if done.error is not None:
            raise done.error
        results.append(done)
        on_done(done)

    def one(action: Action) -> Done:
        return _write(items, action, found.live.get(action.path))

    for done in _at_once(one, rest):
        results.append(done)
        on_done(done)
    return tuple(results)


def _at_once(function: Callable[[T], R], arguments: Iterable[T]) -> Iterable[R]:
    """`map` over a few threads, in order; an error or Ctrl-C ends it without starting what has not begun."""
    listed = list(arguments)
    if len(listed) < 2:
        yield from map(function, listed)
        return
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        yield from pool.map(function, listed)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _write(items: JenkinsItems, action: Action, live: Live | None) -> Done:
    """One item: post it, read it back."""
    item = action.item
    assert item is not None, "only wanted items are written"  # noqa: S101  a law of `plan`, not an input
    try:
        failpoint("jobs.before-write")
        if action.do == "create":
            if not items.create(item.path, item.xml):
                return _made_by_another(items, action, item)
        else:
            items.update(item.path, written(merged(item.tree, _tree(items, item, live))))
        failpoint("jobs.after-write")
        return Done(action=action, lost=_read_back(items, item))
    except OutsideFailed as e:
        if e.retryable:
            raise  # the controller is gone; a thousand more tries say nothing new
        return Done(action=action, error=e)
    except MmcicdError as e:
        return Done(action=action, error=e)


def _tree(items: JenkinsItems, item: Item, live: Live | None) -> Element:
    xml = live.xml if live is not None and live.xml is not None else items.config(item.path)
    return item.tree if xml is None else parse(xml)


def _made_by_another(items: JenkinsItems, action: Action, item: Item) -> Done:
    """Somebody made an item of this name after we looked: another sync of the same commit is no failure."""
    mark = read_mark(items.config(item.path))
    if mark is not None and mark.digest == item.digest:
        return Done(action=action)
    error = InputError(
        "somebody made a job of this name meanwhile", where=item.path, fix="run the same command again"
    )
    return Done(action=action, error=error)


def _read_back(items: JenkinsItems, item: Item) -> tuple[Difference, ...]:
    xml = items.config(item.path)
    if xml is None:
        raise OutsideFailed(
            "Jenkins took the job and does not show it",
            where=item.path,
            fix="the account needs Job/Read and Job/ExtendedRead there",
        )
    try:
        return dropped(item, xml)
    except XmlUnreadable as e:
        raise OutsideFailed("Jenkins sends back no readable XML", where=item.path, why=str(e)) from e


def prune(items: JenkinsItems, paths: Iterable[str]) -> None:
    """Delete jobs with their builds."""
    for path in paths:
        failpoint("jobs.before-write")
        items.delete(path)


def to_prune(items: JenkinsItems, desired: Sequence[Item], repository: str) -> tuple[str, ...]:
    """Jobs that this repository once made and does not want any more."""
    return orphans(desired, _listed(items, desired), repository)
