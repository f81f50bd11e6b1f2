"""YAML to plain values with their marks. Knows nothing of what the keys mean.

Only what a configuration needs is read: mappings, lists and scalars. Anchors, aliases, tags, directives,
duplicate keys, control characters and deep nesting are problems, found on the stream of events, so that
no hostile file is ever expanded.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from mmcicd_jenkins.config.marks import MAX_PROBLEMS, Document, KeyPath, Mark
from mmcicd_jenkins.config.scalars import LARGEST, scalar
from mmcicd_jenkins.errors import Problem

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
# Far beyond any configuration; each value costs a mark.
MAX_VALUES = 20_000

# Controls but tab and newline, lone surrogates, line ends that only YAML sees, marks that reverse what is read.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028-\u202e\u2066-\u2069\ufeff]")


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
    lines: tuple[str, ...] = ("",)
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

    def place(self, line: int, column: int) -> tuple[int, int]:
        """The parser's position, which may be behind the last line, as line and column of the file from 1."""
        if line < len(self.lines):
            return line + 1, column + 1
        return len(self.lines), len(self.lines[-1]) + 1

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
    builder = _Builder(file)
    text = _text(content, builder)
    if text is not None:
        try:
            _build(builder, text)
        except _Stop:
            pass
        except yaml.MarkedYAMLError as e:
            mark = e.problem_mark or e.context_mark
            place = builder.place(mark.line, mark.column) if mark else (1, 1)
            builder.complain((), Mark(*place, 1), *_plain_words(f"{e.context or ''} {e.problem or ''}"))
        except (yaml.YAMLError, ValueError) as e:
            what = f"this is not YAML: {str(e).splitlines()[0]}"
            builder.complain((), Mark(1, 1, 1), what, "correct the syntax")
    return builder.document()


def _text(content: bytes, builder: _Builder) -> str | None:
    """The characters of the file; None when it is not one to read."""
    if len(content) > MAX_BYTES:
        what = f"{builder.file} is larger than 1 MB"
        builder.complain((), Mark(1, 1, 1), what, "move data out of the configuration")
        return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = content.count(b"\n", 0, e.start) + 1
        column = e.start - content.rfind(b"\n", 0, e.start)
        builder.complain((), Mark(line, column, 1), f"{builder.file} is not UTF-8", "save it as UTF-8")
        return None
    builder.lines = tuple(text.split("\n"))
    unseen = _UNSEEN.search(text.replace("\r\n", " \n"))
    if unseen:
        line = text.count("\n", 0, unseen.start()) + 1
        column = unseen.start() - text.rfind("\n", 0, unseen.start())
        what = f"an unseen character (U+{ord(unseen.group()):04X}) stands here"
        builder.complain((), Mark(line, column, 1), what, "delete it")
        return None
    return text


def _build(builder: _Builder, text: str) -> None:
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        _take(builder, event)
        if len(builder.problems) >= MAX_PROBLEMS:
            raise _Stop
        if len(builder.stack) > MAX_DEPTH:
            mark = builder.values[builder.stack[-1].path]
            builder.complain((), mark, f"nested deeper than {MAX_DEPTH} levels", "flatten it")
            raise _Stop
        if len(builder.values) > MAX_VALUES:
            what = f"more than {MAX_VALUES:,} values"
            builder.complain((), Mark(1, 1, 1), what, "move data out of the configuration")
            raise _Stop


def _take(builder: _Builder, event: Any) -> None:
    mark = _mark(builder, event)
    if isinstance(event, yaml.DocumentStartEvent):
        if builder.values:
            what, fix = "a second document starts here", "keep one document: delete from `---`"
            builder.complain((), mark, what, fix)
        elif event.tags or event.version:
            builder.complain((), mark, "directives (%) have no place here", "delete the line")
    elif isinstance(event, yaml.AliasEvent):
        what = f"`*{_short(str(event.anchor))}` refers to an anchor"
        builder.complain(builder.path(), mark, what, f"write the value out; {_NO_ANCHORS}")
        if builder.wants_key():
            raise _Stop
        builder.put(None, mark)
    elif isinstance(event, yaml.NodeEvent):
        _take_node(builder, event, mark)
    elif isinstance(event, yaml.CollectionEndEvent):
        builder.stack.pop()


def _take_node(builder: _Builder, event: Any, mark: Mark) -> None:
    if event.anchor:
        what = f"`&{_short(event.anchor)}` is an anchor"
        builder.complain(builder.path(), mark, what, f"delete it; {_NO_ANCHORS}")
    if event.tag:
        fix = "delete it; write text in quotes and numbers without"
        builder.complain(builder.path(), mark, f"`{_short(event.tag)}` is a tag", fix)
    if isinstance(event, yaml.ScalarEvent):
        _take_scalar(builder, event.value, mark, plain=event.implicit[0])
        return
    if builder.wants_key():
        what, fix = "a list or mapping cannot be a key", "write a name before the colon"
        builder.complain(builder.stack[-1].path, mark, what, fix)
        raise _Stop
    builder.open({} if isinstance(event, yaml.MappingStartEvent) else [], mark)


def _take_scalar(builder: _Builder, text: str, mark: Mark, *, plain: bool) -> None:
    path = builder.path()
    if _UNSEEN.search(text):
        builder.complain(path, mark, "an escaped control character stands in this text", "delete it")
    value = scalar(text) if plain else text
    if builder.wants_key():
        builder.take_key(text, mark, ambiguous=plain and not isinstance(value, str))
        return
    if isinstance(value, float) and not math.isfinite(value):
        builder.complain(path, mark, f"`{_short(text)}` is not a finite number", "write an ordinary number")
    elif isinstance(value, int) and abs(value) > LARGEST:
        what = f"`{_short(text)}` has more digits than a number keeps"
        builder.complain(path, mark, what, f'write it in quotes: "{_short(text)}"')
    builder.put(value, mark, text)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."


def _mark(builder: _Builder, event: Any) -> Mark:
    start, end = event.start_mark, event.end_mark
    line, column = builder.place(start.line, start.column)
    text = builder.lines[line - 1]
    last = end.column if end.line == start.line else len(text.rstrip())
    raw = text[column - 1 : last].rstrip()
    value = getattr(event, "value", None)
    # Folded and escaped texts are not in the line as they are: -1.
    inner = raw.find(value) if isinstance(value, str) and value else -1
    return Mark(line, column, max(1, len(raw)), inner)


_NO_ANCHORS = "anchors and aliases are not read"

_SENTENCES = (
    # Some builds of libyaml stop at their own depth, before they hand over the first level.
    ("increasing flow level", f"nested deeper than {MAX_DEPTH} levels", "flatten it"),
    ("cannot start any token", "this character cannot start a value", "indent with spaces, not tabs; quote texts that start with %, @ or `"),
    ("mapping values are not allowed", "a colon is not expected here", "put a text that contains `: ` in quotes, or check the indentation"),
    ("could not find expected ':'", "a colon is missing after this key", "write KEY: VALUE"),
    ("end of stream", "a quote, bracket or brace is not closed", "close it"),
    ("quoted scalar", "this quoted text is not closed or has a wrong escape", "close the quote; in double quotes write \\\\ for a backslash"),
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
