"""A model on its way into a registry: each layer read, packed, hashed and sent in one pass, nothing kept on a disk.

A layer whose files are those that were last packed here is only asked for. Memory is constant: a few
buffers for each layer on its way, and few are at once, since one stream keeps a registry busy.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock

from mmcicd_jenkins.adapters.known_layers import KnownLayers
from mmcicd_jenkins.adapters.registry.repositories import Places
from mmcicd_jenkins.adapters.together import Stop, together
from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.image.container import Sink
from mmcicd_jenkins.image.descriptor import Descriptor
from mmcicd_jenkins.image.layer import LayerPlan, PackedLayer, pack_layer

# Streams at once, and small questions at once.
STREAMS = 2
QUESTIONS = 8


class ModelPush:
    """The layers of one model below `root`."""

    def __init__(self, root: Path, compression: str, places: Places, known: KnownLayers) -> None:
        self._root = root
        self._compression = compression
        self._places = places
        self._layers = known
        self._stop = Stop()

    def run(
        self, plans: Sequence[LayerPlan], progress: Callable[[int, int], None] | None
    ) -> list[PackedLayer]:
        """Have every layer in the own repository."""
        told = _Told(plans, progress)
        known = together(lambda plan: self._known(plan, told), plans, QUESTIONS)
        missing = [plan for plan, found in zip(plans, known, strict=True) if found is None]
        sent = iter(together(lambda plan: self._send(plan, told), missing, STREAMS, self._stop))
        return [found or next(sent) for found in known]

    def _known(self, plan: LayerPlan, told: "_Told") -> PackedLayer | None:
        """The layer, when it is known and the registry has it; mounted from the other side if it lies there."""
        packed = self._layers.find(self._root, plan, self._compression, lambda count: told.read(plan, count))
        if packed is None or not self._is_there(packed.layer.blob):
            return None
        told.done(plan)
        return packed

    def _is_there(self, blob: Descriptor) -> bool:
        try:
            self._places.bring(blob, self._places.own)
        except IntegrityFailed:
            # Nowhere, or damaged: what is at hand is sent again.
            return False
        return True

    def _send(self, plan: LayerPlan, told: "_Told") -> PackedLayer:
        read_at_ns = time.time_ns()
        packed: list[PackedLayer] = []

        def write(sink: Sink) -> Descriptor:
            told.begin(plan)

            def checked(parts: Sequence[memoryview | bytes]) -> None:
                self._stop.check()
                sink(parts)

            made = pack_layer(
                self._root, plan, self._compression, checked, lambda count: told.read(plan, count)
            )
            packed[:] = [made]
            return made.layer.blob

        self._places.own.upload(write)
        failpoint("store.blob-written")
        self._layers.keep(self._root, plan, self._compression, packed[0], read_at_ns)
        return packed[0]


class _Told:
    """Progress over all layers; it never goes back when one begins anew."""

    def __init__(self, plans: Sequence[LayerPlan], progress: Callable[[int, int], None] | None) -> None:
        self._total = sum(plan.size for plan in plans)
        self._read = dict.fromkeys(map(id, plans), 0)
        self._most = 0
        self._progress = progress
        self._lock = Lock()

    def begin(self, plan: LayerPlan) -> None:
        with self._lock:
            self._read[id(plan)] = 0

    def done(self, plan: LayerPlan) -> None:
        self.begin(plan)
        self.read(plan, plan.size)

    def read(self, plan: LayerPlan, count: int) -> None:
        with self._lock:
            self._read[id(plan)] += count
            self._most = max(self._most, sum(self._read.values()))
            if self._progress:
                self._progress(self._most, self._total)
