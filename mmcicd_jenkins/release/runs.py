"""The identity of a run: same inputs, same run, so that a second training of the same thing is never needed."""

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.release.canonical import digest_of


def training_files(
    files: Mapping[str, str], base: str, chosen: Sequence[str], left_out: Sequence[str]
) -> dict[str, str]:
    """The files on which a training depends, by path relative to the model's folder.

    Args:
        files: path relative to the repository -> git's mode and blob id.
        base: the model's folder, `.` for the repository itself.
        chosen: globs of the files that matter; empty for all but `left_out`.
        left_out: globs of what never matters to a training.

    Raises:
        InputError: a name among them is not UTF-8, so no identity can be made of it.
    """
    prefix = "" if base in {"", "."} else base.rstrip("/") + "/"
    inside = {path.removeprefix(prefix): blob for path, blob in files.items() if path.startswith(prefix)}
    if chosen:
        found = {path: blob for path, blob in inside.items() if _matches(path, chosen)}
    else:
        found = {path: blob for path, blob in inside.items() if not _matches(path, left_out)}
    for path in found:
        _refuse_bytes(path)
    return found


def _refuse_bytes(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError as e:
        raise InputError(
            "the name of a file on which training depends is not UTF-8",
            where=path.encode("utf-8", "backslashreplace").decode(),
            why="the identity of a run is made of such names, and is the same on every machine",
            fix="git mv it to another name, or name the files that matter in train.inputs",
        ) from e


def _matches(path: str, globs: Iterable[str]) -> bool:
    """A glob matches the path itself, or a folder above it."""
    parts = path.split("/")
    above = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    matches = _pattern(tuple(globs)).match
    return any(matches(candidate) for candidate in above)


@cache
def _pattern(globs: tuple[str, ...]) -> re.Pattern[str]:
    """One for all: a repository has thousands of files, and every stage asks for each of them."""
    return re.compile("|".join(fnmatch.translate(glob.rstrip("/")) for glob in globs) or r"(?!)")


def run_id(
    *,
    files: Mapping[str, str],
    data: Mapping[str, str],
    splits: Mapping[str, object],
    parameters: Mapping[str, object],
    seed: int,
    command: str,
    environment: str,
    attempt: int = 0,
) -> str:
    """`sha256:` over everything that a training may read. `attempt` counts `--again`."""
    document: dict[str, object] = {
        "files": dict(files),
        "data": dict(data),
        "splits": dict(splits),
        "parameters": dict(parameters),
        "seed": seed,
        "command": command,
        "environment": environment,
    }
    if attempt:
        document["attempt"] = attempt
    return digest_of(document)


def short(digest: str) -> str:
    """What people read of a digest or a commit: its first eight hex digits."""
    return digest.removeprefix("sha256:")[:8]
