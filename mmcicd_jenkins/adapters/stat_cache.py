"""Remembers which layers came of which files, so that an unchanged model is not read again.

The key holds path, size, times, inode and device of every file. A file that changed so shortly before it was
read that a later write could carry the same time is not remembered. Losing the cache costs time, never a digest.
"""

from pathlib import Path

from mmcicd_jenkins.adapters.layer_entries import LayerEntries
from mmcicd_jenkins.image.layer import LayerPlan, PackedLayer

# A kernel stamps times once per tick, 10 ms at most; two ticks. File systems that keep no fractions: FAT has 2 s.
_TICKS_NS = 20_000_000
_COARSE_NS = 2_500_000_000
_MILLISECOND_NS = 1_000_000


class StatCache:
    """Layers by the stats of their files."""

    def __init__(self, folder: Path) -> None:
        self._entries = LayerEntries(folder)

    def get(self, plan: LayerPlan, compression: str) -> PackedLayer | None:
        found = self._entries.read(_key(plan, compression), plan)
        return found[0] if found else None

    def put(self, plan: LayerPlan, compression: str, packed: PackedLayer, read_at_ns: int) -> None:
        """Remember `packed`, unless a file is too young; `read_at_ns` is when reading began."""
        if all(read_at_ns - max(f.mtime_ns, f.ctime_ns) >= _granule(f.mtime_ns) for f in plan.files):
            self._entries.write(_key(plan, compression), packed)


def _key(plan: LayerPlan, compression: str) -> list[object]:
    stats = [[f.path, f.size, f.mtime_ns, f.ctime_ns, f.inode, f.device] for f in plan.files]
    return [compression, plan.folders, stats]


def _granule(time_ns: int) -> int:
    return _TICKS_NS if time_ns % _MILLISECOND_NS else _COARSE_NS
