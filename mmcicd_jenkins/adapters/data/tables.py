"""Which files are tables, and how rows and files are divided into a train and a test part.

The division is by hash: it depends on what a row (or its group) is and on nothing else, so every machine and
every order of rows gives the same one, and a row added later moves no other.
"""

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from mmcicd_jenkins.adapters.data.column_stats import TableStats
from mmcicd_jenkins.adapters.data.parquet import ParquetTable
from mmcicd_jenkins.adapters.data.text_tables import CsvTable, IsTest, JsonLinesTable
from mmcicd_jenkins.errors import InputError

# For a folder, the only thing that files can be kept together by.
BY_FOLDER = "folder"


class Table(Protocol):
    """A file of rows."""

    def describe(self, label: str) -> TableStats: ...

    def divide(self, train: Path, test: Path, is_test: IsTest, group_by: str) -> tuple[int, int]:
        """Write each row to one of both files; the numbers of rows."""


def table_of(path: Path, shown: str = "") -> Table | None:
    """The table in `path`, None when it is no table. `shown` is its name in messages."""
    shown = shown or path.name
    match plain_name(path.name).rpartition(".")[2].lower():
        case "csv":
            return CsvTable(path, ",", shown)
        case "tsv":
            return CsvTable(path, "\t", shown)
        case "jsonl" | "ndjson":
            return JsonLinesTable(path, shown)
        case "parquet":
            return ParquetTable(path, shown)
    return None


def plain_name(name: str) -> str:
    """The name of the file when it is not compressed."""
    return name.removesuffix(".gz")


def divider(test_size: float, salt: str) -> IsTest:
    """A share of `test_size` of all keys, always the same ones."""
    limit = int(test_size * 2**64)
    begun = hashlib.sha256(salt.encode() + b"\0")

    def is_test(key: str) -> bool:
        digest = begun.copy()
        digest.update(key.encode("utf-8", "surrogateescape"))
        return int.from_bytes(digest.digest()[:8]) < limit

    return is_test


def divide_folder(source: Path, train: Path, test: Path, is_test: IsTest, group_by: str) -> tuple[int, int]:
    """Link or copy each file of `source` into one of both folders."""
    if group_by not in {"", BY_FOLDER}:
        raise InputError(
            f"a folder of files has no column {group_by!r}",
            where=source.name,
            why="rows in files are not looked into",
            fix=f"group_by: {BY_FOLDER} keeps the files of each folder together; or use one table",
        )
    counts = [0, 0]
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        relative = path.relative_to(source)
        part = int(is_test((relative.parent if group_by else relative).as_posix()))
        target = (train, test)[part] / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        _link(path, target)
        counts[part] += 1
    return counts[0], counts[1]


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def folder_counts(folder: Path) -> Mapping[str, int]:
    """Files by the folder they lie in, as image data sets name their classes; empty when files lie on top."""
    counts: dict[str, int] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            parent = path.relative_to(folder).parent.as_posix()
            counts[parent] = counts.get(parent, 0) + 1
    return {} if "." in counts else dict(sorted(counts.items()))
