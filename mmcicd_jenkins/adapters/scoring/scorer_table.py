"""The test table as the scorer reads it, and the one error that it can end in."""

import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from typing import IO, Any

LONGEST_FIELD = 16 * 2**20


class ScorerError(Exception):
    """One problem in the form of the result file."""

    def __init__(self, kind: str, what: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.document = {"kind": kind, "what": what, "where": where, "why": why, "fix": fix}


class Table:
    """The columns of a CSV, TSV, JSON Lines or Parquet file, in batches; places are lines (rows in Parquet)."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.kind = path.lower().removesuffix(".gz").rpartition(".")[2]
        self.unit = "row " if self.kind == "parquet" else ""
        # JSON Lines has no header: a column that a row lacks is missing there.
        self.names: list[str] | None = None
        if self.kind == "parquet":
            self.names = self._parquet().schema_arrow.names
        elif not self._is_json:
            self.names = next((row for _, row in self._csv_rows()), [])

    @property
    def _is_json(self) -> bool:
        return self.kind in {"jsonl", "ndjson"}

    def where(self, place: int) -> str:
        return f"{self.path}:{self.unit}{place}"

    def batches(self, columns: list[str], size: int) -> Iterator[tuple[list[int], dict[str, list[Any]]]]:
        """Row places and values by column."""
        if self.kind == "parquet":
            yield from self._parquet_batches(columns, size)
            return
        places: list[int] = []
        rows: list[list[Any]] = []
        for place, row in self._json_rows(columns) if self._is_json else self._chosen(columns):
            places.append(place)
            rows.append(row)
            if len(rows) == size:
                yield places, dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))
                places, rows = [], []
        if rows:
            yield places, dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))

    def _chosen(self, columns: list[str]) -> Iterator[tuple[int, list[str]]]:
        rows = self._csv_rows()
        _, header = next(rows)
        at = [header.index(column) for column in columns]
        for place, row in rows:
            if len(row) != len(header):
                raise self._bad_row(place, f"{len(row)} fields, the header has {len(header)}")
            yield place, row if columns == header else [row[i] for i in at]

    def _csv_rows(self) -> Iterator[tuple[int, list[str]]]:
        csv.field_size_limit(LONGEST_FIELD)
        line = 1
        with self._open() as file:
            reader = csv.reader(file, delimiter="\t" if self.kind == "tsv" else ",", strict=True)
            try:
                for row in reader:
                    if row:
                        yield line, row
                    line = reader.line_num + 1
            except (csv.Error, UnicodeDecodeError, EOFError, OSError, zlib.error) as e:
                raise self._bad_row(line, str(e)) from e

    def _json_rows(self, columns: list[str]) -> Iterator[tuple[int, list[Any]]]:
        line = 0
        with self._open() as file:
            try:
                for line, text in enumerate(file, start=1):
                    if text.strip():
                        row = json.loads(text)
                        yield line, [row.get(column) for column in columns]
            except (ValueError, AttributeError, RecursionError, EOFError, OSError, zlib.error) as e:
                raise self._bad_row(line, str(e)) from e

    def _open(self) -> IO[str]:
        if self.path.lower().endswith(".gz"):
            return gzip.open(self.path, "rt", encoding="utf-8-sig", newline="")
        return open(self.path, encoding="utf-8-sig", newline="")  # noqa: PTH123

    def _bad_row(self, line: int, why: str) -> ScorerError:
        what, fix = "a row of the test table cannot be read", "correct the row, or leave it out of the data"
        return ScorerError("input", what, where=self.where(line), why=why[:300], fix=fix)

    def _parquet(self) -> Any:
        try:
            import pyarrow.parquet
        except ImportError as e:
            why = "the model's environment has no pyarrow"
            fix = "add pyarrow to the model's requirements"
            raise ScorerError("input", "the test table is Parquet", where=self.path, why=why, fix=fix) from e
        try:
            return pyarrow.parquet.ParquetFile(self.path)
        except (pyarrow.ArrowException, OSError) as e:
            raise ScorerError(
                "input", "the test table cannot be read", where=self.path, why=str(e)[:300]
            ) from e

    def _parquet_batches(
        self, columns: list[str], size: int
    ) -> Iterator[tuple[list[int], dict[str, list[Any]]]]:
        start = 1
        for batch in self._parquet().iter_batches(batch_size=size, columns=columns):
            places = list(range(start, start + batch.num_rows))
            yield places, {column: batch.column(column).to_pylist() for column in columns}
            start += batch.num_rows
