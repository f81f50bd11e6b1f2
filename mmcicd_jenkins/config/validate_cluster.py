"""Environments of kind kubernetes: names that a cluster takes, addresses that several models would share, times that fit.

What only the cluster can know, such as whether a class or a Secret exists, its own check says before anything is applied.
"""

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from mmcicd_jenkins.config.cluster_model import names_model, of_model
from mmcicd_jenkins.config.findings import Findings
from mmcicd_jenkins.config.marks import KeyPath, dotted
from mmcicd_jenkins.config.places import host_of
from mmcicd_jenkins.config.schema import FileSection
from mmcicd_jenkins.config.schema_cluster import (
    AddressSection,
    IngressSection,
    PodsSection,
    ProxySection,
    ServiceSection,
)
from mmcicd_jenkins.config.schema_environments import EnvironmentSection

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NAMESPACE = re.compile(_LABEL)
_HOST = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*")
_PINNED = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")
_DEFAULT_PORTS = {"https": 443, "http": 80}
# Annotations of this prefix say what was deployed; only a deployment writes them.
_OURS = "mmcicd.io/"
# By then nearly every node's proxy has heard that a copy is to end, and that a new one is there (decision 0049).
_LEAST_DRAIN, _LEAST_READY = 10, 2


def check_clusters(file: FileSection, findings: Findings) -> None:
    """Add every mistake of the environments of kind kubernetes."""
    places = {name: place for name, place in file.environments.items() if place.kind == "kubernetes"}
    _check_shared(places, findings)
    for name, place in places.items():
        at: KeyPath = ("environments", name)
        _check_names(at, place, findings)
        _check_service((*at, "service"), place.service, file, findings)
        if place.ingress:
            _check_ingress((*at, "ingress"), place.ingress, file, findings)
        _check_address((*at, "address"), place.address, findings)
        _check_sources(at, place, findings)
        _check_pods((*at, "pods"), place.pods, findings)
        if place.proxy:
            _check_proxy((*at, "proxy"), place.proxy, findings)
        _check_times(at, place, findings)
    if places:
        _check_models(file, places, findings)


def _check_shared(places: dict[str, EnvironmentSection], findings: Findings) -> None:
    """Objects are named by the model alone, so a namespace can hold one environment."""
    taken: dict[tuple[object, ...], KeyPath] = {}
    for name, place in places.items():
        at: KeyPath = ("environments", name, "namespace")
        first = taken.setdefault((_server(place.cluster or ""), place.namespace), at)
        if first != at:
            what = f"the same namespace of the same cluster as {dotted(first[:-1])}"
            findings.add(at, what, "give each environment a namespace of its own")


def _server(url: str) -> tuple[object, ...]:
    """An address so that two ways to write it are equal."""
    try:
        parts = urlsplit(url)
        return parts.scheme.lower(), parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme.lower())
    except ValueError:
        return (url,)


def _check_names(at: KeyPath, place: EnvironmentSection, findings: Findings) -> None:
    cluster = place.cluster or ""
    if cluster and not (cluster.lower().startswith(("https://", "http://")) and host_of(cluster)):
        what = f"{cluster[:60]!r} is not the address of an API server"
        findings.add((*at, "cluster"), what, "write https://HOST:6443, as `kubectl cluster-info` shows it")
    if place.namespace and not _NAMESPACE.fullmatch(place.namespace):
        what = f"{place.namespace[:60]!r} cannot be the name of a namespace"
        findings.add((*at, "namespace"), what, "use lower-case letters, digits and inner dashes")


def _check_models(file: FileSection, places: dict[str, EnvironmentSection], findings: Findings) -> None:
    for name in file.models:
        if not name[:1].isalpha():
            what = "a Service is named as the model, and its name begins with a letter"
            findings.add(("models", name), what, f"rename it, for example `m-{name}`"[:80], on="name")
        if name.removesuffix("-preview") in file.models and name.endswith("-preview"):
            for environment, place in places.items():
                if place.strategy.kind == "blue-green":
                    what = f"{environment} tries new versions of {name.removesuffix('-preview')} by this name"
                    findings.add(("models", name), what, "rename it", on="name")


def _check_service(at: KeyPath, service: ServiceSection, file: FileSection, findings: Findings) -> None:
    _check_annotations(at, service.annotations, findings)
    ports = service.node_ports
    for key in ("rest", "grpc"):
        if getattr(ports, key) is None:
            continue
        if service.type == "ClusterIP":
            fix = "write `type: NodePort`, or delete it"
            findings.add((*at, "node_ports", key), "type ClusterIP has no ports on nodes", fix, on="key")
        elif len(file.models) > 1:
            what = f"{len(file.models)} models would share this port"
            findings.add(
                (*at, "node_ports", key), what, "delete it; the cluster chooses one for each", on="key"
            )
    if ports.rest is not None and ports.rest == ports.grpc:
        findings.add((*at, "node_ports", "grpc"), "the same port as `rest`", "write another")


def _check_annotations(at: KeyPath, annotations: dict[str, str], findings: Findings) -> None:
    for key in annotations:
        if key.startswith(_OURS):
            what = "only a deployment writes annotations of this kind"
            findings.add((*at, "annotations", key), what, "delete it", on="key")


def _check_ingress(at: KeyPath, ingress: IngressSection, file: FileSection, findings: Findings) -> None:
    _check_annotations(at, ingress.annotations, findings)
    host = ingress.host
    if not _HOST.fullmatch(of_model(host, "m")):
        findings.add((*at, "host"), f"{host[:60]!r} is not the name of a host", "write MODEL.ml.example")
    elif len(file.models) > 1 and not names_model(host):
        what = f"{len(file.models)} models would share this host"
        findings.add((*at, "host"), what, f"write MODEL in it, for example MODEL.{host}")


def _check_address(at: KeyPath, address: AddressSection, findings: Findings) -> None:
    rest, grpc = of_model(address.rest or "", "m"), of_model(address.grpc or "", "m")
    if rest and not (rest.startswith(("http://", "https://")) and host_of(rest)):
        findings.add((*at, "rest"), f"{rest[:60]!r} is not an address", "write http://HOST or https://HOST")
    host, _, port = grpc.removeprefix("grpcs://").rpartition(":")
    if grpc and not (host and "/" not in host and port.isascii() and port.isdigit()):
        findings.add(
            (*at, "grpc"), f"{grpc[:60]!r} is not an address", "write HOST:PORT, or grpcs://HOST:PORT"
        )


def _check_sources(at: KeyPath, place: EnvironmentSection, findings: Findings) -> None:
    for index, source in enumerate(place.allow_from):
        if "/" in source:
            wrong = not _is_block(source)
        else:
            wrong = not _NAMESPACE.fullmatch(source)
        if wrong:
            what = f"{source[:60]!r} is neither a namespace nor a block of addresses"
            findings.add((*at, "allow_from", index), what, "write a namespace, or a block such as 10.0.0.0/8")
    outside = list(_ways_in(place))
    if outside and not place.allow_from:
        what = (
            f"requests by {' and '.join(outside)} come from outside the namespace, and nobody there is let in"
        )
        fix = "allow_from: the namespace of the ingress controller, or blocks of addresses"
        findings.warn((*at, outside[0].partition(" ")[0]), what, fix)


def _ways_in(place: EnvironmentSection) -> Iterator[str]:
    if place.service.type != "ClusterIP":
        yield f"service type {place.service.type}"
    if place.ingress:
        yield "ingress"


def _is_block(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _check_pods(at: KeyPath, pods: PodsSection, findings: Findings) -> None:
    if "/" not in pods.gpu_resource:
        what = f"{pods.gpu_resource[:60]!r} is not the name of a resource that a device plugin gives"
        findings.add((*at, "gpu_resource"), what, "write VENDOR/NAME, for example nvidia.com/gpu")
    for index, one in enumerate(pods.tolerations):
        here = (*at, "tolerations", index)
        if one.value and one.operator == "Exists":
            findings.add(
                (*here, "value"), "operator Exists takes no value", "delete one of the two", on="key"
            )
        if one.seconds is not None and one.effect != "NoExecute":
            findings.add(
                (*here, "seconds"), "only effect NoExecute has a time", "write `effect: NoExecute`", on="key"
            )
        if one.taint is None and (one.value or one.operator == "Equal"):
            findings.add(here, "a value needs the key of its taint", "add `key`", on="key")


def _check_proxy(at: KeyPath, proxy: ProxySection, findings: Findings) -> None:
    if not _PINNED.fullmatch(proxy.image):
        what = "what a tag names can change under the copies that serve"
        findings.add((*at, "image"), what, "write NAME@sha256:DIGEST, as `crane digest NAME:TAG` tells it")
    if proxy.callers_secret and not proxy.tls_secret:
        what = "a caller shows a certificate only where TLS ends"
        findings.add((*at, "callers_secret"), what, "add `tls_secret`", on="key")
    if proxy.users_secret and not proxy.tls_secret:
        what = "passwords would travel in the clear"
        findings.add((*at, "users_secret"), what, "add `tls_secret`", on="key")


def _check_times(at: KeyPath, place: EnvironmentSection, findings: Findings) -> None:
    """The cluster refuses a rollout whose time is up before one copy can count."""
    needed = place.pods.start_timeout + place.pods.min_ready
    if place.progress_timeout is not None and place.progress_timeout <= needed:
        what = f"a copy may take {needed:g} s to start and count (pods.start_timeout and pods.min_ready)"
        findings.add((*at, "progress_timeout"), what, "write more, for the time of pulling the image too")
    for name, seconds, least in (
        ("drain", place.pods.drain, _LEAST_DRAIN),
        ("min_ready", place.pods.min_ready, _LEAST_READY),
    ):
        if seconds < least:
            what = f"nodes may still send requests by what they knew {seconds:g} s ago"
            findings.warn((*at, "pods", name), what, f"write {least}s or more, if no request may fail")
