"""Check plain values against the schema and say every mistake with its place.

The schema stops at the first mistake of each value only; a wrong value is then replaced by its example, so
that the rest of the file, and what needs two keys, can still be checked. Such places are remembered and
nothing more is said about them.
"""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from mmcicd_jenkins.config import catalogue
from mmcicd_jenkins.config.forms import shown
from mmcicd_jenkins.config.marks import MAX_PROBLEMS, Document, KeyPath, Mark, dotted
from mmcicd_jenkins.config.places import redacted
from mmcicd_jenkins.config.schema import FileSection
from mmcicd_jenkins.config.suggest import nearest
from mmcicd_jenkins.errors import Problem


@dataclass
class Findings:
    """Mistakes and warnings, and where values were so wrong that nothing more can be said about them.

    `overrides` are values from outside the file: path -> (where it came from, its text).
    """

    document: Document
    overrides: Mapping[KeyPath, tuple[str, str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    broken: list[KeyPath] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def is_broken(self, path: KeyPath) -> bool:
        """Whether what stands at `path` is not what was written there."""
        return any(_related(path, known) for known in self.broken)

    @property
    def is_full(self) -> bool:
        """Whether nobody would read one more."""
        return len(self.problems) >= MAX_PROBLEMS

    def add(
        self,
        path: KeyPath,
        what: str,
        fix: str,
        *,
        column: int = 0,
        width: int = 0,
        on_key: bool = False,
        on_name: bool = False,
    ) -> None:
        """Note a mistake, unless its value, a parent or a part of it is broken: it would only be an echo.

        With `on_name` the mistake is in the name itself, whatever is wrong inside.
        """
        inside = (known for known in self.broken if not on_name or len(known) <= len(path))
        if not self.is_full and not any(_related(path, known) for known in inside):
            self.problems.append(self._problem(path, what, fix, column, width, on_key or on_name))

    def add_broken(
        self, path: KeyPath, what: str, fix: str, *, column: int = 0, width: int = 0, on_key: bool = False
    ) -> None:
        """Note a mistake and that nothing more can be said about this value."""
        self.add(path, what, fix, column=column, width=width, on_key=on_key)
        self.broken.append(path)

    def warn(self, path: KeyPath, what: str, fix: str) -> None:
        if not any(_related(path, known) for known in self.broken):
            self.warnings.append(self._problem(path, what, fix, 0, 0, on_key=False))

    def _problem(self, path: KeyPath, what: str, fix: str, column: int, width: int, on_key: bool) -> Problem:
        if path not in self.document.values and path[:-1] in self.document.texts:
            path = path[:-1]  # a text that stands alone for its section is called by the key that people see
        said = f"{_short(dotted(path))}: {what}" if path else what
        outside = self.overrides.get(path)
        if outside:
            name, text = outside
            width = width or max(1, len(text))
            return Problem(
                file=name,
                line=1,
                column=column + 1,
                width=width,
                what=redacted(said),
                fix=fix,
                excerpt=redacted(text),
            )
        mark = self.document.key_mark(path) if on_key else self.document.value_mark(path)
        if (column or width) and mark.inner >= 0 and path in self.document.values:
            start = min(column + mark.inner, mark.width)
            mark = Mark(mark.line, mark.column + start, max(1, min(width or mark.width, mark.width - start)))
        return self.document.problem(mark, said, fix)


def _short(key: str) -> str:
    return key if len(key) <= 120 else key[:117] + "..."


def _related(one: KeyPath, other: KeyPath) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


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
            return FileSection.model_validate(tree)
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
        # A sibling with a mistake of its own must not hide this one, nor this one its siblings.
        findings.add_broken(path, *_unknown(path), on_key=True)
    elif mistake["type"] == "missing":
        near = (u for u in unknown if u[:-1] == path[:-1] and nearest(str(u[-1]), [str(path[-1])]))
        if next(near, None) is not None:
            findings.broken.append(path)  # written, with a typo that is told already
        else:
            entry = catalogue.find(path)
            example = entry.example if entry else "..."
            findings.add_broken(
                path, "is missing", f"add it, for example `{path[-1]}: {written(example)}`", on_key=True
            )
    elif mistake["type"] == "form":
        facts = mistake["ctx"]
        findings.add_broken(path, facts["what"], facts["fix"], column=facts["column"], width=facts["width"])
    else:
        on_key = mistake["input"] is None
        findings.add_broken(path, *_wrong(mistake, path, findings.document), on_key=on_key)


def _unknown(path: KeyPath) -> tuple[str, str]:
    name = str(path[-1])
    if path == ("extends",):
        return (
            "platform files are not read by this version",
            "delete `extends` and write the shared keys here",
        )
    section = catalogue.section_at(path[:-1])
    known = list(catalogue.children(section)) if section else []
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
_ARTICLES = {
    "whole number": "a whole number",
    "number": "a number",
    "mapping": "a mapping",
    "duration": "a duration",
}


def _wrong(mistake: Any, path: KeyPath, document: Document) -> tuple[str, str]:
    """What and fix for a value of the wrong kind or beyond its limits."""
    entry = catalogue.find(path)
    words = _expected(mistake["type"], entry)
    value = mistake["input"]
    text = document.texts.get(path, "")
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
    if kind == "string_type":
        return "text"
    if kind == "string_too_short":
        return "text"
    words = entry.words if entry else "text"
    if entry and not entry.container:
        words = words.removeprefix("list of ").rstrip("s") if words.startswith("list of ") else words
    if entry and entry.container == "" and entry.section:
        words = _TEXT_OR_MAPPING if entry.section.shorthand else "mapping"
    if words.startswith("list "):
        words = "a " + words
    return _ARTICLES.get(words, words)


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
