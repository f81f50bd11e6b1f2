"""Every key of the schema, found by its path. From it come suggestions, explanations and the reference page."""

import types
import typing
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from mmcicd_jenkins.config.marks import KeyPath
from mmcicd_jenkins.config.schema import FileSection
from mmcicd_jenkins.config.section import Field, Kind, Section
from mmcicd_jenkins.records import dataclass

# What stands for a name that the user chooses, by the key that holds such names.
NAMES = {
    "models": "MODEL",
    "environments": "ENVIRONMENT",
    "data": "SOURCE",
    "windows": "N",
    "tolerations": "N",
    "agents": "STAGE",
}


@dataclass(frozen=True, kw_only=True)
class Key:
    """One key: `path` has capital letters where the user chooses a name. `section` is what is inside it."""

    path: KeyPath
    words: str
    meaning: str
    example: object
    default: object
    is_required: bool
    allowed: tuple[str, ...] = ()
    section: type[Section] | None = None
    container: typing.Literal["", "mapping", "list"] = ""

    @property
    def name(self) -> str:
        return str(self.path[-1])

    @property
    def dotted(self) -> str:
        return ".".join(str(part) for part in self.path)


@cache
def all_keys() -> tuple[Key, ...]:
    """All of them, each before what is inside it."""
    return tuple(_walk(FileSection, ()))


def _walk(section: type[Section], path: KeyPath) -> Iterator[Key]:
    for name, field in section.fields.items():
        entry = _key(field, (*path, name))
        yield entry
        if entry.section:
            chosen = (NAMES[entry.name],) if entry.container else ()
            yield from _walk(entry.section, (*entry.path, *chosen))


def find(path: KeyPath) -> Key | None:
    """The key at a path with real names and list positions; None when there is none."""
    section: type[Section] | None = FileSection
    entry: Key | None = None
    for part in path:
        if entry and entry.container:
            # `part` is a chosen name or a position: the same key's inside.
            section = entry.section
            entry = replace(entry, container="", words=_one(entry.words), example=_first(entry.example))
            continue
        field = section.fields.get(str(part)) if section else None
        if field is None:
            return None
        entry = _key(field, (*(entry.path if entry else ()), part))
        section = entry.section
    return entry


def _one(words: str) -> str:
    """How one of several is called: `rule` for `list of rules`."""
    return words.removeprefix("list of ").removesuffix("s") if words.startswith("list of ") else "text"


def _first(example: object) -> object:
    """Of several values in an example, one."""
    if isinstance(example, dict):
        return next(iter(example.values()))
    return example[0] if isinstance(example, list) else example


def section_at(path: KeyPath) -> type[Section] | None:
    """The section whose keys stand directly under `path`."""
    if not path:
        return FileSection
    entry = find(path)
    return entry.section if entry and not entry.container else None


def _key(field: Field, path: KeyPath) -> Key:
    kind, container = _inside(field.annotation)
    section = kind if isinstance(kind, type) and issubclass(kind, Section) else None
    allowed = (
        tuple(str(a) for a in typing.get_args(kind)) if typing.get_origin(kind) is typing.Literal else ()
    )
    return Key(
        path=path,
        words=_words(field, section, allowed),
        meaning=field.meaning,
        example=field.example,
        default=field.default,
        is_required=field.is_required,
        allowed=allowed,
        section=section,
        container=container,
    )


def _words(field: Field, section: type[Section] | None, allowed: tuple[str, ...]) -> str:
    if allowed:
        return "one of " + ", ".join(allowed)
    named = [m.words for m in _metadata(field.annotation) if isinstance(m, Kind)]
    if named:
        return named[0]
    return "mapping" if section else "text"


def _metadata(annotation: object) -> Iterator[object]:
    for option in (annotation, *typing.get_args(annotation)):
        yield from getattr(option, "__metadata__", ())


def _inside(annotation: object) -> tuple[object, typing.Literal["", "mapping", "list"]]:
    """The kind of one value, and whether a key holds several by name or in a list."""
    while True:
        origin = typing.get_origin(annotation)
        args = typing.get_args(annotation)
        if origin in (typing.Union, types.UnionType):
            annotation = next(a for a in args if a is not type(None))
        elif origin is typing.Annotated:
            annotation = args[0]
        elif origin is dict:
            return _inside(args[1])[0], "mapping"
        elif origin in (list, tuple):
            return _inside(args[0])[0], "list"
        else:
            return annotation, ""
