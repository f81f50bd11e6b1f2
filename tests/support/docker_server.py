"""A Docker engine: the running one, or one started here and stopped again. Benchmarks use it as well as tests.

What it gives is a function that runs `docker ARGUMENTS` and returns what it printed.
"""

import contextlib
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


class Engine:
    """A Docker engine at `host`, or the default one when `host` is empty."""

    def __init__(self, host: str = "") -> None:
        self.host = host

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
    engine = Engine(f"unix://{folder}/docker.sock")
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [
            str(shutil.which("dockerd", path=_WHERE)),
            f"--host={engine.host}",
            f"--data-root={folder}/data",
            f"--exec-root={folder}/run",
            f"--pidfile={folder}/pid",
            # Nothing here needs a network, and the rules of a running firewall stay as they are.
            "--bridge=none",
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
        yield engine
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(engine: Engine, process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if engine.answers():
            return True
        time.sleep(0.2)
    return False
