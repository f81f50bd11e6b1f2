"""Versions unpacked from the store for a local server: each set of layers once, checked whenever it is used again.

A folder is named by its layers. It is locked from the moment it is checked until an order names it, so that
nobody tidies it away in between.
"""

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mmcicd_jenkins.adapters import file_lock
from mmcicd_jenkins.adapters.private_folder import told
from mmcicd_jenkins.errors import MmcicdError, OutsideFailed
from mmcicd_jenkins.image.descriptor import Descriptor
from mmcicd_jenkins.image.digest import digest_tree
from mmcicd_jenkins.image.tree import scan
from mmcicd_jenkins.ports.store import Store

# The largest models are unpacked in minutes.
WAIT_SECONDS = 1800.0
MODELS = "models"


class UnpackedModels:
    """The folder `models` of a state directory."""

    def __init__(self, root: Path, store: Store) -> None:
        self._root = root
        self._store = store

    @contextmanager
    def unpacked(self, layers: Sequence[Descriptor]) -> Iterator[str]:
        """The folder of these layers, relative to the state directory; it stays while the block runs.

        Raises:
            IntegrityFailed: the store holds other bytes.
            OutsideFailed: no space, or another process unpacks it all the time.
        """
        key = hashlib.sha256("\n".join(layer.digest for layer in layers).encode()).hexdigest()[:32]
        directory = self._root / MODELS / key
        note = _note(directory)
        with self._lock(key, WAIT_SECONDS):
            if not _is_whole(directory, note):
                with told(directory, "choose another folder"):
                    note.unlink(missing_ok=True)
                    if directory.exists():
                        shutil.rmtree(directory)
                self._store.extract(layers, directory)
                with told(directory, "choose another folder"):
                    note.write_text(digest_tree(scan(directory)), encoding="utf-8")
            yield f"{MODELS}/{key}"

    def remove_all_but(self, named: Iterable[str]) -> None:
        """Remove every folder that is not named and that nobody is about to name."""
        kept = set(named)
        for directory in (self._root / MODELS).iterdir():
            if not directory.is_dir() or directory.name.startswith(".") or directory.name in kept:
                continue
            try:
                with self._lock(directory.name, 0.0):
                    _note(directory).unlink(missing_ok=True)
                    shutil.rmtree(directory, ignore_errors=True)
            except OutsideFailed:
                continue

    @contextmanager
    def _lock(self, key: str, seconds: float) -> Iterator[None]:
        with file_lock.hold(self._root / "locks" / f"{key}.lock", seconds):
            yield


def _note(directory: Path) -> Path:
    """Where the model digest of an unpacked folder stands."""
    return directory.with_suffix(".digest")


def _is_whole(directory: Path, note: Path) -> bool:
    """Whether the unpacked files are still those that were unpacked."""
    try:
        return note.read_text(encoding="utf-8") == digest_tree(scan(directory))
    except (OSError, MmcicdError):
        return False
