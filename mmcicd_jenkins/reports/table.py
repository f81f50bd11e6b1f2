"""Columns of a test table, streamed: labels and the columns to slice by. CSV, TSV or Parquet."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmcicd_jenkins.errors import InputError

BATCH_ROWS = 65_536
_LONGEST_FIELD = 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Cells as text, by column; `places` are `file:line`, or `file:row N`, of each row."""

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
    if path.suffix in {".parquet", ".pq"}:
        yield from _read_parquet(path, wanted)
    else:
        yield from _read_text(path, wanted)


def _check(path: Path, wanted: Sequence[str], there: Sequence[str]) -> None:
    absent = [column for column in wanted if column not in there]
    if absent:
        raise InputError(
            f"the test table lacks columns: {', '.join(absent)}",
            where=str(path),
            why=f"columns there: {', '.join(there)}",
            fix="correct label, slices and gates in mmcicd.yaml, or mmcicd-jenkins data update",
        )


def _read_text(path: Path, wanted: Sequence[str]) -> Iterator[Batch]:
    csv.field_size_limit(_LONGEST_FIELD)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ",", strict=True)
        try:
            header = next(reader, [])
            _check(path, wanted, header)
            at = [header.index(column) for column in wanted]
            rows: list[list[str]] = []
            lines: list[int] = []
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    raise _bad_row(path, reader.line_num, f"{len(row)} fields, the header has {len(header)}")
                rows.append([row[i] for i in at])
                lines.append(reader.line_num)
                if len(rows) == BATCH_ROWS:
                    yield _batch(path, wanted, rows, lines)
                    rows, lines = [], []
            if rows:
                yield _batch(path, wanted, rows, lines)
        except (csv.Error, UnicodeDecodeError) as e:
            raise _bad_row(path, reader.line_num, str(e)) from e


def _batch(path: Path, wanted: Sequence[str], rows: list[list[str]], lines: list[int]) -> Batch:
    cells = [list(column) for column in zip(*rows, strict=True)]
    return Batch(columns=dict(zip(wanted, cells, strict=True)), lines=lines, file=str(path))


def _bad_row(path: Path, line: int, why: str) -> InputError:
    return InputError("a row of the test table cannot be read", where=f"{path}:{line}", why=why)


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
    return "" if value is None else str(value)
