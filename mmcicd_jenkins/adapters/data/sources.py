"""`ports.DataSources`: look at a source, fetch exactly the locked bytes, divide them once and for all.

What was read from elsewhere is kept in the cache, so looking and then fetching reads once, and the bytes of
an older lock stay readable here after the source has moved on.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from mmcicd_jenkins.adapters.credentials import Login
from mmcicd_jenkins.adapters.data.cache import DataCache, Measured, Progress, measure
from mmcicd_jenkins.adapters.data.column_stats import MOST_LABELS
from mmcicd_jenkins.adapters.data.downloads import Download
from mmcicd_jenkins.adapters.data.files import Source, SourceFile, file_name, redacted
from mmcicd_jenkins.adapters.data.tables import divide_folder, divider, folder_counts, plain_name, table_of
from mmcicd_jenkins.adapters.file_lock import cannot_write
from mmcicd_jenkins.errors import InputError, IntegrityFailed, MmcicdError, OutsideFailed
from mmcicd_jenkins.ports import SourceFacts, Split

# A part that misses the wanted share by more than this share of it is worth a word.
FAR_OFF = 0.25
# Chance alone explains the share of a small table.
ROWS_TO_JUDGE = 200


class FsspecSources:
    """`ports.DataSources`.

    Args:
        cache: where fetched bytes are kept, shared by all checkouts of a machine.
        login: for web servers that ask for one; other storages have their own ways.
        sleep: waits between attempts.
    """

    def __init__(
        self,
        cache: Path,
        *,
        login: Login | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._cache = DataCache(cache)
        self._login = login
        self._sleep = sleep

    def look(self, url: str, label: str = "") -> SourceFacts:
        """Read the source and describe it.

        Raises:
            InputError: it is not there, or its table cannot be read; says file and line.
            OutsideFailed: the storage did not answer, or the data changed meanwhile.
        """
        source = Source(url, login=self._login)
        folder, files = source.files()
        if source.is_remote:
            with self._cache.part(url) as part:
                measured = Download(source, part, self._sleep).run(folder, files, lambda *_: None)
                self._refuse_moved(source, files)
                place = self._cache.keep(part, measured.digest, file_name(url))
        else:
            place = Path(url.removeprefix("file://"))
            measured = self._measure(place)
            self._refuse_moved(source, files)
        version = "" if folder else files[0].version
        return _describe(place, _shown(url), measured, version, label)

    def _measure(self, place: Path) -> Measured:
        try:
            return measure(place)
        except OSError as e:
            raise OutsideFailed(
                "the data source could not be read", where=str(place), why=e.strerror or str(e)
            ) from e

    def _refuse_moved(self, source: Source, before: list[SourceFile]) -> None:
        if source.files()[1] != before:
            raise OutsideFailed(
                "the data changed while they were read",
                where=redacted(source.url),
                why="what was read may be half of the old and half of the new",
                fix="run the same command again when nobody writes there",
                retryable=True,
            )

    def fetch(self, url: str, digest: str, progress: Progress, version: str = "") -> Path:
        """The bytes with exactly `digest`; `version` names them where the storage keeps old ones.

        Raises:
            IntegrityFailed: the source holds other bytes and the old ones are nowhere.
            OutsideFailed: the storage or this disk failed.
        """
        name = file_name(url)
        found = self._cache.find(digest, name)
        if found is not None:
            return found
        source, folder, files = _find(url, version, self._login)
        with self._cache.part(url) as part:
            found = self._cache.find(digest, name)  # another process may have been faster
            if found is not None:
                return found
            measured = Download(source, part, self._sleep).run(folder, files, progress)
            if measured.digest != digest:
                # They are someone's bytes: kept under their own digest they cost no second download.
                self._cache.keep(part, measured.digest, name)
                raise _changed(url, digest, measured)
            return self._cache.keep(part, digest, name)

    def holds(self, url: str, digest: str) -> bool | None:
        try:
            source = Source(url)
            if source.is_remote:
                return None
            place = Path(url.removeprefix("file://"))
            stamps = [f"{file.path} {file.tag}" for file in source.files()[1]]
            known = self._cache.recall(url, stamps)
            if known is None:
                known = self._measure(place).digest
                self._cache.remember(url, stamps, known)
        except MmcicdError:
            return None
        return known == digest

    def split(self, source: Path, directory: Path, *, test_size: float, group_by: str, salt: str) -> Split:
        """Divide `source` below `directory` into `train/` and `test/`, whole or not at all.

        Raises:
            InputError: it cannot be divided like this; says file and line.
            OutsideFailed: `directory` cannot be written.
        """
        building = directory.with_name(directory.name + ".part")
        try:
            shutil.rmtree(building, ignore_errors=True)
            train, test = building / "train", building / "test"
            for part in (train, test):
                part.mkdir(parents=True)
            name = source.name if source.is_dir() else plain_name(source.name)
            counts = _divide(source, train / name, test / name, test_size, group_by, salt)
            shutil.rmtree(directory, ignore_errors=True)
            building.replace(directory)
        except OSError as e:
            raise cannot_write(directory, e) from e
        return Split(
            train=directory / "train" / name,
            test=directory / "test" / name,
            train_rows=counts[0],
            test_rows=counts[1],
            warning=_warning(counts, test_size, group_by),
        )


def _find(url: str, version: str, login: Login | None) -> tuple[Source, bool, list[SourceFile]]:
    """The source at its locked version; as it is now when that version is gone (its digest decides then)."""
    if version:
        try:
            source = Source(url, version, login)
            return source, *source.files()
        except InputError:
            pass
    source = Source(url, login=login)
    return source, *source.files()


def _shown(url: str) -> str:
    """The source in messages: as short as it can be typed."""
    if "://" in url:
        return redacted(url)
    path = Path(url)
    return (
        str(path.relative_to(Path.cwd())) if path.is_absolute() and path.is_relative_to(Path.cwd()) else url
    )


def _describe(place: Path, shown: str, measured: Measured, version: str, label: str) -> SourceFacts:
    table = None if place.is_dir() else table_of(place, shown)
    if table is not None:
        return table.describe(label).facts(measured.digest, measured.size, version)
    counts = folder_counts(place) if place.is_dir() else {}
    return SourceFacts(
        digest=measured.digest,
        size=measured.size,
        files=measured.files,
        version=version,
        label_counts=counts if len(counts) <= MOST_LABELS else {},
    )


def _changed(url: str, digest: str, measured: Measured) -> IntegrityFailed:
    files = "" if measured.files == 1 else f"{measured.files:,} files, "
    return IntegrityFailed(
        "the data source no longer holds the locked bytes",
        where=redacted(url),
        why=f"mmcicd.lock has {digest[:19]}..., it now holds {files}{measured.size:,} bytes, {measured.digest[:19]}...",
        fix="mmcicd-jenkins data check shows what changed; to accept it: mmcicd-jenkins data update, then commit mmcicd.lock",
    )


def _divide(
    source: Path, train: Path, test: Path, test_size: float, group_by: str, salt: str
) -> tuple[int, int]:
    is_test = divider(test_size, salt)
    if source.is_dir():
        counts, unit = divide_folder(source, train, test, is_test, group_by), "files"
    else:
        table, unit = table_of(source), "rows"
        if table is None:
            raise InputError(
                f"{source.name} is no table, so no rows can be held out",
                where=source.name,
                why="tables are .csv, .tsv, .jsonl (also with .gz) and .parquet; folders are divided by file",
                fix="leave test_size out and give the test data as a source with role: test",
            )
        counts = table.divide(train, test, is_test, group_by)
    if 0 in counts and test_size > 0:
        part = "train" if counts[0] == 0 else "test"
        raise InputError(
            f"the {part} part is empty",
            where=source.name,
            why=f"{sum(counts):,} {unit}, test_size {test_size:g}"
            + (f", kept together by {group_by}" if group_by else ""),
            fix="use more data, another test_size or a finer group_by",
        )
    return counts


def _warning(counts: tuple[int, int], test_size: float, group_by: str) -> str:
    share = counts[1] / sum(counts) if sum(counts) else 0.0
    if sum(counts) < ROWS_TO_JUDGE or abs(share - test_size) <= FAR_OFF * test_size:
        return ""
    reason = f"the groups of {group_by} are few or uneven" if group_by else "many rows are equal"
    return f"the test part has {share:.1%} of the rows, {test_size:.1%} were wanted: {reason}"
