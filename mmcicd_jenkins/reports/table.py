"""Columns of a test table, streamed as text: labels and the columns to slice by. CSV, TSV, JSON Lines or Parquet."""

import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.records import dataclass

BATCH_ROWS = 65_536
_LONGEST_FIELD = 16 * 2**20
Row = tuple[int, Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Cells as text, by column; `lines` says where each row stands in `file`."""

    columns: dict[str, list[str]]
    lines: list[int]
    file: str

    def where(self, row: int) -> str:
        return f"{self.file}:{self.lines[row]}"


def read_columns(path: Path, columns: Sequence[str]) -> Iterator[Batch]:
    """Those columns, in batches.

    Raises:
        InputError: a column is missing or a row cannot be read; says which.
    """
    wanted = tuple(dict.fromkeys(columns))
    match path.name.lower().removesuffix(".gz").rpartition(".")[2]:
        case "parquet":
            yield from _read_parquet(path, wanted)
        case "jsonl" | "ndjson":
            yield from _batches(path, wanted, _json_rows(path, wanted))
        case kind:
            yield from _batches(path, wanted, _csv_rows(path, wanted, "\t" if kind == "tsv" else ","))


def _check(path: Path, wanted: Sequence[str], there: Sequence[str]) -> None:
    absent = [column for column in wanted if column not in there]
    if absent:
        raise InputError(
            f"the test table lacks columns: {', '.join(absent)}",
            where=str(path),
            why=f"columns there: {', '.join(there)}",
            fix="correct label, slices and gates in mmcicd.yaml, or mmcicd-jenkins data update",
        )


def _batches(path: Path, wanted: Sequence[str], rows: Iterator[Row]) -> Iterator[Batch]:
    lines: list[int] = []
    cells: list[Sequence[str]] = []
    for line, row in rows:
        lines.append(line)
        cells.append(row)
        if len(lines) == BATCH_ROWS:
            yield _batch(path, wanted, cells, lines)
            lines, cells = [], []
    if lines:
        yield _batch(path, wanted, cells, lines)


def _batch(path: Path, wanted: Sequence[str], rows: list[Sequence[str]], lines: list[int]) -> Batch:
    cells = [list(column) for column in zip(*rows, strict=True)]
    return Batch(columns=dict(zip(wanted, cells, strict=True)), lines=lines, file=str(path))


def _open(path: Path) -> IO[str]:
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _csv_rows(path: Path, wanted: Sequence[str], delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(_LONGEST_FIELD)
    line = 1
    with _open(path) as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            header = next(reader, [])
            _check(path, wanted, header)
            at = [header.index(column) for column in wanted]
            line = reader.line_num + 1
            for row in reader:
                if row and len(row) != len(header):
                    raise _bad_row(path, line, f"{len(row)} fields, the header has {len(header)}")
                if row:
                    yield line, [row[i] for i in at]
                line = reader.line_num + 1
        except (csv.Error, UnicodeDecodeError, EOFError, OSError, zlib.error) as e:
            raise _bad_row(path, line, str(e)) from e


def _json_rows(path: Path, wanted: Sequence[str]) -> Iterator[Row]:
    """A column that a row lacks is missing there, as a null is."""
    line = 0
    with _open(path) as file:
        try:
            for line, text in enumerate(file, start=1):
                if text.strip():
                    row = json.loads(text)
                    yield line, [_text(row.get(column)) for column in wanted]
        except (ValueError, AttributeError, RecursionError, EOFError, OSError, zlib.error) as e:
            raise _bad_row(path, line, str(e)) from e


def _bad_row(path: Path, line: int, why: str) -> InputError:
    return InputError("a row of the test table cannot be read", where=f"{path}:{line}", why=why[:300])


def _read_parquet(path: Path, wanted: Sequence[str]) -> Iterator[Batch]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as e:
        fix = "pip install 'mmcicd-jenkins[parquet]'"
        raise InputError("the test table is Parquet, which needs pyarrow", where=str(path), fix=fix) from e
    try:
        file = pq.ParquetFile(path)
        _check(path, wanted, file.schema_arrow.names)
        start = 1
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(wanted)):
            cells = {column: [_text(v) for v in batch.column(column).to_pylist()] for column in wanted}
            yield Batch(columns=cells, lines=list(range(start, start + batch.num_rows)), file=f"{path} row")
            start += batch.num_rows
    except (pa.ArrowException, OSError) as e:
        raise InputError("the test table cannot be read", where=str(path), why=str(e)[:300]) from e


def _text(value: Any) -> str:
    """As the text it would have in a CSV, and as the lock writes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)
