"""Tidying an OCI image layout: `ports.upkeep.StoreKeeper` on its index and its blobs.

Entries leave the index first; the bytes that nothing names any more are freed afterwards, under the same lock, and
only when nobody stored or took them up for a while. A writer touches what it takes up and looks again, under the
lock, when it names it: it may lose a blob and say so, but the index never names one that is gone.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmcicd_jenkins.adapters.held_manifests import held
from mmcicd_jenkins.adapters.layout.files import LayoutFiles
from mmcicd_jenkins.adapters.layout.index import REF_NAME, note
from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.image.artifact import LARGEST_DOCUMENT, is_digest, read_descriptor
from mmcicd_jenkins.image.descriptor import Descriptor
from mmcicd_jenkins.ports.upkeep import Held, Swept

_ASIDE = "freed-"


class LayoutKeeper:
    """`ports.upkeep.StoreKeeper` of the layout in the folder `path`."""

    def __init__(self, path: Path) -> None:
        self._files = LayoutFiles(path)

    def holdings(self) -> Sequence[Held]:
        entries = self._files.manifests()
        tags: dict[str, list[str]] = {}
        named: dict[str, Descriptor] = {}
        for entry in entries:
            one = self._named(entry)
            tag = note(entry, REF_NAME)
            tags.setdefault(one.digest, []).extend([tag] if isinstance(tag, str) else [])
            named[one.digest] = one
        return [
            held("", one, tags[digest], self._document, self._touched(digest))
            for digest, one in named.items()
        ]

    def remove(self, doomed: Sequence[Held]) -> tuple[Held, ...]:
        planned = {each.digest: set(each.tags) for each in doomed}
        renamed: set[str] = set()

        def without(entries: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
            for entry in entries:
                digest, tag = entry.get("digest"), note(entry, REF_NAME)
                if digest in planned and tag is not None and tag not in planned[digest]:
                    renamed.add(str(digest))
            going = planned.keys() - renamed
            kept = [entry for entry in entries if entry.get("digest") not in going]
            return kept if len(kept) < len(entries) else None

        if planned:
            self._files.prepare()
            self._files.change_index(without)
        return tuple(each for each in doomed if each.digest not in renamed)

    def sweep(self, before: float) -> Swept:
        if not self._files.index.exists():
            return Swept()
        self._files.prepare()
        count = size = 0
        with self._files.still():
            for left in self._files.ours.glob(f"{_ASIDE}*"):
                left.unlink()
            named, unread = self._named_blobs()
            if unread:
                return Swept(why_not=f"{unread} is named and cannot be read, so nobody knows what it needs")
            for path in (self._files.path / "blobs" / "sha256").iterdir():
                # What has no digest for a name is not OCI's, and not ours to judge.
                if is_digest(f"sha256:{path.name}") and f"sha256:{path.name}" not in named:
                    freed = self._free(path, before)
                    count, size = count + (freed is not None), size + (freed or 0)
        return Swept(blobs=count, size=size)

    def _free(self, path: Path, before: float) -> int | None:
        """The size of a blob that is gone now; None for one that somebody stored or took up since `before`."""
        with suppress(FileNotFoundError):
            if path.stat().st_mtime >= before:
                return None
            # Out of sight first: whoever took it up until now has touched it, and whoever comes now stores it anew.
            aside = self._files.ours / f"{_ASIDE}{path.name}"
            path.rename(aside)
            state = aside.stat()
            if state.st_mtime >= before:
                aside.rename(path)
                return None
            aside.unlink()
            failpoint("gc.blob-freed")
            return state.st_size
        return None

    def _named_blobs(self) -> tuple[set[str], str]:
        """Every blob that the index needs; and an entry of which nobody can tell, "" when there is none."""
        found: set[str] = set()
        for entry in self._files.manifests():
            one = self._named(entry)
            seen = held("", one, (), self._document)
            if not seen.kind:
                return found, one.digest
            found |= {one.digest, *seen.blobs}
        return found, ""

    def _named(self, entry: dict[str, Any]) -> Descriptor:
        return read_descriptor(entry, str(self._files.index))

    def _document(self, named: Descriptor) -> bytes | None:
        if named.size > LARGEST_DOCUMENT:
            return None
        try:
            return b"".join(self._files.chunks(named))
        except IntegrityFailed:
            return None

    def _touched(self, digest: str) -> float | None:
        try:
            return self._files.blob(digest).stat().st_mtime
        except OSError:
            return None
