"""An environment of kind kubernetes on the stand-in for a cluster: targets, orders, and a way to be killed at any call.

`with place(folder) as paper:`, then `paper.switch(7, 1)`. Pods are there and ready as soon as they are wanted, but for
images named in `paper.standin.broken`.
"""

import contextlib
import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubernetes_standin import StandIn, serving

from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.connection import connect
from mmcicd_jenkins.adapters.kubernetes.offline import OfflineKubernetesTarget
from mmcicd_jenkins.adapters.kubernetes.target import KubernetesTarget
from mmcicd_jenkins.adapters.kubernetes.tries import Patience
from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.config.model import Config, Environment
from mmcicd_jenkins.errors import MmcicdError
from mmcicd_jenkins.ports import Switch
from mmcicd_jenkins.release.desired import TakenBack
from mmcicd_jenkins.release.rollout import Limits
from mmcicd_jenkins.release.tracks import as_track
from mmcicd_jenkins.render.kubernetes import render_manifest

MODEL = "churn"
IMAGE = "registry.example/ml/churn@sha256:{:064x}"
LIMITS = Limits(stall_seconds=1.5, patience_seconds=0.7)


class Killed(BaseException):
    """As `kill -9`: no handler of ours sees it."""


class Mortal:
    """The calls of an `Api`; the `nth` of them is the last. `made` counts them."""

    def __init__(self, api: Api, nth: int) -> None:
        self._api = api
        self._left = nth
        self.made = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._api, name)
        if not callable(found):
            return found

        def call(*words: Any, **named: Any) -> Any:
            self._left -= 1
            self.made += 1
            if self._left == 0:
                with contextlib.suppress(MmcicdError):
                    found(*words, **named)
                raise Killed
            return found(*words, **named)

        return call


@dataclass
class Paper:
    standin: StandIn
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    model: str = MODEL
    told: list[str] = field(default_factory=list)
    _configs: dict[str, Config] = field(default_factory=dict)

    # ports.Progress
    def line(self, text: str) -> None:
        self.told.append(text)

    def update(self, text: str, done: float | None = None) -> None:
        pass

    @property
    def api(self) -> Api:
        variables = {"KUBECONFIG": str(self.standin.kubeconfig(self.folder))}
        connection = connect(self.place(), variables, "mmcicd.yaml:1:1")
        return Api(connection, "ml", patience=Patience(budget=5, tries=2, pause=0.05))

    def config(self, **changed: Any) -> Config:
        settings = {
            "kind": "kubernetes",
            "cluster": self.standin.address,
            "namespace": "ml",
            "replicas": 2,
            **self.settings,
            **changed,
        }
        model = {"train": "true", "evaluate": {"command": "true"}, "gates": ["accuracy >= 0.9"]}
        text = json.dumps({"models": {self.model: model}, "environments": {"production": settings}})
        if text not in self._configs:
            (self.folder / "mmcicd.yaml").write_text(text)
            self._configs[text] = load_config(self.folder, environ={})
        return self._configs[text]

    def place(self, **changed: Any) -> Environment:
        return self.config(**changed).production

    def manifest(self, version: int, *, good: bool = True, **changed: Any) -> tuple[Any, ...]:
        config = self.config(**changed)
        image = IMAGE.format(version) if good else f"registry.example/ml/churn@sha256:bad{version:061x}"
        return render_manifest(config, config.models[self.model], config.production, version, image)

    def order(self, version: int, epoch: int, *, takes_back: bool = False, **changed: Any) -> Switch:
        manifest = self.manifest(version, **changed)
        return Switch(
            model=self.model,
            version=version,
            epoch=epoch,
            op_id=f"op {epoch}",
            layers=(),
            manifest=manifest,
            seal={"payload": f"of {version}"},
            takes_back=takes_back,
        )

    def target(self, api: Any = None) -> KubernetesTarget:
        return KubernetesTarget(self.place(), api or self.api, self, limits=LIMITS)

    def offline(self, api: Any = None, **more: Any) -> OfflineKubernetesTarget:
        return OfflineKubernetesTarget(self.place(), api or self.api, self, limits=LIMITS, **more)

    def switch(self, version: int, epoch: int, *, takes_back: bool = False, **changed: Any) -> None:
        self.target().switch(self.order(version, epoch, takes_back=takes_back, **changed))

    def take_back(self, left: int, to: int, epoch: int) -> TakenBack:
        return TakenBack(left=left, to=to, epoch=epoch, at="2026-01-01T00:00:00Z", actor="somebody")

    def canary(self, version: int, epoch: int, copies: int = 1) -> None:
        """Copies of a canary, as if a step of one had put them there."""
        document = json.loads(json.dumps(as_track(self.manifest(version), "canary", copies)))
        document["metadata"]["annotations"] = {
            "mmcicd.io/epoch": str(epoch),
            "mmcicd.io/op-id": f"op {epoch}",
        }
        self.standin.put(document)

    def object(self, kind: str, name: str) -> Any:
        return self.standin.object(kind, name)

    def again(self, objects: dict[Any, Any]) -> None:
        """As it was when these were all objects."""
        self.standin.objects = copy.deepcopy(objects)

    def state(self) -> Any:
        """All that stands in the end, but for what each write changes."""
        left_out = {"resourceVersion", "uid", "creationTimestamp", "managedFields", "generation"}
        found = {}
        for (plural, _, name), document in self.standin.objects.items():
            if plural in {"pods", "namespaces", "events"}:
                continue
            metadata = {k: v for k, v in document["metadata"].items() if k not in left_out}
            found[plural, name] = {**metadata, "spec": document["spec"]}
        return found


@contextlib.contextmanager
def place(folder: Path, **settings: Any) -> Iterator[Paper]:
    """A cluster with nothing of ours in it."""
    with serving() as standin:
        standin.broken["sha256:bad"] = "CrashLoopBackOff"
        yield Paper(standin, folder, settings)
