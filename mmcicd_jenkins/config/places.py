"""Paths and addresses of the file: inside the repository, there, and without a password."""

import os
import re
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# Of the storages that data lie in; `c:/data` is a path of another system.
_SLASHES = re.compile(r"(https?|s3a?|gs|gcs|abfss?|az|file|ftp|sftp|hdfs):/?(?!/)(.+)")
# `user:secret@` of an address. `$` is left out: a command may name variables there, which is how it should be.
_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*:)([^/\s@$]+)(?=@)")


def is_url(text: str) -> bool:
    return _SCHEME.match(text) is not None


def meant_address(text: str) -> str:
    """`s3://x` for `s3:/x` or `s3:x`; "" for what is an address, or no misspelt one."""
    match = _SLASHES.match(text)
    return f"{match.group(1)}://{match.group(2)}" if match else ""


def host_of(url: str) -> str:
    """The host and port of an address; "" when it has none or cannot be read."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return ""


def password_in(text: str) -> tuple[int, int] | None:
    """Where a password stands in an address inside `text`: column from 0 and width."""
    match = _PASSWORD.search(text)
    return (match.start(2), len(match.group(2))) if match else None


def redacted(text: str) -> str:
    """`text` with stars for each character of a password, so that columns stay what they are."""
    return _PASSWORD.sub(lambda m: m.group(1) + "*" * len(m.group(2)), text)


def leaves_root(text: str, root: Path) -> bool:
    """Whether a relative path, its links followed, is outside the repository."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        return True
    # Not Path.resolve: it raises on links that go round in circles.
    real = Path(os.path.realpath(root / path))
    return not real.is_relative_to(os.path.realpath(root))


def is_file(path: Path) -> bool:
    """As `Path.is_file`, also for names that the file system refuses (too long, for example)."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def script_of(command: str) -> str:
    """The file that `python FILE.py ...` runs, when the command is obviously that; else ""."""
    match = re.fullmatch(
        r"\s*python(?:3(?:\.\d+)?)?\s+([A-Za-z0-9_./][A-Za-z0-9_./-]*\.py)(?:\s.*)?", command
    )
    return match.group(1) if match else ""
