"""Bytes of data sources on this machine, by digest. What lies here is whole and checked.

An entry `<digest>/<name>` is complete when its record `<digest>/<name>.json` stands beside it; the record
holds size and time of every file, so that a changed file is seen without reading it. Downloads gather in
`parts/`, are resumed there, and move in when their digest is right.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmcicd_jenkins.adapters import file_lock
from mmcicd_jenkins.records import dataclass

CHUNK = 2**20
LOCK_SECONDS = 6 * 3600.0
# What is linked into a workspace must not be changed there.
READ_ONLY = 0o444


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Digest and size of a source's bytes, and how many files they are."""

    digest: str
    size: int
    files: int


def tree_digest(files: Iterable[tuple[str, int, str]]) -> str:
    """The digest of a folder: over (path, size, sha256) of its files, sorted by path."""
    whole = hashlib.sha256()
    for path, size, digest in sorted(files):
        whole.update(f"{path}\0{size}\0{digest}\n".encode("utf-8", "surrogateescape"))
    return f"sha256:{whole.hexdigest()}"


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def measure(place: Path) -> Measured:
    """Digest a local file or folder."""
    if place.is_file():
        return Measured(digest=f"sha256:{file_digest(place)}", size=place.stat().st_size, files=1)
    files = [(p.relative_to(place).as_posix(), p.stat().st_size, file_digest(p)) for p in _files(place)]
    return Measured(digest=tree_digest(files), size=sum(size for _, size, _ in files), files=len(files))


def _files(place: Path) -> list[Path]:
    return [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file())


class DataCache:
    """The cache folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, digest: str, name: str) -> Path | None:
        """The entry, if it is complete and unchanged; under another name it is linked to this one."""
        place = self._place(digest, name)
        if self._is_whole(place):
            return place
        for record in place.parent.glob("*.json"):
            other = record.with_suffix("")
            if other != place and other.is_file() and self._is_whole(other):
                with self.part(f"{digest}/{name}") as part:
                    shutil.copy2(other, part)
                    return self.keep(part, digest, name)
        return None

    def _place(self, digest: str, name: str) -> Path:
        return self.root / digest.removeprefix("sha256:") / name

    def _is_whole(self, place: Path) -> bool:
        try:
            known = json.loads(place.with_name(place.name + ".json").read_text(encoding="utf-8"))
            return bool(known == _stamps(place))
        except (OSError, ValueError):
            return False

    @contextmanager
    def part(self, key: str) -> Iterator[Path]:
        """A place for an unfinished download, held by one process; what an earlier one left is still there."""
        name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        with file_lock.hold(self.root / "parts" / f"{name}.lock", LOCK_SECONDS):
            yield self.root / "parts" / name

    def recall(self, url: str, stamps: list[str]) -> str | None:
        """The digest that a source on this machine had when its files had these sizes and times."""
        try:
            known = json.loads(self._note(url).read_text(encoding="utf-8"))
            return str(known["digest"]) if known["stamps"] == _joined(stamps) else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def remember(self, url: str, stamps: list[str], digest: str) -> None:
        """A note that cannot be written only means that the source is read again."""
        note = self._note(url)
        temporary = note.with_name(f".{note.name}.{os.getpid()}.part")
        with suppress(OSError):
            note.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps({"stamps": _joined(stamps), "digest": digest}), encoding="utf-8")
            temporary.replace(note)

    def _note(self, url: str) -> Path:
        return self.root / "seen" / f"{_joined([url])[:32]}.json"

    def keep(self, part: Path, digest: str, name: str) -> Path:
        """Move a finished download in; its digest has been checked."""
        place = self._place(digest, name)
        try:
            if self._is_whole(place):  # another process brought the same bytes; someone may be reading them
                remove(part)
                return place
            place.parent.mkdir(parents=True, exist_ok=True)
            for file in _files(part):
                file.chmod(READ_ONLY)
            remove(place)
            part.replace(place)
            record = place.with_name(place.name + ".json")
            temporary = record.with_name(f".{record.name}.{os.getpid()}.part")
            temporary.write_text(json.dumps(_stamps(place)), encoding="utf-8")
            temporary.replace(record)
        except OSError as e:
            raise file_lock.cannot_write(place, e) from e
        return place


def _joined(texts: list[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode("utf-8", "surrogateescape")).hexdigest()


def _stamps(place: Path) -> list[list[object]]:
    stamps: list[list[object]] = []
    for path in _files(place):
        status = path.stat()
        relative = "" if path == place else path.relative_to(place).as_posix()
        stamps.append([relative, status.st_size, status.st_mtime_ns])
    return stamps


def remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


Progress = Callable[[int, int], None]
