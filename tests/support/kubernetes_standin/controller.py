"""Deployments become pods: all that are asked for, ready at once, unless the image is one that is broken.

As a rolling update with `maxUnavailable: 0` does it: of a broken version one pod stands beside the old ones, which stay.
"""

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

NOW = "2026-01-01T00:00:00Z"


def settled(
    deployment: dict[str, Any], pods: list[dict[str, Any]], broken: Mapping[str, str]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The status and the pods that a Deployment has in the end."""
    spec = deployment["spec"]
    wanted = spec.get("replicas", 1)
    marked = _hash(spec["template"])
    new = [pod for pod in pods if pod["metadata"]["labels"]["pod-template-hash"] == marked]
    old = [pod for pod in pods if pod not in new]
    image = spec["template"]["spec"]["containers"][0].get("image", "")
    why = next((reason for part, reason in broken.items() if part in image), None)
    if why is None or not wanted:
        kept = [pod for pod in new if _ready(pod)][:wanted]
        kept += [_pod(deployment, marked, None) for _ in range(wanted - len(kept))]
    else:
        old = [pod for pod in old if _ready(pod)]
        kept = old + [pod for pod in new if not _ready(pod)][:1]
        if len(kept) == len(old):
            kept.append(_pod(deployment, marked, why))
    ready = sum(map(_ready, kept))
    updated = sum(pod["metadata"]["labels"]["pod-template-hash"] == marked for pod in kept)
    return _status(deployment, len(kept), ready, updated, done=ready == wanted == updated), kept


def _status(
    deployment: dict[str, Any], count: int, ready: int, updated: int, *, done: bool
) -> dict[str, Any]:
    reason = "NewReplicaSetAvailable" if done else "ReplicaSetUpdated"
    counts = {
        "replicas": count,
        "updatedReplicas": updated,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": count - ready,
    }
    return {
        "observedGeneration": deployment["metadata"]["generation"],
        **{key: value for key, value in counts.items() if value},
        "conditions": [
            {"type": "Available", "status": "True" if ready else "False"},
            {"type": "Progressing", "status": "True", "reason": reason, "lastUpdateTime": NOW},
        ],
    }


def _pod(deployment: dict[str, Any], marked: str, why: str | None) -> dict[str, Any]:
    template = deployment["spec"]["template"]
    metadata = deployment["metadata"]
    container = template["spec"]["containers"][0]
    waiting = {"waiting": {"reason": why, "message": f"{why} of {container.get('image')}"}}
    running = {"running": {"startedAt": NOW}}
    ready = why is None
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{metadata['name']}-{marked}-{uuid.uuid4().hex[:5]}",
            "namespace": metadata["namespace"],
            "labels": {**template["metadata"]["labels"], "pod-template-hash": marked},
            "annotations": dict(template["metadata"].get("annotations") or {}),
            "creationTimestamp": NOW,
            "ownerReferences": [{"kind": "Deployment", "name": metadata["name"], "uid": metadata["uid"]}],
        },
        "spec": template["spec"],
        "status": {
            "phase": "Running" if ready or not why else "Pending",
            "podIP": "127.0.0.1",
            "startTime": NOW,
            "conditions": [
                {"type": kind, "status": "True" if ready else "False", "lastTransitionTime": NOW}
                for kind in ("Ready", "ContainersReady")
            ],
            "containerStatuses": [
                {
                    "name": container.get("name", ""),
                    "ready": ready,
                    "restartCount": 3 if why == "CrashLoopBackOff" else 0,
                    "image": container.get("image", ""),
                    "imageID": container.get("image", ""),
                    "state": waiting if why else running,
                }
            ],
        },
    }


def _ready(pod: dict[str, Any]) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"]["conditions"])


def _hash(template: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]


def owned(objects: Iterator[dict[str, Any]], uid: str) -> list[dict[str, Any]]:
    return [
        one for one in objects if any(o["uid"] == uid for o in one["metadata"].get("ownerReferences", []))
    ]
