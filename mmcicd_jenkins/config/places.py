"""Paths and addresses of the file: inside the repository, there, and without a password."""

import re
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def is_url(text: str) -> bool:
    return _SCHEME.match(text) is not None


def has_password(text: str) -> bool:
    """`user:secret@` in an address. A user alone (`ssh://git@`) is no secret."""
    if not is_url(text):
        return False
    try:
        return bool(urlsplit(text).password)
    except ValueError:
        return False


def leaves_root(text: str, root: Path) -> bool:
    """Whether a relative path, its links followed, is outside the repository."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        return True
    return not (root / path).resolve().is_relative_to(root.resolve())


def script_of(command: str) -> str:
    """The file that `python FILE.py ...` runs, when the command is obviously that; else ""."""
    match = re.fullmatch(
        r"\s*python(?:3(?:\.\d+)?)?\s+([A-Za-z0-9_./][A-Za-z0-9_./-]*\.py)(?:\s.*)?", command
    )
    return match.group(1) if match else ""
