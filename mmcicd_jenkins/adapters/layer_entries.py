"""What is known of layers that were made here: a folder of small files, one per key, each checked when it is read.

An entry that cannot be read is as good as none, and one that cannot be written costs time alone. What a key must hold
so that an entry may be believed is decided by who makes it.
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


class LayerEntries:
    """Key -> a layer that was packed, and a text that goes with it. A key is anything that JSON can say."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, key: object, plan: LayerPlan) -> tuple[PackedLayer, str] | None:
        """The entry, if it is one of files with the paths and sizes of `plan`."""
        with suppress(OSError, ValueError, LookupError, TypeError, RecursionError, IntegrityFailed):
            check, _, payload = self._path(key).read_bytes().partition(b"\n")
            if hashlib.sha256(payload).hexdigest().encode() == check:
                document = json.loads(payload)
                return _packed(document, plan), str(document.get("note", ""))
        return None

    def write(self, key: object, packed: PackedLayer, note: str = "") -> None:
        document = _document(packed) | ({"note": note} if note else {})
        payload = json.dumps(document, sort_keys=True).encode()
        check = hashlib.sha256(payload).hexdigest().encode()
        target = self._path(key)
        temporary = target.with_name(f".{secrets.token_hex(8)}")
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._forget_old()
            try:
                temporary.write_bytes(check + b"\n" + payload)
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)

    def _path(self, key: object) -> Path:
        return self._folder / hashlib.sha256(json.dumps([_FORMAT, key]).encode()).hexdigest()

    def _forget_old(self) -> None:
        with os.scandir(self._folder) as entries:
            found = list(entries)
        too_many = len(found) - _MOST_ENTRIES
        # For each layer that is made: ages are asked for only when something must go.
        if too_many <= 0:
            return
        aged = sorted((entry.stat().st_mtime_ns, entry.path) for entry in found)
        for _, path in aged[:too_many]:
            Path(path).unlink(missing_ok=True)


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
