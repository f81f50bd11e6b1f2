"""Parquet tables, batch by batch. The only module that knows pyarrow, an extra."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmcicd_jenkins.adapters.data.column_stats import TableStats
from mmcicd_jenkins.adapters.data.text_tables import IsTest, text_of
from mmcicd_jenkins.errors import InputError

BATCH_ROWS = 16_384


class ParquetTable:
    def __init__(self, path: Path, shown: str) -> None:
        self.path = path
        self.shown = shown

    def describe(self, label: str) -> TableStats:
        file = self._open()
        names = file.schema_arrow.names
        _check(label, names, self.shown)
        stats = TableStats(names, label)
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            columns = {
                name: [_text(value) for value in column.to_pylist()] for name, column in _columns(batch)
            }
            stats.take(columns, batch.num_rows)
        self._apply_types(stats, file.schema_arrow)
        return stats

    def _apply_types(self, stats: TableStats, schema: Any) -> None:
        """The file says what is a number: a column of floats that hold whole numbers is still one of floats."""
        from pyarrow import types

        for field in schema:
            column = stats.columns[field.name]
            if types.is_floating(field.type) and column.kind == "integer":
                column.kind = "number"

    def divide(self, train: Path, test: Path, is_test: IsTest, group_by: str) -> tuple[int, int]:
        import pyarrow as pa
        from pyarrow import parquet

        file = self._open()
        names = file.schema_arrow.names
        _check(group_by, names, self.shown)
        counts = [0, 0]
        key = self._keys(group_by)
        with (
            parquet.ParquetWriter(train, file.schema_arrow) as train_writer,
            parquet.ParquetWriter(test, file.schema_arrow) as test_writer,
        ):
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                mask = [is_test(one) for one in key(batch, sum(counts))]
                for part, writer in enumerate((train_writer, test_writer)):
                    chosen = batch.filter(pa.array([one == bool(part) for one in mask]))
                    writer.write_batch(chosen)
                    counts[part] += chosen.num_rows
        return counts[0], counts[1]

    def _keys(self, group_by: str) -> Callable[[Any, int], list[str]]:
        def rows(batch: Any, _before: int) -> list[str]:
            columns = [[_text(value) for value in column.to_pylist()] for _, column in _columns(batch)]
            return ["\0".join(values) for values in zip(*columns, strict=True)]

        def groups(batch: Any, before: int) -> list[str]:
            keys = [_text(value) for value in batch.column(batch.schema.names.index(group_by)).to_pylist()]
            if "" in keys:
                raise InputError(
                    f"a row has no {group_by}",
                    where=f"{self.shown} row {before + keys.index('') + 1}",
                    why="rows are kept together by it, and this row belongs to nobody",
                    fix=f"fill {group_by}, drop the row, or choose another group_by",
                )
            return keys

        return groups if group_by else rows

    def _open(self) -> Any:
        try:
            import pyarrow as pa
            from pyarrow import parquet
        except ImportError as e:
            raise InputError(
                "reading Parquet needs pyarrow",
                where=self.shown,
                why=str(e),
                fix="pip install 'mmcicd-jenkins[parquet]'",
            ) from e
        try:
            return parquet.ParquetFile(self.path)
        except (pa.ArrowException, OSError) as e:
            raise InputError(
                "this is not a Parquet file", where=self.shown, why=str(e)[:256], fix="write it again"
            ) from e


def _columns(batch: Any) -> list[tuple[str, Any]]:
    return list(zip(batch.schema.names, batch.columns, strict=True))


def _text(value: Any) -> str:
    return text_of(value if value is None or isinstance(value, bool | int | float | str) else str(value))


def _check(name: str, names: list[str], place: str) -> None:
    if name and name not in names:
        raise InputError(
            f"there is no column {name!r}", where=place, why=f"the columns are {', '.join(names[:20])}"
        )
