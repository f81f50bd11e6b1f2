"""Environments of kind `kubernetes`: copies of a version in one namespace, behind a Service per model.

What is told is what pods that take requests say, not what a Deployment wants. The steps of a change are `switching`'s.
"""

from collections.abc import Mapping
from typing import Any

from mmcicd_jenkins.adapters.kubernetes import annotations, looking
from mmcicd_jenkins.adapters.kubernetes.annotations import Document, Fence
from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.switching import STABLE, Switching
from mmcicd_jenkins.adapters.kubernetes.waiting import Waiting
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.ports import Copies, Endpoint, Observed, Progress, Switch
from mmcicd_jenkins.release.rollout import Copy, Limits, Look, ready_by_version, told


class KubernetesTarget:
    """Implements `ports.Target` on one namespace."""

    def __init__(
        self, environment: Environment, api: Api, progress: Progress, *, limits: Limits | None = None
    ) -> None:
        self._environment = environment
        self._api = api
        limits = limits or Limits(stall_seconds=environment.progress_timeout_seconds)
        self._waiting = Waiting(api, progress, limits)

    def observe(self, model: str) -> Observed:
        deployments = [
            one for one in self._api.list("Deployment", {annotations.NAME: model}) if _is_track(one)
        ]
        pods = self._api.list("Pod", {annotations.NAME: model})
        by_role = {annotations.track_of(one): _look(one, pods) for one in deployments}
        stable = next((one for one in deployments if annotations.track_of(one) == STABLE), None)
        standing = annotations.read_or_fence(stable)
        wanted = standing.told.version if standing.told else None
        counts = ready_by_version(by_role[STABLE].copies) if STABLE in by_role else {}
        counts = counts or ready_by_version(copy for look in by_role.values() for copy in look.copies)
        version = max(counts, key=lambda v: (counts[v], v == wanted), default=None)
        return Observed(
            version=version,
            state=_state(version, counts, wanted),
            epoch=standing.fence.epoch,
            reason=_reason(version, counts, wanted, by_role.get(STABLE)),
            copies=tuple(part for one in deployments for part in _copies(one, by_role)),
        )

    def switch(self, order: Switch) -> None:
        self._api.validate(order.manifest)
        fence = Fence(epoch=order.epoch, op_id=order.op_id)
        before = annotations.read_or_fence(self._api.get("Deployment", f"{order.model}-{STABLE}"))
        steps = Switching(self._api, self._waiting, order.model, fence)
        steps.serve(annotations.told_to(before, order))

    def withdraw(self, model: str, epoch: int) -> None:
        standing = annotations.read_or_fence(self._api.get("Deployment", f"{model}-{STABLE}")).fence
        # To take a first release back is part of the operation that brought it.
        op_id = standing.op_id if standing.epoch == epoch else f"withdraw {epoch}"
        Switching(self._api, self._waiting, model, Fence(epoch=epoch, op_id=op_id)).empty()

    def endpoint(self, model: str) -> Endpoint:
        rest, grpc = self._environment.address.of(model)
        if not (rest and grpc):
            own = self._service_address(model)
            rest, grpc = rest or own.rest, grpc or own.grpc
        return Endpoint(rest=rest if "://" in rest else f"http://{rest}", grpc=grpc)

    def stop(self) -> bool:
        """A cluster runs without us; to serve nothing there is `withdraw`."""
        return False

    def _service_address(self, model: str) -> Endpoint:
        service = self._api.get("Service", model)
        if service is None:
            raise OutsideFailed(
                f"{model} has no address in {self._environment.name} yet",
                where=f"namespace {self._api.namespace} of {self._api.server}",
                why="its Service is not there",
            )
        ports = {port.get("name"): port["port"] for port in service["spec"].get("ports", [])}
        host = _host(service)
        if not host or not {"rest", "grpc"} <= ports.keys():
            raise OutsideFailed(
                f"{model} has no address in {self._environment.name}",
                where=annotations.resource(service),
                why="its Service has no address, or no ports named rest and grpc",
                fix="environments.*.address says how it is reached from here",
            )
        return Endpoint(rest=f"http://{host}:{ports['rest']}", grpc=f"{host}:{ports['grpc']}")


def _is_track(deployment: Document) -> bool:
    return annotations.is_ours(deployment) and bool(annotations.track_of(deployment))


def _look(deployment: Document, pods: list[dict[str, Any]]) -> Look:
    role = annotations.track_of(deployment)
    return looking.look(role, deployment, (pod for pod in pods if annotations.track_of(pod) == role))


def _copies(deployment: Document, looks: Mapping[str, Look]) -> list[Copies]:
    """Per version that runs in a role; what is wanted is wanted of the version of its template."""
    look = looks[annotations.track_of(deployment)]
    wanted = looking.version_of(deployment["spec"]["template"])
    ready = ready_by_version(look.copies)
    versions = {v for v in (wanted if look.group.wanted else None, *ready) if v is not None}
    return [
        Copies(
            version=version,
            role=look.role,
            wanted=look.group.wanted if version == wanted else 0,
            ready=ready.get(version, 0),
        )
        for version in sorted(versions, reverse=True)
    ]


def _state(version: int | None, counts: Mapping[int | None, int], wanted: int | None) -> str:
    if len(counts) > 1:
        return "MIXED"
    if version is not None:
        return "AVAILABLE"
    return "LOADING" if wanted is not None else "END"


def _reason(
    version: int | None, counts: Mapping[int | None, int], wanted: int | None, stable: Look | None
) -> str:
    if stable is None:
        return "never served here"
    if wanted is None:
        return "" if version is None else "it is told to serve nothing"
    if version == wanted and len(counts) == 1:
        return ""
    return f"{wanted} is wanted: {told(wanted, stable)}{_trouble(stable.copies, wanted)}"


def _trouble(copies: tuple[Copy, ...], wanted: int) -> str:
    """What the first copy that does not come says."""
    for copy in copies:
        said = copy.refused or copy.evicted or copy.message or copy.halted
        if copy.version == wanted and not copy.ready and said:
            return f"; {copy.name}: {said}"
    return ""


def _host(service: Document) -> str:
    balanced = (service.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}])[0]
    host: str = balanced.get("ip") or balanced.get("hostname") or service["spec"].get("clusterIP", "")
    host = "" if host == "None" else host
    return f"[{host}]" if ":" in host else host
