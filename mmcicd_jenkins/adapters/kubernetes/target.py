"""Environments of kind `kubernetes`: copies of a version in one namespace, behind a Service per model.

What is told is what pods that take requests say, not what a Deployment wants. The steps of a change are `switching`'s.
"""

from mmcicd_jenkins.adapters.kubernetes import annotations
from mmcicd_jenkins.adapters.kubernetes.annotations import Document, Fence, Standing
from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.observing import by_track, observed
from mmcicd_jenkins.adapters.kubernetes.parts import STABLE
from mmcicd_jenkins.adapters.kubernetes.switching import Switching
from mmcicd_jenkins.adapters.kubernetes.waiting import Waiting
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.ports import Endpoint, Observed, Progress, Switch
from mmcicd_jenkins.release.rollout import Limits


class KubernetesTarget:
    """Implements `ports.Target` on one namespace, and `ports.rollout.PreviewTarget` where it has two colours."""

    def __init__(
        self, environment: Environment, api: Api, progress: Progress, *, limits: Limits | None = None
    ) -> None:
        self._environment = environment
        self._api = api
        self._waiting = Waiting.of(environment, api, progress, limits)

    def observe(self, model: str) -> Observed:
        deployments = by_track(self._api.list("Deployment", {annotations.NAME: model}))
        pods = self._api.list("Pod", {annotations.NAME: model})
        service = self._api.get("Service", model) if deployments else None
        return observed(deployments, pods, service)

    def switch(self, order: Switch) -> None:
        steps, standing = self._steps(order)
        steps.serve(standing)

    def prepare(self, order: Switch) -> Endpoint | None:
        steps, standing = self._steps(order)
        service = steps.prepare(standing)
        place = self._environment
        if place.address.rest or place.address.grpc or place.ingress:
            return None  # whoever needs an address of the outside does not reach the one of the inside
        return self._service_address(service)

    def withdraw(self, model: str, epoch: int) -> None:
        standing = self._standing(model).fence
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

    def _standing(self, model: str) -> Standing:
        return annotations.read_or_fence(self._api.get("Deployment", f"{model}-{STABLE}"))

    def _steps(self, order: Switch) -> tuple[Switching, Standing]:
        """The steps of an order, once the cluster takes its documents."""
        fence = Fence(epoch=order.epoch, op_id=order.op_id)
        steps = Switching(self._api, self._waiting, order.model, fence)
        standing = annotations.told_to(self._standing(order.model), order)
        if not steps.is_warm(standing):  # to lead requests elsewhere is a patch, and waits for nothing
            self._api.validate(order.manifest)
        return steps, standing

    def _service_address(self, name: str) -> Endpoint:
        service = self._api.get("Service", name)
        if service is None:
            raise OutsideFailed(
                f"{name} has no address in {self._environment.name} yet",
                where=f"namespace {self._api.namespace} of {self._api.server}",
                why="its Service is not there",
            )
        ports = {port.get("name"): port["port"] for port in service["spec"].get("ports", [])}
        host = _host(service)
        if not host or not {"rest", "grpc"} <= ports.keys():
            raise OutsideFailed(
                f"{name} has no address in {self._environment.name}",
                where=annotations.resource(service),
                why="its Service has no address, or no ports named rest and grpc",
                fix="environments.*.address says how it is reached from here",
            )
        proxy = self._environment.proxy
        rest, grpc = ("https://", "grpcs://") if proxy and proxy.tls_secret else ("http://", "")
        return Endpoint(rest=f"{rest}{host}:{ports['rest']}", grpc=f"{grpc}{host}:{ports['grpc']}")


def _host(service: Document) -> str:
    balanced = (service.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}])[0]
    host: str = balanced.get("ip") or balanced.get("hostname") or service["spec"].get("clusterIP", "")
    host = "" if host == "None" else host
    return f"[{host}]" if ":" in host else host
