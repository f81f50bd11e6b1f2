"""A real API server takes every object of the golden stories at `restricted`, and gives back what was sent.

Nothing is stored: each object is sent as a dry run. Of what the server adds, all must be its own choice (addresses,
ports), never a default that we left unsaid.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster import Cluster, cluster, namespace

__all__ = ["cluster", "namespace"]

pytestmark = pytest.mark.real

STORIES = Path(__file__).parents[1] / "golden"
MANIFESTS = sorted(STORIES.glob("*/expected/kubernetes/*/*.yaml"))
# What only a server can decide; `replicas` stands in the autoscaler's place until that has counted.
CHOSEN = {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "nodePort", "replicas"}
OF_EVERY_OBJECT = {"managedFields", "uid", "creationTimestamp", "resourceVersion", "generation", "status"}


def test_there_are_stories() -> None:
    assert len(MANIFESTS) >= 7


def test_what_is_sent_is_what_is_there(cluster: Cluster, namespace: Callable[..., str]) -> None:
    place = namespace()
    for file in MANIFESTS:
        sent = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
        for document in sent:
            document["metadata"]["namespace"] = place
        options = ("--server-side", "--dry-run=server", "--output=json", "--filename=-", "--field-manager=t")
        answer = cluster.run("apply", *options, stdin=yaml.safe_dump_all(sent))
        assert answer.returncode == 0, (file, answer.stderr)
        # Pods that are not restricted are admitted as templates, with a warning.
        assert "Warning" not in answer.stderr, (file, answer.stderr)
        found = json.loads(answer.stdout)["items"]
        for ours, theirs in zip(sent, found, strict=True):
            assert list(differences(ours, theirs, ours["kind"])) == [], file


def differences(ours: Any, theirs: Any, path: str) -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in (theirs.keys() - ours.keys()) - CHOSEN - OF_EVERY_OBJECT:
            yield f"{path}.{key} was left unsaid: {theirs[key]}"
        for key, value in ours.items():
            yield from differences(value, theirs.get(key), f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(one, other, f"{path}[{index}]")
    elif ours != theirs:
        yield f"{path}: sent {ours}, found {theirs}"
