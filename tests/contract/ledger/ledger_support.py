"""What the ledger's tests share: a real repository, a real git daemon, decisions as the stages make them."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mmcicd_jenkins.adapters.git.ledger import GitLedger
from mmcicd_jenkins.adapters.signing import DsseSigner
from mmcicd_jenkins.adapters.system_clock import SystemClock
from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.release.history import Who, reserve
from mmcicd_jenkins.release.ledger import Change, Snapshot
from mmcicd_jenkins.release.proof import Proof, Trust, prove

WORKER = Path(__file__).with_name("ledger_worker.py")
WHO = Who(actor="ada", at="2026-01-02T03:04:05+00:00")


def no_signature_expected(_payload: bytes, _signature: object) -> str:
    raise IntegrityFailed("nobody signs here")


UNSIGNED = Trust(check=no_signature_expected, zone="laptop", required=False)


def open_ledger(url: str | Path, **settings: float) -> GitLedger:
    return GitLedger(str(url), signer=DsseSigner((), None), clock=SystemClock(), **settings)


def run_id(number: int) -> str:
    return f"sha256:{number:064x}"


def reserving(ledger: GitLedger, model: str, run: str) -> Callable[[Snapshot], Change | None]:
    """Reserve a version for `run` unless it has one, as `package` does."""

    def decide(snapshot: Snapshot) -> Change | None:
        if ledger.version_of_run(model, run) is not None:
            return None
        return reserve(snapshot, run, WHO)[0]

    return decide


def reserve_version(ledger: GitLedger, model: str, run: str) -> int | None:
    ledger.commit(model, reserving(ledger, model, run))
    return ledger.version_of_run(model, run)


def proof(url: str | Path, model: str) -> Proof:
    return prove(model, open_ledger(url).steps(model), UNSIGNED)


def start_worker(url: str | Path, *runs: int, model: str = "m", **variables: str) -> subprocess.Popen[bytes]:
    """A process of its own that reserves a version for each of `runs` and prints them."""
    return subprocess.Popen(
        [sys.executable, str(WORKER), str(url), model, *map(run_id, runs)],
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def versions(worker: subprocess.Popen[bytes]) -> list[int]:
    out, err = worker.communicate(timeout=120)
    assert worker.returncode == 0, err.decode()
    return [int(line) for line in out.split()]


def failpoint(name: str, action: str) -> dict[str, str]:
    return {"MMCICD_TESTING": "1", "MMCICD_FAILPOINTS": f"{name}={action}"}


@contextlib.contextmanager
def git_daemon(folder: Path) -> Iterator[str]:
    """Serve the repositories of `folder`; gives the address of the folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    daemon = subprocess.Popen(
        [
            "git",
            "daemon",
            "--export-all",
            "--enable=receive-pack",
            "--reuseaddr",
            "--listen=127.0.0.1",
            f"--port={port}",
            f"--base-path={folder}",
            str(folder),
        ],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for(port)
        yield f"git://127.0.0.1:{port}"
    finally:
        # Its children serve connections; the group is all of them.
        os.killpg(daemon.pid, 15)
        daemon.wait()


def _wait_for(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError("git daemon did not start")


def bare_repository(path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", "--bare", str(path)], check=True)
    return path


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    done = subprocess.run(
        ["git", *identity, "-C", str(folder), *arguments], input=stdin, capture_output=True, check=True
    )
    return done.stdout.decode().strip()
