"""What a team's own template of a cluster's object may not change: what safety, fencing and a switch rest on. Pure.

A team owns how its copies run: resources, probes' times, sidecars, volumes, annotations. It does not own whom the
objects belong to, which bytes run, who is sent requests, how copies end, and how much pods may. Ours, rendered from the
same values, says what these are; a document that says otherwise is refused with its field, never mended.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.render.pod_security import pod_security

# Annotations of this prefix are written by whoever applies, and say what stands in the cluster.
OURS = "mmcicd.io/"


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A field of the team's document, what is wrong with it, and what must stand there."""

    field: str
    what: str
    fix: str


def refusals(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> tuple[Refusal, ...]:
    """Everything for which the team's document cannot stand in the place of ours."""
    document = _Pair(theirs, ours, "")
    found = [*document.same("apiVersion", "kind")]
    if not found:
        found += _identity(document["metadata"])
        found += _BY_KIND.get(str(ours["kind"]), _nothing)(document)
        found += (Refusal(field=v.field, what=v.what, fix=v.fix) for v in pod_security(theirs))
    return tuple(found)


class _Pair:
    """The same place in both documents."""

    def __init__(self, theirs: Any, ours: Any, path: str) -> None:
        self.theirs: Mapping[str, Any] = theirs if isinstance(theirs, Mapping) else {}
        self.ours: Mapping[str, Any] = ours if isinstance(ours, Mapping) else {}
        self.path = path

    def __getitem__(self, key: str) -> "_Pair":
        return _Pair(self.theirs.get(key), self.ours.get(key), self.at(key))

    def named(self, key: str, name: str) -> "_Pair":
        """The item of a list that has this name."""
        path = f"{self.at(key)}[{name}]"
        return _Pair(_item(self.theirs.get(key), name), _item(self.ours.get(key), name), path)

    def at(self, key: str) -> str:
        return f"{self.path}.{key}".removeprefix(".")

    def same(self, *keys: str) -> Iterator[Refusal]:
        for key in keys:
            if self.theirs.get(key) != self.ours.get(key):
                yield self.wrong(key, "is not what it must be")

    def holds(self, key: str) -> Iterator[Refusal]:
        """Of a mapping, at least what ours has."""
        yield from self[key].same(*self[key].ours)

    def no_less(self, key: str) -> Iterator[Refusal]:
        mine, other = self.theirs.get(key), self.ours.get(key, 0)
        if not isinstance(mine, int) or isinstance(mine, bool) or mine < other:
            yield self.wrong(key, "is less than the settings of the environment give")

    def wrong(self, key: str, what: str) -> Refusal:
        if key not in self.theirs:
            what = "is missing"
        must = f"{key}: {self.ours[key]}" if key in self.ours else f"delete {key}"
        return Refusal(field=self.at(key), what=what, fix=must)


def _item(items: Any, name: str) -> Any:
    return next((item for item in _mappings(items) if item.get("name") == name), None)


def _mappings(items: Any) -> Sequence[Mapping[str, Any]]:
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list | tuple) else []


def _identity(metadata: _Pair) -> Iterator[Refusal]:
    yield from metadata.same("name", "namespace")
    yield from metadata.holds("labels")
    for place in ("labels", "annotations"):
        for key in metadata[place].theirs:
            if str(key).startswith(OURS) and key not in metadata[place].ours:
                yield metadata[place].wrong(str(key), "only a deployment writes this")


def _nothing(_document: _Pair) -> Iterator[Refusal]:
    return iter(())


def _deployment(document: _Pair) -> Iterator[Refusal]:
    spec = document["spec"]
    yield from spec.same("replicas", "selector")
    yield from spec["strategy"].same("type")
    rolling = spec["strategy"]["rollingUpdate"]
    # A percentage of a few copies rounds to none or to all; whole copies say what happens.
    yield from rolling.same("maxUnavailable")
    yield from rolling.no_less("maxSurge")
    yield from spec.no_less("minReadySeconds")
    yield from spec.no_less("progressDeadlineSeconds")
    if spec.theirs.get("paused"):
        yield spec.wrong("paused", "nothing would be rolled out")
    yield from spec["template"]["metadata"].holds("labels")
    yield from _pods(spec["template"]["spec"])


def _pods(pod: _Pair) -> Iterator[Refusal]:
    yield from pod.same("automountServiceAccountToken", "restartPolicy")
    yield from pod.no_less("terminationGracePeriodSeconds")
    names = [str(container.get("name")) for container in _mappings(pod.ours.get("containers"))]
    for name in names:
        yield from _container(pod.named("containers", name))
    for key in ("initContainers", "containers"):
        for index, container in enumerate(_mappings(pod.theirs.get(key))):
            # The images of ours are compared as they are.
            if container.get("name") not in names and "@sha256:" not in str(container.get("image")):
                field = f"{pod.at(key)}[{index}].image"
                yield Refusal(field=field, what="is not named by its digest", fix="image: NAME@sha256:DIGEST")


def _container(container: _Pair) -> Iterator[Refusal]:
    yield from container.same("image")
    yield from container["lifecycle"]["preStop"]["sleep"].no_less("seconds")
    # What decides that a version is up must ask for this version.
    for probe in ("startupProbe", "readinessProbe"):
        if probe in container.ours:
            yield from container[probe].same("httpGet")
    for port in _mappings(container.ours.get("ports")):
        yield from container.named("ports", str(port["name"])).same("containerPort")


def _service(document: _Pair) -> Iterator[Refusal]:
    yield from document["spec"].same("selector", "type")
    for name in ("rest", "grpc"):
        yield from document["spec"].named("ports", name).same("port", "targetPort")


def _budget(document: _Pair) -> Iterator[Refusal]:
    yield from document["spec"].same("selector")


def _autoscaler(document: _Pair) -> Iterator[Refusal]:
    yield from document["spec"].same("scaleTargetRef")
    yield from document["spec"].no_less("minReplicas")


def _policy(document: _Pair) -> Iterator[Refusal]:
    yield from document["spec"].same("podSelector")


_BY_KIND: Mapping[str, Callable[[_Pair], Iterator[Refusal]]] = {
    "Deployment": _deployment,
    "Service": _service,
    "PodDisruptionBudget": _budget,
    "HorizontalPodAutoscaler": _autoscaler,
    "NetworkPolicy": _policy,
}
