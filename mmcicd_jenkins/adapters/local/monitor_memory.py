"""`ports.watching.MonitorMemory` as files: one for each model, whole or not at all, for one machine."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from mmcicd_jenkins.adapters.file_lock import hold
from mmcicd_jenkins.adapters.generated_files import write_whole
from mmcicd_jenkins.errors import Superseded
from mmcicd_jenkins.ports.watching import Kept

_SECONDS = 10.0


class MemoryFiles:
    """The files of one environment, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, model: str) -> Kept:
        """What cannot be read is forgotten: the monitor starts to watch anew."""
        try:
            content = self._path(model).read_bytes()
        except OSError:
            return Kept()
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            document = None
        return Kept(document=document if isinstance(document, dict) else None, revision=_digest(content))

    def write(self, model: str, document: Mapping[str, object], revision: str, said: str) -> None:  # noqa: ARG002 - a file says it itself
        path = self._path(model)
        content = json.dumps(document, indent=2, sort_keys=True).encode() + b"\n"
        with hold(path.with_suffix(".lock"), _SECONDS):
            if self.read(model).revision != revision:
                raise Superseded("another monitor looked meanwhile; what it found stands", where=str(path))
            write_whole(path, content)

    def _path(self, model: str) -> Path:
        return self._folder / f"{model}.json"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
