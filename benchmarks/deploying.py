"""One deployment into a cluster as the command does it, but for the cluster's own time: FOLDER RUN.

From the configuration: rendered, checked by the cluster, fenced, applied, noted. Its Deployment wants no copies, and
nobody waits for any. With FILE NAMESPACE besides, its documents are written there for whoever applies them otherwise.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from mmcicd_jenkins.adapters.kubernetes import annotations
from mmcicd_jenkins.adapters.kubernetes.annotations import Fence
from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.connection import connect
from mmcicd_jenkins.adapters.kubernetes.switching import Switching
from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.ports import Switch
from mmcicd_jenkins.render.kubernetes import render_manifest

MODEL = "churn"
IMAGE = "registry.acme.example/ml/churn@sha256:{:064x}"


class NoWait:
    """`Waiting` of somebody who does not."""

    def until_alone(self, wanted: Any) -> None:
        pass

    def until_none(self, model: str, track: str = "") -> None:
        pass


def documents(folder: Path, run: int) -> tuple[Any, ...]:
    config = load_config(folder, environ={})
    rendered = render_manifest(
        config, config.models[MODEL], config.environments["production"], run + 1, IMAGE.format(run)
    )
    return tuple(
        {**one, "spec": {**one["spec"], "replicas": 0}} if one["kind"] == "Deployment" else one
        for one in rendered
    )


def deploy(folder: Path, run: int) -> None:
    place = load_config(folder, environ={}).environments["production"]
    manifest = documents(folder, run)
    api = Api(connect(place, os.environ, "mmcicd.yaml:1:1"), place.namespace)
    order = Switch(
        model=MODEL,
        version=run + 1,
        epoch=run + 1,
        op_id=f"operation {run}",
        layers=(),
        manifest=manifest,
        seal={"payload": "as long as one is" * 20},
    )
    api.validate(manifest)
    before = annotations.read_or_fence(api.get("Deployment", f"{MODEL}-stable"))
    steps = Switching(api, NoWait(), MODEL, Fence(epoch=order.epoch, op_id=order.op_id))
    steps.serve(annotations.told_to(before, order))


def write(folder: Path, run: int, file: Path, namespace: str) -> None:
    moved = [
        {**one, "metadata": {**one["metadata"], "namespace": namespace}} for one in documents(folder, run)
    ]
    file.write_text(json.dumps(moved))


if __name__ == "__main__":
    if len(sys.argv) > 3:
        write(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
    else:
        deploy(Path(sys.argv[1]), int(sys.argv[2]))
