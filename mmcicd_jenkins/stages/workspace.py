"""Where stages keep files under `.mmcicd/`. Everything here can be made again from ledger, store and checkout:
`git clean -fdx` takes nothing that serves.

Writes are atomic (temporary sibling, fsync, rename), so a killed process leaves whole files or none.
"""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.runs import short

# Of a digest in the name of a folder whose content is trusted; the eight digits that people read could meet.
DIGITS = 32


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """The folder `.mmcicd` of a checkout. A run has a short name, because people look there.

    `kept` holds checkpoints where a checkout does not outlive a lost agent.
    """

    root: Path
    kept: Path | None = None

    def run(self, run_id: str) -> Path:
        return self.root / "runs" / short(run_id)

    def checkpoints(self, run_id: str) -> Path:
        return (self.kept or self.root / "checkpoints") / _name(run_id)

    def data(self, key: str) -> Path:
        return self.root / "data" / _name(key)

    def model_files(self, model_digest: str) -> Path:
        return self.root / "models" / _name(model_digest)

    def evaluation(self, evaluation: str) -> Path:
        return self.root / "evaluations" / _name(evaluation)

    @property
    def verifications(self) -> Path:
        return self.root / "verify"

    def verification(self, image: str) -> Path:
        return self.verifications / _name(image)

    def copy(self, digest: str) -> Path:
        return self.root / "copies" / _name(digest)

    def golden(self, model: str) -> Path:
        return self.root / "golden" / f"{model}.json"

    @contextlib.contextmanager
    def lock(self, name: str, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold a lock between processes; `waiting` is called once when another one holds it."""
        path = self.root / "locks" / f"{name}.lock"
        make_directory(path.parent)
        try:
            file = path.open("w")
        except OSError as e:
            raise cannot_write(path, e) from e
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _name(digest: str) -> str:
    return digest.removeprefix("sha256:")[:DIGITS]


def make_directory(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise cannot_write(path, e) from e
    return path


def fresh_directory(path: Path) -> Path:
    """An empty directory, whatever a killed process left there."""
    shutil.rmtree(path, ignore_errors=True)
    return make_directory(path)


def remove(path: Path) -> None:
    """Whatever lies there: a team's command may have made a folder where a file was expected."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes, *, lasting: bool = True) -> None:
    """Whole or not at all when the process dies, and when the machine does.

    What the same command writes again at each run need not outlast the machine: it is not `lasting`, and is not waited for.
    """
    make_directory(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as e:
        temporary.unlink(missing_ok=True)
        raise cannot_write(path, e) from e


def write_json(path: Path, document: object, *, lasting: bool = True) -> None:
    write_atomically(path, json.dumps(document, indent=2, sort_keys=True).encode() + b"\n", lasting=lasting)


def cannot_write(path: Path, error: OSError) -> OutsideFailed:
    fixes = {
        28: "free some space and run the same command again",
        30: "make the file system writable",
        13: "give yourself write permission",
    }
    return OutsideFailed(
        f"cannot write {path}",
        where=str(path),
        why=error.strerror or str(error),
        fix=fixes.get(error.errno or 0, "make the folder writable and run the same command again"),
    )
