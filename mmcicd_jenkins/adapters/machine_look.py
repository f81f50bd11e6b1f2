"""`ports.doctor.MachineLook`: programs, disks, ports and GPUs of this machine. Changes nothing."""

import contextlib
import importlib.util
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmcicd_jenkins.adapters.credentials import without_ours
from mmcicd_jenkins.adapters.git.answers import redact
from mmcicd_jenkins.adapters.local.server import LocalServer
from mmcicd_jenkins.adapters.redaction import Redactor
from mmcicd_jenkins.errors import MmcicdError
from mmcicd_jenkins.ports.doctor import Disk, Gpus, Port

_LONGEST = 256
_GPUS = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")


class Machine:
    """This machine, asked for at most `seconds` each time."""

    def __init__(self, variables: Mapping[str, str], seconds: float) -> None:
        self._variables = variables
        self._seconds = seconds

    def versions(self) -> Mapping[str, str]:
        found = re.search(r"\d+(\.\d+)+", self._run(("git", "--version")).out)
        venv = all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))
        return {
            "python": platform.python_version(),
            "git": found[0] if found else "",
            "venv": "there" if venv or shutil.which("virtualenv") else "",
        }

    def disk(self, folder: Path) -> Disk:
        place = folder.absolute()
        while not place.exists() and place != place.parent:
            place = place.parent
        try:
            free = shutil.disk_usage(place).free
        except OSError:
            return Disk(path=str(place), writable=False, free_bytes=0)
        return Disk(path=str(place), writable=os.access(place, os.W_OK | os.X_OK), free_bytes=free)

    def port(self, host: str, number: int, state: Path) -> Port:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as door:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                door.bind((host, number))
            except OSError:
                return Port(number=number, free=False, ours=_is_ours(number, state))
        return Port(number=number, free=True)

    def gpus(self) -> Gpus:
        told = self._run(_GPUS)
        if told.status is None:
            return Gpus()
        names = tuple(line.strip() for line in told.out.splitlines() if line.strip())
        if told.status != 0:
            return Gpus(installed=True, why=_first(told.said or told.out))
        return Gpus(names=names, installed=True, why="" if names else "it lists none")

    def engine(self) -> str:
        from mmcicd_jenkins.adapters.docker.engine import DockerEngine

        return DockerEngine.open(without_ours(self._variables)).version

    def index(self) -> str:
        # Asks the index as an installation would, and installs nothing. One retry, since only then pip says why.
        told = self._run(
            (
                *(sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--ignore-installed"),
                *("--disable-pip-version-check", "--no-input", "--quiet", "--retries", "1"),
                *("--timeout", f"{max(1.0, self._seconds / 3):.0f}", "--", "pip"),
            )
        )
        return "" if told.status == 0 else _why_no_index(told.said)

    def _run(self, command: Sequence[str]) -> "_Told":
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=self._seconds,
                check=False,
                env={**without_ours(self._variables), "LC_ALL": "C"},
            )
        except FileNotFoundError:
            return _Told(None, "", "")
        except (OSError, subprocess.TimeoutExpired) as e:
            return _Told(-1, "", str(e))
        hide = Redactor(self._variables).hide
        return _Told(
            done.returncode,
            hide(done.stdout).decode("utf-8", "replace"),
            hide(done.stderr).decode("utf-8", "replace"),
        )


class _Told:
    def __init__(self, status: int | None, out: str, said: str) -> None:
        self.status = status
        self.out = out
        self.said = said


def _is_ours(number: int, state: Path) -> bool:
    with contextlib.suppress(MmcicdError):  # an unreadable state is not ours to explain here
        found = LocalServer(state).listening()
        return found is not None and number in {found.rest_port, found.grpc_port}
    return False


def _why_no_index(said: str) -> str:
    broken = re.search(r"connection broken by '(?P<why>.*?)': /", said)
    if broken:
        return redact(broken["why"].rpartition(": ")[2].rstrip("')\""))
    return redact(_first(said)) or "it did not come to an end in time"


def _first(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:_LONGEST] if lines else ""
