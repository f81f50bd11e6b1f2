"""Check plain values against the schema and say every mistake with its place.

The schema stops at the first mistake of each value only; a wrong value is then replaced by its example, so
that the rest of the file, and what needs two keys, can still be checked. Such places are remembered and
nothing more is said about them.
"""

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic_core import ValidationError

from mmcicd_jenkins.config import catalogue
from mmcicd_jenkins.config.findings import Findings
from mmcicd_jenkins.config.forms import shown
from mmcicd_jenkins.config.marks import MAX_PROBLEMS, Document, KeyPath
from mmcicd_jenkins.config.schema import FileSection
from mmcicd_jenkins.config.suggest import nearest


def check_shape(plain: object, findings: Findings) -> FileSection | None:
    """The checked file, wrong values replaced; None when nothing can be said about it."""
    if () in findings.broken:
        return None
    if not isinstance(plain, dict):
        if not findings.broken:
            got = "is empty" if plain is None else f"starts with {shown(plain)}"
            findings.add_broken(
                (), f"{findings.document.file} {got}", "start with `models:` and a model's name below it"
            )
        return None
    tree = copy.deepcopy(plain)
    # Each round repairs all values that it finds wrong; a repaired parent may uncover one more level.
    for _ in range(12):
        try:
            return FileSection.checked(tree)
        except ValidationError as e:
            mistakes = e.errors(include_url=False)[:MAX_PROBLEMS]
        unknown = {_path(m) for m in mistakes if m["type"] == "extra_forbidden"}
        for mistake in sorted(mistakes, key=lambda m: m["type"] == "missing"):
            _say(mistake, unknown, findings)
            _repair(tree, _path(mistake), mistake["type"])
        if findings.is_full:
            break
    return None


def _path(mistake: Any) -> KeyPath:
    return tuple(part for part in mistake["loc"] if part != "[key]")


def _say(mistake: Any, unknown: Iterable[KeyPath], findings: Findings) -> None:
    path = _path(mistake)
    if mistake["type"] == "extra_forbidden":
        what, fix = _unknown(path)
        findings.add_broken(path, what, fix, on="key")
    elif mistake["type"] == "missing":
        near = (u for u in unknown if u[:-1] == path[:-1] and nearest(str(u[-1]), [str(path[-1])]))
        if next(near, None) is not None:
            findings.broken.append(path)  # written, with a typo that is told already
        else:
            entry = catalogue.find(path)
            example = entry.example if entry else "..."
            findings.add_broken(
                path, "is missing", f"add it, for example `{path[-1]}: {written(example)}`", on="key"
            )
    elif mistake["type"] == "form":
        facts = mistake["ctx"]
        span = (facts["column"], facts["width"]) if facts["column"] or facts["width"] else None
        findings.add_broken(path, facts["what"], facts["fix"], span=span)
    else:
        what, fix = _wrong(mistake, path, findings.document)
        findings.add_broken(path, what, fix, on="key" if mistake["input"] is None else "value")


def _unknown(path: KeyPath) -> tuple[str, str]:
    name = str(path[-1])
    section = catalogue.section_at(path[:-1])
    known = list(section.fields) if section else []
    elsewhere = [k.dotted for k in catalogue.all_keys() if k.name == name]
    near = nearest(name.lower().replace("-", "_"), known, 0.6 if not elsewhere else 0.8)
    if near:
        return "unknown key", f"did you mean `{near}`?"
    if elsewhere:
        return "this key does not belong here", f"it belongs to {' or '.join(elsewhere[:2])}"
    return "unknown key", f"keys that may stand here: {', '.join(known)}"


def written(value: object) -> str:
    """An example as people write it in YAML, on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(written(v) for v in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return '""' if value == "" else str(value)


_LIMITS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda c: f" > {c['gt']}",
    "greater_than_equal": lambda c: f" ≥ {c['ge']}",
    "less_than": lambda c: f" < {c['lt']}",
    "less_than_equal": lambda c: f" ≤ {c['le']}",
}
_TEXT_OR_MAPPING = "text or a mapping"


def _wrong(mistake: Any, path: KeyPath, document: Document) -> tuple[str, str]:
    """What and fix for a value of the wrong kind or beyond its limits."""
    entry = catalogue.find(path)
    words = _expected(mistake["type"], entry)
    value = mistake["input"]
    text = document.owner(path).texts.get(path, "")
    limit = _LIMITS[mistake["type"]](mistake["ctx"]) if mistake["type"] in _LIMITS else ""
    got = f"`{text[:40]}`" if text and not isinstance(value, str) else shown(value)
    what = f"expected {words}{limit}, got {got}"
    if mistake["type"] in {"too_short", "string_too_short"}:
        what = f"expected {words}, got an empty one"
    if words in {"text", _TEXT_OR_MAPPING} and text and not isinstance(value, str):
        return what + _taken_for(value), f'put it in quotes: `{path[-1]}: "{text}"`'
    if value is None:
        return what, "write a value, or delete the key"
    return what, _fix_value(value, entry, path)


def _expected(kind: str, entry: catalogue.Key | None) -> str:
    """The kind of value that may stand there, with its article."""
    if entry is None or kind in {"string_type", "string_too_short"}:
        return "text"
    if kind == "dict_type":
        return "a mapping"
    if entry.section and not entry.container:
        return _TEXT_OR_MAPPING if entry.section.shorthand else "a mapping"
    bare = entry.words == "text" or entry.words.startswith(("one of", "true or"))
    return entry.words if bare else f"a {entry.words}"


def _taken_for(value: object) -> str:
    return f", which YAML reads as {'true or false' if isinstance(value, bool) else 'a number'}"


def _fix_value(value: object, entry: catalogue.Key | None, path: KeyPath) -> str:
    if entry is None:
        return "write another value"
    if entry.allowed:
        near = nearest(str(value).lower(), entry.allowed)
        if near:
            return f"did you mean `{near}`?"
        if entry.dotted.endswith("evaluate.problem"):
            return "for a command of your own write `evaluate: {command: ./evaluate.sh}`"
        return f"write one of {', '.join(entry.allowed)}"
    name = path[-1] if isinstance(path[-1], str) else entry.name
    return f"write it as in this example: `{name}: {written(entry.example)}`"


def _repair(tree: Any, path: KeyPath, kind: str) -> None:
    """Delete the wrong value, or put its example where one must stand."""
    at: Any = tree
    for index, part in enumerate(path[:-1]):
        inside = _item(at, part)
        if not isinstance(inside, dict | list):
            # The value stands for a whole section; the section as such is replaced.
            _replace(at, path[: index + 1])
            return
        at = inside
    if kind != "missing" and isinstance(at, dict):
        at.pop(path[-1], None)
    else:
        _replace(at, path)


def _item(at: Any, part: str | int) -> Any:
    if isinstance(at, dict):
        return at.get(part)
    return at[part] if isinstance(at, list) and isinstance(part, int) else None


def _replace(at: Any, path: KeyPath) -> None:
    entry = catalogue.find(path)
    at[path[-1]] = copy.deepcopy(entry.example) if entry else None
