"""The exact image in a container, for one look: `ports.trial.Trial` on a Docker engine.

The container gets a read-only root, no rights, the image's own user, the limits of `serving`, and two ports on the
loopback of the engine's machine. It carries the folder of its verification as a label, by which the next one finds what
a killed one left.
"""

import contextlib
import hashlib
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from mmcicd_jenkins.adapters.docker.containers import (
    CannotStartError,
    Container,
    Ended,
    Wanted,
    create,
    remove_leftovers,
)
from mmcicd_jenkins.adapters.docker.engine import DockerEngine
from mmcicd_jenkins.adapters.docker.images import EngineImages
from mmcicd_jenkins.adapters.models.status import read_state
from mmcicd_jenkins.adapters.private_folder import told
from mmcicd_jenkins.errors import GateRefused, MmcicdError, OutsideFailed
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.image.start import GRPC_PORT, REST_PORT
from mmcicd_jenkins.ports import Endpoint, Progress
from mmcicd_jenkins.ports.trial import TrialOrder

OWNER = "verify"
FOLDER = "io.mmcicd.folder"
# Models of many gigabytes load from a cold disk in minutes.
START_SECONDS = 900.0
POLL_SECONDS = 0.2
# From the death of a server until its engine says so.
DEATH_SECONDS = 5.0
SAMPLE_SECONDS = 0.5
LOG_LINES = 8
_ANYWHERE = "0.0.0.0"  # noqa: S104  on an engine's machine, not here


class DockerTrial:
    """`ports.trial.Trial`. `folder` names this verification; the same folder is the same verification."""

    def __init__(
        self,
        engine: DockerEngine,
        images: EngineImages,
        folder: Path,
        progress: Progress,
        start_seconds: float = START_SECONDS,
    ) -> None:
        self._engine = engine
        self._images = images
        self._labels = {FOLDER: hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:32]}
        self._progress = progress
        self._start_seconds = start_seconds
        self._container: Container | None = None
        self._order: TrialOrder | None = None
        self._joined = ""
        self._memory: _MemoryWatch | None = None

    @property
    def how(self) -> str:
        return f"in a container, Docker {self._engine.version}"

    def start(self, order: TrialOrder) -> Endpoint:
        self._progress.update("the engine fetches the image")
        self._order = order
        self._container = self._create(order)
        failpoint("docker.container-made")
        try:
            self._container.start()
        except CannotStartError as e:
            raise _refused(order, "its start program cannot be run", str(e)) from e
        self._memory = _MemoryWatch(self._container)
        self._progress.update("the container loads the model")
        return self._wait(self._container, order)

    def _create(self, order: TrialOrder) -> Container:
        name = self._bring(order)
        try:
            return create(self._engine, self._wanted(name, order))
        except OutsideFailed:
            # Another verify of the model may have tidied the image away before a container held it.
            if self._engine.image(name) is not None:
                raise
        return create(self._engine, self._wanted(self._bring(order), order))

    def _bring(self, order: TrialOrder) -> str:
        if order.joined is None:
            return self._images.bring(order.model, order.image, self._progress.update)
        self._joined = self._images.bring_joined(order.model, order.joined)
        return self._joined

    def memory(self) -> int:
        return self._memory.most if self._memory else 0

    def death(self) -> str:
        """A server that does not answer may have died a moment ago, before the engine knows of it."""
        order, container = self._order, self._container
        if order is None or container is None:
            return ""
        deadline = time.monotonic() + DEATH_SECONDS
        while time.monotonic() < deadline:
            ended = container.ended()
            if ended is not None:
                return self._told(ended)
            if self._answering(container, order):
                return ""
            time.sleep(POLL_SECONDS)
        return ""

    def stop(self) -> bool:
        if self._memory is not None:
            self._memory.end()
        ran = self._container is not None
        if self._container is not None:
            # The log is a help for people; the container goes whether it can be read or not.
            with contextlib.suppress(MmcicdError):
                self._keep_log(self._container)
            self._container.remove()
            self._container = None
        if self._joined:
            # Nobody asks for it again; what a killed one left goes when the next is brought.
            self._images.forget(self._joined)
            self._joined = ""
        return bool(remove_leftovers(self._engine, OWNER, self._labels)) or ran

    def _wanted(self, image: str, order: TrialOrder) -> Wanted:
        return Wanted(
            image=image,
            owner=OWNER,
            labels={**self._labels, "io.mmcicd.image": order.image},
            network="bridge",
            published=(REST_PORT, GRPC_PORT),
            # The loopback of another machine is out of our reach.
            published_at=_ANYWHERE if self._engine.far else "127.0.0.1",
            memory_bytes=order.memory_bytes,
            cpu=order.cpu,
            gpus=order.gpus if order.gpus and self._engine.has_gpus() else 0,
        )

    def _wait(self, container: Container, order: TrialOrder) -> Endpoint:
        deadline = time.monotonic() + self._start_seconds
        while time.monotonic() < deadline:
            ended = container.ended()
            if ended is not None:
                raise _refused(order, self._told(ended), self._last(container))
            for host, port in self._places(container, REST_PORT):
                state = read_state(f"http://{host}:{port}", order.model, order.version)
                if state is not None and state.state == "AVAILABLE":
                    return self._endpoint(container, host, port)
                if state is not None and state.state == "END":
                    raise _refused(order, "the model does not load", state.error or self._last(container))
            time.sleep(POLL_SECONDS)
        raise OutsideFailed(
            f"version {order.version} of {order.model} was not AVAILABLE within {self._start_seconds:.0f} s",
            where=str(order.log),
            why=self._last(container),
            fix="read the log; a machine that is busy needs another try",
            retryable=True,
        )

    def _answering(self, container: Container, order: TrialOrder) -> bool:
        places = self._places(container, REST_PORT)
        return any(read_state(f"http://{host}:{port}", order.model, order.version) for host, port in places)

    def _endpoint(self, container: Container, host: str, rest: int) -> Endpoint:
        """Both ports where one of them answered."""
        place = list(self._places(container, REST_PORT)).index((host, rest))
        grpc_host, grpc_port = self._places(container, GRPC_PORT)[place]
        return Endpoint(rest=f"http://{host}:{rest}", grpc=f"{grpc_host}:{grpc_port}")

    def _places(self, container: Container, port: int) -> Sequence[tuple[str, int]]:
        """Where it is published; its own address as well, for when we are a container beside it."""
        far = self._engine.far
        return [
            (far if far and host == _ANYWHERE else host, number) for host, number in container.places(port)
        ]

    def _told(self, ended: Ended) -> str:
        assert self._order is not None  # noqa: S101  whoever asks has started one
        if ended.out_of_memory:
            return f"it needs more memory than serving.memory gives it ({self._order.memory_bytes / 2**30:.3g} Gi)"
        return f"its server ended with status {ended.status}" + (f": {ended.why}" if ended.why else "")

    def _last(self, container: Container) -> str:
        return "\n".join(container.lines(LOG_LINES))

    def _keep_log(self, container: Container) -> None:
        assert self._order is not None  # noqa: S101  there is a container
        log = self._order.log
        with told(log, "make the folder writable"):
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("wb") as file:
                for piece in container.output():
                    file.write(piece)


class _MemoryWatch:
    """Samples what a container uses until it ends, and remembers the most."""

    def __init__(self, container: Container) -> None:
        self.most = 0
        self._container = container
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="container-memory")
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join(timeout=10 * SAMPLE_SECONDS)

    def _watch(self) -> None:
        while not self._ended.is_set():
            # A container that has just ended cannot be measured; what was seen before stands.
            with contextlib.suppress(MmcicdError):
                self.most = max(self.most, self._container.memory())
            self._ended.wait(SAMPLE_SECONDS)


def _refused(order: TrialOrder, what: str, why: str) -> GateRefused:
    return GateRefused(
        f"version {order.version} of {order.model} was refused: {what}",
        where=str(order.log),
        why=why,
        fix="read the log; nothing was released, and what serves serves on",
    )
