"""What differs between an item as we want it and as Jenkins has it, and the two brought together. Pure.

The law: what we want must be there; what we did not ask for stays, because Jenkins, a plugin or a person put it
there (views, folder credentials, a disabled job). Lists that we own wholly are the exception: a permission or a
trigger that we did not write is a difference.
"""

import copy
import xml.etree.ElementTree as ET
from collections.abc import Iterator

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.render.job_items import PARAMETERS_TAG, PERMISSIONS_TAG, TRIGGERS_TAG
from mmcicd_jenkins.render.job_sources import plugin_of
from mmcicd_jenkins.render.job_xml import children_by_tag, class_of, text_of

# Below these elements more than we wrote is as wrong as less.
_WHOLE = {PERMISSIONS_TAG, PARAMETERS_TAG, TRIGGERS_TAG, "traits", "triggers"}
# Properties that are ours to take away again; any other one that we did not write belongs to somebody else.
_OURS = {PARAMETERS_TAG, TRIGGERS_TAG}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One place: what we want there and what Jenkins has; "" where there is nothing."""

    place: str
    wanted: str
    found: str

    @property
    def plugin(self) -> str:
        """The plugin whose absence explains that the wanted thing is not there."""
        return (
            "" if self.found else plugin_of(class_of(self.place.rpartition("/")[2])) or plugin_of(self.wanted)
        )


def differences(wanted: ET.Element, found: ET.Element) -> tuple[Difference, ...]:
    """Everything that is wanted and not there, in the order of the document. The description is not compared.

    Jenkins numbers nothing and may reorder: of several elements with one name each finds its own partner.
    """
    return tuple(d for d in _differences(wanted, found, wanted.tag, whole=False) if d.place != "description")


def _differences(wanted: ET.Element, found: ET.Element, place: str, *, whole: bool) -> Iterator[Difference]:
    at = place.partition("/")[2]
    kind = wanted.get("class")
    if kind is not None and found.get("class") != kind:
        yield Difference(place=at, wanted=kind, found=found.get("class") or "another class")
        return
    if not len(wanted) and text_of(wanted) != text_of(found):
        yield Difference(place=at, wanted=text_of(wanted), found=text_of(found))
    whole = whole or wanted.tag in _WHOLE
    theirs = children_by_tag(found)
    for tag, ours in children_by_tag(wanted).items():
        yield from _paired(ours, theirs.pop(tag, []), f"{place}/{tag}", whole=whole)
    for tag, extra in theirs.items():
        if whole or (tag in _OURS and wanted.tag == "properties"):
            for element in extra:
                yield Difference(place=f"{at}/{tag}", wanted="", found=_brief(element))


def _paired(
    ours: list[ET.Element], theirs: list[ET.Element], place: str, *, whole: bool
) -> Iterator[Difference]:
    """Pairs of one name: those that fit first, the rest in their order."""
    at = place.partition("/")[2]
    left, open_ = list(theirs), []
    for element in ours:
        fitting = next((t for t in left if not any(_differences(element, t, place, whole=whole))), None)
        if fitting is None:
            open_.append(element)
        else:
            left.remove(fitting)
    for element in open_:
        if left:
            yield from _differences(element, left.pop(0), place, whole=whole)
        else:
            yield Difference(place=at, wanted=_brief(element), found="")
    if whole:
        for element in left:
            yield Difference(place=at, wanted="", found=_brief(element))


def _brief(element: ET.Element) -> str:
    """An element in a few words."""
    return text_of(element) or element.get("class") or "there"


def merged(wanted: ET.Element, found: ET.Element) -> ET.Element:
    """What to post over `found`: all that we want, and all that is there and none of our business.

    A POST replaces the whole item; a plain folder would lose its credentials, permissions and views.
    """
    made = copy.deepcopy(wanted)
    ours = children_by_tag(made)
    for child in found:
        if child.tag not in ours:
            made.append(copy.deepcopy(child))
    properties = found.find("properties")
    if properties is not None:
        _keep_properties(made, properties)
    return made


def _keep_properties(made: ET.Element, properties: ET.Element) -> None:
    own = made.find("properties")
    if own is None:
        return  # copied whole
    written = children_by_tag(own)
    own.extend(copy.deepcopy(p) for p in properties if p.tag not in written and p.tag not in _OURS)
    if not own.attrib:
        own.attrib.update(properties.attrib)
