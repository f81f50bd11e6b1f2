"""The parts of a manifest as they are brought into a cluster. Pure."""

from collections.abc import Mapping
from typing import Any

from mmcicd_jenkins.adapters.kubernetes.annotations import TRACK, Carried, Document
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.release import tracks

STABLE, CANARY, PREVIEW = tracks.STABLE, tracks.CANARY, tracks.PREVIEW
AUTOSCALER = "HorizontalPodAutoscaler"


def require(told: Carried | None) -> Carried:
    """A version with all that brings it.

    Raises:
        InputError: it has no documents, or no Deployment among them.
    """
    if told is None or not told.manifest:
        raise InputError(
            "a version has no documents for a cluster",
            why="it was decided before this environment was one of a cluster",
            fix="mmcicd-jenkins deploy or promote it again",
        )
    deployment(told.manifest)
    return told


def deployment(manifest: tuple[Document, ...]) -> Document:
    found = of_kind(manifest, "Deployment")
    if found is None:
        raise InputError("a manifest has no Deployment", fix="mmcicd-jenkins render kubernetes shows it")
    return found


def of_kind(manifest: tuple[Document, ...], kind: str) -> Document | None:
    return next((document for document in manifest if document["kind"] == kind), None)


def has_colours(manifest: tuple[Document, ...]) -> bool:
    """Whether it is of strategy blue-green: its Service names the track that it leads to."""
    return any(track_led_to(document) for document in manifest)


def track_led_to(document: Document | None) -> str:
    """The track that a Service names; "" for one that leads to all of them, for what is no Service, and for none."""
    if document is None or document["kind"] != "Service":
        return ""
    selector: Mapping[str, str] = document["spec"].get("selector") or {}
    return selector.get(TRACK, "")


def leading_to(service: Document, track: str) -> Document:
    spec = service["spec"]
    return {**service, "spec": {**spec, "selector": {**spec["selector"], TRACK: track}}}


def counting(autoscaler: Document, name: str) -> Document:
    """An autoscaler that counts the copies of this Deployment."""
    spec = autoscaler["spec"]
    return {**autoscaler, "spec": {**spec, "scaleTargetRef": {**spec["scaleTargetRef"], "name": name}}}


def sized(document: Document, live: Mapping[str, Any] | None, autoscaler: Document | None) -> Document:
    """Where an autoscaler counts the copies, as many as there are: to say nothing would leave one of them."""
    if "replicas" in document["spec"]:
        return document
    count = live["spec"].get("replicas", 1) if live else 0
    if autoscaler is not None:
        least, most = autoscaler["spec"].get("minReplicas", 1), autoscaler["spec"]["maxReplicas"]
        count = min(max(count, least), most)
    return {**document, "spec": {**document["spec"], "replicas": max(count, 1)}}
