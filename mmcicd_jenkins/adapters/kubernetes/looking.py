"""What a Deployment and its pods say, in the words of `release.rollout`. Pure.

A pod that was told to end is out of its Service whatever it still answers; one that ended for good counts for nothing.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from mmcicd_jenkins.adapters.kubernetes import annotations
from mmcicd_jenkins.adapters.kubernetes.annotations import Document
from mmcicd_jenkins.adapters.kubernetes.documents import contains
from mmcicd_jenkins.release.rollout import Copy, Group, Look

_ENDED = ("Failed", "Succeeded")


def look(role: str, deployment: Document, pods: Iterable[Document]) -> Look:
    """One look at the Deployment of a role; `pods` are those that its selector names."""
    return Look(
        role=role,
        group=group(deployment),
        copies=tuple(copy(pod, deployment["spec"]["template"]) for pod in pods),
    )


def group(deployment: Document) -> Group:
    status: Mapping[str, Any] = deployment.get("status") or {}
    failure = _condition(status, "ReplicaFailure")
    return Group(
        seen=status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0),
        wanted=deployment["spec"].get("replicas", 1),
        total=status.get("replicas", 0),
        updated=status.get("updatedReplicas", 0),
        ready=status.get("readyReplicas", 0),
        available=status.get("availableReplicas", 0),
        refused=failure.get("message", "") if failure.get("status") == "True" else "",
    )


def copy(pod: Document, template: Document | None = None) -> Copy:
    """What a pod says; `template` is what its Deployment makes pods of now."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    container = _container(status)
    state, last = container.get("state") or {}, container.get("lastState") or {}
    halted: Mapping[str, str] = state.get("waiting") or {}
    scheduled = _condition(status, "PodScheduled")
    gone = status.get("phase") in _ENDED
    return Copy(
        name=metadata["name"],
        version=version_of(pod),
        current=template is None or _is_made_of(pod, template),
        ready=_condition(status, "Ready").get("status") == "True" and not gone,
        leaving=bool(metadata.get("deletionTimestamp")),
        gone=gone,
        halted=halted.get("reason", ""),
        message=halted.get("message", ""),
        restarts=container.get("restartCount", 0),
        ended=_ending(state.get("terminated") or last.get("terminated") or {}),
        refused=scheduled.get("message", "") if scheduled.get("reason") == "Unschedulable" else "",
        evicted=status.get("message", "evicted") if status.get("reason") == "Evicted" else "",
        container=container.get("name", ""),
    )


def version_of(document: Document) -> int | None:
    text = (document["metadata"].get("labels") or {}).get(annotations.POD_VERSION, "")
    return int(text) if text.isdecimal() else None


def _is_made_of(pod: Document, template: Document) -> bool:
    """Of the same version there may be copies with other settings. What a cluster adds to a pod does not count."""
    made = {container["name"]: container for container in pod["spec"]["containers"]}
    wanted = template["spec"]["containers"]
    return version_of(pod) == version_of(template) and all(
        contains(made.get(container["name"]), container) for container in wanted
    )


def _container(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of several the one in trouble: a copy is what its worst container is."""
    containers: list[Mapping[str, Any]] = status.get("containerStatuses") or []
    return min(containers, key=lambda one: bool(one.get("ready")), default={})


def _ending(terminated: Mapping[str, Any]) -> str:
    if not terminated:
        return ""
    reason = str(terminated.get("reason", ""))
    if reason == "OOMKilled":
        return reason
    code = terminated.get("exitCode", 0)
    number = f"signal {terminated['signal']}" if terminated.get("signal") else f"exit status {code}"
    return f"{number} ({reason})" if reason not in {"", "Error", "Completed"} else number


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, str]:
    conditions: list[Mapping[str, str]] = status.get("conditions") or []
    return next((one for one in conditions if one.get("type") == kind), {})
