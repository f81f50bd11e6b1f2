"""The checkpoint folder of a run: what training resumes from, and what happens to one that it cannot resume from.

A training that is killed while it writes may leave a checkpoint that nothing can read, and then the same command
would fail for ever. Law: nothing is deleted; a checkpoint that did not help is set aside, and the next training
begins at the beginning.
"""

import shutil
from pathlib import Path

from mmcicd_jenkins.stages.workspace import make_directory, write_atomically


class Checkpoints:
    """One run's folder. A mark beside it says that a training has begun and has not ended by itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.aside = folder.with_name(folder.name + ".aside")
        self._mark = folder.with_name(folder.name + ".begun")
        self._suspect: list[tuple[str, int, int]] = []

    def begin(self) -> Path:
        """Call before training: the folder to resume from."""
        make_directory(self.folder)
        self._suspect = self._content() if self._mark.exists() else []
        write_atomically(self._mark, b"")
        return self.folder

    def failed(self) -> Path | None:
        """Call when training failed by itself: where the checkpoint is now, when it was set aside.

        It is when a killed training left it and this one could do nothing with it.
        """
        self._mark.unlink(missing_ok=True)
        if not self._suspect or self._content() != self._suspect:
            return None
        shutil.rmtree(self.aside, ignore_errors=True)
        self.folder.replace(self.aside)
        return self.aside

    def done(self) -> None:
        """Call when the run is stored: nobody resumes it any more."""
        self._mark.unlink(missing_ok=True)
        for folder in (self.folder, self.aside):
            shutil.rmtree(folder, ignore_errors=True)

    def _content(self) -> list[tuple[str, int, int]]:
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
