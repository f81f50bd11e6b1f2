"""Where the API keeps each kind of object that we touch. A table; no discovery, for it costs calls and rights.

A kind that is not here cannot be read or written by us: `Secret` and all of RBAC are left out on purpose.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.records import dataclass


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind: its group and version as in `apiVersion`, its name in addresses and in Roles."""

    name: str
    api: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        return self.api.rpartition("/")[0]

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        parts = ["apis" if self.group else "api", self.api]
        if self.namespaced:
            parts += ["namespaces", _part(namespace)]
        parts += [self.plural, *([_part(name)] if name else []), *([subresource] if subresource else [])]
        return "/" + "/".join(parts)


_ALL = (
    Kind(name="ConfigMap", api="v1", plural="configmaps"),
    Kind(name="Deployment", api="apps/v1", plural="deployments"),
    Kind(name="Event", api="v1", plural="events"),
    Kind(name="HorizontalPodAutoscaler", api="autoscaling/v2", plural="horizontalpodautoscalers"),
    Kind(name="Ingress", api="networking.k8s.io/v1", plural="ingresses"),
    Kind(name="Job", api="batch/v1", plural="jobs"),
    Kind(name="Lease", api="coordination.k8s.io/v1", plural="leases"),
    Kind(name="Namespace", api="v1", plural="namespaces", namespaced=False),
    Kind(name="NetworkPolicy", api="networking.k8s.io/v1", plural="networkpolicies"),
    Kind(name="PersistentVolumeClaim", api="v1", plural="persistentvolumeclaims"),
    Kind(name="Pod", api="v1", plural="pods"),
    Kind(name="PodDisruptionBudget", api="policy/v1", plural="poddisruptionbudgets"),
    Kind(name="ReplicaSet", api="apps/v1", plural="replicasets"),
    Kind(name="Service", api="v1", plural="services"),
    Kind(name="ServiceAccount", api="v1", plural="serviceaccounts"),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _ALL}


def kind_of(document: Mapping[str, Any]) -> Kind:
    """The kind of a document.

    Raises:
        InputError: one that we do not write, or in another version than we do.
    """
    named, api = document.get("kind"), document.get("apiVersion")
    kind = KINDS.get(named) if isinstance(named, str) else None
    if kind is None or kind.api != api:
        why = f"it is {api} {named}"
        if kind is not None:
            why += f"; {kind.name} is written as {kind.api}"
        raise InputError(
            "this kind of object is not one that is deployed with a model",
            where=where_is(document),
            why=why,
            fix="apply it by hand or by the tool that manages the rest of the namespace: " + ", ".join(KINDS)
            if kind is None
            else f"apiVersion: {kind.api}",
        )
    return kind


def name_of(document: Mapping[str, Any]) -> str:
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(name, str) or not name:
        raise InputError(
            "a document for the cluster has no name", where=where_is(document), fix="metadata.name"
        )
    return name


def where_is(document: Mapping[str, Any]) -> str:
    """A document's place in messages: `Deployment/churn-stable`."""
    metadata = document.get("metadata")
    name = metadata.get("name", "?") if isinstance(metadata, Mapping) else "?"
    return f"{document.get('kind', '?')}/{name}"


def _part(name: str) -> str:
    # "." and ".." are not quoted, and a proxy would walk up by them.
    return quote(name, safe="") if name.strip(".") else "%2E" * len(name)
