"""All models of a server: takes desired states, keeps one worker per model, answers who serves what.

Level-triggered: only the newest desired state of a model matters, and applying it twice changes nothing. An order
with an epoch below the one taken up is refused.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mmcicd_jenkins.release.desired import ModelState, ServedModel
from mmcicd_jenkins.serving.status import Code, Refused
from mmcicd_jenkins.serving.versions import Loader, ModelVersions, Servable, not_found


class Models:
    """The registry that requests go through."""

    def __init__(
        self, root: Path, load: Loader, publish: Callable[[], None], log: Callable[[str], None]
    ) -> None:
        self._root = root
        self._load = load
        self._publish = publish
        self._log = log
        self._lock = threading.Lock()
        self._workers: dict[str, _Worker] = {}

    def take(self, orders: dict[str, ServedModel]) -> str:
        """Take up a desired state; returns what is wrong with it, "" when nothing is.

        A model that is no longer named is served no more.
        """
        problems = []
        for name, order in orders.items():
            worker = self._worker(name)
            if not worker.offer(order):
                problems.append(f"{name}: epoch {order.epoch} is below {worker.epoch}, which stands")
        with self._lock:
            absent = [worker for name, worker in self._workers.items() if name not in orders]
        for worker in absent:
            worker.offer(ServedModel(epoch=worker.epoch))
        return "; ".join(problems)

    def _worker(self, name: str) -> "_Worker":
        with self._lock:
            if name not in self._workers:
                versions = ModelVersions(name, self._root, self._load, self._publish, self._log)
                self._workers[name] = _Worker(versions, self._log)
            return self._workers[name]

    def states(self) -> dict[str, ModelState]:
        with self._lock:
            workers = dict(self._workers)
        return {name: worker.versions.state() for name, worker in sorted(workers.items())}

    def state(self, name: str) -> ModelState:
        """Raises `Refused` when no version of the model is known."""
        with self._lock:
            worker = self._workers.get(name)
        state = worker.versions.state() if worker is not None else None
        if state is None or not state.versions:
            raise Refused(Code.NOT_FOUND, f"Could not find any versions of model {name}")
        return state

    def knows(self, name: str) -> bool:
        with self._lock:
            return name in self._workers

    def version_for(self, name: str, version: int | None) -> int | None:
        """The version that a request would reach: `version` if it answers, the newest when none is asked for."""
        with self._lock:
            worker = self._workers.get(name)
        serving = worker.versions.state().serving if worker is not None else ()
        if version is None:
            return max(serving, default=None)
        return version if version in serving else None

    @contextmanager
    def hold(self, name: str, version: int | None = None, label: str | None = None) -> Iterator[Servable]:
        """A servable that stays loaded inside the block.

        Raises:
            Refused: the model, version or label is not served.
        """
        with self._lock:
            worker = self._workers.get(name)
        if worker is None:
            if label is not None:
                raise Refused(Code.INVALID_ARGUMENT, f"Unrecognized servable version label: {label}")
            raise not_found(name, version)
        with worker.versions.hold(version, label) as servable:
            yield servable

    def close(self) -> None:
        """Serve nothing any more; returns when everything is drained and closed."""
        with self._lock:
            workers = list(self._workers.values())
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.join()


class _Worker:
    """One thread per model, so that a slow load of one does not hold up another."""

    def __init__(self, versions: ModelVersions, log: Callable[[str], None]) -> None:
        self.versions = versions
        self._log = log
        self._changed = threading.Condition()
        self._wanted = ServedModel()
        self._serial = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name=f"model-{versions.name}", daemon=True)
        self._thread.start()

    @property
    def epoch(self) -> int:
        return self._wanted.epoch

    def offer(self, order: ServedModel) -> bool:
        with self._changed:
            if order.epoch < self._wanted.epoch:
                return False
            if order != self._wanted:
                self._wanted = order
                self._serial += 1
                self._changed.notify_all()
            return True

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._wanted = ServedModel(epoch=self._wanted.epoch)
            self._serial += 1
            self._changed.notify_all()

    def join(self) -> None:
        self._thread.join()

    def _work(self) -> None:
        done = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._serial != done)  # noqa: B023 - called before done changes
                serial, order, last = self._serial, self._wanted, self._stopping
            try:
                self.versions.converge(order, lambda: self._serial != serial)  # noqa: B023 - as above
            except Exception as e:  # noqa: BLE001 - the thread must outlive any bad order
                self._log(f"{self.versions.name}: {type(e).__name__}: {e}")
            done = serial
            if last:
                return
