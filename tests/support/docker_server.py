"""A Docker engine: the running one, or one started here and stopped again. Benchmarks use it as well as tests.

What it gives is a function that runs `docker ARGUMENTS` and returns what it printed.
"""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_HOW = "apt-get install docker.io containerd runc iptables, and run the tests as root or with a Docker engine running"
_START_SECONDS = 60
# Where Debian keeps dockerd, for users as well.
_WHERE = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


_bridges = itertools.count()


class Engine:
    """A Docker engine at `host`, or the default one when `host` is empty.

    `without_network` says why its containers can publish no port; "" when they can.
    """

    def __init__(self, host: str = "", without_network: str = "") -> None:
        self.host = host
        self.without_network = without_network

    def __call__(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout

    def run(self, *arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        host = ["--host", self.host] if self.host else []
        return subprocess.run(["docker", *host, *arguments], input=stdin, capture_output=True, check=False)

    def answers(self) -> bool:
        return self.run("version").returncode == 0


class UnavailableError(Exception):
    """There is no engine; the sentence says how to get one."""


@contextlib.contextmanager
def serve() -> Iterator[Engine]:
    """An engine until the end of the block.

    Raises:
        UnavailableError: none runs and none can be started.
    """
    if not shutil.which("docker"):
        raise UnavailableError(f"Docker is not installed: {_HOW}")
    running = Engine()
    if running.answers():
        yield running
        return
    if os.geteuid() or not shutil.which("dockerd", path=_WHERE):
        raise UnavailableError(f"no Docker engine answers and none can be started: {_HOW}")
    with _own_engine() as own:
        yield own


@contextlib.contextmanager
def _own_engine() -> Iterator[Engine]:
    folder = Path(tempfile.mkdtemp(prefix="docker-"))
    bridge, why = _make_bridge()
    engine = Engine(f"unix://{folder}/docker.sock", why)
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [
            str(shutil.which("dockerd", path=_WHERE)),
            f"--host={engine.host}",
            f"--data-root={folder}/data",
            f"--exec-root={folder}/run",
            f"--pidfile={folder}/pid",
            # A bridge of its own: the usual one belongs to whichever engine came last. Ports are published by a process,
            # so the rules of a running firewall stay as they are.
            f"--bridge={bridge or 'none'}",
            "--iptables=false",
        ],
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        if not _wait(engine, process):
            last = (folder / "log").read_text(errors="replace").splitlines()[-1:]
            raise UnavailableError(f"dockerd did not start ({' '.join(last)}): {_HOW}")
        engine.pid = process.pid
        yield engine
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        log.close()
        if bridge:
            _ip("link", "delete", bridge)
        shutil.rmtree(folder, ignore_errors=True)


def _make_bridge() -> tuple[str, str]:
    """The name of a new bridge, or "" and why there is none."""
    # Several engines of one process must not meet either.
    number = os.getpid() + next(_bridges)
    name = f"mmcicd{number % 10**7}"
    made = _ip("link", "add", name, "type", "bridge")
    if made:
        return "", f"no bridge for containers can be made here ({made}): run the tests as root, with iproute2"
    # One of the small networks that nobody routes; another engine of these tests has another number.
    _ip("address", "add", f"10.213.{number % 254 + 1}.1/24", "dev", name)
    _ip("link", "set", name, "up")
    return name, ""


def _ip(*arguments: str) -> str:
    """What `ip` complained of; "" when it did as it was told."""
    try:
        done = subprocess.run(
            [shutil.which("ip", path=_WHERE) or "ip", *arguments], capture_output=True, check=False, text=True
        )
    except OSError as e:
        return str(e)
    return done.stderr.strip() if done.returncode else ""


def _wait(engine: Engine, process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if engine.answers():
            return True
        time.sleep(0.2)
    return False
