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

from mmcicd_jenkins.adapters.local_server import POLL_SECONDS, LocalServer
from mmcicd_jenkins.adapters.standing_orders import StandingOrders
from mmcicd_jenkins.adapters.unpacked_models import UnpackedModels
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import MmcicdError, OutsideFailed, Superseded
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.ports import Endpoint, Observed, Store, Switch
from mmcicd_jenkins.release.desired import Actual, Desired, Listening, ModelState, ServedModel, ServedVersion

# Loading is bounded by the model, not by us; this only ends a wait that nothing will end.
DEADLINE_SECONDS = 600.0
# A server that dies again and again is not started for ever.
STARTS = 3


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
            self._listen(desired)
            self._await(order)
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
            if state is None or (state.epoch >= epoch and not state.serving and _is_quiet(state)):
                return
            time.sleep(POLL_SECONDS)
        raise self._server.failed(f"{model} is still served", why="the server does not take the order up")

    def endpoint(self) -> Endpoint:
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
        self._listen(desired)
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
            return ServedModel(epoch=order.epoch, op_id=order.op_id, versions=versions, fallback=fallback)

        failpoint("serve.before-desired")
        desired = self._orders.change(order.model, order.epoch, change)
        failpoint("serve.after-desired")
        return desired

    def _restore(self, order: Switch) -> None:
        """Want again what served before, unless a newer order stands."""

        def change(before: ServedModel) -> ServedModel:
            if before.op_id != order.op_id:
                return before
            return ServedModel(epoch=before.epoch, op_id=f"{order.op_id} undone", versions=before.fallback)

        desired = self._orders.change(order.model, order.epoch, change)
        if desired.models[order.model].versions:
            # A version may have taken the server down with it; what served before shall serve on.
            with suppress(MmcicdError):
                self._server.ensure()

    def _settle(self, order: Switch) -> None:
        """The version answers: what served before is no fallback any more, and files that nothing names go."""

        def change(before: ServedModel) -> ServedModel:
            return dataclasses.replace(before, fallback={}) if before.op_id == order.op_id else before

        try:
            desired = self._orders.change(order.model, order.epoch, change)
        except Superseded:
            return
        self._models.remove_all_but(
            Path(version.directory).name
            for part in desired.models.values()
            for version in (*part.versions.values(), *part.fallback.values())
        )

    def _listen(self, desired: Desired) -> None:
        """A server that runs, on the ports that are wanted."""
        found = self._server.listening()
        if found is not None and _moved(found, desired):
            self._server.stop()
        self._server.ensure()

    def _await(self, order: Switch) -> None:
        deadline = time.monotonic() + self._deadline
        starts = 0
        while time.monotonic() < deadline:
            self._orders.check_fence(order.model, order.epoch)
            actual = self._server.actual()
            if actual is None:
                starts += 1
                if starts > STARTS:
                    raise OutsideFailed(
                        f"the server dies whenever it loads version {order.version} of {order.model}",
                        where=str(self._root),
                        why=self._server.tail()
                        or "it left no word; the machine may lack memory for both versions",
                        fix="give the machine more memory, or make the model smaller",
                    )
                self._server.ensure()
            elif self._arrived(order, actual):
                return
            time.sleep(POLL_SECONDS)
        raise self._server.failed(
            f"version {order.version} of {order.model} was not available within {self._deadline:.0f} s"
        )

    def _arrived(self, order: Switch, actual: Actual) -> bool:
        """Whether the version serves alone.

        Raises:
            OutsideFailed: it does not load.
        """
        state = actual.models.get(order.model)
        if state is None or (state.epoch, state.op_id) != (order.epoch, order.op_id):
            return False
        own = state.versions.get(str(order.version))
        if own is not None and own.state == "END" and own.error:
            raise self._server.failed(
                f"version {order.version} of {order.model} does not load", why=own.error
            )
        return state.serving == (order.version,) and _is_quiet(state)


def _moved(found: Listening, desired: Desired) -> bool:
    """Whether the server listens elsewhere than wanted; port 0 is content with any."""
    wanted = (desired.host, desired.rest_port or found.rest_port, desired.grpc_port or found.grpc_port)
    return (found.host, found.rest_port, found.grpc_port) != wanted


def _reachable(host: str) -> str:
    """An address to connect to: a server on all addresses is asked on the loopback."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"[{host}]" if ":" in host else host


def _is_quiet(state: ModelState) -> bool:
    """Whether no version is on its way in or out."""
    return not any(version.state in ("LOADING", "UNLOADING") for version in state.versions.values())


def _worst(state: ModelState) -> str:
    states = {version.state for version in state.versions.values()}
    return next((name for name in ("LOADING", "START", "UNLOADING") if name in states), "END")


def _reason(state: ModelState, actual: Actual) -> str:
    errors: Mapping[str, str] = {n: v.error for n, v in state.versions.items() if v.error}
    said = [f"version {number} does not load: {error}" for number, error in errors.items()]
    return "; ".join([*said, *filter(None, [actual.problem])])
