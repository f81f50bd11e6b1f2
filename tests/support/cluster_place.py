"""A place in a real cluster with everything that a target of ours needs; it knows nothing of pytest.

`place = Place(cluster, namespace, serving)`, then `place.switch("churn", 7, epoch=1)` brings a version of
`cluster_serving` there by the adapter itself, with the manifest that `render` makes of a small configuration.
"""

import json
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from cluster_serving import Serving
from cluster_tool import Cluster

from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.connection import connect
from mmcicd_jenkins.adapters.kubernetes.offline import OfflineKubernetesTarget
from mmcicd_jenkins.adapters.kubernetes.target import KubernetesTarget
from mmcicd_jenkins.config.load import load
from mmcicd_jenkins.ports import Switch
from mmcicd_jenkins.release.rollout import Limits
from mmcicd_jenkins.render.kubernetes import render_manifest


@dataclass
class Lines:
    """`ports.Progress` that keeps what it is told."""

    told: list[str] = field(default_factory=list)

    def line(self, text: str) -> None:
        self.told.append(text)

    def update(self, text: str, done: float | None = None) -> None:
        pass


QUICK = {"drain": "2s", "longest_request": "1s", "min_ready": "1s", "start_timeout": "30s"}


@dataclass
class Place:
    cluster: Cluster
    namespace: str
    serving: Serving
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    model_settings: dict[str, Any] = field(default_factory=dict)
    stall_seconds: float = 40.0
    patience_seconds: float = 15.0
    progress: Lines = field(default_factory=Lines)

    @cached_property
    def api(self) -> Api:
        variables = {**os.environ, "KUBECONFIG": self.cluster.kubeconfig}
        return Api(connect(self.environment(), variables, "mmcicd.yaml:1:1"), self.namespace)

    def environment(self, **changed: Any) -> Any:
        return self.config(**changed).environments["production"]

    def config(self, **changed: Any) -> Any:
        settings = {
            "kind": "kubernetes",
            "cluster": self.cluster.server,
            "namespace": self.namespace,
            "replicas": 2,
            "pods": QUICK,
            **self.settings,
            **changed,
        }
        model = {
            "data": {"rows": {"url": "https://data.example/rows.csv", "label": "y", "test_size": 0.2}},
            "train": "true",
            "evaluate": "binary",
            "gates": ["roc_auc >= 0.5"],
            "serving": {"cpu": 0.01, "memory": "32Mi"},
            **self.model_settings,
        }
        document = {
            "models": {"churn": model},
            "environments": {"staging": {}, "production": settings},
            "store": {"registry": self.serving.root},
        }
        self.folder.mkdir(exist_ok=True)
        path = self.folder / "mmcicd.yaml"
        path.write_text(json.dumps(document))
        return load(path).config

    def manifest(self, version: int, image: str = "", *, double: Any = None, **changed: Any) -> Any:
        config = self.config(**changed)
        image = image or self.serving.put("churn", version, **(double or {}))
        return render_manifest(
            config, config.models["churn"], config.environments["production"], version, image
        )

    def target(self, **changed: Any) -> KubernetesTarget:
        limits = Limits(stall_seconds=self.stall_seconds, patience_seconds=self.patience_seconds)
        return KubernetesTarget(self.environment(**changed), self.api, self.progress, limits=limits)

    def offline(self) -> OfflineKubernetesTarget:
        limits = Limits(stall_seconds=self.stall_seconds, patience_seconds=self.patience_seconds)
        return OfflineKubernetesTarget(self.environment(), self.api, self.progress, limits=limits)

    def order(self, version: int, epoch: int, manifest: Any, *, takes_back: bool = False) -> Switch:
        return Switch(
            model="churn",
            version=version,
            epoch=epoch,
            op_id=f"operation {epoch}",
            layers=(),
            manifest=manifest,
            takes_back=takes_back,
        )

    def switch(self, version: int, epoch: int, manifest: Any = None, *, takes_back: bool = False) -> None:
        self.target().switch(
            self.order(version, epoch, manifest or self.manifest(version), takes_back=takes_back)
        )

    def live(self, kind: str, name: str) -> Any:
        return self.cluster.get(kind, name, f"--namespace={self.namespace}")
