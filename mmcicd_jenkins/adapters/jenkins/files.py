"""Jenkinsfiles on disk: which files of a repository are ones, and their text. Read only."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmcicd_jenkins.errors import InputError

# Of tools and of builds; nothing in them is ours to judge.
_PASSED = {"node_modules", "venv", "build", "dist", "target", "__pycache__"}
# A folder with more is no repository that anybody lints as a whole.
_MOST = 2_000


def is_jenkinsfile(name: str) -> bool:
    stem, _, end = name.rpartition(".")
    return (
        name == "Jenkinsfile"
        or end.lower() == "jenkinsfile"
        or stem == "Jenkinsfile"
        or name.startswith("Jenkinsfile-")
    )


def find_jenkinsfiles(folder: Path) -> Sequence[Path]:
    """Every Jenkinsfile below a folder, in the order of their names; hidden folders are passed over."""
    found: list[Path] = []
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _PASSED)
        found += [Path(where) / name for name in sorted(files) if is_jenkinsfile(name)]
        if len(found) >= _MOST:
            break
    return found


def named_jenkinsfiles(names: Sequence[str]) -> Iterator[Path]:
    """The files that a person names; a folder stands for the Jenkinsfiles in it.

    Raises:
        InputError: there is no such file, or no Jenkinsfile in the folder.
    """
    for name in names:
        path = Path(name)
        if path.is_dir():
            inside = find_jenkinsfiles(path)
            if not inside:
                raise InputError(f"there is no Jenkinsfile in {name}", fix="name a file")
            yield from inside
        elif path.exists():
            yield path
        else:
            raise InputError(f"there is no file {name}", fix="check the path")


def read_jenkinsfile(path: Path) -> str:
    """The text as Jenkins reads it; what is no UTF-8 becomes a replacement character.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError as e:
        raise InputError(
            f"{path} cannot be read", why=e.strerror or str(e), fix="mend its permissions"
        ) from e
