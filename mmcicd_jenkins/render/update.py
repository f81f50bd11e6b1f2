"""Decide what happens to each generated file: written, brought up to date, merged, or left to its person. Pure.

Three texts decide: what stands there (`mine`), what was generated last (`base`, from the record) and what is
generated now (`new`). The law: an edit of a person is never lost, a file that a person deleted stays deleted,
and deciding again after the plan was carried out, wholly or in part, changes nothing more.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Literal

from mmcicd_jenkins.records import dataclass

# managed: ours as long as nobody edits it, merged afterwards. once: its person's from the first moment.
# lines: once as well, but the lines are added to a file that was there before.
Mode = Literal["managed", "once", "lines"]
Step = Literal["write", "update", "merge", "conflict", "unresolved", "remove", "keep", "deleted", "same"]

CHANGES: frozenset[Step] = frozenset({"write", "update", "merge", "conflict", "remove"})
_OURS = "mmcicd-jenkins "
_OPEN_CONFLICT = re.compile(rb"^>{7} " + _OURS.encode() + rb"([0-9a-f]{12})\s*$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Generated:
    """A file as generated now."""

    path: str
    content: bytes
    executable: bool = False
    mode: Mode = "managed"


@dataclass(frozen=True, kw_only=True)
class Present:
    """A file as it stands in the repository."""

    content: bytes
    executable: bool = False


@dataclass(frozen=True, kw_only=True)
class Joining:
    """A merge that is about to be written: the digest of what it ends in, and the generated text that goes into it."""

    result: str
    new: bytes


@dataclass(frozen=True, kw_only=True)
class Record:
    """What was generated last: the text of managed files, the names of the others, and merges under way."""

    managed: Mapping[str, bytes] = field(default_factory=dict)
    once: frozenset[str] = frozenset()
    joining: Mapping[str, Joining] = field(default_factory=dict)

    def __contains__(self, path: str) -> bool:
        return path in self.managed or path in self.once


@dataclass(frozen=True, kw_only=True)
class Merged:
    content: bytes
    conflicts: bool


# (mine, base, new, the name of new in a conflict mark)
Merge = Callable[[bytes, bytes, bytes, str], Merged]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What happens to one file and why. `content` is what stands there afterwards; None when nothing does."""

    path: str
    step: Step
    reason: str
    content: bytes | None = None
    executable: bool = False

    @property
    def changes(self) -> bool:
        return self.step in CHANGES


@dataclass(frozen=True, kw_only=True)
class UpdatePlan:
    """`announced` is recorded before the files are written, `record` after them."""

    decisions: tuple[Decision, ...]
    announced: Record
    record: Record

    @property
    def changing(self) -> tuple[Decision, ...]:
        return tuple(d for d in self.decisions if d.changes)

    @property
    def conflicts(self) -> tuple[Decision, ...]:
        return tuple(d for d in self.decisions if d.step in {"conflict", "unresolved"})


def plan_update(
    files: Sequence[Generated], present: Mapping[str, Present], record: Record, merge: Merge
) -> UpdatePlan:
    """One decision per file, in the order of `files`, then what is generated no longer."""
    record = _settled(record, files, present)
    decisions = [_decide(new, present.get(new.path), record, merge) for new in files]
    wanted = {new.path for new in files}
    left_over = sorted(set(record.managed) - wanted)
    decisions += [_no_longer(path, present.get(path), record.managed[path]) for path in left_over]
    return UpdatePlan(
        decisions=tuple(decisions),
        announced=_announced(files, decisions, record),
        record=_next_record(files, decisions, record),
    )


def _decide(new: Generated, mine: Present | None, record: Record, merge: Merge) -> Decision:
    if mine is None:
        if new.path in record:
            return Decision(path=new.path, step="deleted", reason="you deleted it")
        return _result(new, "write", "new", new.content)
    if new.mode == "lines" and new.path not in record:
        return _with_lines(new, mine)
    if new.mode != "managed":
        return Decision(path=new.path, step="keep", reason="yours")
    return _decide_managed(new, mine, record.managed.get(new.path), merge)


def _decide_managed(new: Generated, mine: Present, base: bytes | None, merge: Merge) -> Decision:
    if mine.content == new.content:
        if new.executable and not mine.executable:
            return _result(new, "update", "it was not executable", new.content)
        return Decision(path=new.path, step="same", reason="up to date")
    if _OPEN_CONFLICT.search(mine.content):
        return Decision(path=new.path, step="unresolved", reason="its conflict is not resolved yet")
    if base is None:
        return Decision(path=new.path, step="keep", reason="it was there before")
    if mine.content == base:
        return _result(new, "update", "a newer text", new.content)
    if base == new.content:
        return Decision(path=new.path, step="keep", reason="you edited it")
    merged = merge(mine.content, base, new.content, _OURS + _digest(new.content))
    if merged.conflicts:
        return _result(new, "conflict", "your edit and the newer text touch the same lines", merged.content)
    if merged.content == mine.content:
        return Decision(path=new.path, step="keep", reason="your edit has the newer text already")
    return _result(new, "merge", "the newer text joined with your edit", merged.content)


def _result(new: Generated, step: Step, reason: str, content: bytes) -> Decision:
    return Decision(path=new.path, step=step, reason=reason, content=content, executable=new.executable)


def _with_lines(new: Generated, mine: Present) -> Decision:
    there = {line.strip() for line in mine.content.splitlines()}
    missing = [line for line in new.content.splitlines(keepends=True) if line.strip() not in there]
    if not missing:
        return Decision(path=new.path, step="same", reason="it has our lines")
    gap = b"" if mine.content.endswith(b"\n") or not mine.content else b"\n"
    content = mine.content + gap + b"".join(missing)
    return Decision(
        path=new.path, step="update", reason="our lines added", content=content, executable=mine.executable
    )


def _no_longer(path: str, mine: Present | None, base: bytes) -> Decision:
    if mine is None:
        return Decision(path=path, step="deleted", reason="generated no longer")
    if mine.content == base:
        return Decision(path=path, step="remove", reason="generated no longer")
    return Decision(
        path=path, step="keep", reason="generated no longer, but you edited it: remove it yourself"
    )


def _announced(files: Sequence[Generated], decisions: Sequence[Decision], record: Record) -> Record:
    """A merged text does not show what went into it, so that is written down first."""
    joining = {
        new.path: Joining(result=_digest(decision.content or b""), new=new.content)
        for new, decision in zip(files, decisions, strict=False)
        if decision.step in {"merge", "conflict"}
    }
    return Record(managed=record.managed, once=record.once, joining=joining)


def _next_record(files: Sequence[Generated], decisions: Sequence[Decision], record: Record) -> Record:
    managed: dict[str, bytes] = {}
    once = set(record.once)
    for new, decision in zip(files, decisions, strict=False):
        if new.mode != "managed":
            once.add(new.path)
            continue
        base = _next_base(new, decision, record.managed.get(new.path))
        if base is not None:
            managed[new.path] = base
    return Record(managed=managed, once=frozenset(once))


def _next_base(new: Generated, decision: Decision, base: bytes | None) -> bytes | None:
    if decision.step == "keep" and base is None:
        return None
    if decision.step == "deleted":
        return base
    if decision.step == "unresolved":
        return base
    return new.content


def _settled(record: Record, files: Sequence[Generated], present: Mapping[str, Present]) -> Record:
    """Take merges that were written, but not recorded before the process ended, as recorded.

    The record announces them, and a conflict mark names its text even after an edit; without this, the same
    change would be merged again and end in a conflict.
    """
    managed = dict(record.managed)
    for new in files:
        mine = present.get(new.path)
        mark = _OPEN_CONFLICT.search(mine.content) if mine else None
        if new.path in managed and mark and mark.group(1).decode() == _digest(new.content):
            managed[new.path] = new.content
    for path, joining in record.joining.items():
        if path in managed and path in present and _digest(present[path].content) == joining.result:
            managed[path] = joining.new
    return Record(managed=managed, once=record.once)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
