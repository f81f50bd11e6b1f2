"""Live traffic as the pods themselves count it: `ports.rollout.LiveMetrics` where no Prometheus is named.

For agents that reach the addresses of pods. Only pods that are ready are asked; one that is and does not answer is an
error, because what it would say may be what matters.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from mmcicd_jenkins.adapters.bounded_web import Bounds, NoAnswerError, get
from mmcicd_jenkins.adapters.kubernetes.annotations import NAME, TRACK
from mmcicd_jenkins.adapters.together import together
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.image.start import REST_PORT
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.serving_text import Counted, counted
from mmcicd_jenkins.release.traffic import LiveCounters

PATH = "/monitoring/prometheus/metrics"
# One server's text is some 20 KiB for each model.
LARGEST = 4 * 2**20
# Less than a build that is stopped is given to end in.
SECONDS = 3.0
AT_ONCE = 16


class Lists(Protocol):
    """What is needed of a cluster."""

    def list(self, kind: str, selector: Mapping[str, str]) -> list[dict[str, Any]]: ...


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A pod that is ready. Its name changes when its container is started again, because its counters do."""

    name: str
    address: str


class PodTraffic:
    """Implements `ports.rollout.LiveMetrics` by asking each pod."""

    def __init__(self, api: Lists, *, port: int = REST_PORT, seconds: float = SECONDS) -> None:
        self._api = api
        self._port = port
        self._bounds = Bounds(seconds=seconds, bytes=LARGEST)

    def read(self, model: str, role: str) -> LiveCounters:
        """Raises `OutsideFailed` when the cluster or a ready pod does not answer."""
        copies = ready_copies(self._api.list("Pod", {NAME: model, TRACK: role}))
        texts = together(self.text, copies, AT_ONCE)
        counts: dict[str, Counted] = {
            copy.name: counted(text, model) for copy, text in zip(copies, texts, strict=True)
        }
        return LiveCounters(
            requests={name: one.requests for name, one in counts.items()},
            errors={name: one.errors for name, one in counts.items()},
            latency={name: one.latency for name, one in counts.items()},
        )

    def text(self, copy: Copy) -> str:
        """What one copy says of itself; raises `OutsideFailed` when it does not."""
        host = f"[{copy.address}]" if ":" in copy.address else copy.address
        url = f"http://{host}:{self._port}{PATH}"
        try:
            got = get(url, self._bounds, {})
        except NoAnswerError as e:
            raise OutsideFailed(
                "a pod that is ready does not give its metrics",
                where=f"pod/{copy.name.partition('#')[0]}, {url}",
                why=e.why,
                fix="where agents do not reach pods, name a Prometheus: environments.ENVIRONMENT.monitor.prometheus",
                retryable=e.may_pass,
            ) from e
        if got.status != 200:
            raise OutsideFailed(
                "a pod gives no metrics",
                where=f"pod/{copy.name.partition('#')[0]}, {url}",
                why=f"status {got.status}",
                fix="image.monitoring: true starts TensorFlow Serving with them",
            )
        return got.body.decode("utf-8", "replace")


def ready_copies(pods: list[dict[str, Any]]) -> list[Copy]:
    """Those that take requests, by name; what is about to go is left out."""
    found = []
    for pod in pods:
        status = pod.get("status") or {}
        conditions = {c.get("type"): c.get("status") for c in status.get("conditions") or []}
        address = status.get("podIP") or ""
        if conditions.get("Ready") == "True" and address and not pod["metadata"].get("deletionTimestamp"):
            found.append(Copy(name=f"{pod['metadata']['name']}#{restarts_of(pod)}", address=address))
    return sorted(found, key=lambda copy: copy.name)


def restarts_of(pod: Mapping[str, Any]) -> int:
    """How often containers of a pod were started again."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return sum(int(one.get("restartCount") or 0) for one in statuses)
