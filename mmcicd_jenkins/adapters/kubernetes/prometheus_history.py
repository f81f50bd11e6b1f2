"""`ports.watching.History` by a Prometheus that scrapes the pods: `increase()` over each stretch of time, no memory.

Pods of a version are known by their ReplicaSet, whose name all of them begin with, those too that are gone. The law:
what the version counted under the name of another one never counts here.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mmcicd_jenkins.adapters.kubernetes.annotations import NAME, POD_VERSION
from mmcicd_jenkins.adapters.kubernetes.pod_metrics import Lists
from mmcicd_jenkins.adapters.prometheus import Prometheus, Series, quoted
from mmcicd_jenkins.release.counters import OWN_PREDICTIONS, OWN_REQUESTS, Window
from mmcicd_jenkins.release.serving_counters import by_bucket, class_of
from mmcicd_jenkins.release.serving_text import LATENCY, REQUESTS, seconds_of

_HASH = "pod-template-hash"


class PrometheusHistory:
    """The copies of one namespace, as a Prometheus has them."""

    def __init__(self, prometheus: Prometheus, api: Lists, namespace: str) -> None:
        self._prometheus = prometheus
        self._api = api
        self._namespace = namespace

    def windows(
        self, model: str, version: int, seconds: Sequence[float], bins: int
    ) -> Mapping[float, Window]:
        """As the port says. A version without pods has done nothing."""
        sets = sorted({_set(pod) for pod in self._api.list("Pod", {NAME: model, POD_VERSION: str(version)})})
        if not sets:
            return {}
        named = "|".join(f"{name}-[a-z0-9]+" for name in sets)
        of = f"namespace={quoted(self._namespace)},pod=~{quoted(named)},model_name={quoted(model)}"
        own = self._prometheus.query(f"count({{__name__={quoted(OWN_REQUESTS)},{of}}})")
        counts_predictions = bool(own and bins)
        return {length: self._window(of, length, bins if counts_predictions else 0) for length in seconds}

    def _window(self, of: str, length: float, bins: int) -> Window:
        counts = {"ok": 0.0, "refused": 0.0, "failed": 0.0}
        for series in self._increase(REQUESTS, of, length, "status"):
            counts[class_of(series.labels.get("status", ""))] += series.value
        buckets: dict[float, float] = {}
        for series in self._increase(LATENCY, of, length, "le"):
            if not math.isnan(bound := seconds_of(series.labels.get("le", ""))):
                buckets[bound] = series.value
        return Window(
            seconds=length,
            answered=round(counts["ok"]),
            refused=round(counts["refused"]),
            failed=round(counts["failed"]),
            latency=by_bucket(buckets),
            bounds=tuple(sorted(buckets)),
            predictions=self._predictions(of, length, bins) if bins else (),
        )

    def _predictions(self, of: str, length: float, bins: int) -> tuple[int, ...]:
        found = self._increase(OWN_PREDICTIONS, of, length, "bin")
        counts = {series.labels.get("bin", ""): series.value for series in found}
        return tuple(round(counts.get(str(place), 0.0)) for place in range(bins))

    def _increase(self, name: str, of: str, length: float, by: str) -> list[Series]:
        selected = f"{{__name__={quoted(name)},{of}}}[{max(1, round(length))}s]"
        found = self._prometheus.query(f"sum by ({by}) (increase({selected}))")
        return [series for series in found if math.isfinite(series.value)]


def _set(pod: Mapping[str, Any]) -> str:
    """The ReplicaSet of a pod, by the part that it adds to its name."""
    name: str = pod["metadata"]["name"]
    return name.rpartition("-")[0] if _HASH in (pod["metadata"].get("labels") or {}) else name
