"""Every step that our own code takes in a cluster, by account: what rights are tried with.

`steps(place)` gives functions by name in the order in which they are taken; each is one that a stage takes through its
ports. Nothing here knows what an account may do.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.canary import KubernetesCanary
from mmcicd_jenkins.adapters.kubernetes.look import Look
from mmcicd_jenkins.adapters.kubernetes.monitor_memory import ConfigMapMemory
from mmcicd_jenkins.adapters.kubernetes.offline import OfflineKubernetesTarget
from mmcicd_jenkins.adapters.kubernetes.pod_counters import PodCounters
from mmcicd_jenkins.adapters.kubernetes.target import KubernetesTarget
from mmcicd_jenkins.config.model import Config, Environment
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.ports import Switch
from mmcicd_jenkins.release.canary_notes import Notes
from mmcicd_jenkins.release.desired import TakenBack
from mmcicd_jenkins.release.rollout import Limits
from mmcicd_jenkins.render.kubernetes import render_manifest

IMAGE = "registry.example/ml/churn@sha256:{:064x}"
BAD = "registry.example/ml/churn@sha256:" + "bad".rjust(64, "0")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Quiet:
    """`ports.Progress` and `ports.Clock` that say nothing."""

    def line(self, text: str) -> None:
        pass

    def update(self, text: str, done: float | None = None) -> None:
        pass

    def now(self) -> datetime:
        return NOW

    def sleep(self, seconds: float) -> None:
        pass


@dataclass(frozen=True)
class Steps:
    """A place, and the way to its cluster as some account."""

    config: Config
    place: Environment
    api: Api
    look: Look
    limits: Limits
    image: Callable[[int], str] = IMAGE.format
    bad: str = BAD

    def order(self, version: int, epoch: int, image: str = "", **changed: Any) -> Switch:
        place = dataclasses.replace(self.place, **changed)
        image = image or self.image(version)
        manifest = render_manifest(self.config, self.config.models["churn"], place, version, image)
        return Switch(
            model="churn", version=version, epoch=epoch, op_id=f"o{epoch}", layers=(), manifest=manifest
        )

    @property
    def target(self) -> KubernetesTarget:
        return KubernetesTarget(self.place, self.api, Quiet(), limits=self.limits)

    @property
    def canary(self) -> KubernetesCanary:
        return KubernetesCanary(self.place, self.api, Quiet(), limits=self.limits)

    def deploy(self, version: int, epoch: int, **changed: Any) -> None:
        self.target.switch(self.order(version, epoch, **changed))
        assert self.target.observe("churn").version == version

    def fail(self, version: int, epoch: int) -> None:
        """What does not come says why, with the last lines of its log."""
        with pytest.raises(OutsideFailed) as caught:
            self.target.switch(self.order(version, epoch, self.bad))
        assert "may not" not in caught.value.what, caught.value.what

    def step(self, version: int, epoch: int) -> None:
        order = self.order(version, epoch)
        self.canary.advance(order, 0, 1)
        self.canary.note(order, Notes(step=0))
        assert self.canary.state("churn")
        PodCounters(self.api, None, Quiet()).read("churn", [version], 10)

    def take_back(self, left: int, to: int, epoch: int) -> None:
        offline = OfflineKubernetesTarget(self.place, self.api, Quiet(), limits=self.limits)
        offline.remember("churn")
        offline.take_back("churn", TakenBack(left=left, to=to, epoch=epoch, at="", actor="a"))
        offline.forget("churn")

    def remember(self) -> None:
        memory = ConfigMapMemory(self.api, self.place.name, Quiet())
        kept = memory.read("churn")
        memory.write("churn", {"seen": 1}, kept.revision, "looked")

    def doctor(self) -> None:
        self.look.reach()
        assert self.look.namespace() is not None
        assert self.look.quotas() is not None


def of_the_deployer(steps: Steps) -> Mapping[str, Callable[[], Any]]:
    """From the first deployment to a last withdrawal."""
    return {
        "deploy": lambda: steps.deploy(1, 1),
        "deploy without an autoscaler": lambda: steps.deploy(2, 2, autoscale_max=0),
        "take back": lambda: steps.take_back(2, 1, 3),
        "canary": lambda: steps.step(3, 4),
        "end the canary": lambda: steps.canary.remove("churn", 4, "o4"),
        "fail": lambda: steps.fail(5, 5),
        "remember": steps.remember,
        "withdraw": lambda: steps.target.withdraw("churn", 6),
    }


def of_the_monitor(steps: Steps) -> Mapping[str, Callable[[], Any]]:
    """One look, and the next."""
    return {
        "observe": lambda: steps.target.observe("churn"),
        "count": lambda: PodCounters(steps.api, None, Quiet()).read("churn", [1], 10),
        "remember": steps.remember,
        "remember again": steps.remember,
    }
