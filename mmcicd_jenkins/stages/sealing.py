"""Prepared data stay what they were prepared as: read-only, and looked at again after each command of the team.

The mode stops accidents, and root is stopped by no mode; so sizes and times are compared before the data are used and
after a command ran. A command that writes into them ends its run: what evaluation would read is not what the lock says.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mmcicd_jenkins.errors import CommandFailed
from mmcicd_jenkins.release.canonical import digest_of

COMPLETE = "complete.json"
READ_ONLY = 0o444

Stamps = Mapping[str, tuple[int, str]]


def protect(folder: Path) -> None:
    """Make every file read-only. Folders stay as they are, so that they can be deleted."""
    for path in _files(folder):
        path.chmod(READ_ONLY)


def stamps(folder: Path) -> Stamps:
    """Size and time of every file but the record itself."""
    found = {}
    for path in _files(folder):
        status = path.lstat()
        found[path.relative_to(folder).as_posix()] = (status.st_size, str(status.st_mtime_ns))
    found.pop(COMPLETE, None)
    return found


def _files(folder: Path) -> Iterator[Path]:
    for above, _, names in os.walk(folder):
        yield from (Path(above, name) for name in names)


def seal(found: Stamps) -> str:
    # A name need not be UTF-8.
    readable = {os.fsencode(path).hex(): list(stamp) for path, stamp in found.items()}
    return digest_of(readable)


@contextmanager
def untouched(folder: Path, what: str, where: str) -> Iterator[None]:
    """Run a team's command in the block.

    Raises:
        CommandFailed: it wrote into `folder`, which is prepared anew the next time.
    """
    before = stamps(folder)
    yield
    after = stamps(folder)
    if after == before:
        return
    (folder / COMPLETE).unlink(missing_ok=True)
    path = min(path for path in {*before, *after} if before.get(path) != after.get(path))
    did = "was made" if path not in before else "was deleted" if path not in after else "was changed"
    raise CommandFailed(
        f"{what} wrote into the prepared data, so nothing it gave can be trusted",
        status=0,
        where=where,
        why=f"{folder / path} {did}; others train and are judged on the same files",
        fix="write elsewhere, for example below MMCICD_CHECKPOINT_DIR or a temporary folder; "
        "the data are prepared anew by the same command",
    )
