"""What changes between two states of an object of a cluster, field by field, and how that reads on a terminal. Pure.

Entries of a list are matched by what tells them apart (`name`, a port, a path), as the API matches them; where nothing
does, by their place. What the server keeps for itself is left out.
"""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mmcicd_jenkins.records import dataclass

# What tells the entries of a list apart, the first that all of them have.
_KEYS = ("name", "containerPort", "mountPath", "port", "topologyKey", "type", "key", "path", "host", "ip")
_OF_THE_SERVER = frozenset(
    {"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "namespace", "selfLink"}
)
_NARROWEST = 40
_MOST_LINES_OF_TEXT = 40


@dataclass(frozen=True, kw_only=True)
class FieldChange:
    """`path` as people write it, like `spec.template.spec.containers[serving].image`; None is a field that is not there."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, kw_only=True)
class ObjectChange:
    """What becomes of one object: `is_new`, `is_left` (applied no more), or the fields that change; else no change."""

    kind: str
    name: str
    is_new: bool = False
    is_left: bool = False
    fields: tuple[FieldChange, ...] = ()

    @property
    def changes(self) -> bool:
        return self.is_new or self.is_left or bool(self.fields)


def object_change(
    before: Mapping[str, Any] | None, after: Mapping[str, Any], ignored: Iterable[str] = ()
) -> ObjectChange:
    """What changes when `before` (None: nothing) becomes `after`; annotations of the names `ignored` do not count."""
    kind, name = str(after["kind"]), str(after["metadata"]["name"])
    if before is None:
        return ObjectChange(kind=kind, name=name, is_new=True)
    left_out = frozenset(ignored)
    old, new = _plain(before, left_out), _plain(after, left_out)
    return ObjectChange(kind=kind, name=name, fields=tuple(_changes("", old, new)))


def manifest_changes(
    before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]
) -> tuple[ObjectChange, ...]:
    """What becomes of each object when `after` is applied where `before` was, in the order of applying."""
    old = {(one["kind"], one["metadata"]["name"]): one for one in before}
    new = {(one["kind"], one["metadata"]["name"]): one for one in after}
    left = (ObjectChange(kind=kind, name=name, is_left=True) for kind, name in old if (kind, name) not in new)
    return (*(object_change(old.get(key), one) for key, one in new.items()), *left)


def change_lines(changes: Iterable[ObjectChange], width: int = 100, place: str = "") -> list[str]:
    """The changes as lines that fit `width`; objects that stay as they are are not told. `place` goes before each."""
    lines: list[str] = []
    for change in changes:
        if not change.changes:
            continue
        what = " (new)" if change.is_new else " (applied no more; it stays)" if change.is_left else ""
        lines.append(f"{f'{place}: ' if place else ''}{change.kind}/{change.name}{what}")
        for field in change.fields:
            lines.extend(f"  {_printable(line)}" for line in _field_lines(field, max(width - 2, _NARROWEST)))
    return lines


def changes_json(changes: Iterable[ObjectChange]) -> list[dict[str, Any]]:
    """The same for `--json`."""
    return [
        {
            "object": f"{change.kind}/{change.name}",
            "new": change.is_new,
            "applied_no_more": change.is_left,
            "changes": [{"path": f.path, "before": f.before, "after": f.after} for f in change.fields],
        }
        for change in changes
        if change.changes
    ]


def _plain(document: Mapping[str, Any], ignored: frozenset[str]) -> dict[str, Any]:
    metadata = {key: value for key, value in document["metadata"].items() if key not in _OF_THE_SERVER}
    annotations = metadata.pop("annotations", None) or {}
    kept = {key: value for key, value in annotations.items() if key not in ignored}
    if kept:
        metadata["annotations"] = kept
    return {**{key: value for key, value in document.items() if key != "status"}, "metadata": metadata}


def _changes(path: str, before: Any, after: Any) -> Iterator[FieldChange]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*after, *(key for key in before if key not in after)]:
            yield from _changes(_below(path, key), before.get(key), after.get(key))
    elif isinstance(before, list | tuple) and isinstance(after, list | tuple):
        old, new = _entries(before, after)
        for key in [*new, *(key for key in old if key not in new)]:
            yield from _changes(f"{path}[{key}]", old.get(key), new.get(key))
    elif before != after or type(before) is not type(after):
        yield FieldChange(path=path, before=before, after=after)


def _below(path: str, key: str) -> str:
    if "." in key or "/" in key:
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def _entries(before: Any, after: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    both = [*before, *after]
    for key in _KEYS:
        if all(isinstance(entry, Mapping) and key in entry for entry in both):
            old, new = ({str(entry[key]): entry for entry in listed} for listed in (before, after))
            if len(old) == len(before) and len(new) == len(after):
                return old, new
    return {str(at): one for at, one in enumerate(before)}, {str(at): one for at, one in enumerate(after)}


def _field_lines(field: FieldChange, width: int) -> list[str]:
    before, after = field.before, field.after
    if isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        diff = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]
        more = (
            [f"  ... {len(diff) - _MOST_LINES_OF_TEXT} lines more"] if len(diff) > _MOST_LINES_OF_TEXT else []
        )
        shown = [f"  {_cut(line, width - 2)}" for line in diff[:_MOST_LINES_OF_TEXT]]
        return [f"{field.path}:", *shown, *more]
    if before is None:
        return _one_or_two(f"+ {field.path}: ", _shown(after), width)
    if after is None:
        return _one_or_two(f"- {field.path}: ", _shown(before), width)
    line = f"{field.path}: {_shown(before)} -> {_shown(after)}"
    if len(line) <= width:
        return [line]
    return [
        f"{field.path}:",
        *(_cut(f"  {sign} {_shown(value)}", width) for sign, value in (("-", before), ("+", after))),
    ]


def _one_or_two(head: str, value: str, width: int) -> list[str]:
    if len(head) + len(value) <= width:
        return [head + value]
    return [head.rstrip(), _cut(f"    {value}", width)]


def _shown(value: Any) -> str:
    if isinstance(value, str) and value and value.strip() == value and value.isprintable():
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _cut(text: str, width: int) -> str:
    """The end of an image's name tells more than its middle."""
    if len(text) <= width:
        return text
    half = (width - 3) // 2
    return f"{text[: width - 3 - half]}...{text[-half:]}"
