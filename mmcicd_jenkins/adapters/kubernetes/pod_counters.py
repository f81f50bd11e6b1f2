"""`ports.watching.Counters` of pods: each copy that is ready is asked; of one that is not, its restarts are known.

Counters are of one pod since its container began; what they sum up to over time is `release.monitor_memory`'s.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from mmcicd_jenkins.adapters.kubernetes.annotations import NAME, POD_VERSION
from mmcicd_jenkins.adapters.kubernetes.pod_metrics import AT_ONCE, Copy, Lists, ready_copies, restarts_of
from mmcicd_jenkins.adapters.together import together
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.ports import Clock
from mmcicd_jenkins.release.counters import Reading
from mmcicd_jenkins.release.monitor_memory import Counted
from mmcicd_jenkins.release.serving_counters import read_copy


class Texts(Protocol):
    """Gives the metrics of one pod."""

    def text(self, copy: Copy) -> str: ...


class PodCounters:
    """The copies of one namespace. Without `texts` nobody is asked: then somebody else keeps their counters."""

    def __init__(self, api: Lists, texts: Texts | None, clock: Clock) -> None:
        self._api = api
        self._texts = texts
        self._clock = clock

    def read(self, model: str, versions: Sequence[int], bins: int) -> tuple[Counted, ...]:
        """As the port says. A copy may go between two calls: then it is looked at once more who is there."""
        try:
            return self._read(model, versions, bins)
        except OutsideFailed as e:
            if not e.retryable:
                raise
            return self._read(model, versions, bins)

    def _read(self, model: str, versions: Sequence[int], bins: int) -> tuple[Counted, ...]:
        wanted = {str(version): version for version in versions}
        pods = [p for p in self._api.list("Pod", {NAME: model}) if _label(p) in wanted and not _ends(p)]
        ready = {copy.name.partition("#")[0]: copy for copy in ready_copies(pods)} if self._texts else {}
        asked = together(self._texts.text, list(ready.values()), AT_ONCE) if self._texts else []
        texts = dict(zip(ready, asked, strict=True))
        at = self._clock.now().timestamp()
        return tuple(_counted(pod, model, wanted[_label(pod)], texts, at, bins) for pod in pods)


def _counted(
    pod: Mapping[str, Any], model: str, version: int, texts: Mapping[str, str], at: float, bins: int
) -> Counted:
    name, restarts = pod["metadata"]["name"], restarts_of(pod)
    if name not in texts:
        reading = Reading(at=at, version=version, ready=False, restarts=restarts)
        return Counted(copy=name, began=_began(pod), asked=False, reading=reading)
    reading = read_copy(texts[name], model, version, at=at, bins=bins, restarts=restarts)
    return Counted(copy=name, began=_began(pod), reading=reading)


def _label(pod: Mapping[str, Any]) -> str:
    return str((pod["metadata"].get("labels") or {}).get(POD_VERSION, ""))


def _ends(pod: Mapping[str, Any]) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def _began(pod: Mapping[str, Any]) -> float:
    """When it was made, by the cluster's clock; 0 when it does not tell."""
    try:
        return datetime.fromisoformat(pod["metadata"]["creationTimestamp"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return 0.0
