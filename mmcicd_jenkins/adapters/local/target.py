"""Environments of kind `local`: versions from the store, served by the embedded server on this machine.

A switch writes what is wanted and waits until it is so; killed anywhere, the same switch finishes the work. The
epoch in the desired state is the fence: it only rises, and a switch that finds a higher one changes nothing. What
served before stays named as fallback until the new version answers.
"""

import dataclasses
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from mmcicd_jenkins.adapters.local.arrival import Arrival, Wanted, is_quiet
from mmcicd_jenkins.adapters.local.server import POLL_SECONDS, LocalServer
from mmcicd_jenkins.adapters.local.standing_orders import StandingOrders
from mmcicd_jenkins.adapters.models.unpacked import UnpackedModels
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import MmcicdError, OutsideFailed, Superseded
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.ports import Endpoint, Observed, Switch
from mmcicd_jenkins.ports.store import Store
from mmcicd_jenkins.release.desired import Actual, Desired, ModelState, ServedModel, ServedVersion

# Loading is bounded by the model, not by us; this only ends a wait that nothing will end.
DEADLINE_SECONDS = 600.0


class LocalTarget:
    """Implements `ports.Target` on a state directory and a store."""

    def __init__(
        self,
        environment: Environment,
        state: Path,
        store: Store,
        *,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._environment = environment
        self._root = state.absolute()
        self._models = UnpackedModels(self._root, store)
        self._deadline = deadline_seconds
        self._server = LocalServer(self._root)
        self._orders = StandingOrders(self._server, environment)
        self._arrival = Arrival(self._server, self._orders, deadline_seconds)

    def observe(self, model: str) -> Observed:
        desired = self._server.desired()
        wanted = desired.models.get(model) if desired is not None else None
        epoch = wanted.epoch if wanted is not None else 0
        actual = self._server.actual()
        if actual is None:
            return Observed(version=None, state="STOPPED", epoch=epoch, reason=self._server.absence())
        state = actual.models.get(model)
        if state is None:
            return Observed(
                version=None, state="END", epoch=epoch, reason=actual.problem or "never served here"
            )
        version = max(state.serving, default=None)
        found = "AVAILABLE" if version is not None else _worst(state)
        return Observed(
            version=version,
            state=found,
            epoch=epoch,
            reason="" if version is not None else _reason(state, actual),
        )

    def switch(self, order: Switch) -> None:
        with self._models.unpacked(order.layers) as directory:
            wanted = ServedVersion(directory=directory, reference=order.reference)
            desired = self._want(order, wanted)
        try:
            self._arrival.listen(desired)
            self._arrival.wait(
                Wanted(model=order.model, version=order.version, epoch=order.epoch, op_id=order.op_id)
            )
        except Superseded:
            raise
        except MmcicdError:
            self._restore(order)
            raise
        self._settle(order)

    def withdraw(self, model: str, epoch: int) -> None:
        self._orders.change(model, epoch, lambda _: ServedModel(epoch=epoch, op_id=f"withdraw {epoch}"))
        deadline = time.monotonic() + self._deadline
        while time.monotonic() < deadline:
            actual = self._server.actual()
            state = actual.models.get(model) if actual is not None else None
            if state is None or (state.epoch >= epoch and not state.serving and is_quiet(state)):
                return
            time.sleep(POLL_SECONDS)
        raise self._server.failed(f"{model} is still served", why="the server does not take the order up")

    def endpoint(self, model: str) -> Endpoint:  # noqa: ARG002  one server here answers for all models
        found = self._server.listening()
        rest = found.rest_port if found is not None else self._environment.rest_port
        grpc = found.grpc_port if found is not None else self._environment.grpc_port
        if not rest or not grpc:
            raise OutsideFailed(
                f"{self._environment.name} has no address yet",
                where=str(self._root),
                why="its server does not run",
            )
        host = _reachable(self._environment.host)
        return Endpoint(rest=f"http://{host}:{rest}", grpc=f"{host}:{grpc}")

    def stop(self) -> bool:
        return self._server.stop()

    def ensure(self) -> bool:
        """Start the server when something is wanted and it does not run; True when it runs afterwards."""
        desired = self._server.desired()
        if desired is None or not any(model.versions for model in desired.models.values()):
            return self._server.lives()
        self._arrival.listen(desired)
        return True

    def _want(self, order: Switch, wanted: ServedVersion) -> Desired:
        """Write the order into the desired state, what serves now as its fallback."""
        versions = {str(order.version): wanted}

        def change(before: ServedModel) -> ServedModel:
            same = {text: v.directory for text, v in before.versions.items()} == {
                str(order.version): wanted.directory
            }
            # The same order again keeps what the first try kept; what serves alone is its own fallback.
            fallback = before.fallback if same and before.fallback else before.versions
            return dataclasses.replace(
                before, epoch=order.epoch, op_id=order.op_id, versions=versions, fallback=fallback
            )

        failpoint("serve.before-desired")
        desired = self._orders.change(order.model, order.epoch, change)
        failpoint("serve.after-desired")
        return desired

    def _restore(self, order: Switch) -> None:
        """Want again what served before, unless a newer order stands."""

        def change(before: ServedModel) -> ServedModel:
            if before.op_id != order.op_id:
                return before
            undone = f"{order.op_id} undone"
            return dataclasses.replace(before, op_id=undone, versions=before.fallback, fallback={})

        desired = self._orders.change(order.model, order.epoch, change)
        if desired.models[order.model].versions:
            # A version may have taken the server down with it; what served before shall serve on.
            with suppress(MmcicdError):
                self._server.ensure()

    def _settle(self, order: Switch) -> None:
        """The version answers: what served before is the way back, and files that nothing names go."""

        def change(before: ServedModel) -> ServedModel:
            if before.op_id != order.op_id:
                return before
            return dataclasses.replace(before, fallback={}, previous=_previous(order, before))

        try:
            desired = self._orders.change(order.model, order.epoch, change)
        except Superseded:
            return
        self._models.remove_all_but(
            Path(version.directory).name
            for part in desired.models.values()
            for version in (*part.versions.values(), *part.fallback.values(), *part.previous.values())
        )


def _previous(order: Switch, before: ServedModel) -> Mapping[str, ServedVersion]:
    """The healthy version before. What was taken back is none, and where one goes back to it there is none left."""
    if order.takes_back or str(order.version) in before.previous:
        return {}
    left = {number: version for number, version in before.fallback.items() if number != str(order.version)}
    return left or before.previous


def _reachable(host: str) -> str:
    """An address to connect to: a server on all addresses is asked on the loopback."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"[{host}]" if ":" in host else host


def _worst(state: ModelState) -> str:
    states = {version.state for version in state.versions.values()}
    return next((name for name in ("LOADING", "START", "UNLOADING") if name in states), "END")


def _reason(state: ModelState, actual: Actual) -> str:
    errors: Mapping[str, str] = {n: v.error for n, v in state.versions.items() if v.error}
    said = [f"version {number} does not load: {error}" for number, error in errors.items()]
    return "; ".join([*said, *filter(None, [actual.problem])])
