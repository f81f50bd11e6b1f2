"""Reading and writing git objects without an index, a working tree or a ref.

A read names `commit:path`; a write makes blobs, the trees above them and one commit, and gives its id.
Nothing here depends on the size of the history, only on the folders that a change touches.
"""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from mmcicd_jenkins.adapters.git.cli import Git
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.records import dataclass

_TREE = "40000"
_BLOB = "100644"


@dataclass(frozen=True, kw_only=True)
class Found:
    """One object: its id, its type (`blob`, `tree`, `commit`) and its bytes."""

    oid: str
    kind: str
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a tree."""

    mode: str
    oid: str


class Objects:
    """The objects of one repository.

    Args:
        bring: called with the ids of files before they are read, where they may still be elsewhere.
    """

    def __init__(self, git: Git, bring: Callable[[Sequence[str]], None] | None = None) -> None:
        self._git = git
        self._bring = bring

    def read(self, names: Sequence[str]) -> list[Found | None]:
        """The objects with these names, None for each that does not exist. One process for all."""
        if not names:
            return []
        listed = "".join(f"{n}\n" for n in names).encode()
        return _split_batch(self._git.run("cat-file", "--batch", stdin=listed), len(names))

    def root_tree(self, commit: str) -> str:
        """The id of a commit's tree, without asking for the tree."""
        found = _split_batch(self._git.run("cat-file", "--batch", stdin=f"{commit}\n".encode()), 1)[0]
        return "" if found is None else found.data.split(b"\n", 1)[0].removeprefix(b"tree ").decode()

    def files(self, commit: str, paths: Sequence[str]) -> list[bytes | None]:
        """The bytes of files in a commit; None where there is no file."""
        if self._bring is not None and paths:
            # A listing names the files without wanting them; cat-file would fetch them one by one.
            listed = self._git.run("ls-tree", "-z", commit, "--", *paths).split(b"\0")
            self._bring([line.split(b"\t")[0].split(b" ")[2].decode() for line in listed if line])
        found = self.read([f"{commit}:{path}" for path in paths])
        return [f.data if f and f.kind == "blob" else None for f in found]

    def entries(self, commit: str, folders: Sequence[str]) -> dict[str, dict[str, Entry]]:
        """What lies in each of `folders` ("" is the root) of a commit; nothing when `commit` is ""."""
        if not commit:
            return {folder: {} for folder in folders}
        found = self.read([f"{commit}:{folder}" for folder in folders])
        return {
            folder: _parse_tree(f) if f and f.kind == "tree" else {}
            for folder, f in zip(folders, found, strict=True)
        }

    def line_of(self, commit: str) -> list[tuple[str, str]]:
        """The commits that lead to `commit` by first parents, oldest first, each with that parent ("" for none)."""
        listed = self._git.run("rev-list", "--first-parent", "--reverse", "--parents", commit, "--").decode()
        pairs = [line.split(" ") for line in listed.splitlines()]
        return [(pair[0], pair[1] if len(pair) > 1 else "") for pair in pairs]

    def changes(self, commits: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
        """For each commit and its parent: path -> id of the new blob, or zeros for a file that went away."""
        listed = "".join(f"{commit} {parent}".strip() + "\n" for commit, parent in commits).encode()
        # Without --always a commit that changes nothing would not be listed at all.
        answer = self._git.run(
            "diff-tree",
            "--stdin",
            "-r",
            "-z",
            "--root",
            "--always",
            "--no-renames",
            "--no-abbrev",
            stdin=listed,
        )
        return _split_changes(answer, [commit for commit, _ in commits])

    def write_tree(self, base: str, files: Mapping[str, bytes]) -> str:
        """The id of a tree like that of `base` (a commit or a tree, "" for none) in which `files` have these bytes."""
        if not files:
            return base
        blobs = self._write_blobs(files)
        folders = sorted({str(p) for path in files for p in PurePosixPath(path).parents})
        trees = self.entries(base, ["" if f == "." else f for f in folders])
        for path, oid in blobs.items():
            folder, _, name = path.rpartition("/")
            trees[folder][name] = Entry(mode=_BLOB, oid=oid)
        return self._write_trees(trees)

    def write_commit(self, parent: str, root: str, message: str, seconds: int) -> str:
        """A commit of the tree `root` on `parent` ("" for none); gives its id."""
        dates = {"GIT_AUTHOR_DATE": f"{seconds} +0000", "GIT_COMMITTER_DATE": f"{seconds} +0000"}
        answer = self._git.try_run(
            "commit-tree", *(["-p", parent] if parent else []), root, stdin=message.encode(), variables=dates
        )
        if answer.status:
            raise answer.error()
        return answer.out.decode().strip()

    def _write_blobs(self, files: Mapping[str, bytes]) -> dict[str, str]:
        try:
            with tempfile.TemporaryDirectory(prefix="mmcicd-ledger-") as folder:
                names = [str(Path(folder, str(n))) for n in range(len(files))]
                for name, data in zip(names, files.values(), strict=True):
                    Path(name).write_bytes(data)
                listed = b"".join(os.fsencode(name) + b"\n" for name in names)
                oids = self._git.run("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=listed)
        except OSError as e:
            raise OutsideFailed(
                "temporary files cannot be written",
                where=tempfile.gettempdir(),
                why=str(e),
                fix="free some space there, or point TMPDIR elsewhere",
                retryable=True,
            ) from e
        return dict(zip(files, oids.decode().split(), strict=True))

    def _write_trees(self, trees: dict[str, dict[str, Entry]]) -> str:
        """Deepest folders first, one process for each depth; gives the id of the root."""
        depths: dict[int, list[str]] = {}
        for folder in trees:
            depths.setdefault(len(PurePosixPath(folder).parts), []).append(folder)
        root = ""
        for depth in sorted(depths, reverse=True):
            listed = b"\0".join(_format_tree(trees[folder]) for folder in depths[depth]) + b"\0"
            answer = self._git.run("mktree", "-z", "--batch", "--missing", stdin=listed)
            for folder, oid in zip(depths[depth], answer.decode().split(), strict=True):
                above, _, name = folder.rpartition("/")
                if folder:
                    trees[above][name] = Entry(mode=_TREE, oid=oid)
                root = oid
        return root


def _split_batch(answer: bytes, count: int) -> list[Found | None]:
    found: list[Found | None] = []
    at = 0
    for _ in range(count):
        end = answer.index(b"\n", at)
        words = answer[at:end].split(b" ")
        at = end + 1
        if words[-1] in {b"missing", b"ambiguous"}:
            found.append(None)
            continue
        size = int(words[2])
        found.append(Found(oid=words[0].decode(), kind=words[1].decode(), data=answer[at : at + size]))
        at += size + 1
    return found


def _split_changes(answer: bytes, commits: Sequence[str]) -> list[dict[str, str]]:
    fields = iter(answer.split(b"\0"))
    changes: dict[str, dict[str, str]] = {commit: {} for commit in commits}
    files: dict[str, str] = {}
    for field in fields:
        if field.startswith(b":"):
            files[os.fsdecode(next(fields))] = field.split(b" ")[3].decode()
        elif field:
            files = changes[field.decode().strip()]
    return [changes[commit] for commit in commits]


def _parse_tree(tree: Found) -> dict[str, Entry]:
    width = len(tree.oid) // 2  # 20 bytes, or 32 in a SHA-256 repository
    entries = {}
    at = 0
    while at < len(tree.data):
        end = tree.data.index(b"\0", at)
        mode, _, name = tree.data[at:end].partition(b" ")
        oid = tree.data[end + 1 : end + 1 + width].hex()
        entries[os.fsdecode(name)] = Entry(mode=mode.decode(), oid=oid)
        at = end + 1 + width
    return entries


def _format_tree(entries: Mapping[str, Entry]) -> bytes:
    kinds = {_TREE: "tree", "160000": "commit"}
    return b"".join(
        f"{e.mode:0>6} {kinds.get(e.mode, 'blob')} {e.oid}\t".encode() + os.fsencode(name) + b"\0"
        for name, e in entries.items()
    )
