"""From a configuration to the objects of a cluster: the manifest of one version in one environment. Pure but for templates.

A manifest is a function of its arguments: no epoch, no time, nothing that a cluster says. What a deployment writes
besides stands in annotations of ours, added by whoever applies it. It is of the stable copies; `as_track` makes the
copies beside them from it.
The law: the image is named by its digest, every value enters by a filter, and every default of the API that belongs to
a field of ours is written down, so that an object which is read back says the same.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mmcicd_jenkins.config.model import Config, Environment, Model
from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.image.start import GRPC_PORT, REST_PORT, USER
from mmcicd_jenkins.release.canonical import canonical
from mmcicd_jenkins.release.tracks import (
    NAME_LABEL,
    PREVIEW,
    STABLE,
    TRACK_LABEL,
    VERSION_LABEL,
    labels_of,
)
from mmcicd_jenkins.render.engine import render
from mmcicd_jenkins.render.files import OWN_TEMPLATES, owns_templates
from mmcicd_jenkins.render.own_manifests import refusals
from mmcicd_jenkins.render.proxy import (
    CONTAINER_TEMPLATE,
    TEMPLATE,
    container_values,
    listens,
    proxy_annotations,
    proxy_volumes,
    stop_seconds,
)
from mmcicd_jenkins.render.scheduling import toleration

_PINNED = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")
# How often a copy that starts is asked; its port is closed until the model is loaded, so that asking costs nothing.
_START_PERIOD = 2
_OBJECTS = ("network-policy", "service", "disruption-budget", "deployment", "autoscaler", "ingress")
TEMPLATES = (*(f"kubernetes/{name}.j2" for name in _OBJECTS), CONTAINER_TEMPLATE, TEMPLATE)


def render_manifest(
    config: Config, model: Model, place: Environment, version: int, image: str
) -> tuple[Mapping[str, Any], ...]:
    """The documents that serve `version` of the model in an environment of kind kubernetes, in the order to apply them.

    Args:
        image: `registry/repository@sha256:...`.

    Raises:
        IntegrityFailed: `image` is not named by a digest.
        InputError: a team's own template is wrong.
    """
    if not _PINNED.fullmatch(image):
        raise IntegrityFailed(f"{image!r} is not named by its digest", why="what a tag names can change")
    ours = _values(config, model, place, version, image, None)
    if not owns_templates(config.root, "kubernetes"):
        return tuple(_ours(name, {**ours, **more}) for name, more in _wanted(place, ours))
    own = config.root / OWN_TEMPLATES
    theirs = _values(config, model, place, version, image, own)
    return tuple(
        _theirs(name, {**theirs, **more}, own, {**ours, **more}) for name, more in _wanted(place, theirs)
    )


def manifest_text(manifest: Iterable[Mapping[str, Any]]) -> str:
    """The documents as one YAML file, for people and for `kubectl`."""
    import yaml

    texts = (
        yaml.safe_dump(dict(document), sort_keys=False, default_flow_style=False, width=1000)
        for document in manifest
    )
    return "---\n".join(texts)


def check_own_templates(config: Config) -> None:
    """Whether the team's own templates give objects that can be applied, in every environment.

    Raises:
        InputError: one does not.
    """
    for place in config.environments.values() if owns_templates(config.root, "kubernetes") else ():
        for model in config.models.values() if place.kind == "kubernetes" else ():
            render_manifest(config, model, place, 1, f"registry.example/model@sha256:{'0' * 64}")


def _wanted(place: Environment, values: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Which templates are rendered, each with what differs in its values."""
    yield "network-policy", {}
    yield "service", {}
    if place.strategy.kind == "blue-green":
        yield "service", _preview(values)
    if place.replicas > 1:
        yield "disruption-budget", {}
    yield "deployment", {}
    if place.autoscale_max:
        yield "autoscaler", {}
    if place.ingress:
        yield "ingress", {}


def _ours(name: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
    template = f"kubernetes/{name}.j2"
    return _parsed(render(template, "yaml", values), f"templates/{template}")


def _theirs(name: str, values: Mapping[str, Any], own: Path, ours: Mapping[str, Any]) -> Mapping[str, Any]:
    """By the team's own template, where there is one and it keeps what ours guarantees."""
    template = f"kubernetes/{name}.j2"
    # What is put into an object may be the team's own where the object is not.
    source = template if (own / template).is_file() or name != "deployment" else CONTAINER_TEMPLATE
    where = f"{OWN_TEMPLATES if (own / source).is_file() else 'templates'}/{source}"
    theirs = _parsed(render(template, "yaml", values, own), where)
    found = refusals(theirs, _ours(name, ours))
    if found:
        first, more = found[0], len(found) - 1
        raise InputError(
            f"{first.field}: {first.what}" + (f" ({more} more like it)" if more else ""),
            where=where,
            why="; ".join(f"{other.field}: {other.what}" for other in found[1:]),
            fix=first.fix,
        )
    return theirs


def _parsed(text: str, where: str) -> Mapping[str, Any]:
    import yaml

    try:
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    except (yaml.YAMLError, ValueError, RecursionError) as e:
        mark = getattr(e, "problem_mark", None)
        line = f", line {mark.line + 1} of what it gives" if mark else ""
        raise InputError(f"this is no YAML{line}", where=where, why=getattr(e, "problem", "") or "") from e
    if not isinstance(document, Mapping):
        raise InputError(
            "this gives no object of a cluster", where=where, fix="one document with apiVersion and kind"
        )
    try:
        canonical(document)
    except InputError as e:
        raise InputError(
            "this gives what cannot be kept: no text, number or truth of JSON",
            where=where,
            why=e.what,
            fix="put it in quotes",
        ) from e
    return document


def _values(
    config: Config, model: Model, place: Environment, version: int, image: str, own: Path | None
) -> dict[str, Any]:
    """All that templates may name."""
    labels = labels_of(model.name, place.name)
    track = {TRACK_LABEL: STABLE}
    pod_selector = {NAME_LABEL: model.name}
    return {
        "name": model.name,
        "model": model.name,
        "environment": place.name,
        "version": version,
        "namespace": place.namespace,
        "labels": labels,
        "pod_selector": pod_selector,
        "rest_port": REST_PORT,
        "grpc_port": GRPC_PORT,
        "deployment": f"{model.name}-{STABLE}",
        "deployment_labels": labels | track,
        "deployment_selector": pod_selector | track,
        "pod_labels": labels | track | {VERSION_LABEL: str(version)},
        "image": image,
        **_pods(config, model, place, version),
        **_copies(place),
        **_reached(model, place, pod_selector),
        **_before(place, own),
    }


def _before(place: Environment, own: Path | None) -> dict[str, Any]:
    """What stands before the server in each pod, and by which ports the pod is reached."""
    proxy = place.proxy
    if proxy is None:
        return {
            "rest_name": "rest",
            "grpc_name": "grpc",
            "open_ports": [REST_PORT, GRPC_PORT],
            "pod_annotations": {},
            "sidecars": [],
            "sidecar_volumes": [],
        }
    container = render(CONTAINER_TEMPLATE, "yaml", container_values(proxy, place.pods), own)
    return {
        "rest_name": "served-rest",
        "grpc_name": "served-grpc",
        "open_ports": list(listens()),
        "pod_annotations": proxy_annotations(proxy, place.pods, own),
        "sidecars": [_parsed(container, f"{OWN_TEMPLATES if own else 'templates'}/{CONTAINER_TEMPLATE}")],
        "sidecar_volumes": proxy_volumes(proxy),
    }


def _pods(config: Config, model: Model, place: Environment, version: int) -> dict[str, Any]:
    pods = place.pods
    user, group = _user(config.image.user)
    status = f"/v1/models/{model.name}"
    return {
        "user": user,
        "group": group,
        "resources": _resources(model, place),
        "status_path": status,
        "answers_path": f"{status}/versions/{version}/metadata",
        "start_period": _START_PERIOD,
        "start_failures": math.ceil(pods.start_timeout_seconds / _START_PERIOD),
        "stop_seconds": stop_seconds(pods) if place.proxy else math.ceil(pods.drain_seconds),
        "grace_seconds": pods.grace_seconds,
        "priority_class": pods.priority_class,
        "pull_secrets": [{"name": name} for name in pods.pull_secrets],
        "node_selector": dict(pods.node_selector),
        "tolerations": [toleration(one) for one in pods.tolerations],
    }


def _user(written: str) -> tuple[int, int]:
    """The ids of `image.user` where it is written in numbers; a name says nothing to a cluster."""
    parts = written.split(":")
    numbers = [int(part) for part in parts if part.isascii() and part.isdigit()]
    if len(numbers) != len(parts) or len(numbers) > 2 or not numbers or 0 in numbers:
        numbers = [int(part) for part in USER.split(":")]
    return numbers[0], numbers[-1]


def _resources(model: Model, place: Environment) -> dict[str, Any]:
    """A copy gets its memory and GPUs whole; a limit of CPU would only make single requests slow."""
    serving = model.serving
    fixed = {"memory": _bytes(serving.memory_bytes)}
    if serving.gpus:
        fixed[place.pods.gpu_resource] = str(serving.gpus)
    limit = {"cpu": _cores(place.pods.cpu_limit)} if place.pods.cpu_limit else {}
    return {"requests": {"cpu": _cores(serving.cpu), **fixed}, "limits": {**limit, **fixed}}


def _cores(cores: float) -> str:
    return str(int(cores)) if cores == int(cores) else f"{math.ceil(cores * 1000)}m"


def _bytes(size: int) -> str:
    for unit, factor in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def _copies(place: Environment) -> dict[str, Any]:
    """How many. A Deployment that an autoscaler counts says no number of its own."""
    return {
        "replicas": None if place.autoscale_max else place.replicas,
        "min_replicas": place.replicas,
        "max_replicas": place.autoscale_max,
        "cpu_percent": round(place.autoscale_cpu * 100),
        "min_ready_seconds": math.ceil(place.pods.min_ready_seconds),
        "progress_seconds": math.ceil(place.progress_timeout_seconds),
    }


def _reached(model: Model, place: Environment, selector: Mapping[str, str]) -> dict[str, Any]:
    ingress, service = place.ingress, place.service
    colour = {TRACK_LABEL: STABLE} if place.strategy.kind == "blue-green" else {}
    return {
        "service": model.name,
        "service_selector": {**selector, **colour},
        "service_type": service.type,
        "service_annotations": dict(service.annotations),
        "rest_node_port": service.rest_node_port,
        "grpc_node_port": service.grpc_node_port,
        "allowed": [{"podSelector": {}}, *map(_source, place.allow_from)],
        "host": ingress.host_of(model.name) if ingress else "",
        "ingress_class": ingress.class_name if ingress else "",
        "ingress_annotations": dict(ingress.annotations) if ingress else {},
        "tls_secret": ingress.tls_secret if ingress else "",
    }


def _source(written: str) -> dict[str, Any]:
    """A namespace by its name, or a block of addresses."""
    if "/" in written:
        return {"ipBlock": {"cidr": written}}
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": written}}}


def _preview(values: Mapping[str, Any]) -> dict[str, Any]:
    """The Service by which a version is tried before it takes over: inside the cluster, whatever the other is."""
    return {
        "service": f"{values['model']}-{PREVIEW}",
        "service_selector": {**values["pod_selector"], TRACK_LABEL: PREVIEW},
        "service_type": "ClusterIP",
        "service_annotations": {},
        "rest_node_port": 0,
        "grpc_node_port": 0,
    }
