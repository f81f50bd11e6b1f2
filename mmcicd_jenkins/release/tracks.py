"""The labels by which our objects in a cluster are known, and the tracks that copies of one model run on. Pure.

Selectors are made of the model's name and its track: both stay what they are for as long as a Deployment lives.
"""

from collections.abc import Mapping
from typing import Any

from mmcicd_jenkins.errors import InputError

MANAGER = "mmcicd-jenkins"
NAME_LABEL = "app.kubernetes.io/name"
VERSION_LABEL = "app.kubernetes.io/version"
MANAGED_LABEL = "app.kubernetes.io/managed-by"
ENVIRONMENT_LABEL = "mmcicd.io/environment"
TRACK_LABEL = "mmcicd.io/track"
STABLE, CANARY, PREVIEW = "stable", "canary", "preview"
MANAGED = {MANAGED_LABEL: MANAGER}


def labels_of(model: str, environment: str) -> dict[str, str]:
    """What every object of a model in an environment is known by."""
    return {NAME_LABEL: model, **MANAGED, ENVIRONMENT_LABEL: environment}


def as_track(manifest: tuple[Mapping[str, Any], ...], track: str, replicas: int) -> Mapping[str, Any]:
    """The Deployment of a manifest as that of other copies of the same model: renamed, relabelled, so many.

    Raises:
        InputError: the manifest holds no Deployment of the stable copies.
    """
    stable = next((document for document in manifest if document.get("kind") == "Deployment"), None)
    name = stable["metadata"]["name"] if stable else ""
    if stable is None or not name.endswith(f"-{STABLE}"):
        raise InputError("the manifest holds no Deployment of stable copies")
    moved: Any = _relabelled(stable, track)
    moved["metadata"]["name"] = name.removesuffix(STABLE) + track
    moved["spec"]["replicas"] = replicas
    document: Mapping[str, Any] = moved
    return document


def _relabelled(value: Any, track: str) -> Any:
    """A copy in which every label of the stable track, selectors included, is of another."""
    if isinstance(value, Mapping):
        return {
            key: track if key == TRACK_LABEL and item == STABLE else _relabelled(item, track)
            for key, item in value.items()
        }
    return [_relabelled(item, track) for item in value] if isinstance(value, list | tuple) else value
