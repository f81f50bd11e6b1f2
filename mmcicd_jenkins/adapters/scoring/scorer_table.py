"""The test table as the scorer reads it, and the one error that it can end in."""

import csv
from collections.abc import Iterator
from typing import Any

LONGEST_FIELD = 64 * 2**20


class ScorerError(Exception):
    """One problem in the form of the result file."""

    def __init__(self, kind: str, what: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.document = {"kind": kind, "what": what, "where": where, "why": why, "fix": fix}


class Table:
    """The columns of a CSV, TSV or Parquet file, in batches of rows; places are line or row numbers."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.is_parquet = path.endswith((".parquet", ".pq"))
        self.unit = "row " if self.is_parquet else ""
        self.names: list[str] = self._parquet().schema_arrow.names if self.is_parquet else self._header()

    def where(self, place: int) -> str:
        return f"{self.path}:{self.unit}{place}"

    def batches(self, columns: list[str], size: int) -> Iterator[tuple[list[int], dict[str, list[Any]]]]:
        """Row places and values by column."""
        if self.is_parquet:
            yield from self._parquet_batches(columns, size)
            return
        at = [self.names.index(column) for column in columns]
        places: list[int] = []
        rows: list[list[str]] = []
        for place, row in self._rows():
            places.append(place)
            rows.append([row[i] for i in at])
            if len(rows) == size:
                yield places, dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))
                places, rows = [], []
        if rows:
            yield places, dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        csv.field_size_limit(LONGEST_FIELD)
        with open(self.path, encoding="utf-8-sig", newline="") as file:  # noqa: PTH123
            reader = csv.reader(file, delimiter="\t" if self.path.endswith(".tsv") else ",", strict=True)
            try:
                for number, row in enumerate(reader):
                    if number and row and len(row) != len(self.names):
                        raise self._bad_row(
                            reader.line_num, f"{len(row)} fields, the header has {len(self.names)}"
                        )
                    if number and row:
                        yield reader.line_num, row
            except (csv.Error, UnicodeDecodeError) as e:
                raise self._bad_row(reader.line_num + isinstance(e, UnicodeDecodeError), str(e)) from e

    def _bad_row(self, line: int, why: str) -> ScorerError:
        fix = "correct the row, or leave it out of the data"
        return ScorerError(
            "input", "a row of the test table cannot be read", where=self.where(line), why=why, fix=fix
        )

    def _header(self) -> list[str]:
        with open(self.path, encoding="utf-8-sig", newline="") as file:  # noqa: PTH123
            try:
                return next(csv.reader(file, delimiter="\t" if self.path.endswith(".tsv") else ","), [])
            except (csv.Error, UnicodeDecodeError) as e:
                raise self._bad_row(1, str(e)) from e

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
