"""Copies a source into a folder: resumed after a broken connection or a killed process, hashed as it goes.

Next to an unfinished copy stands `<copy>.tag`, the state of the source it was begun from; another state
means to begin again.
"""

import errno
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mmcicd_jenkins.adapters.data.cache import CHUNK, Measured, Progress, remove, tree_digest
from mmcicd_jenkins.adapters.data.files import Source, SourceFile, redacted
from mmcicd_jenkins.adapters.file_lock import cannot_write
from mmcicd_jenkins.errors import MmcicdError, OutsideFailed

ATTEMPTS = 5
PAUSE_SECONDS = 0.5
# Small objects wait for the network, not for the disk: a folder of images is read by this many at once.
AT_ONCE = 8


class Download:
    """One copy of `source` to `target`, a file or a folder as the source is."""

    def __init__(self, source: Source, target: Path, sleep: Callable[[float], None] = time.sleep) -> None:
        self._source = source
        self._target = target
        self._sleep = sleep

    def run(self, folder: bool, files: list[SourceFile], progress: Progress) -> Measured:
        """Copy all `files`.

        Raises:
            OutsideFailed: the source or this disk failed. What was read is kept, unless the disk is full.
        """
        try:
            self._begin(files)
            if folder:
                return self._folder(files, progress)
            digest, size = self._copy(files[0], self._target, lambda done: progress(done, files[0].size or 0))
            return Measured(digest=f"sha256:{digest}", size=size, files=1)
        except OSError as e:
            raise self._no_room(e, files) from e

    def _begin(self, files: list[SourceFile]) -> None:
        state = hashlib.sha256("\n".join(f"{f.path}\0{f.tag}" for f in files).encode()).hexdigest()
        record = self._target.with_name(self._target.name + ".tag")
        if not record.exists() or record.read_text() != state:
            remove(self._target)
            record.write_text(state)

    def _folder(self, files: list[SourceFile], progress: Progress) -> Measured:
        # It takes logging along; a stage that finds its data here waits for neither.
        from concurrent.futures import ThreadPoolExecutor

        whole = sum(file.size or 0 for file in files)
        measured: list[tuple[str, int, str]] = []
        done = 0
        with ThreadPoolExecutor(AT_ONCE if self._source.is_remote else 1) as pool:
            try:
                for file, (digest, size) in zip(files, pool.map(self._member, files), strict=True):
                    measured.append((file.path, size, digest))
                    done += size
                    progress(done, whole)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return Measured(digest=tree_digest(measured), size=done, files=len(measured))

    def _member(self, file: SourceFile) -> tuple[str, int]:
        place = self._target / file.path
        place.parent.mkdir(parents=True, exist_ok=True)
        return self._copy(file, place, lambda _: None)

    def _copy(self, file: SourceFile, place: Path, moved: Callable[[int], None]) -> tuple[str, int]:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._append(file, place, moved)
            except ValueError:  # this storage cannot start in the middle
                remove(place)
            except OutsideFailed as e:
                if not e.retryable or attempt == ATTEMPTS:
                    raise
            self._sleep(PAUSE_SECONDS * 2 ** (attempt - 1))
        raise OutsideFailed(
            "the data source breaks off and cannot be resumed",
            where=redacted(self._source.url),
            retryable=True,
        )

    def _append(self, file: SourceFile, place: Path, moved: Callable[[int], None]) -> tuple[str, int]:
        sha256, size = hashlib.sha256(), 0
        with place.open("a+b") as target:
            target.seek(0)
            while chunk := target.read(CHUNK):
                sha256.update(chunk)
                size += len(chunk)
            if file.size is None or size < file.size or size == 0:
                for chunk in self._chunks(file, size):
                    target.write(chunk)
                    sha256.update(chunk)
                    size += len(chunk)
                    moved(size)
        if file.size is not None and size != file.size:
            if size > file.size:
                remove(place)
            raise OutsideFailed(
                "the data source ended early",
                where=redacted(self._source.url),
                why=f"{size:,} of {file.size:,} bytes came",
                retryable=True,
            )
        return sha256.hexdigest(), size

    def _chunks(self, file: SourceFile, offset: int) -> Iterator[bytes]:
        with self._source.open(file, offset) as stream:
            while chunk := stream.read(CHUNK):
                yield chunk

    def _no_room(self, error: OSError, files: list[SourceFile]) -> MmcicdError:
        """Half a copy that fills the disk helps nobody; any other failure keeps what was read."""
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            return cannot_write(self._target, error)
        remove(self._target)
        need = sum(file.size or 0 for file in files)
        free = shutil.disk_usage(self._target.parent).free
        return OutsideFailed(
            "there is no room for the data",
            where=str(self._target.parent),
            why=f"{need:,} bytes are needed, {free:,} are free",
            fix="free some space, or set XDG_CACHE_HOME to a larger disk; then run the same command again",
        )
