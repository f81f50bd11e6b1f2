"""Remembers which layers came of which files, so that an unchanged model is not read again.

The key holds path, size, times, inode and device of every file. A file that changed so shortly before it was
read that a later write could carry the same time is not remembered. An entry that cannot be read is as good as
none. Losing the cache costs time, never a digest.
"""

import hashlib
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.image.artifact import is_digest, read_descriptor
from mmcicd_jenkins.image.descriptor import Layer
from mmcicd_jenkins.image.digest import FileDigest
from mmcicd_jenkins.image.layer import LayerPlan, PackedLayer

# Change it with anything that changes the bytes of layers.
_FORMAT = 1
_MOST_ENTRIES = 2000
# A kernel stamps times once per tick, 10 ms at most; two ticks. File systems that keep no fractions: FAT has 2 s.
_TICKS_NS = 20_000_000
_COARSE_NS = 2_500_000_000
_MILLISECOND_NS = 1_000_000


class StatCache:
    """A folder of small files, one per layer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, plan: LayerPlan, compression: str) -> PackedLayer | None:
        with suppress(OSError, ValueError, LookupError, TypeError, RecursionError, IntegrityFailed):
            check, _, payload = self._path(plan, compression).read_bytes().partition(b"\n")
            if hashlib.sha256(payload).hexdigest().encode() == check:
                return _packed(json.loads(payload), plan)
        return None

    def put(self, plan: LayerPlan, compression: str, packed: PackedLayer, read_at_ns: int) -> None:
        """Remember `packed`, unless a file is too young; `read_at_ns` is when reading began."""
        if any(read_at_ns - max(f.mtime_ns, f.ctime_ns) < _granule(f.mtime_ns) for f in plan.files):
            return
        payload = json.dumps(_document(packed), sort_keys=True).encode()
        check = hashlib.sha256(payload).hexdigest().encode()
        target = self._path(plan, compression)
        temporary = target.with_name(f".{secrets.token_hex(8)}")
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._forget_old()
            try:
                temporary.write_bytes(check + b"\n" + payload)
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)

    def _path(self, plan: LayerPlan, compression: str) -> Path:
        stats = [[f.path, f.size, f.mtime_ns, f.ctime_ns, f.inode, f.device] for f in plan.files]
        key = json.dumps([_FORMAT, compression, plan.folders, stats]).encode()
        return self._folder / hashlib.sha256(key).hexdigest()

    def _forget_old(self) -> None:
        with os.scandir(self._folder) as entries:
            found = sorted((entry.stat().st_mtime_ns, entry.path) for entry in entries)
        for _, path in found[: max(0, len(found) - _MOST_ENTRIES)]:
            Path(path).unlink(missing_ok=True)


def _granule(time_ns: int) -> int:
    return _TICKS_NS if time_ns % _MILLISECOND_NS else _COARSE_NS


def _document(packed: PackedLayer) -> dict[str, Any]:
    return {
        "blob": packed.layer.blob.to_json(),
        "diff_id": packed.layer.diff_id,
        "files": [[file.path, file.size, file.sha256] for file in packed.files],
    }


def _packed(document: Any, plan: LayerPlan) -> PackedLayer:
    files = tuple(FileDigest(path=path, size=size, sha256=sha256) for path, size, sha256 in document["files"])
    if [(f.path, f.size) for f in files] != [(f.path, f.size) for f in plan.files]:
        raise ValueError("an entry of other files")
    if not is_digest(document["diff_id"]):
        raise ValueError("an entry without a digest")
    blob = read_descriptor(document["blob"], "cache")
    return PackedLayer(layer=Layer(blob=blob, diff_id=document["diff_id"]), files=files)
