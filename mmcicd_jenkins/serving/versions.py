"""Which versions of one model are loaded, which answer, and how one set of versions replaces another.

The law: what answers is swapped in one step, only when every wanted version is available; a version that left is
closed only when no request holds it. A version that cannot be loaded ends with its error and what served before
serves on.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mmcicd_jenkins.release.desired import ModelState, ServedModel, ServedVersion, VersionState
from mmcicd_jenkins.serving.reference import Reference, parse_reference
from mmcicd_jenkins.serving.saved_model import LoadedModel, LoadFailed
from mmcicd_jenkins.serving.status import Code, Refused, invalid

# How long a version that left may wait for its last requests: TF Serving's REST timeout.
DRAIN_SECONDS = 30.0
# Versions that ended stay visible, as in TF Serving, but not for ever.
ENDED_SHOWN = 20


class Loader(Protocol):
    """Loads and warms a version, or raises LoadFailed."""

    def __call__(self, model: str, version: int, directory: Path) -> LoadedModel: ...


@dataclass(kw_only=True, eq=False)
class Servable:
    """A loaded version and the number of requests that hold it."""

    model: str
    version: int
    directory: str
    loaded: LoadedModel
    reference: Reference | None
    holders: int = 0


@dataclass(kw_only=True)
class _Known:
    state: str
    error: str = ""
    servable: Servable | None = None


@dataclass(kw_only=True)
class _Routes:
    """What answers now. Replaced as a whole, never changed."""

    versions: Mapping[int, Servable] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)


class ModelVersions:
    """The versions of one model. Requests call `hold`; one worker thread calls `converge`."""

    def __init__(
        self, name: str, root: Path, load: Loader, publish: Callable[[], None], log: Callable[[str], None]
    ) -> None:
        self.name = name
        self._root = root
        self._load = load
        self._publish = publish
        self._log = log
        self._lock = threading.Condition()
        self._routes = _Routes()
        self._known: dict[int, _Known] = {}
        self._order = ServedModel()

    @contextmanager
    def hold(self, version: int | None, label: str | None) -> Iterator[Servable]:
        """A servable that stays loaded inside the block.

        Raises:
            Refused: no such version answers.
        """
        servable = self._take(version, label)
        try:
            yield servable
        finally:
            with self._lock:
                servable.holders -= 1
                self._lock.notify_all()

    def _take(self, version: int | None, label: str | None) -> Servable:
        with self._lock:
            routes = self._routes
            if label is not None:
                if label not in routes.labels:
                    raise invalid(f"Unrecognized servable version label: {label}")
                version = routes.labels[label]
            servable = routes.versions.get(max(routes.versions, default=0) if version is None else version)
            if servable is None:
                raise not_found(self.name, version)
            servable.holders += 1
            return servable

    def state(self) -> ModelState:
        with self._lock:
            return ModelState(
                epoch=self._order.epoch,
                op_id=self._order.op_id,
                serving=tuple(sorted(self._routes.versions)),
                versions={
                    str(number): VersionState(state=known.state, error=known.error)
                    for number, known in sorted(self._known.items(), reverse=True)
                },
            )

    def converge(self, order: ServedModel, outdated: Callable[[], bool]) -> None:
        """Make `order` true, giving up between two loads when it is `outdated`."""
        with self._lock:
            self._order = order
        if order.fallback and not self._routes.versions:
            # A server that starts in the middle of a switch answers with what served before first.
            self._swap(self._ensure_all(order.fallback, outdated), {})
        ready = self._ensure_all(order.versions, outdated)
        if not outdated() and len(ready) == len(order.versions):
            self._swap(ready, order.labels)
        self._publish()

    def _ensure_all(
        self, wanted: Mapping[str, ServedVersion], outdated: Callable[[], bool]
    ) -> dict[int, Servable]:
        """The wanted versions that could be loaded."""
        ready: dict[int, Servable] = {}
        for text, version in wanted.items():
            if not outdated():
                servable = self._ensure(int(text), version)
                if servable is not None:
                    ready[servable.version] = servable
        return ready

    def _ensure(self, version: int, wanted: ServedVersion) -> Servable | None:
        """The servable of a wanted version, loaded when it is not there; None when it does not load."""
        known = self._known.get(version)
        if known is not None and known.servable is not None and known.servable.directory == wanted.directory:
            known.servable.reference = self._reference(version, wanted)
            return known.servable
        self._set(version, "LOADING")
        started = time.monotonic()
        try:
            loaded = self._load(self.name, version, self._root / wanted.directory)
        except LoadFailed as e:
            self._log(f"{self.name} {version} failed to load: {e}")
            self._set(version, "END", str(e))
            return None
        servable = Servable(
            model=self.name,
            version=version,
            directory=wanted.directory,
            loaded=loaded,
            reference=self._reference(version, wanted),
        )
        self._log(f"{self.name} {version} available after {time.monotonic() - started:.2f} s")
        former = self._set(version, "AVAILABLE", servable=servable)
        if former is not None:
            self._retire_replaced(former, servable)
        return servable

    def _reference(self, version: int, wanted: ServedVersion) -> Reference | None:
        """A reference that cannot be read costs the drift watch, never the service."""
        try:
            return parse_reference(wanted.reference)
        except ValueError as e:
            self._log(f"{self.name} {version} is served without counting predictions: {e}")
            return None

    def _set(
        self, version: int, state: str, error: str = "", servable: Servable | None = None
    ) -> Servable | None:
        """Note a state; returns the servable of the same version that it takes the place of."""
        with self._lock:
            before = self._known.get(version)
            former = before.servable if before is not None else None
            self._known[version] = _Known(state=state, error=error, servable=servable or former)
            ended = [number for number, known in self._known.items() if known.state == "END"]
            for number in sorted(ended)[:-ENDED_SHOWN]:
                del self._known[number]
        self._publish()
        return former if servable is not None else None

    def _retire_replaced(self, former: Servable, servable: Servable) -> None:
        """The same version from another directory: swap it in place, then let the former go."""
        with self._lock:
            versions = dict(self._routes.versions)
            if versions.get(servable.version) is former:
                versions[servable.version] = servable
                self._routes = _Routes(versions=versions, labels=self._routes.labels)
        self._drain(former)

    def _swap(self, ready: Mapping[int, Servable], labels: Mapping[str, int]) -> None:
        with self._lock:
            self._routes = _Routes(versions=dict(ready), labels=dict(labels))
            leaving = [
                (number, known.servable)
                for number, known in self._known.items()
                if known.servable is not None and number not in ready
            ]
        if ready:
            self._log(f"{self.name} answers from {', '.join(map(str, sorted(ready)))}")
        for number, servable in leaving:
            self._set(number, "UNLOADING")
            self._drain(servable)
            with self._lock:
                self._known[number] = _Known(state="END")
            self._log(f"{self.name} {number} unloaded")

    def _drain(self, servable: Servable) -> None:
        with self._lock:
            done = self._lock.wait_for(lambda: servable.holders == 0, timeout=DRAIN_SECONDS)
        if not done:
            self._log(
                f"{self.name} {servable.version}: {servable.holders} requests outlasted"
                f" {DRAIN_SECONDS:.0f} s and are cut off"
            )
        servable.loaded.close()


def not_found(model: str, version: int | None) -> Refused:
    wanted = f"Latest({model})" if version is None else f"Specific({model}, {version})"
    return Refused(Code.NOT_FOUND, f"Servable not found for request: {wanted}")
