"""The files of an OCI image layout: blobs, the index, and how several processes share them.

A blob is written to a temporary file and renamed. Its writer holds a lock on that file, so whoever can take
the lock has found the leftover of a killed process and removes it. The index is replaced whole under a lock,
and only after the names of all blobs have reached the disk: after a loss of power it names nothing that is gone.
A blob that no index names may be gone then, and whoever stored it stores it again.
What is ours and not OCI's lies in the folder `.mmcicd` of the layout. File errors leave as `OutsideFailed`.
"""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from mmcicd_jenkins.adapters.private_folder import told
from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.image.artifact import is_digest, json_bytes, json_object, malformed
from mmcicd_jenkins.image.container import Sink
from mmcicd_jenkins.image.descriptor import Descriptor
from mmcicd_jenkins.image.unpack import write_all

OURS = ".mmcicd"

_EMPTY: dict[str, Any] = {"schemaVersion": 2, "manifests": []}
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_CHUNK = 2**20


class LayoutFiles:
    """A layout at `path`; made by the first write. Reading needs no lock and no right to write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.index = path / "index.json"
        self.ours = path / OURS

    def blob(self, digest: str) -> Path:
        if not is_digest(digest):
            raise malformed(str(self.path), f"{digest!r} is no sha256 digest")
        return self.path / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def size(self, digest: str) -> int | None:
        """The size of a blob; None when there is none."""
        with self._told(), suppress(FileNotFoundError):
            return self.blob(digest).stat().st_size
        return None

    def claim(self, digest: str, size: int) -> bool:
        """Whether a blob is there, whole by its size; it then counts as touched, so nobody takes it for forgotten."""
        with self._told(), suppress(FileNotFoundError):
            path = self.blob(digest)
            if path.stat().st_size != size:
                return False
            # Another user's file is that user's to touch; the check when the index changes is for all.
            with suppress(PermissionError):
                os.utime(path)
            return True
        return False

    def expect(self, blobs: Sequence[Descriptor]) -> None:
        """Raises `IntegrityFailed` when one of these is not there."""
        for blob in blobs:
            if not self.claim(blob.digest, blob.size):
                raise self.lost(blob)

    def prepare(self) -> None:
        """Make what is missing of the layout, and remove what killed writers left.

        Raises:
            InputError: the folder holds something else.
            OutsideFailed: it cannot be written.
        """
        with self._told():
            if not (self.path / "oci-layout").exists():
                self._expect_nothing_foreign()
            (self.ours / "temporary").mkdir(parents=True, exist_ok=True)
            (self.path / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
            _remove_leftovers(self.ours / "temporary")
            with self._locked():
                # The last is what makes it a layout for others.
                for path, content in ((self.index, json_bytes(_EMPTY)), (self.path / "oci-layout", _LAYOUT)):
                    if not path.exists():
                        self._replace(path, content)

    def _expect_nothing_foreign(self) -> None:
        found = {entry.name for entry in self.path.iterdir()} if self.path.is_dir() else set()
        # Read once: another writer may make it a layout while we look.
        foreign = set() if "oci-layout" in found else found - {OURS, "blobs", "index.json"}
        if foreign:
            raise InputError(
                "the store's folder holds something else",
                where=str(self.path),
                why=f"{min(foreign)!r} is there and no oci-layout",
                fix="set store.path to a folder of its own",
            )

    @contextmanager
    def new_blob(self) -> Iterator["NewBlob"]:
        """A blob to be written; whatever was not kept is removed on leaving."""
        with self._told(), _temporary(self.ours / "temporary") as (handle, path):
            yield NewBlob(self, handle, path)

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        """The bytes of a blob, unchecked.

        Raises:
            IntegrityFailed: there is none.
        """
        with self._told():
            try:
                file = self.blob(blob.digest).open("rb", buffering=0)
            except FileNotFoundError as e:
                raise self.lost(blob) from e
            with file:
                while chunk := file.read(_CHUNK):
                    yield chunk

    def lost(self, blob: Descriptor) -> IntegrityFailed:
        return IntegrityFailed(
            f"the store does not hold {blob.digest}",
            where=str(self.path),
            why="something refers to it, and it was deleted, cut short or never stored here",
            fix="copy it back from another store, or make it anew: mmcicd-jenkins run --again",
        )

    def manifests(self) -> list[dict[str, Any]]:
        """The index's entries; none when there is no layout yet.

        Raises:
            IntegrityFailed: the index cannot be read as one.
        """
        found = self._index().get("manifests")
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise malformed(str(self.index), "it has no list of manifests")
        return found

    def change_index(
        self,
        decide: Callable[[list[dict[str, Any]]], list[dict[str, Any]] | None],
        needs: Sequence[Descriptor] = (),
    ) -> None:
        """Replace the index's entries by what `decide` makes of them, with no other writer in between.

        Raises:
            IntegrityFailed: one of the blobs that a new entry `needs` is gone.
        """
        with self._told(), self._locked():
            for blob in needs:
                if self.size(blob.digest) != blob.size:
                    raise self.lost(blob)
            # Once for all blobs of an artifact, also when the index stays: a damaged blob may have been made whole.
            _sync_folder(self.path / "blobs" / "sha256")
            changed = decide(self.manifests())
            if changed is not None:
                self._replace(self.index, json_bytes({**self._index(), "manifests": changed}))

    @contextmanager
    def still(self) -> Iterator[None]:
        """No other writer changes the index meanwhile."""
        with self._told(), self._locked():
            yield

    def _index(self) -> dict[str, Any]:
        with self._told():
            try:
                content = self.index.read_bytes()
            except FileNotFoundError:
                return _EMPTY
        return json_object(content, str(self.index))

    def _told(self) -> AbstractContextManager[None]:
        return told(self.path, "set store.path to another folder")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        handle = os.open(self.ours / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _replace(self, target: Path, content: bytes) -> None:
        with _temporary(self.ours / "temporary") as (handle, path):
            write_all(handle, content)
            _keep(handle, path, target)
            _sync_folder(target.parent)


class NewBlob:
    """A blob being written. `sink` takes its bytes; `keep` gives it its name."""

    def __init__(self, files: LayoutFiles, handle: int, path: Path) -> None:
        self._files = files
        self._handle = handle
        self._path = path

    @property
    def sink(self) -> Sink:
        return self._write

    def keep(self, digest: str) -> None:
        """Move it to its place. A blob that is there already is replaced: if it was damaged, it is whole again.

        Its bytes are on the disk afterwards; its name is when the index next changes.
        """
        _keep(self._handle, self._path, self._files.blob(digest))
        failpoint("store.blob-written")

    def _write(self, parts: Sequence[memoryview | bytes]) -> None:
        rest = list(parts)
        while rest:
            count = os.writev(self._handle, rest)
            while rest and count >= len(rest[0]):
                count -= len(rest.pop(0))
            if count:
                rest[0] = rest[0][count:]


@contextmanager
def _temporary(folder: Path) -> Iterator[tuple[int, Path]]:
    """A locked new file in `folder`; removed on leaving unless it was renamed."""
    handle, path = _open_locked(folder)
    try:
        yield handle, path
    finally:
        # Before the lock goes with the handle: nobody else may hold this name meanwhile.
        path.unlink(missing_ok=True)
        os.close(handle)


def _open_locked(folder: Path) -> tuple[int, Path]:
    while True:
        path = folder / secrets.token_hex(12)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(handle).st_nlink:
                return handle, path
        # Another process took it for a leftover between these two calls.
        os.close(handle)


def _keep(handle: int, path: Path, target: Path) -> None:
    os.fsync(handle)
    path.replace(target)


def _sync_folder(folder: Path) -> None:
    """Bring the names in it to the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_leftovers(folder: Path) -> None:
    for entry in folder.iterdir():
        # Another user's file is that user's to remove.
        with suppress(FileNotFoundError, BlockingIOError, PermissionError):
            # For writing: on NFS only such a handle can be locked.
            handle = os.open(entry, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                entry.unlink()
            finally:
                os.close(handle)
