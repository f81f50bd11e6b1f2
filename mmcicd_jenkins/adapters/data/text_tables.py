"""CSV, TSV and JSON Lines, record by record with the very bytes of each: described and divided in constant memory.

A file is read as it will be read later: UTF-8, a comma (or a tab) and double quotes, one header. What breaks
that is told with file and line, because it would otherwise surface as a wrong model.
"""

import contextlib
import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, NoReturn

from mmcicd_jenkins.adapters.data.column_stats import TableStats
from mmcicd_jenkins.errors import InputError

# A longer line is no table, and must not fill the memory.
LONGEST_LINE = 16 * 2**20
MOST_COLUMNS = 20_000
# How the rows are divided: key of a row -> True when it belongs to the test part.
IsTest = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Record:
    """One row: its bytes as they stand in the file, its values, and the line on which it begins."""

    raw: bytes
    values: Sequence[str]
    line: int


class _Lines:
    """Decoded lines for the parser; the bytes of those it took are kept until the record is complete."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream = stream
        self._name = name
        self._raw: list[bytes] = []
        self._first = self._number = 0

    def __iter__(self) -> Iterator[str]:
        while True:
            raw = self._read()
            if not raw:
                return
            self._number += 1
            self._first = self._first or self._number
            self._raw.append(raw)
            yield self._decode(raw)

    def _read(self) -> bytes:
        try:
            raw = self._stream.readline(LONGEST_LINE + 1)
        except (OSError, EOFError, zlib.error) as e:
            self.fail("the compressed file is damaged", str(e), "upload it again")
        if len(raw) > LONGEST_LINE:
            self.fail(
                f"a line is longer than {LONGEST_LINE // 2**20} MB",
                "this is no table of rows",
                "is it the right file?",
            )
        return raw

    def _decode(self, raw: bytes) -> str:
        if b"\0" in raw:
            self.fail(
                "there is a NUL byte in the table",
                "text holds none",
                "is it the right file? UTF-16 must be converted to UTF-8",
            )
        try:
            return raw.decode("utf-8-sig" if self._number == 1 else "utf-8")
        except UnicodeDecodeError as e:
            what = f"byte {raw[e.start]:#04x} at position {e.start + 1} of the line"
            self.fail("the table is not UTF-8", what, "convert it, for example: iconv -f latin1 -t utf-8")

    def record(self) -> tuple[bytes, int]:
        """The bytes taken since the last call, and the line where they begin."""
        taken = b"".join(self._raw), self._first
        self._raw, self._first = [], 0
        return taken

    def fail(self, what: str, why: str, fix: str) -> NoReturn:
        raise InputError(what, where=f"{self._name}:{self._first or self._number + 1}", why=why, fix=fix)


@contextlib.contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    with contextlib.ExitStack() as stack:
        file: Any = stack.enter_context(path.open("rb"))
        if path.suffix == ".gz":
            file = stack.enter_context(gzip.open(file, "rb"))
        yield file


class CsvTable:
    """A file of comma or tab separated rows under one header."""

    def __init__(self, path: Path, delimiter: str, shown: str) -> None:
        self.path = path
        self.shown = shown
        self._delimiter = delimiter

    def describe(self, label: str) -> TableStats:
        with _open(self.path) as stream:
            _, names, records = self._read(stream)
            _check_column(label, names, self.shown, "label")
            stats = TableStats(names, label)
            while chunk := [record.values for record in islice(records, TableStats.CHUNK_ROWS)]:
                stats.take(dict(zip(names, zip(*chunk, strict=True), strict=True)), len(chunk))
        return stats

    def divide(self, train: Path, test: Path, is_test: IsTest, group_by: str) -> tuple[int, int]:
        with _open(self.path) as stream, train.open("wb") as train_file, test.open("wb") as test_file:
            header, names, records = self._read(stream)
            _check_column(group_by, names, self.shown, "group_by")
            index = names.index(group_by) if group_by else -1
            for file in (train_file, test_file):
                file.write(_ended(header, header))
            return _divide(records, header, (train_file, test_file), is_test, self._key(index, group_by))

    def _key(self, index: int, group_by: str) -> Callable[[Record], str]:
        def key(record: Record) -> str:
            if index < 0:
                return "\0".join(record.values)
            if not record.values[index]:
                _no_group(self.shown, record.line, group_by)
            return record.values[index]

        return key

    def _read(self, stream: IO[bytes]) -> tuple[bytes, list[str], Iterator[Record]]:
        csv.field_size_limit(LONGEST_LINE)
        lines = _Lines(stream, self.shown)
        rows = self._rows(lines)
        first = next(rows, None)
        if first is None:
            lines.fail(
                "the table is empty",
                "it has not even a header",
                "write the names of the columns on its first line",
            )
        names = list(first.values)
        self._check_header(names)
        return first.raw, names, self._complete(rows, len(names))

    def _rows(self, lines: _Lines) -> Iterator[Record]:
        parser = csv.reader(lines, delimiter=self._delimiter, strict=True)
        while True:
            try:
                values = next(parser)
            except StopIteration:
                return
            except csv.Error as e:
                why = (
                    "a quote is opened and not closed"
                    if "end of data" in str(e) or "limit" in str(e)
                    else str(e)
                )
                lines.fail(
                    "this row cannot be read",
                    why,
                    'quote the whole value, and write a quote inside it twice: ""',
                )
            raw, line = lines.record()
            if values:  # an empty line is no row
                yield Record(raw, values, line)

    def _check_header(self, names: list[str]) -> None:
        twice = (
            next((name for name in names if names.count(name) > 1), None)
            if len(names) <= MOST_COLUMNS
            else None
        )
        where = f"{self.shown}:1"
        if len(names) > MOST_COLUMNS:
            raise InputError(
                f"the table has {len(names):,} columns",
                where=where,
                fix=f"at most {MOST_COLUMNS:,} can be read",
            )
        if len(names) == 1 and self._delimiter == "," and ";" in names[0]:
            raise InputError("the columns are separated by ;", where=where, fix="separate them by commas")
        if "" in names or twice is not None:
            what = "a column has no name" if "" in names else f"two columns have the name {twice!r}"
            raise InputError(
                what, where=where, why="columns meet the model's inputs by name", fix="name each column, once"
            )

    def _complete(self, rows: Iterator[Record], width: int) -> Iterator[Record]:
        for record in rows:
            if len(record.values) != width:
                raise InputError(
                    f"a row has {len(record.values)} values, the header has {width} columns",
                    where=f"{self.shown}:{record.line}",
                    why="every later column would be read as another one",
                    fix="correct the row; a value with a comma must stand in quotes",
                )
            yield record


class JsonLinesTable:
    """One JSON object per line; keys are columns, an absent key or null is missing."""

    def __init__(self, path: Path, shown: str) -> None:
        self.path = path
        self.shown = shown

    def describe(self, label: str) -> TableStats:
        stats = TableStats((), label)
        with _open(self.path) as stream:
            rows = self._rows(stream)
            while chunk := [row for _, row in islice(rows, TableStats.CHUNK_ROWS)]:
                for name in dict.fromkeys(name for row in chunk for name in row):
                    if name not in stats.columns:
                        stats.add_column(name)
                if len(stats.columns) > MOST_COLUMNS:
                    raise InputError("the rows have too many different keys", where=self.shown)
                stats.take(
                    {name: [text_of(row.get(name)) for row in chunk] for name in stats.columns}, len(chunk)
                )
        _check_column(label, list(stats.columns), self.shown, "label")
        return stats

    def divide(self, train: Path, test: Path, is_test: IsTest, group_by: str) -> tuple[int, int]:
        with _open(self.path) as stream, train.open("wb") as train_file, test.open("wb") as test_file:
            records = (
                Record(record.raw, (self._key(row, record.line, group_by),), record.line)
                for record, row in self._rows(stream)
            )
            return _divide(records, b"", (train_file, test_file), is_test, lambda record: record.values[0])

    def _key(self, row: dict[str, Any], line: int, group_by: str) -> str:
        if not group_by:
            return json.dumps(row, sort_keys=True)
        value = text_of(row.get(group_by))
        if not value:
            _no_group(self.shown, line, group_by)
        return value

    def _rows(self, stream: IO[bytes]) -> Iterator[tuple[Record, dict[str, Any]]]:
        lines = _Lines(stream, self.shown)
        for text in lines:
            row: Any = None
            if text.strip():
                try:
                    row = json.loads(text, parse_constant=lambda name: _refuse(f"{name} is no JSON value"))
                except (ValueError, RecursionError) as e:
                    lines.fail(
                        "this line is not JSON",
                        str(e).partition(": line")[0],
                        "write one JSON object per line",
                    )
                if not isinstance(row, dict):
                    lines.fail(
                        "this line is not a JSON object",
                        f"it is {type(row).__name__}",
                        'write rows as {"column": value}',
                    )
            raw, line = lines.record()
            if row is not None:
                yield Record(raw, (), line), row


def text_of(value: Any) -> str:
    """A JSON value as the text it would have in a CSV; "" is missing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(value, sort_keys=True)


def _refuse(why: str) -> NoReturn:
    raise ValueError(why)


def _divide(
    records: Iterator[Record],
    like: bytes,
    files: tuple[IO[bytes], IO[bytes]],
    is_test: IsTest,
    key: Callable[[Record], str],
) -> tuple[int, int]:
    counts = [0, 0]
    for record in records:
        part = int(is_test(key(record)))
        files[part].write(_ended(record.raw, like))
        counts[part] += 1
    return counts[0], counts[1]


def _ended(raw: bytes, like: bytes) -> bytes:
    """`raw` with a line end: the last row of a file may have none, and may not be the last of its part."""
    if raw.endswith((b"\n", b"\r")):
        return raw
    return raw + (b"\r\n" if like.endswith(b"\r\n") else b"\n")


def _check_column(name: str, names: Sequence[str], place: str, key: str) -> None:
    if name and name not in names:
        shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        raise InputError(
            f"there is no column {name!r}",
            where=f"{place}:1",
            why=f"the columns are {shown}",
            fix=f"correct {key}",
        )


def _no_group(place: str, line: int, group_by: str) -> NoReturn:
    raise InputError(
        f"a row has no {group_by}",
        where=f"{place}:{line}",
        why="rows are kept together by it, and this row belongs to nobody",
        fix=f"fill {group_by}, drop the row, or choose another group_by",
    )
