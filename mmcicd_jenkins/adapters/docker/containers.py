"""Containers of a Docker engine: made with the least rights, watched, always removed.

Every container carries labels that say whose it is, so that the next one who comes removes what a killed process left.
The law: nothing here gives a container more than its `Wanted` asks for, and `run` ends with the container gone.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from mmcicd_jenkins.adapters.docker.engine import DockerEngine, told
from mmcicd_jenkins.records import dataclass

# Whose containers these are; the value says what for.
OWNER = "io.mmcicd.container"
# Enough for the threads of TensorFlow on a large machine, and a stop for a fork bomb.
MOST_PROCESSES = 8192
_LOG = {"type": "json-file", "config": {"max-size": "50m"}}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A container. `image` is an id or a reference by digest; `command` None = the image's own.

    `published` are ports that get a free one at `published_at`; `binds` folders at the same path inside, with whether
    they may be written to; `user` "" = the image's own. Zeros mean no limit.
    """

    image: str
    owner: str
    labels: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: str = ""
    user: str = ""
    groups: tuple[int, ...] = ()
    binds: Mapping[Path, bool] = field(default_factory=dict)
    network: str = "none"
    published: tuple[int, ...] = ()
    published_at: str = "127.0.0.1"
    read_only: bool = True
    memory_bytes: int = 0
    cpu: float = 0.0
    gpus: int = 0
    shared_memory_bytes: int = 0
    init: bool = False


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a container ended. `status` as a shell has it: 128 and the signal's number."""

    status: int
    out_of_memory: bool
    why: str = ""


class CannotStartError(Exception):
    """The image cannot be started: its program is missing or not executable. Never leaves the adapters."""


class NoSuchPathError(Exception):
    """A container has no such file or folder. Never leaves the adapters."""


class Container:
    """One container of an engine."""

    def __init__(self, engine: DockerEngine, identity: str) -> None:
        self._engine = engine
        self._api = engine.api
        self.id = identity

    def start(self) -> None:
        """Raises `CannotStartError` when the image's own program cannot be run."""
        from docker.errors import APIError

        with told("the engine cannot start a container", self._engine.name):
            try:
                self._api.start(self.id)
            except APIError as e:
                said = str(e.explanation or e)
                if _is_programs_fault(said):
                    raise CannotStartError(said[-256:]) from e
                raise

    def state(self) -> Mapping[str, Any]:
        with told("the engine cannot look at a container", self._engine.name):
            found: Mapping[str, Any] = self._api.inspect_container(self.id)
        return found

    def ended(self) -> Ended | None:
        """How it ended; None while it runs."""
        state = self.state()["State"]
        if state.get("Running") or state.get("Status") == "created":
            return None
        return Ended(
            status=int(state.get("ExitCode", 0)),
            out_of_memory=bool(state.get("OOMKilled")),
            why=str(state.get("Error") or ""),
        )

    def wait(self) -> None:
        """Return when it has ended."""
        with told("the engine does not say when a container ends", self._engine.name):
            self._api.wait(self.id, timeout=None)

    def places(self, port: int) -> tuple[tuple[str, int], ...]:
        """Where a published port may be reached: on the host, then at the container's own address."""
        network = self.state()["NetworkSettings"]
        found = [
            (str(binding["HostIp"]), int(binding["HostPort"]))
            for binding in (network.get("Ports") or {}).get(f"{port}/tcp") or ()
        ]
        own = [one.get("IPAddress") for one in (network.get("Networks") or {}).values()]
        return (*found, *((str(address), port) for address in own if address))

    def lines(self, count: int) -> tuple[str, ...]:
        """The end of what it printed."""
        with told("the engine cannot read the log of a container", self._engine.name):
            text: bytes = self._api.logs(self.id, tail=count)
        return tuple(line for line in text.decode(errors="replace").splitlines() if line.strip())

    def output(self, *, follow: bool = False) -> Iterator[bytes]:
        """What it printed, in pieces; with `follow` until it ends."""
        with told("the engine cannot read the log of a container", self._engine.name):
            yield from self._api.logs(self.id, stream=True, follow=follow)

    def memory(self) -> int:
        """Bytes in use that the kernel could not simply give back; 0 when nothing is known."""
        with told("the engine cannot measure a container", self._engine.name):
            seen = self._api.stats(self.id, stream=False, one_shot=True)
        return used_memory(seen.get("memory_stats") or {})

    def signal(self, name: str) -> None:
        """Send a signal; one that has ended meanwhile is left in peace."""
        from docker.errors import APIError

        with told("the engine cannot signal a container", self._engine.name), contextlib.suppress(APIError):
            self._api.kill(self.id, signal=name)

    def archive(self, path: str) -> Iterator[bytes]:
        """A folder of it as a tar, without starting it. Raises `NoSuchPathError` when there is none."""
        from docker.errors import NotFound

        with told(f"the engine cannot read {path} in a container", self._engine.name):
            try:
                pieces, _ = self._api.get_archive(self.id, path, chunk_size=2**20)
            except NotFound as e:
                raise NoSuchPathError(str(e.explanation)) from e
            yield from pieces

    def remove(self) -> None:
        """End it at once if it runs, and remove it; one that is gone already is well."""
        from docker.errors import APIError, NotFound

        with told("the engine cannot remove a container", self._engine.name):
            try:
                self._api.remove_container(self.id, force=True, v=True)
            except NotFound:
                return
            except APIError as e:
                # Another process removes it, which is as good.
                if "already in progress" not in str(e.explanation):
                    raise


def used_memory(stats: Mapping[str, Any]) -> int:
    """The working set: usage without file pages that were not touched for long (cgroup 1 and 2 name them otherwise)."""
    more = stats.get("stats") or {}
    idle = more.get("total_inactive_file", more.get("inactive_file", 0))
    return max(0, int(stats.get("usage") or 0) - int(idle or 0))


def create(engine: DockerEngine, wanted: Wanted) -> Container:
    """A container that has not been started."""
    api = engine.api
    with told("the engine cannot make a container", engine.name):
        made = api.create_container(
            wanted.image,
            command=list(wanted.command) if wanted.command is not None else None,
            entrypoint=list(wanted.entrypoint) if wanted.entrypoint is not None else None,
            environment=dict(wanted.environment),
            user=wanted.user or None,
            working_dir=wanted.directory or None,
            labels={OWNER: wanted.owner, **wanted.labels},
            ports=[*wanted.published],
            volumes=[str(path) for path in wanted.binds],
            host_config=api.create_host_config(**_limits(wanted)),
            # Proxies of the client's configuration may carry passwords, and are not part of what was asked for.
            use_config_proxy=False,
        )
    return Container(engine, str(made["Id"]))


def _limits(wanted: Wanted) -> dict[str, Any]:
    memory = wanted.memory_bytes
    return {
        "network_mode": wanted.network,
        "port_bindings": dict.fromkeys(wanted.published, (wanted.published_at, None)),
        "binds": {
            str(path): {"bind": str(path), "mode": "rw" if writable else "ro"}
            for path, writable in wanted.binds.items()
        },
        "read_only": wanted.read_only,
        "tmpfs": {"/tmp": "rw,nosuid,nodev,mode=1777"} if wanted.read_only else None,  # noqa: S108  inside
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": MOST_PROCESSES,
        "log_config": _LOG,
        "group_add": list(wanted.groups) or None,
        "init": wanted.init,
        # Swap would hide that a model does not fit.
        **({"mem_limit": memory, "memswap_limit": memory} if memory else {}),
        **({"nano_cpus": round(wanted.cpu * 1e9)} if wanted.cpu else {}),
        **({"shm_size": wanted.shared_memory_bytes} if wanted.shared_memory_bytes else {}),
        **({"device_requests": [_gpus(wanted.gpus)]} if wanted.gpus else {}),
    }


def _gpus(count: int) -> dict[str, Any]:
    return {"Driver": "", "Count": count, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}


@contextlib.contextmanager
def started(engine: DockerEngine, wanted: Wanted) -> Iterator[Container]:
    """A running container, gone afterwards whatever happens."""
    container = create(engine, wanted)
    try:
        container.start()
        yield container
    finally:
        container.remove()


def remove_leftovers(engine: DockerEngine, owner: str, labels: Mapping[str, str]) -> int:
    """Remove every container of `owner` with these labels; how many there were."""
    filters = [f"{name}={value}" for name, value in {OWNER: owner, **labels}.items()]
    with told("the engine cannot list containers", engine.name):
        found: Iterable[Mapping[str, Any]] = engine.api.containers(all=True, filters={"label": filters})
    removed = 0
    for one in found:
        Container(engine, str(one["Id"])).remove()
        removed += 1
    return removed


def _is_programs_fault(said: str) -> bool:
    """The runtime tells a missing or broken program in the same breath as its own failures."""
    return (
        "exec: " in said
        or "executable file not found" in said
        or "no such file or directory: unknown" in said
    )
