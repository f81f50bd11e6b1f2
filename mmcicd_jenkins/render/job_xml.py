"""Job XML as data: building it safely, one canonical form, and the mark by which we know our own jobs. Pure.

The law: text is never joined into XML; what XML cannot hold is refused with a sentence. Jenkins stores an item
with attributes, defaults and white space of its own, so two texts are never compared, only canonical forms.
"""

import hashlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.records import dataclass

_ILLEGAL = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HEADER = re.compile(r"\A\s*<\?xml[^>]*\?>")
_MARK = re.compile(r"managed-by: mmcicd-jenkins sha256=([0-9a-f]{64}) of=([0-9a-f-]{36})")


class XmlUnreadable(ValueError):
    """A configuration that is no XML 1.0, whatever its header says."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What stands in the description of an item of ours: the digest of its XML, and whose repository made it."""

    digest: str
    repository: str

    def __str__(self) -> str:
        return f"managed-by: mmcicd-jenkins sha256={self.digest} of={self.repository}"


def read_mark(description: str | None) -> Mark | None:
    """The mark in a description; None: not ours."""
    found = _MARK.search(description or "")
    return Mark(digest=found[1], repository=found[2]) if found else None


def legal(text: str, what: str) -> str:
    """`text` as XML can hold it; line ends become line feeds, as any reader of XML would make them.

    Raises:
        InputError: it holds a character that no XML document may.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    found = _ILLEGAL.search(text)
    if found:
        raise InputError(
            f"Jenkins cannot store the character U+{ord(found[0]):04X}",
            where=what,
            why="no XML document may hold it, and Jenkins keeps jobs as XML",
            fix="remove it; it is usually invisible and came by copy and paste",
        )
    return text


def node(tag: str, *children: ET.Element, of: str = "") -> ET.Element:
    """An element; `of` is its Java class."""
    made = ET.Element(tag, {"class": of} if of else {})
    made.extend(children)
    return made


def leaf(tag: str, text: str | bool) -> ET.Element:
    """An element with text; booleans as Jenkins writes them."""
    made = ET.Element(tag)
    made.text = str(text).lower() if isinstance(text, bool) else legal(text, tag)
    return made


def tag_of(java_class: str) -> str:
    """The element name of a class, as XStream escapes it."""
    return java_class.replace("_", "__").replace("$", "_-")


def class_of(tag: str) -> str:
    """The class that an element name stands for."""
    return tag.replace("_-", "$").replace("__", "_")


def parse(text: str) -> ET.Element:
    """The tree of a configuration as Jenkins sends it.

    Raises:
        XmlUnreadable: it is no XML 1.0; Jenkins says 1.1 in the header, which this parser would refuse.
    """
    try:
        return ET.fromstring(_HEADER.sub("", text))  # noqa: S314  from the controller that is trusted with all jobs
    except (ET.ParseError, ValueError) as e:
        raise XmlUnreadable(str(e)) from e


def written(tree: ET.Element) -> str:
    """The document to post. Non-ASCII letters as references, so that no encoding can go wrong on the way."""
    body = ET.tostring(tree, encoding="us-ascii").decode()
    return "<?xml version='1.0' encoding='UTF-8'?>\n" + _HEADER.sub("", body).lstrip()


def text_of(element: ET.Element) -> str:
    """The text as it is compared: outer white space is Jenkins' indentation."""
    return (element.text or "").replace("\r\n", "\n").strip()


def canonical(tree: ET.Element) -> str:
    """One form for equal configurations: no plugin attributes, no indentation, no header."""
    parts: list[str] = []
    _write(tree, parts)
    return "".join(parts)


def _write(element: ET.Element, parts: list[str]) -> None:
    attributes = "".join(
        f" {name}={value!r}" for name, value in sorted(element.attrib.items()) if name != "plugin"
    )
    parts.append(f"<{element.tag}{attributes}>{text_of(element)!r}")
    for child in element:
        _write(child, parts)
    parts.append("</>")


def digest(tree: ET.Element) -> str:
    """What the mark holds: everything but the description, so that other words are no reason to post a job."""
    bare = ET.Element(tree.tag, tree.attrib)
    bare.extend(child for child in tree if child.tag != "description")
    return hashlib.sha256(canonical(bare).encode()).hexdigest()


def marked(tree: ET.Element, about: str, repository: str) -> Mark:
    """Give `tree` a description: `about` and the mark of everything else."""
    mark = Mark(digest=digest(tree), repository=repository)
    tree.insert(0, leaf("description", f"{about}\n\n{mark}"))
    return mark


def children_by_tag(elements: Iterable[ET.Element]) -> dict[str, list[ET.Element]]:
    found: dict[str, list[ET.Element]] = {}
    for element in elements:
        found.setdefault(element.tag, []).append(element)
    return found
