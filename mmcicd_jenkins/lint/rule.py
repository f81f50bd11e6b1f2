"""What a rule is, and what it tells. A rule carries its own explanation and examples; a test runs the examples.

`RULES` is filled by the decorator when the rule files are imported by `check`. A rule yields `Hit`s, `check` makes
findings of them.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Literal

from mmcicd_jenkins.lint.pipeline import File
from mmcicd_jenkins.lint.tree import Node, Span
from mmcicd_jenkins.records import dataclass

Severity = Literal["error", "warning", "note"]
# In what an example is set to be a whole file.
Frame = Literal["file", "pipeline", "stage", "steps"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong or risky, with its place and its remedy."""

    file: str
    line: int
    column: int
    width: int
    rule: str
    severity: Severity
    what: str
    why: str
    fix: str
    excerpt: str

    def to_json(self) -> dict[str, object]:
        return {
            name: getattr(self, name)
            for name in ("file", "line", "column", "rule", "severity", "what", "why", "fix")
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Hit:
    """Where and what; `fix` when it is more precise than the rule's own."""

    at: Node | Span
    what: str
    fix: str = ""


Check = Callable[[File], Iterator[Hit]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """`bad` and `good` are examples inside a `frame`; `title` completes "tells of ..."."""

    id: str
    severity: Severity
    title: str
    why: str
    fix: str
    bad: str
    good: str
    frame: Frame
    check: Check


RULES: dict[str, Rule] = {}


def rule(
    name: str,
    severity: Severity,
    title: str,
    *,
    why: str,
    fix: str,
    bad: str,
    good: str,
    frame: Frame = "stage",
) -> Callable[[Check], Check]:
    """Register a check under the name by which people know it."""

    def register(check: Check) -> Check:
        RULES[name] = Rule(
            id=name,
            severity=severity,
            title=title,
            why=why,
            fix=fix,
            bad=bad,
            good=good,
            frame=frame,
            check=check,
        )
        return check

    return register


def framed(text: str, frame: Frame) -> str:
    """An example as a whole file."""
    if frame == "file":
        return text + "\n"
    if frame == "pipeline":
        return f"pipeline {{\n{_indented(text)}\n}}\n"
    if frame == "steps":
        text = f"steps {{\n{_indented(text)}\n}}"
    return f"pipeline {{\n  agent none\n  stages {{\n    stage('Example') {{\n{_indented(text, 6)}\n    }}\n  }}\n}}\n"


def _indented(text: str, spaces: int = 2) -> str:
    return "\n".join(" " * spaces + line if line else line for line in text.splitlines())
