"""A containerd of a test's own, spoken to by `ctr`: import the fixture `containerd`, a function that runs `ctr ARGUMENTS`.

It is what pulls and runs on the nodes of a cluster. Where it cannot run the tests are skipped with a sentence.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

_HOW = "apt-get install containerd runc, and run the tests as root"
_START_SECONDS = 30


class Containerd:
    def __init__(self, address: Path) -> None:
        self.address = address

    def __call__(self, *arguments: str) -> bytes:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout

    def run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["ctr", "--address", str(self.address), *arguments], capture_output=True, check=False, timeout=120
        )


@pytest.fixture(scope="session")
def containerd():
    if os.geteuid() or not all(map(shutil.which, ("containerd", "ctr", "runc"))):
        pytest.skip(f"containerd is missing or may not be started: {_HOW}")
    # A socket's path has at most 107 letters.
    folder = Path(tempfile.mkdtemp(prefix="ctr-", dir="/tmp"))
    address = folder / "s"
    # The plugin for Kubernetes would look for network plugins and ports.
    settings = {
        "version": 2,
        "root": str(folder / "root"),
        "state": str(folder / "state"),
        "disabled_plugins": ["io.containerd.grpc.v1.cri"],
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    (folder / "config.toml").write_text("\n".join([*lines, "[grpc]", f'address = "{address}"']) + "\n")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["containerd", "--config", str(folder / "config.toml")],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    engine = Containerd(address)
    try:
        end = time.monotonic() + _START_SECONDS
        while engine.run("version").returncode:
            if process.poll() is not None or time.monotonic() > end:
                last = (folder / "log").read_text(errors="replace").splitlines()[-1:]
                pytest.skip(f"containerd did not start ({' '.join(last)}): {_HOW}")
            time.sleep(0.1)
        yield engine
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)
