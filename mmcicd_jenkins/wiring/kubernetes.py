"""The part of `wiring` that opens what stands behind an environment of kind kubernetes.

Adapters are imported when a cluster is first asked: commands that touch none do not wait for them. One way into each
cluster is kept as long as the command runs.
"""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from mmcicd_jenkins.config.model import Config, Environment, Model
from mmcicd_jenkins.config.training_model import TrainingJob
from mmcicd_jenkins.ports import Progress, Target
from mmcicd_jenkins.ports.offline import OfflineTarget
from mmcicd_jenkins.ports.rollout import CanaryTarget, LiveMetrics, PreviewTarget
from mmcicd_jenkins.ports.training import Trainings
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.dsse import Authority
from mmcicd_jenkins.release.seal import Manifest, Sealed, check_seal, image_digest, manifest_digest

if TYPE_CHECKING:
    from mmcicd_jenkins.adapters.kubernetes.annotations import Carried
    from mmcicd_jenkins.adapters.kubernetes.api import Api
    from mmcicd_jenkins.release.object_changes import ObjectChange


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """`authority` says whose seals count; it is asked when something is put back without the ledger. `seconds` is how long
    a call may take for somebody who only looks; 0: as long as a change is worth.
    """

    config: Config
    variables: Mapping[str, str]
    progress: Progress
    authority: Callable[[], Authority]
    seconds: float = 0.0
    _opened: "dict[str, Api]" = field(default_factory=dict)

    def api(self, place: Environment, key: str = "") -> "Api":
        """The way into the cluster of an environment.

        Raises:
            InputError: there is no login for it, or it leads to another cluster.
        """
        if place.name not in self._opened:
            from mmcicd_jenkins.adapters.kubernetes.api import Api
            from mmcicd_jenkins.adapters.kubernetes.connection import connect
            from mmcicd_jenkins.adapters.kubernetes.tries import Patience

            seconds = self.seconds
            patience = Patience(budget=seconds, connect=seconds / 2, stall=seconds) if seconds else Patience()
            mark = self.config.mark(key or f"environments.{place.name}.cluster")
            connection = connect(place, self.variables, mark)
            self._opened[place.name] = Api(
                connection, place.namespace, warn=self.progress.line, patience=patience
            )
        return self._opened[place.name]

    def trainings(self, model: Model) -> Trainings | None:
        """Trainings of a model in the cluster that it names; None where they run here, as in the pod of one."""
        from mmcicd_jenkins.render.training_job import INSIDE, PASSED

        settings = model.train.job
        if settings is None or self.variables.get(INSIDE):
            return None
        from mmcicd_jenkins.adapters.kubernetes.training import JobTrainings

        place = training_place(model.name, settings)
        passed = {name: self.variables[name] for name in PASSED if name in self.variables}
        return JobTrainings(
            self.api(place, f"models.{model.name}.train.job.cluster"), self.progress.line, passed
        )

    def changes(self, place: Environment, manifest: Manifest) -> "tuple[ObjectChange, ...]":
        """What the cluster says that it would change; nothing is changed."""
        from mmcicd_jenkins.adapters.kubernetes.diff import live_changes

        return live_changes(self.api(place), manifest)

    def target(self, place: Environment) -> Target:
        from mmcicd_jenkins.adapters.kubernetes.target import KubernetesTarget

        return KubernetesTarget(place, self.api(place), self.progress)

    def preview(self, place: Environment) -> PreviewTarget | None:
        """None but for two colours."""
        if place.kind == "local" or place.strategy.kind != "blue-green":
            return None
        from mmcicd_jenkins.adapters.kubernetes.target import KubernetesTarget

        return KubernetesTarget(place, self.api(place), self.progress)

    def canary(self, place: Environment) -> CanaryTarget | None:
        """None for an environment of this machine: its one server has no copies to share traffic with."""
        if place.kind == "local":
            return None
        from mmcicd_jenkins.adapters.kubernetes.canary import KubernetesCanary

        return KubernetesCanary(place, self.api(place), self.progress)

    def live(self, place: Environment) -> LiveMetrics:
        """What traffic says: as a Prometheus has it where one is named, else as the pods count it themselves."""
        if place.monitor.prometheus:
            from mmcicd_jenkins.adapters.prometheus import Prometheus, PrometheusTraffic

            return PrometheusTraffic(Prometheus(place.monitor.prometheus, self.variables), place.namespace)
        from mmcicd_jenkins.adapters.kubernetes.pod_metrics import PodTraffic
        from mmcicd_jenkins.render.proxy import metrics_port

        return PodTraffic(self.api(place), port=metrics_port(place))

    def offline(self, place: Environment) -> OfflineTarget:
        from mmcicd_jenkins.adapters.kubernetes.offline import OfflineKubernetesTarget

        def check(model: str, carried: "Carried") -> None:
            what = Sealed(
                model=model,
                environment=place.name,
                version=carried.version,
                manifest=manifest_digest(carried.manifest),
                image=image_digest(carried.manifest, model),
            )
            where = f"version {carried.version} of {model} in {place.name}"
            check_seal(carried.seal, what, self.authority(), where)

        return OfflineKubernetesTarget(place, self.api(place), self.progress, check_seal=check)


def training_place(model: str, settings: TrainingJob) -> Environment:
    """The place of a training, as what opens a cluster takes it. No name of an environment has a blank."""
    return Environment(
        name=f"training of {model}", kind="kubernetes", cluster=settings.cluster, namespace=settings.namespace
    )
