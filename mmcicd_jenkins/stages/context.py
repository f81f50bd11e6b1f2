"""What every stage is given and gives back: the job, the ports, the workspace, the outcome."""

import dataclasses
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Protocol

from mmcicd_jenkins import ports as p
from mmcicd_jenkins.config.lock import Lock
from mmcicd_jenkins.config.model import Config, Environment, Model
from mmcicd_jenkins.errors import GateRefused, Inconclusive
from mmcicd_jenkins.ports.builder import Builder
from mmcicd_jenkins.ports.images import BaseImages
from mmcicd_jenkins.ports.ledger import Ledger
from mmcicd_jenkins.ports.offline import OfflineTarget
from mmcicd_jenkins.ports.rollout import CanaryTarget, LiveMetrics, PreviewTarget
from mmcicd_jenkins.ports.store import Store
from mmcicd_jenkins.ports.training import Trainings
from mmcicd_jenkins.ports.trial import Trial
from mmcicd_jenkins.ports.watching import Counters, History, MonitorMemory
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.dsse import Authority
from mmcicd_jenkins.release.history import Who
from mmcicd_jenkins.release.runs import short
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.stages.workspace import Workspace
from mmcicd_jenkins.stages.zones import Zone


class Ports(Protocol):
    """Everything outside. `target` gives the target of an environment; `throwaway` one for `verify`.

    An adapter may be made when its port is first used: a stage names only the ports that it needs.
    """

    @property
    def authority(self) -> Authority: ...

    @property
    def checkout(self) -> p.Checkout: ...

    @property
    def ledger(self) -> Ledger: ...

    @property
    def store(self) -> Store: ...

    @property
    def bases(self) -> BaseImages: ...

    @property
    def commands(self) -> p.Commands: ...

    @property
    def environments(self) -> p.Environments: ...

    @property
    def sources(self) -> p.DataSources: ...

    @property
    def saved_models(self) -> p.SavedModels: ...

    @property
    def evaluator(self) -> p.Evaluator: ...

    @property
    def reports(self) -> p.Reports: ...

    @property
    def client(self) -> p.ModelClient: ...

    @property
    def clock(self) -> p.Clock: ...

    @property
    def progress(self) -> p.Progress: ...

    @property
    def builder(self) -> Builder: ...

    def target(self, environment: Environment) -> p.Target: ...

    def offline(self, environment: Environment) -> OfflineTarget: ...

    def canary(self, environment: Environment) -> CanaryTarget | None:
        """The part of an environment that holds a canary; None where there cannot be one."""

    def preview(self, environment: Environment) -> PreviewTarget | None:
        """Where a version is ready before requests come to it; None where it comes in the place of another."""

    def live(self, environment: Environment) -> LiveMetrics: ...

    def counters(self, environment: Environment) -> Counters: ...

    def history(self, environment: Environment) -> History | None:
        """Where somebody has kept the counters of an environment all along; None: nobody has."""

    def monitor_memory(self, environment: Environment) -> MonitorMemory: ...

    def trainings(self, model: Model) -> Trainings | None:
        """Where the model's trainings run when not here; None: here."""

    def throwaway(self, folder: Path, *, runnable: bool) -> Trial:
        """A server of its own for one look; `runnable`: the image has a base, so that a container can be made of it."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One stage for one model. `actor` is who acts, `builder` the build URL or the laptop, `zone` the side it runs on.

    `requesters` are those who started what `actor` now approves. `answered`: Jenkins asked, and took the answer from
    those alone whom it knows as approvers; groups are known to nobody but Jenkins. `looks_only`: a monitor that must not
    act, because whoever runs it may not deploy. `in_cluster`: this is the pod of a training, whose log is all that
    anybody sees of it; `worker` counts its pods, of which the first stores the model.
    """

    config: Config
    lock: Lock
    model: Model
    workspace: Workspace
    actor: str
    builder: str
    zone: Zone = "trusted"
    requesters: tuple[str, ...] = ()
    answered: bool = False
    environment: str = ""
    version: int | None = None
    reason: str = ""
    again: bool = False
    looks_only: bool = False
    in_cluster: bool = False
    worker: int = 0

    @property
    def root(self) -> Path:
        return self.config.root

    @property
    def place(self) -> Environment:
        """The environment the job is about; production when none was named."""
        return self.config.environments[self.environment] if self.environment else self.config.production

    def who(self, clock: p.Clock, reason: str = "") -> Who:
        return Who(actor=self.actor, at=timestamp(clock), reason=reason or self.reason)

    def at(self, environment: str) -> "Job":
        return dataclasses.replace(self, environment=environment)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a stage did, in one sentence and as data.

    `found` is True when the work was there already. A verdict other than passed ends the pipeline with
    the exit code of DESIGN section 3.
    """

    stage: str
    sentence: str
    found: bool = False
    verdict: Verdict = Verdict.PASSED
    detail: Mapping[str, object] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        if self.verdict is Verdict.FAILED:
            return GateRefused.exit_code
        return Inconclusive.exit_code if self.verdict is Verdict.INCONCLUSIVE else 0

    def to_json(self) -> dict[str, object]:
        return {
            "stage": self.stage,
            "sentence": self.sentence,
            "found": self.found,
            "verdict": str(self.verdict),
            "exit_code": self.exit_code,
            **self.detail,
        }


def timestamp(clock: p.Clock) -> str:
    """Now, in ISO 8601 with seconds and zone."""
    return clock.now().isoformat(timespec="seconds")


def how_it_ended(command: str, finished: p.Finished) -> str:
    """How a team's command failed, in words; the numbers alone say little at night."""
    if finished.timed_out or finished.status < 0:
        return f"{command}: {finished.why}"
    return f"{command} exited {finished.status}" + (f": {finished.why}" if finished.why else "")


__all__ = ["Job", "Outcome", "Ports", "Verdict", "Workspace", "how_it_ended", "short", "timestamp"]
