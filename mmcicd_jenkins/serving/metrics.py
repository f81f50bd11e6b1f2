"""Counters and histograms of the server, and their Prometheus text with TF Serving's names.

TF Serving's names begin with a colon and its counters lack the `_total` that client libraries append, so the text
is written here. Label values come from served models only, never from requests: their number is bounded.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

# TF Serving: Buckets::Exponential(10, 1.8, 33), microseconds.
LATENCY_BOUNDS = tuple(10 * 1.8**k for k in range(33))
# TF Serving: Buckets::Exponential(1, 2, 15), examples in a request.
EXAMPLE_BOUNDS = tuple(float(2**k) for k in range(15))


@dataclass(kw_only=True)
class _Family:
    name: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...] = ()  # () = a counter
    cells: dict[tuple[str, ...], list[float]] = field(default_factory=dict)


class Metrics:
    """All families of one server. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._families: list[_Family] = []

        def family(name: str, labels: str, bounds: Sequence[float] = ()) -> _Family:
            made = _Family(name=name, labels=tuple(labels.split()), bounds=tuple(bounds))
            self._families.append(made)
            return made

        self._request_count = family(":tensorflow:serving:request_count", "model_name status")
        self._request_latency = family(
            ":tensorflow:serving:request_latency", "model_name API entrypoint", LATENCY_BOUNDS
        )
        self._runtime_latency = family(
            ":tensorflow:serving:runtime_latency", "model_name API runtime", LATENCY_BOUNDS
        )
        self._examples = family(":tensorflow:serving:request_example_counts", "model", EXAMPLE_BOUNDS)
        self._example_total = family(":tensorflow:serving:request_example_count_total", "model")
        self._warmup = family(":tensorflow:serving:model_warmup_latency", "model_path status", LATENCY_BOUNDS)
        self._requests = family(":mmcicd:serving:request_count", "model_name version class")
        self._latency = family(":mmcicd:serving:request_latency", "model_name version", LATENCY_BOUNDS)
        self._predictions = family(":mmcicd:serving:prediction_count", "model_name version bin")

    def record_request(
        self,
        *,
        model: str,
        version: str,
        api: str,
        entrypoint: str,
        status: str,
        outcome: str,
        seconds: float,
    ) -> None:
        """One request for a prediction, however it ended. Latency counts what was answered with one."""
        micros = seconds * 1e6
        with self._lock:
            _add(self._request_count, (model, status), 1)
            _add(self._requests, (model, version, outcome), 1)
            if outcome == "ok":
                _observe(self._request_latency, (model, api, entrypoint), micros)
                _observe(self._latency, (model, version), micros)

    def record_runtime(self, model: str, api: str, seconds: float) -> None:
        with self._lock:
            _observe(self._runtime_latency, (model, api, "TF1"), seconds * 1e6)

    def record_examples(self, model: str, count: int) -> None:
        with self._lock:
            _observe(self._examples, (model,), count)
            _add(self._example_total, (model,), count)

    def record_warmup(self, path: str, status: str, seconds: float) -> None:
        with self._lock:
            _observe(self._warmup, (path, status), seconds * 1e6)

    def record_predictions(self, model: str, version: str, counts: Sequence[int], unusable: int) -> None:
        """Counts per bin of the version's reference; bin `nan` holds the values that are not finite."""
        with self._lock:
            for place, count in enumerate(counts):
                _add(self._predictions, (model, version, str(place)), count)
            _add(self._predictions, (model, version, "nan"), unusable)

    def text(self) -> str:
        with self._lock:
            lines = [line for family in self._families for line in _lines(family)]
        return "\n".join(lines) + "\n"


def _add(family: _Family, key: tuple[str, ...], amount: float) -> None:
    family.cells.setdefault(key, [0.0])[0] += amount


def _observe(family: _Family, key: tuple[str, ...], value: float) -> None:
    """A histogram cell: one count per bucket, the overflow, and the sum at the end."""
    cell = family.cells.setdefault(key, [0.0] * (len(family.bounds) + 2))
    cell[bisect_left(family.bounds, value)] += 1
    cell[-1] += value


def _lines(family: _Family) -> Iterable[str]:
    if not family.cells:
        return
    yield f"# TYPE {family.name} {'histogram' if family.bounds else 'counter'}"
    for key, cell in sorted(family.cells.items()):
        labels = [f'{name}="{_escaped(value)}"' for name, value in zip(family.labels, key, strict=True)]
        inside = ",".join(labels)
        if not family.bounds:
            yield f"{family.name}{{{inside}}} {cell[0]:.0f}"
            continue
        total = 0.0
        for bound, count in zip((*family.bounds, None), cell, strict=False):
            total += count
            limit = "+Inf" if bound is None else f"{bound:g}"
            yield f'{family.name}_bucket{{{inside},le="{limit}"}} {total:.0f}'
        yield f"{family.name}_sum{{{inside}}} {cell[-1]:.6g}"
        yield f"{family.name}_count{{{inside}}} {total:.0f}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
