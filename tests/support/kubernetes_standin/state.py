"""The objects of the stand-in, and what happens to them: everything but HTTP."""

import copy
import datetime as dt
import itertools
import threading
import uuid
from collections.abc import Callable
from typing import Any

from kubernetes_standin import rules
from kubernetes_standin.applying import FieldConflictError, applied, merged, updated
from kubernetes_standin.controller import owned, settled

# Plural -> kind and apiVersion, of all that our client knows.
KINDS = {
    "configmaps": ("ConfigMap", "v1"),
    "deployments": ("Deployment", "apps/v1"),
    "events": ("Event", "v1"),
    "horizontalpodautoscalers": ("HorizontalPodAutoscaler", "autoscaling/v2"),
    "ingresses": ("Ingress", "networking.k8s.io/v1"),
    "jobs": ("Job", "batch/v1"),
    "leases": ("Lease", "coordination.k8s.io/v1"),
    "networkpolicies": ("NetworkPolicy", "networking.k8s.io/v1"),
    "persistentvolumeclaims": ("PersistentVolumeClaim", "v1"),
    "poddisruptionbudgets": ("PodDisruptionBudget", "policy/v1"),
    "pods": ("Pod", "v1"),
    "replicasets": ("ReplicaSet", "apps/v1"),
    "serviceaccounts": ("ServiceAccount", "v1"),
    "services": ("Service", "v1"),
}
PLURALS = {kind: plural for plural, (kind, _) in KINDS.items()}

Key = tuple[str, str, str]  # plural, namespace, name


class State:
    """All objects; each method is one request of a client."""

    def __init__(self) -> None:
        self.objects: dict[Key, dict[str, Any]] = {}
        self.namespaces = {"ml", "default"}
        self.broken: dict[str, str] = {}
        self.frozen = False
        self.lock = threading.RLock()
        self._versions = itertools.count(100)

    def get(self, key: Key) -> dict[str, Any]:
        if key not in self.objects:
            raise rules.missing(_named(key[0]), key[2])
        return copy.deepcopy(self.objects[key])

    def listed(self, plural: str, namespace: str, labels: str, fields: str) -> list[dict[str, Any]]:
        found = [one for key, one in sorted(self.objects.items()) if key[:2] == (plural, namespace)]
        return [copy.deepcopy(one) for one in found if _has(one, labels) and _is(one, fields)]

    def create(
        self, plural: str, namespace: str, document: dict[str, Any], manager: str, *, dry_run: bool
    ) -> dict[str, Any]:
        key = (plural, namespace, document["metadata"]["name"])
        with self.lock:
            self._check_namespace(namespace)
            if key in self.objects:
                raise rules.exists(_named(plural), key[2])
            return self._keep(key, updated(None, document, manager), dry_run=dry_run)

    def merge(self, key: Key, patch: dict[str, Any], manager: str, *, dry_run: bool) -> dict[str, Any]:
        with self.lock:
            live = self.get(key)
            self._check_preconditions(key, patch.get("metadata") or {}, writes=True)
            return self._keep(key, updated(live, merged(live, patch), manager), dry_run=dry_run)

    def apply(
        self, key: Key, document: dict[str, Any], manager: str, *, force: bool, dry_run: bool
    ) -> dict[str, Any]:
        metadata = document["metadata"]
        with self.lock:
            self._check_namespace(key[1])
            rules.check_types(document, key[1])
            live = self.objects.get(key)
            if live is None and metadata.get("uid"):
                why = f"uid mismatch: the provided object specified uid {metadata['uid']}, and no existing object was found"
                raise rules.conflict(_named(key[0]), key[2], why)
            if live is not None:
                self._check_preconditions(key, metadata, writes=True)
            try:
                result = applied(live, document, manager, force=force)
            except FieldConflictError as e:
                raise rules.contested(e.found) from e
            return self._keep(key, result, dry_run=dry_run)

    def delete(self, key: Key, preconditions: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            live = self.get(key)
            self._check_preconditions(key, preconditions)
            del self.objects[key]
            for one in owned(iter(list(self.objects.values())), live["metadata"]["uid"]):
                del self.objects[PLURALS[one["kind"]], key[1], one["metadata"]["name"]]
            return live

    def put(self, document: dict[str, Any]) -> dict[str, Any]:
        """As an administrator with kubectl: made or replaced, whatever there is; its status, too."""
        kind = document["kind"]
        key = (PLURALS[kind], document["metadata"].get("namespace", "ml"), document["metadata"]["name"])
        with self.lock:
            return self._keep(key, updated(self.objects.get(key), document, "kubectl"), dry_run=False)

    def settle(self) -> None:
        """Every Deployment gets the pods and the status that it has in the end."""
        with self.lock:
            for key in [key for key in self.objects if key[0] == "deployments"]:
                self._settle(key)

    def change(self, key: Key, how: Callable[[dict[str, Any]], None]) -> None:
        """As some controller: `how` edits the object in place, and it gets a new resourceVersion."""
        with self.lock:
            how(self.objects[key])
            self.objects[key]["metadata"]["resourceVersion"] = str(next(self._versions))

    def _keep(self, key: Key, document: dict[str, Any], *, dry_run: bool) -> dict[str, Any]:
        live = self.objects.get(key)
        rules.check(document, live)
        kind, api = KINDS[key[0]]
        metadata = {**document["metadata"], "namespace": key[1], "name": key[2]}
        of_live = live["metadata"] if live else {}
        metadata["uid"] = of_live.get("uid") or str(uuid.uuid4())
        metadata["creationTimestamp"] = of_live.get("creationTimestamp") or _now()
        metadata["resourceVersion"] = of_live.get("resourceVersion", "0")
        generation = of_live.get("generation", 0)
        if not live or live.get("spec") != document.get("spec") or _is_noted_anew(live, document):
            generation += 1
        metadata["generation"] = generation
        kept = {"apiVersion": api, "kind": kind, **document, "metadata": metadata}
        if live and "status" in live:
            kept.setdefault("status", live["status"])
        if dry_run or kept == live:
            return copy.deepcopy(kept)
        metadata["resourceVersion"] = str(next(self._versions))
        self.objects[key] = kept
        answer = copy.deepcopy(kept)
        if key[0] == "deployments" and not self.frozen:
            self._settle(key)
        return answer

    def _settle(self, key: Key) -> None:
        deployment = self.objects[key]
        pods = owned(iter(list(self.objects.values())), deployment["metadata"]["uid"])
        status, kept = settled(deployment, pods, self.broken)
        for pod in pods:
            del self.objects["pods", key[1], pod["metadata"]["name"]]
        for pod in kept:
            pod["metadata"].setdefault("uid", str(uuid.uuid4()))
            pod["metadata"].setdefault("resourceVersion", str(next(self._versions)))
            self.objects["pods", key[1], pod["metadata"]["name"]] = pod
        if deployment.get("status") != status:
            deployment["status"] = status
            deployment["metadata"]["resourceVersion"] = str(next(self._versions))

    def _check_namespace(self, namespace: str) -> None:
        if namespace not in self.namespaces:
            raise rules.missing("namespaces", namespace)

    def _check_preconditions(self, key: Key, wanted: dict[str, Any], *, writes: bool = False) -> None:
        live = self.objects[key]["metadata"]
        if wanted.get("resourceVersion") and wanted["resourceVersion"] != live["resourceVersion"]:
            raise rules.changed(_named(key[0]), key[2])
        if wanted.get("uid") and wanted["uid"] != live["uid"]:
            if writes:
                raise rules.another(KINDS[key[0]][0], key[2], wanted["uid"])
            why = f"Precondition failed: UID in precondition: {wanted['uid']}, UID in object meta: {live['uid']}"
            raise rules.conflict(_named(key[0]), key[2], why)


def _named(plural: str) -> str:
    group = KINDS[plural][1].rpartition("/")[0] if plural in KINDS else ""
    return f"{plural}.{group}" if group else plural


def _is_noted_anew(live: dict[str, Any], document: dict[str, Any]) -> bool:
    """Of a Deployment the annotations count as its spec does, for its controller copies them."""
    noted = [one["metadata"].get("annotations") or {} for one in (live, document)]
    return live["kind"] == "Deployment" and noted[0] != noted[1]


def _has(one: dict[str, Any], labels: str) -> bool:
    found = one["metadata"].get("labels") or {}
    return all(
        found.get(part.partition("=")[0]) == part.partition("=")[2] for part in labels.split(",") if part
    )


def _is(one: dict[str, Any], fields: str) -> bool:
    for part in filter(None, fields.split(",")):
        path, _, value = part.partition("=")
        at: Any = one
        for step in path.split("."):
            at = (at or {}).get(step)
        if at != value:
            return False
    return True


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
