"""Which layers need not be made again: those of files that were not touched, and those of files written anew as they were.

An export writes every file again, changed or not. So a layer is remembered by the paths and sizes of its files too,
with samples of their bytes. Samples that differ show a change at almost no cost; samples that agree show nothing, and
the files are read and compared by their whole digests: a pass of hashing in place of an upload.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mmcicd_jenkins.adapters.layer_entries import LayerEntries
from mmcicd_jenkins.adapters.stat_cache import StatCache
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image.digest import digest_file
from mmcicd_jenkins.image.layer import LayerPlan, PackedLayer
from mmcicd_jenkins.image.samples import sampled


class KnownLayers:
    """Layers that were made on this machine, in `folder`. Losing it costs time, never a digest."""

    def __init__(self, folder: Path) -> None:
        self._untouched = StatCache(folder)
        self._by_content = LayerEntries(folder)

    def find(
        self, root: Path, plan: LayerPlan, compression: str, on_read: Callable[[int], None] | None = None
    ) -> PackedLayer | None:
        """The layer of the files of `plan` below `root`, if the same files made one before.

        Raises:
            InputError: a file cannot be read or changes meanwhile.
        """
        return self._untouched.get(plan, compression) or self._same(root, plan, compression, on_read)

    def keep(
        self, root: Path, plan: LayerPlan, compression: str, packed: PackedLayer, read_at_ns: int
    ) -> None:
        """Remember `packed`; `read_at_ns` is when reading began."""
        self._untouched.put(plan, compression, packed, read_at_ns)
        # Files that changed since: who reads them next says so.
        with suppress(InputError):
            self._by_content.write(_key(plan, compression), packed, sampled(root, plan.files))

    def _same(
        self, root: Path, plan: LayerPlan, compression: str, on_read: Callable[[int], None] | None
    ) -> PackedLayer | None:
        found = self._by_content.read(_key(plan, compression), plan)
        if found is None or found[1] != sampled(root, plan.files):
            return None
        packed, read_at_ns = found[0], time.time_ns()
        for file, known in zip(plan.files, packed.files, strict=True):
            if digest_file(root, file, on_read) != known.sha256:
                return None
        self._untouched.put(plan, compression, packed, read_at_ns)
        return packed


def _key(plan: LayerPlan, compression: str) -> list[object]:
    return ["content", compression, plan.folders, [[file.path, file.size] for file in plan.files]]
