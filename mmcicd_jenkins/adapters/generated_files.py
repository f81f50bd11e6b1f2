"""Generated files on disk: reading, three-way merging by `git merge-file`, writing so that a kill loses nothing.

Files are written one by one and whole; merges are recorded before them, and what was generated after them. A file
outside the repository, reached by a link, is neither read nor written.
"""

import base64
import json
import os
import subprocess
import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmcicd_jenkins.errors import InputError, OutsideFailed
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.render.update import Decision, Joining, Merged, Present, Record

RECORD = "jenkins/.generated.json"
_ABOUT = "What mmcicd-jenkins generate wrote, so that it can tell your edits from its own text. Commit it."
# A generated text is far smaller; the limit keeps a forged record from unpacking without end.
_LARGEST = 1 << 22


def read_present(root: Path, paths: Iterable[str]) -> dict[str, Present]:
    """The files that are there.

    Raises:
        InputError: a path is a folder, leads out of `root`, or cannot be read.
    """
    found = {}
    for path in paths:
        file = _inside(root, path)
        try:
            found[path] = Present(content=file.read_bytes(), executable=os.access(file, os.X_OK))
        except FileNotFoundError:
            continue
        except OSError as e:
            raise InputError(f"{path} cannot be read", where=str(file), why=e.strerror or str(e)) from e
    return found


def _inside(root: Path, path: str) -> Path:
    file = root / path
    if file.is_symlink() or not file.parent.resolve().is_relative_to(root.resolve()):
        raise InputError(
            f"{path} is a link or lies behind one",
            where=str(file),
            fix="replace the link by an ordinary file",
        )
    return file


def read_record(root: Path) -> Record:
    """What was generated last; nothing when there is no record.

    Raises:
        InputError: the record was edited, or a git merge left its marks in it.
    """
    file = _inside(root, RECORD)
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        managed = {path: _unpacked(text) for path, text in document["managed"].items()}
        joining = {
            path: Joining(result=str(one["result"]), new=_unpacked(one["new"]))
            for path, one in document.get("joining", {}).items()
        }
        return Record(managed=managed, once=frozenset(map(str, document["once"])), joining=joining)
    except FileNotFoundError:
        return Record()
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error, OSError) as e:
        raise InputError(
            f"{RECORD} is not as it was written",
            where=str(file),
            why=f"{type(e).__name__}: {e}",
            fix=f"take one side whole: git checkout --theirs {RECORD}, then mmcicd-jenkins generate",
        ) from e


def _packed(text: bytes) -> str:
    return base64.b64encode(zlib.compress(text, 9)).decode()


def _unpacked(text: str) -> bytes:
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(base64.b64decode(text, validate=True), _LARGEST)
    if not unpacker.eof:
        raise ValueError("a text is cut off or too large")
    return content


def write_record(root: Path, record: Record) -> bool:
    """Write the record unless it says the same already; one line per file, so that git merges it well."""
    if (root / RECORD).exists() and read_record(root) == record:
        return False
    packed = {path: _packed(text) for path, text in record.managed.items()}
    document: dict[str, Any] = {"about": _ABOUT, "managed": packed, "once": sorted(record.once)}
    if record.joining:
        document["joining"] = {
            path: {"result": one.result, "new": _packed(one.new)} for path, one in record.joining.items()
        }
    text = json.dumps(document, indent=1, ensure_ascii=True, sort_keys=True) + "\n"
    failpoint("generate.before-record")
    write_whole(root / RECORD, text.encode())
    return True


def carry_out(root: Path, decisions: Iterable[Decision]) -> None:
    """Write and remove what was decided."""
    for decision in decisions:
        file = _inside(root, decision.path)
        if decision.step == "remove":
            file.unlink(missing_ok=True)
        elif decision.content is not None:
            write_whole(file, decision.content, executable=decision.executable)
        failpoint("generate.file-written")


def write_whole(file: Path, content: bytes, *, executable: bool = False) -> None:
    """Replace a file in one step; a reader sees the old or the new one.

    Raises:
        OutsideFailed: the disk is full or the folder is read-only; the old file stands.
    """
    # One name per file, so that what a killed run left is taken over by the next one.
    temporary = file.with_name(f".{file.name}.mmcicd-new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Never through a link, which a repository may bring along.
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        temporary.chmod(_mode(file, executable=executable))
        temporary.replace(file)
    except OSError as e:
        temporary.unlink(missing_ok=True)
        raise OutsideFailed(
            f"{file.name} could not be written",
            where=str(file),
            why=e.strerror or str(e),
            fix="make room or give the right to write, then run the same command again",
        ) from e


def _mode(file: Path, *, executable: bool) -> int:
    """The mode that stands there, or what the umask leaves; plus execution where it is wanted."""
    try:
        mode = file.stat().st_mode & 0o777
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        mode = 0o666 & ~umask
    return mode | ((mode & 0o444) >> 2) if executable else mode


def merge(mine: bytes, base: bytes, new: bytes, name: str) -> Merged:
    """Join two changes of one text; where they touch the same lines, both stand there between marks."""
    with tempfile.TemporaryDirectory(prefix="mmcicd-merge-") as folder:
        files = [Path(folder, part) for part in ("mine", "base", "new")]
        for file, content in zip(files, (mine, base, new), strict=True):
            file.write_bytes(content)
        labels = ["-L", "yours", "-L", "generated before", "-L", name]
        command = ["git", "merge-file", "-p", *labels, *map(str, files)]
        try:
            done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
        except OSError as e:
            raise OutsideFailed("git could not be started", why=str(e), fix="install git") from e
    # Its status is the number of conflicts, at most 127; anything above is an error.
    if done.returncode > 127 or done.returncode < 0:
        why = done.stderr.decode(errors="replace")[:256].strip()
        raise InputError("your edit cannot be merged", why=why, fix="make it a text file again, or delete it")
    return Merged(content=done.stdout, conflicts=done.returncode > 0)
