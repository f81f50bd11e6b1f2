"""YAML to plain values, with line and column of every key and value. Knows nothing of what the keys mean.

Only what a configuration needs is read: mappings, lists and scalars. Anchors, aliases, tags, directives,
duplicate keys, control characters and deep nesting are problems, found on the stream of events, so that
no hostile file is ever expanded. Scalars are read as YAML 1.2 does, plus `yes`, `no`, `on`, `off`, which
other readers take for true and false: where text is expected they must be quoted.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmcicd_jenkins.errors import Problem

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
# Far beyond any configuration; each value costs a mark.
MAX_VALUES = 20_000
# More mistakes than anybody reads; a hostile file could make one for every byte.
MAX_PROBLEMS = 100

KeyPath = tuple[str | int, ...]

_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_NUMBER = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE)
# Controls but tab and newline, lone surrogates, and marks that reverse the direction of what is read.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufeff]")
# The largest whole number that every JSON reader keeps.
_LARGEST = 2**53


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something stands; counts from 1. `inner` is the distance to the text inside its quotes, -1 when
    the text is folded or escaped and columns inside it cannot be told.
    """

    line: int
    column: int
    width: int
    inner: int = 0


@dataclass(frozen=True, kw_only=True)
class Document:
    """A file as plain values, with the marks of keys and values by their path, and the texts of scalars."""

    file: str
    plain: object
    lines: tuple[str, ...]
    keys: Mapping[KeyPath, Mark]
    values: Mapping[KeyPath, Mark]
    texts: Mapping[KeyPath, str]
    problems: tuple[tuple[KeyPath, Problem], ...] = ()

    def value_mark(self, path: KeyPath) -> Mark:
        """Of the value at `path`, or of its nearest parent that stands in the file."""
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, Mark(1, 1, 1))

    def key_mark(self, path: KeyPath) -> Mark:
        """Of the key at `path`, or of the value when it has no key of its own."""
        while path and path not in self.keys:
            path = path[:-1]
        return self.keys.get(path, Mark(1, 1, 1))

    def problem(self, mark: Mark, what: str, fix: str) -> Problem:
        excerpt = self.lines[mark.line - 1] if mark.line <= len(self.lines) else ""
        return Problem(
            file=self.file,
            line=mark.line,
            column=mark.column,
            width=mark.width,
            what=what,
            fix=fix,
            excerpt=excerpt,
        )


@dataclass
class _Open:
    """A mapping or list whose end has not come yet. `key` is the key that waits for its value."""

    path: KeyPath
    items: dict[str, object] | list[object]
    key: str | None = None
    skip: bool = False


@dataclass
class _Builder:
    """Takes the events of one document and grows its values; a stack, so that depth costs no recursion."""

    file: str
    lines: tuple[str, ...]
    keys: dict[KeyPath, Mark] = field(default_factory=dict)
    values: dict[KeyPath, Mark] = field(default_factory=dict)
    texts: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[tuple[KeyPath, Problem]] = field(default_factory=list)
    stack: list[_Open] = field(default_factory=list)
    root: object = None

    def document(self) -> Document:
        return Document(
            file=self.file,
            plain=self.root,
            lines=self.lines,
            keys=self.keys,
            values=self.values,
            texts=self.texts,
            problems=tuple(self.problems),
        )

    def complain(self, path: KeyPath, mark: Mark, what: str, fix: str) -> None:
        self.problems.append((path, self.document().problem(mark, what, fix)))

    @property
    def full(self) -> bool:
        return len(self.problems) >= MAX_PROBLEMS

    def path(self) -> KeyPath:
        """Where the next value belongs."""
        if not self.stack:
            return ()
        top = self.stack[-1]
        if isinstance(top.items, list):
            return (*top.path, len(top.items))
        # What belongs to the second of two equal keys is read but kept apart.
        return (*top.path, f"{top.key}\0{len(self.problems)}" if top.skip else top.key or "")

    def wants_key(self) -> bool:
        return bool(self.stack) and isinstance(self.stack[-1].items, dict) and self.stack[-1].key is None

    def take_key(self, text: str, mark: Mark, ambiguous: bool) -> None:
        top = self.stack[-1]
        path = (*top.path, text)
        top.skip = path in self.keys
        if top.skip:
            first = self.keys[path]
            self.complain(
                path,
                mark,
                f"the key `{_short(text)}` stands here twice",
                f"the first is on line {first.line}: keep one",
            )
        elif ambiguous:
            self.complain(
                path,
                mark,
                f"the key `{_short(text)}` can be read as something else than text",
                f'write it in quotes: "{_short(text)}":',
            )
        top.key = text
        self.keys.setdefault(path, mark)

    def put(self, value: object, mark: Mark, text: str | None = None) -> KeyPath:
        """Set the value that the innermost collection waits for."""
        path = self.path()
        self.values[path] = mark
        if text is not None:
            self.texts[path] = text
        if not self.stack:
            self.root = value
            return path
        top = self.stack[-1]
        if isinstance(top.items, list):
            top.items.append(value)
            return path
        if not top.skip:
            top.items[top.key or ""] = value
        top.key, top.skip = None, False
        return path

    def open(self, items: dict[str, object] | list[object], mark: Mark) -> None:
        self.stack.append(_Open(self.put(items, mark), items))


class _Stop(Exception):
    """The problem is noted, and nothing after it can be read."""


def read_document(content: bytes, file: str) -> Document:
    """Read a whole file. Its problems, syntax errors included, stand in the document."""
    builder = _Builder(file, ())
    if len(content) > MAX_BYTES:
        builder.complain(
            (), Mark(1, 1, 1), f"{file} is larger than 1 MB", "move data out of the configuration"
        )
        return builder.document()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = content.count(b"\n", 0, e.start) + 1
        column = e.start - content.rfind(b"\n", 0, e.start)
        builder.complain((), Mark(line, column, 1), f"{file} is not UTF-8", "save it as UTF-8")
        return builder.document()
    builder.lines = tuple(text.split("\n"))
    for place in _UNSEEN.finditer(text.replace("\r\n", " \n")):
        line = text.count("\n", 0, place.start()) + 1
        column = place.start() - text.rfind("\n", 0, place.start())
        what = f"an unseen character (U+{ord(place.group()):04X}) stands here"
        builder.complain((), Mark(line, column, 1), what, "delete it")
        return builder.document()
    _build(builder, text)
    return builder.document()


def _build(builder: _Builder, text: str) -> None:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for event in yaml.parse(text, Loader=loader):
            _take(builder, event)
            if builder.full or len(builder.stack) > MAX_DEPTH or len(builder.values) > MAX_VALUES:
                break
    except _Stop:
        return
    except yaml.MarkedYAMLError as e:
        place = e.problem_mark or e.context_mark
        mark = Mark(place.line + 1, place.column + 1, 1) if place else Mark(1, 1, 1)
        builder.complain((), mark, *_plain_words(f"{e.context or ''} {e.problem or ''}"))
    except (yaml.YAMLError, ValueError, RecursionError) as e:
        builder.complain(
            (), Mark(1, 1, 1), f"this is not YAML: {str(e).splitlines()[0]}", "correct the syntax"
        )
    if len(builder.values) > MAX_VALUES:
        builder.complain(
            (), Mark(1, 1, 1), f"more than {MAX_VALUES:,} values", "move data out of the configuration"
        )
    if len(builder.stack) > MAX_DEPTH:
        path = builder.stack[-1].path
        mark = builder.values.get(path, Mark(1, 1, 1))
        builder.complain((), mark, f"nested deeper than {MAX_DEPTH} levels", "flatten it")


def _take(builder: _Builder, event: Any) -> None:
    import yaml

    if isinstance(event, yaml.DocumentStartEvent):
        if builder.values:
            builder.complain(
                (),
                _mark(builder, event),
                "a second document starts here",
                "keep one document: delete from `---`",
            )
        elif event.tags or event.version:
            builder.complain(
                (), _mark(builder, event), "directives (%) have no place here", "delete the line"
            )
    elif isinstance(event, yaml.AliasEvent):
        _take_alias(builder, event)
    elif isinstance(event, yaml.NodeEvent):
        _take_node(builder, event)
    elif isinstance(event, yaml.CollectionEndEvent):
        builder.stack.pop()


def _take_node(builder: _Builder, event: Any) -> None:
    import yaml

    mark = _mark(builder, event)
    if event.anchor:
        builder.complain(
            builder.path(),
            mark,
            f"`&{_short(event.anchor)}` is an anchor",
            "delete it; anchors and aliases are not read",
        )
    if event.tag:
        builder.complain(
            builder.path(),
            mark,
            f"`{_short(event.tag)}` is a tag",
            "delete it; write text in quotes and numbers without",
        )
    if isinstance(event, yaml.ScalarEvent):
        _take_scalar(builder, event.value, mark, plain=event.implicit[0])
        return
    if builder.wants_key():
        builder.complain(
            builder.stack[-1].path, mark, "a list or mapping cannot be a key", "write a name before the colon"
        )
        raise _Stop
    builder.open({} if isinstance(event, yaml.MappingStartEvent) else [], mark)


def _take_alias(builder: _Builder, event: Any) -> None:
    mark = _mark(builder, event)
    what, fix = (
        f"`*{_short(event.anchor)}` refers to an anchor",
        "write the value out; anchors and aliases are not read",
    )
    builder.complain(builder.path(), mark, what, fix)
    if builder.wants_key():
        raise _Stop
    builder.put(None, mark)


def _take_scalar(builder: _Builder, text: str, mark: Mark, *, plain: bool) -> None:
    if _UNSEEN.search(text):
        builder.complain(
            builder.path(), mark, "an escaped control character stands in this text", "delete it"
        )
    value: object = scalar(text) if plain else text
    if builder.wants_key():
        builder.take_key(text, mark, ambiguous=plain and not isinstance(value, str))
        return
    if isinstance(value, float) and not math.isfinite(value):
        builder.complain(
            builder.path(), mark, f"`{_short(text)}` is not a finite number", "write an ordinary number"
        )
    elif isinstance(value, int) and abs(value) > _LARGEST:
        builder.complain(
            builder.path(),
            mark,
            f"`{_short(text)}` has more digits than a number keeps",
            f'write it in quotes: "{_short(text)}"',
        )
    builder.put(value, mark, text)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def scalar(text: str) -> str | int | float | bool | None:
    """What a scalar without quotes means."""
    if text in {"", "~"} or text.lower() == "null":
        return None
    if text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    if _INTEGER.fullmatch(text):
        # Python refuses to convert thousands of digits; any such number is beyond what JSON keeps.
        return int(text) if len(text) < 100 else _LARGEST * 2
    if _NUMBER.fullmatch(text):
        return float(text)
    return math.nan if _NOT_FINITE.fullmatch(text) else text


def _mark(builder: _Builder, event: Any) -> Mark:
    start, end = event.start_mark, event.end_mark
    line = builder.lines[start.line] if start.line < len(builder.lines) else ""
    last = end.column if end.line == start.line else len(line.rstrip())
    raw = line[start.column : last].rstrip()
    value = getattr(event, "value", None)
    inner = -1
    if isinstance(value, str) and value:
        inner = raw.find(value)
    return Mark(start.line + 1, start.column + 1, max(1, len(raw)), inner)


_SENTENCES = (
    ("cannot start any token", "this character cannot start a value", "indent with spaces, not tabs; quote texts that start with %, @ or `"),
    ("mapping values are not allowed", "a colon is not expected here", "put a text that contains `: ` in quotes, or check the indentation"),
    ("could not find expected ':'", "a colon is missing after this key", "write KEY: VALUE"),
    ("end of stream", "a quote, bracket or brace is not closed", "close it"),
    ("quoted scalar", "this quoted text is not closed or has a wrong escape", "close the quote; in double quotes write \\\\ for a backslash"),
    ("while scanning a double-quoted scalar", "this quoted text has a wrong escape", "write \\\\ for a backslash, or use single quotes"),
    ("while parsing a flow", "a comma or a closing bracket is missing", "write [a, b] or {key: value}"),
    ("while parsing a block", "the indentation does not fit the lines above", "give all keys of one mapping the same indentation"),
    ("while scanning an alias", "`*` starts an alias", "put the text in quotes"),
    ("while scanning an anchor", "`&` starts an anchor", "put the text in quotes"),
    ("while scanning a simple key", "a colon is missing after this key", "write KEY: VALUE"),
)  # fmt: skip


def _plain_words(complaint: str) -> tuple[str, str]:
    for sign, what, fix in _SENTENCES:
        if sign in complaint:
            return what, fix
    return f"this is not YAML: {complaint.strip()}", "correct the syntax"


def dotted(path: KeyPath) -> str:
    """A path as people write it: `models.churn.gates.0`."""
    return ".".join(str(part) for part in path)


def parents(path: KeyPath) -> Iterator[KeyPath]:
    """`path` itself, then each of its parents."""
    for length in range(len(path), -1, -1):
        yield path[:length]
