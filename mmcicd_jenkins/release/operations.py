"""Which operations of TensorFlow a model may hold. Pure; the list itself is `operations.txt`, to be read by people.

A model is a program: whoever loads it runs it. Only what is known to compute and nothing else is allowed; an
operation that nobody here knows is refused like one that is known to read files.
"""

from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path

from mmcicd_jenkins.records import dataclass

ALLOWED = "allowed"
SAVERS = "the saver's"
UNKNOWN = "it is no operation of TensorFlow's own that is known to be safe"


@dataclass(frozen=True, kw_only=True)
class Concern:
    """Something in a model that does not belong into a server. `operation` is "" when it is none."""

    what: str
    where: str
    why: str
    operation: str = ""


@dataclass(frozen=True, kw_only=True)
class Operations:
    """`allowed` only compute; `savers` read and write the model's own files; `refused` maps others to why."""

    allowed: frozenset[str]
    savers: frozenset[str]
    refused: Mapping[str, str]

    def why_not(self, name: str, also: Collection[str] = ()) -> str:
        """Why a model may not hold this operation; "" when it may. `also` are those that the team allows."""
        if name in self.allowed or name in self.savers or name in also:
            return ""
        return self.refused.get(name, UNKNOWN)


@cache
def known() -> Operations:
    """The list of this version."""
    text = Path(__file__).with_name("operations.txt").read_text(encoding="utf-8")
    sections = read_sections(text)
    allowed, savers = sections.pop(ALLOWED), sections.pop(SAVERS)
    return Operations(
        allowed=frozenset(allowed),
        savers=frozenset(savers),
        refused={name: why for why, names in sections.items() for name in names},
    )


def read_sections(text: str) -> dict[str, list[str]]:
    """`[section]`, one name on a line, `;` begins a remark."""
    sections: dict[str, list[str]] = {}
    names: list[str] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith(";"):
            continue
        if line.startswith("["):
            names = sections.setdefault(line[1:-1], [])
        else:
            names.append(line)
    return sections
