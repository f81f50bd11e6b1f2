"""The embedded server as a process of its own: start it, see whether it lives, read what it says, stop it.

It lives as long as its lock is held: the kernel frees the lock of a killed process, and a number that another
process got since cannot mislead. What it is told and what it says are the documents of `release.desired`.
"""

import fcntl
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from mmcicd_jenkins.adapters.local.orphans import end_orphan, find_orphan
from mmcicd_jenkins.adapters.private_folder import told
from mmcicd_jenkins.errors import InputError, IntegrityFailed, OutsideFailed
from mmcicd_jenkins.release.desired import (
    ACTUAL,
    DESIRED,
    LOCK,
    LOG,
    OUTPUT,
    SERVER,
    Actual,
    Desired,
    Listening,
)
from mmcicd_jenkins.release.documents import from_document, to_document

T = TypeVar("T")

POLL_SECONDS = 0.05
# TensorFlow's import takes four seconds on a quiet machine.
START_SECONDS = 180.0
# The server drains for thirty seconds before it ends by itself.
STOP_SECONDS = 40.0
TAIL_LINES = 8
# What a model's code may see of our environment: where programs and libraries are, nothing that could be a secret.
_PASSED = ("PATH", "HOME", "TMPDIR", "TZ", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LD_PRELOAD")
_PASSED_PREFIXES = ("LANG", "LC_", "PYTHON", "TF_", "CUDA_", "NVIDIA_", "OMP_")


class LocalServer:
    """The server of one state directory, running or not."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def lives(self) -> bool:
        try:
            lock = os.open(self.root / LOCK, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(lock)

    def desired(self) -> Desired | None:
        """Raises `IntegrityFailed` when the file was changed by hand into something else."""
        return _read(Desired, self.root / DESIRED)

    def want(self, desired: Desired) -> None:
        """Write the desired state: whole or not at all, and on the disk before this returns."""
        path = self.root / DESIRED
        beside = path.with_name(f".{DESIRED}.{os.getpid()}.part")
        with told(self.root, "choose another folder"):
            self.root.mkdir(parents=True, exist_ok=True)
            with beside.open("w", encoding="utf-8") as file:
                json.dump(to_document(desired), file, indent=1, sort_keys=True)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)

    def actual(self) -> Actual | None:
        return _read(Actual, self.root / ACTUAL) if self.lives() else None

    def listening(self) -> Listening | None:
        """Where it listens; None when it does not, or not yet."""
        found = _read(Listening, self.root / SERVER) if self.lives() else None
        return found if found is not None and not found.what else None

    def ensure(self) -> Listening:
        """Start it unless it lives; returns when it listens.

        Raises:
            InputError: TensorFlow is not installed.
            OutsideFailed: it does not come up.
        """
        if not self.lives():
            self._end_orphan()
            self._start()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            found = _read(Listening, self.root / SERVER)
            if found is not None and found.what:
                raise OutsideFailed(found.what, where=found.where, why=found.why, fix=found.fix)
            lives = self.lives()
            if found is not None and lives:
                return found
            if not lives:
                raise self.failed("the server ended while it started")
            time.sleep(POLL_SECONDS)
        raise self.failed(f"the server did not listen within {START_SECONDS:.0f} s")

    def _start(self) -> None:
        for module in ("tensorflow", "tensorflow_serving", "aiohttp", "grpc"):
            if importlib.util.find_spec(module) is None:
                raise InputError(
                    f"serving here needs {module}",
                    fix="pip install 'mmcicd-jenkins[tensorflow]'; for agents: jenkins.cli with [tensorflow]",
                )
        command = [sys.executable, "-m", "mmcicd_jenkins.serving", "--state", str(self.root), "--detach"]
        started = subprocess.run(
            command, env=_environment(os.environ), stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        # 75: another starter was faster, which is as good.
        if started.returncode not in (0, 75):
            why = started.stderr.decode(errors="replace").strip()[-500:]
            raise OutsideFailed("the server cannot be started", where=str(self.root), why=why)

    def stop(self) -> bool:
        """End it, or what is left of it when its folder was deleted; False when nothing ran.

        First politely, so that requests are answered.

        Raises:
            OutsideFailed: it runs under another user.
        """
        if not self.lives():
            return self._end_orphan()
        for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
            self._signal(number)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if not self.lives():
                    return True
                time.sleep(POLL_SECONDS)
        raise self.failed("the server does not end")

    def _end_orphan(self) -> bool:
        """It knows nothing of orders any more, and holds the ports that its successor needs."""
        orphan = find_orphan(self.root)
        if orphan is not None:
            end_orphan(orphan, STOP_SECONDS)
        return orphan is not None

    def absence(self) -> str:
        """Why nothing is known of a server that does not live."""
        orphan = find_orphan(self.root)
        if orphan is None:
            return "the server does not run"
        return f"its folder was deleted; process {orphan} still serves what it had"

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.kill(int((self.root / LOCK).read_text()), number)
        except (FileNotFoundError, ValueError, ProcessLookupError):
            # It ended meanwhile, or has not written its number yet: the caller looks again.
            pass
        except PermissionError as e:
            raise OutsideFailed(
                "the server cannot be stopped", where=str(self.root), why="it belongs to another user"
            ) from e

    def failed(self, what: str, why: str = "") -> OutsideFailed:
        """An error with the end of the server's own words."""
        return OutsideFailed(what, where=str(self.root / LOG), why=why or self.tail())

    def tail(self) -> str:
        lines: list[str] = []
        for name in (OUTPUT, LOG):
            try:
                text = (self.root / name).read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            lines += [line for line in text.splitlines() if line.strip()][-TAIL_LINES:]
        return "\n".join(lines[-TAIL_LINES:])


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in variables.items()
        if name in _PASSED or name.startswith(_PASSED_PREFIXES)
    }


def _read(kind: type[T], path: Path) -> T | None:
    """A document of the state directory; None when there is none."""
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as e:
        raise IntegrityFailed(
            f"{path.name} is not what was written there", where=str(path), why=str(e), fix=f"delete {path}"
        ) from e
    return from_document(kind, document, str(path))
