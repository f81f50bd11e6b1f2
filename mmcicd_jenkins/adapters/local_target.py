"""Environments of kind `local`: versions from the store, served by the embedded server on this machine.

A switch writes what is wanted and waits until it is so; killed anywhere, the same switch finishes the work. The
epoch in the desired state is the fence: it only rises, and a switch that finds a higher one changes nothing. What
served before stays named as fallback until the new version answers.
"""

import dataclasses
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mmcicd_jenkins.adapters import file_lock
from mmcicd_jenkins.adapters.local_server import POLL_SECONDS, LocalServer
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import MmcicdError, OutsideFailed, Superseded
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.image.descriptor import Descriptor
from mmcicd_jenkins.image.digest import digest_tree
from mmcicd_jenkins.image.tree import scan
from mmcicd_jenkins.ports import Endpoint, Observed, Store, Switch
from mmcicd_jenkins.release.desired import Actual, Desired, Listening, ModelState, ServedModel, ServedVersion

# Loading is bounded by the model, not by us; this only ends a wait that nothing will end.
DEADLINE_SECONDS = 600.0
# A desired state is changed in milliseconds; a model is unpacked in minutes at most.
LOCK_SECONDS = 30.0
UNPACK_SECONDS = 1800.0
# A server that dies again and again is not started for ever.
STARTS = 3
MODELS = "models"


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
        self._store = store
        self._deadline = deadline_seconds
        self._server = LocalServer(self._root)

    def observe(self, model: str) -> Observed:
        desired = self._server.desired()
        wanted = desired.models.get(model) if desired is not None else None
        epoch = wanted.epoch if wanted is not None else 0
        actual = self._server.actual()
        if actual is None:
            return Observed(version=None, state="STOPPED", epoch=epoch, reason="the server does not run")
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
        with self._unpacked(order.layers) as directory:
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
        self._change(model, epoch, lambda _: ServedModel(epoch=epoch, op_id=f"withdraw {epoch}"))
        deadline = time.monotonic() + self._deadline
        while time.monotonic() < deadline:
            actual = self._server.actual()
            state = actual.models.get(model) if actual is not None else None
            if state is None or (state.epoch >= epoch and not state.serving):
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
            fallback = before.fallback if same else before.versions
            return ServedModel(epoch=order.epoch, op_id=order.op_id, versions=versions, fallback=fallback)

        failpoint("serve.before-desired")
        desired = self._change(order.model, order.epoch, change)
        failpoint("serve.after-desired")
        return desired

    def _restore(self, order: Switch) -> None:
        """Want again what served before, unless a newer order stands."""

        def change(before: ServedModel) -> ServedModel:
            if before.op_id != order.op_id:
                return before
            return ServedModel(epoch=before.epoch, op_id=f"{order.op_id} undone", versions=before.fallback)

        self._change(order.model, order.epoch, change)

    def _settle(self, order: Switch) -> None:
        """The version answers: what served before is no fallback any more, and files that nothing names go."""

        def change(before: ServedModel) -> ServedModel:
            return dataclasses.replace(before, fallback={}) if before.op_id == order.op_id else before

        try:
            desired = self._change(order.model, order.epoch, change)
        except Superseded:
            return
        self._remove_unnamed(desired)

    def _change(self, model: str, epoch: int, change: Callable[[ServedModel], ServedModel]) -> Desired:
        """Replace one model's part of the desired state under the lock and the fence.

        Raises:
            Superseded: a higher epoch stands.
        """
        with self._lock("desired", LOCK_SECONDS):
            former = self._server.desired() or Desired()
            before = former.models.get(model, ServedModel())
            if before.epoch > epoch:
                raise self._superseded(model, before.epoch, epoch)
            place = self._environment
            desired = dataclasses.replace(
                former,
                environment=place.name,
                host=place.host,
                rest_port=place.rest_port,
                grpc_port=place.grpc_port,
                models={**former.models, model: change(before)},
            )
            if desired != former:
                self._server.want(desired)
            return desired

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
            self._check_fence(order)
            actual = self._server.actual()
            if actual is None:
                starts += 1
                if starts > STARTS:
                    raise self._server.failed("the server ends again and again")
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
        leaving = [v for v in state.versions.values() if v.state in ("LOADING", "UNLOADING")]
        return state.serving == (order.version,) and not leaving

    def _check_fence(self, order: Switch) -> None:
        desired = self._server.desired()
        standing = desired.models.get(order.model) if desired is not None else None
        if standing is not None and standing.epoch > order.epoch:
            raise self._superseded(order.model, standing.epoch, order.epoch)

    def _superseded(self, model: str, standing: int, epoch: int) -> Superseded:
        return Superseded(
            f"a newer decision about {model} in {self._environment.name} stands",
            where=str(self._root),
            why=f"epoch {standing} stands, this order has {epoch}",
        )

    @contextmanager
    def _unpacked(self, layers: Sequence[Descriptor]) -> Iterator[str]:
        """The version's files in the state directory, checked; kept from removal inside the block."""
        key = hashlib.sha256("\n".join(layer.digest for layer in layers).encode()).hexdigest()[:32]
        directory = self._root / MODELS / key
        note = directory.with_suffix(".digest")
        with self._lock(key, UNPACK_SECONDS):
            if not _is_whole(directory, note):
                if directory.exists():
                    shutil.rmtree(directory)
                note.unlink(missing_ok=True)
                self._store.extract(layers, directory)
                note.write_text(digest_tree(scan(directory)), encoding="utf-8")
            yield f"{MODELS}/{key}"

    def _remove_unnamed(self, desired: Desired) -> None:
        named = {
            Path(version.directory).name
            for model in desired.models.values()
            for version in (*model.versions.values(), *model.fallback.values())
        }
        for directory in (self._root / MODELS).iterdir():
            if not directory.is_dir() or directory.name.startswith(".") or directory.name in named:
                continue
            try:
                with self._lock(directory.name, 0.0):
                    directory.with_suffix(".digest").unlink(missing_ok=True)
                    shutil.rmtree(directory, ignore_errors=True)
            except OutsideFailed:
                # Another order is about to name it.
                continue

    @contextmanager
    def _lock(self, name: str, seconds: float) -> Iterator[None]:
        with file_lock.hold(self._root / "locks" / f"{name}.lock", seconds):
            yield


def _is_whole(directory: Path, note: Path) -> bool:
    """Whether the unpacked files are still those that were unpacked."""
    try:
        return note.read_text(encoding="utf-8") == digest_tree(scan(directory))
    except (FileNotFoundError, MmcicdError):
        return False


def _moved(found: Listening, desired: Desired) -> bool:
    """Whether the server listens elsewhere than wanted; port 0 is content with any."""
    wanted = (desired.host, desired.rest_port or found.rest_port, desired.grpc_port or found.grpc_port)
    return (found.host, found.rest_port, found.grpc_port) != wanted


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
