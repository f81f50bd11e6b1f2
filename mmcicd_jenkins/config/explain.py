"""Where the value of a key comes from, and what the key means: default < platform < file < environment < flag."""

from collections.abc import Iterator
from typing import Any

from mmcicd_jenkins.config import catalogue
from mmcicd_jenkins.config.load import Loaded
from mmcicd_jenkins.config.marks import KeyPath, dotted
from mmcicd_jenkins.config.overrides import VARIABLES
from mmcicd_jenkins.config.shape import written
from mmcicd_jenkins.config.suggest import nearest
from mmcicd_jenkins.errors import UsageError
from mmcicd_jenkins.records import dataclass


@dataclass(frozen=True, kw_only=True)
class Explained:
    """One key. `source` is default, platform, file, environment or flag; `where` its place there; `value` as written."""

    key: str
    value: object
    source: str
    where: str
    meaning: str
    kind: str
    allowed: tuple[str, ...] = ()
    example: object = None
    variable: str = ""

    def to_json(self) -> dict[str, object]:
        return {name: list(v) if isinstance(v, tuple) else v for name, v in vars(self).items()}

    @property
    def line(self) -> str:
        """The value and its source on one line."""
        shown = "not set" if self.value is None else written(self.value)
        return f"{self.key}: {shown}  ({self.source}{' ' + self.where if self.where else ''})"

    def lines(self) -> list[str]:
        """All of it."""
        shown = "not set" if self.value is None else written(self.value)
        lines = [f"{self.key}: {shown}", f"  from     {self.source} {self.where}".rstrip()]
        lines.append(f"  meaning  {self.meaning}")
        lines.append(f"  kind     {self.kind}")
        if self.example is not None:
            lines.append(f"  example  {self.key.rpartition('.')[2]}: {written(self.example)}")
        if self.variable:
            lines.append(f"  set by   ${self.variable}")
        return lines


def explain(loaded: Loaded, key: str) -> tuple[Explained, ...]:
    """A key with a value, or every value below it; the whole configuration for "".

    Raises:
        UsageError: there is no such key; names the nearest one.
    """
    path = _path(key, loaded)
    found = tuple(_all(loaded, path)) if path or not key else ()
    if not found:
        known = [e.key for e in _all(loaded, ())] + [dotted(p) for p in _paths(loaded.complete, ())]
        near = nearest(key, known)
        fix = f"did you mean {near}?" if near else "list all keys with: mmcicd-jenkins config explain"
        raise UsageError(f"there is no key {key!r}", fix=fix)
    return found


def _path(key: str, loaded: Loaded) -> KeyPath:
    """Dotted text to a path; parts that are numbers are positions where the file has a list."""
    path: tuple[Any, ...] = ()
    at: object = loaded.complete
    for part in filter(None, key.split(".")):
        if isinstance(at, list) and part.isdecimal() and int(part) < len(at):
            path, at = (*path, int(part)), at[int(part)]
        else:
            path, at = (*path, part), at.get(part) if isinstance(at, dict) else None
    return path


def _all(loaded: Loaded, path: KeyPath) -> Iterator[Explained]:
    """Every key with a value of its own at or below `path`, in the order of the schema."""
    section = catalogue.section_at(path)
    entry = catalogue.find(path) if path else None
    if entry and entry.default is None and not entry.is_required and _value(loaded, path) is None:
        if _stands(loaded, path):
            yield _explained(loaded, path, entry)
    elif section is not None:
        for name in section.fields:
            yield from _all(loaded, (*path, name))
    elif entry is not None and entry.section and entry.container == "mapping":
        inside = _value(loaded, path)
        for name in inside if isinstance(inside, dict) else ():
            yield from _all(loaded, (*path, name))
    elif entry is not None and _stands(loaded, path):
        yield _explained(loaded, path, entry)


def _stands(loaded: Loaded, path: KeyPath) -> bool:
    """Whether the names and positions that people chose in `path` are there."""
    for length in range(1, len(path)):
        parent = catalogue.find(path[:length])
        if parent and parent.container:
            inside = _value(loaded, path[:length])
            part = path[length]
            if not (part in inside if isinstance(inside, dict) else isinstance(part, int)):
                return False
    return True


def _explained(loaded: Loaded, path: KeyPath, entry: catalogue.Key) -> Explained:
    value = _value(loaded, path)
    source, where = _source(loaded, path)
    return Explained(
        key=dotted(path),
        value=entry.default if value is None else value,
        source=source,
        where=where,
        meaning=entry.meaning,
        kind=entry.words,
        allowed=entry.allowed,
        example=entry.example,
        variable=_variable(path),
    )


def _value(loaded: Loaded, path: KeyPath) -> object:
    """As written, or as derived; a text that stands for its section belongs to the section's own key."""
    at: object = loaded.complete
    for length, part in enumerate(path):
        if isinstance(at, str):
            section = catalogue.section_at(path[:length])
            return at if section and section.shorthand == part else None
        if isinstance(at, dict):
            at = at.get(part)
        else:
            at = at[part] if isinstance(at, list) and isinstance(part, int) and part < len(at) else None
    return at


def _source(loaded: Loaded, path: KeyPath) -> tuple[str, str]:
    for override in loaded.overrides:
        if override.path == path:
            owner = loaded.document.owner(path)
            beneath = owner.values.get(path)
            over = f" (overrides {owner.file}:{beneath.line})" if beneath else ""
            return ("flag" if override.source.startswith("-") else "environment"), override.source + over
    owner = loaded.document.owner(path)
    source = "file" if owner is loaded.document else "platform"
    if path in owner.values:
        return source, loaded.config.marks[dotted(path)]
    section = catalogue.section_at(path[:-1])
    if path[:-1] in owner.texts and section and section.shorthand == path[-1]:
        return source, loaded.config.marks[dotted(path[:-1])]
    return "default", ""


def _variable(path: KeyPath) -> str:
    if dotted(path) in VARIABLES:
        return VARIABLES[dotted(path)]
    if len(path) == 3:
        variable = VARIABLES.get(f"{path[0]}.*.{path[2]}", "")
        return variable.replace("NAME", str(path[1]).upper().replace("-", "_"))
    return ""


def _paths(at: object, path: KeyPath) -> Iterator[KeyPath]:
    if path:
        yield path
    if isinstance(at, dict):
        for name, inside in at.items():
            yield from _paths(inside, (*path, name))
