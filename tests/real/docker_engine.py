"""A Docker engine for the tests that need one: the running one, or one started here and stopped again.

Import the fixture `docker` into a test module. It gives a function that runs `docker ARGUMENTS` and returns what
it printed; without an engine the tests are skipped with a sentence that says how to get one.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

_HOW = "apt-get install docker.io containerd runc iptables, and run the tests as root or with a Docker engine running"
_START_SECONDS = 60


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


@pytest.fixture(scope="session")
def docker():
    if not shutil.which("docker"):
        pytest.skip(f"Docker is not installed: {_HOW}")
    running = Engine()
    if running.answers():
        yield running
        return
    if os.geteuid() or not shutil.which("dockerd"):
        pytest.skip(f"no Docker engine answers and none can be started: {_HOW}")
    yield from _own_engine()


def _own_engine():
    folder = Path(tempfile.mkdtemp(prefix="docker-"))
    engine = Engine(f"unix://{folder}/docker.sock")
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [
            "dockerd",
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
            pytest.skip(f"dockerd did not start ({' '.join(last)}): {_HOW}")
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
