"""What a monitor looks by, for one environment: counters, a history where there is one, and its memory."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.ports import Clock, ModelClient, Target
from mmcicd_jenkins.ports.watching import Counters, History, MonitorMemory
from mmcicd_jenkins.records import dataclass

if TYPE_CHECKING:
    from mmcicd_jenkins.adapters.kubernetes.api import Api


@dataclass(frozen=True, kw_only=True)
class Watching:
    """Opens them; `api` is the way to the cluster of an environment, `folder` is where memories of this machine are."""

    variables: Mapping[str, str]
    folder: Path
    clock: Clock
    client: Callable[[], ModelClient]
    target: Callable[[Environment], Target]
    api: Callable[[Environment], "Api"]

    def counters(self, place: Environment) -> Counters:
        if place.kind == "local":
            from mmcicd_jenkins.adapters.local.counters import ServerCounters

            return ServerCounters(self.client(), lambda: self.target(place), self.clock)
        from mmcicd_jenkins.adapters.kubernetes.pod_counters import PodCounters
        from mmcicd_jenkins.adapters.kubernetes.pod_metrics import PodTraffic
        from mmcicd_jenkins.render.proxy import metrics_port

        api = self.api(place)
        # Where a Prometheus keeps the counters, agents need not reach the pods.
        texts = None if place.monitor.prometheus else PodTraffic(api, port=metrics_port(place))
        return PodCounters(api, texts, self.clock)

    def history(self, place: Environment) -> History | None:
        if place.kind == "local" or not place.monitor.prometheus:
            return None
        from mmcicd_jenkins.adapters.kubernetes.prometheus_history import PrometheusHistory
        from mmcicd_jenkins.adapters.prometheus import Prometheus

        prometheus = Prometheus(place.monitor.prometheus, self.variables)
        return PrometheusHistory(prometheus, self.api(place), place.namespace)

    def memory(self, place: Environment) -> MonitorMemory:
        if place.kind == "local":
            from mmcicd_jenkins.adapters.local.monitor_memory import MemoryFiles

            return MemoryFiles(self.folder / place.name)
        from mmcicd_jenkins.adapters.kubernetes.monitor_memory import ConfigMapMemory

        return ConfigMapMemory(self.api(place), place.name, self.clock)
