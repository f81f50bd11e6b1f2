"""Python environments for a model's commands: `ports.Environments` on `venv` and `pip`.

An environment is made in its final place, because a venv cannot be moved; the file `complete.json` says
that it is whole, and one without it is made again. Without a requirements file the Python that is there is
used, and what is installed in it is its identity.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmcicd_jenkins.adapters import file_lock
from mmcicd_jenkins.adapters.environments.requirements import Requirements, read_requirements
from mmcicd_jenkins.errors import InputError, OutsideFailed
from mmcicd_jenkins.ports import Commands, PythonEnvironment
from mmcicd_jenkins.release.canonical import digest_of

COMPLETE = "complete.json"
MAKE_SECONDS = 3600.0
# The tools that run the pipeline do not make the model; an upgrade of them must not train it again.
NOT_OF_THE_MODEL = ("mmcicd-jenkins", "pip", "setuptools", "wheel")

# Every value comes by the environment, so that no name is ever read by the shell.
MAKE = '"$MMCICD_BASE_PYTHON" -m venv --clear "$MMCICD_VENV"'
INSTALL = (
    'exec "$MMCICD_VENV/bin/python" -m pip install --no-input --disable-pip-version-check'
    ' --progress-bar off -r "$MMCICD_REQUIREMENTS"'
)
# Runs in the environment that it describes: version, platform, site folders and packages, as JSON.
DESCRIBE = """
import importlib.metadata as m, json, site, sys, sysconfig
print(json.dumps({
    "python": "%s-%d.%d" % (sys.implementation.name, *sys.version_info[:2]),
    "platform": sysconfig.get_platform(),
    "folders": sorted({p for p in sys.path if p.rstrip("/").endswith(("site-packages", "dist-packages"))}),
    "packages": sorted({"%s==%s" % (d.metadata["Name"].lower().replace("_", "-"), d.version)
                        for d in m.distributions() if d.metadata["Name"]}),
}))
"""


class VirtualEnvironments:
    """`ports.Environments`.

    Args:
        cache: where environments are kept, one folder each; shared by all checkouts of a machine.
        commands: runs `venv` and `pip`, so that they end when we do.
    """

    def __init__(self, cache: Path, commands: Commands) -> None:
        self._cache = cache
        self._commands = commands

    def digest(self, requirements: Path | None) -> str:
        """The identity of the environment, the same on every machine; makes nothing.

        Raises:
            InputError: the requirements cannot be read.
        """
        if requirements is None:
            return _existing_digest(self._existing(_python_on_path()))
        return _digest(read_requirements(requirements))

    def ensure(
        self,
        requirements: Path | None,
        on_line: Callable[[str], None],
        say: Callable[[str], None] | None = None,
    ) -> PythonEnvironment:
        """The environment, made now if it is not there.

        Raises:
            InputError: a requirement cannot be met as it is written.
            OutsideFailed: the package index or this machine failed.
            CommandFailed: a package failed to build.
        """
        if requirements is None:
            return self._existing_environment()
        wanted = read_requirements(requirements)
        digest = _digest(wanted)
        # Local projects bind an environment to their folder, though not the identity of what is in it.
        key = digest_of({"digest": digest, "places": list(wanted.places)}).removeprefix("sha256:")[:32]
        folder = self._cache / key
        environment = _complete(folder, digest)
        if environment is not None:
            return environment
        say = say or on_line
        waiting = f"waiting for another process that makes the environment of {requirements.name}"
        with file_lock.hold(self._cache / f"{key}.lock", MAKE_SECONDS, lambda: say(waiting)):
            environment = _complete(folder, digest)
            if environment is None:
                say(f"making the environment of {requirements.name}, once on this machine")
                self._make(folder, requirements, wanted, on_line)
                environment = _complete(folder, digest, made=True)
        if environment is None:
            raise OutsideFailed(
                "the environment vanished while it was made", where=str(folder), retryable=True
            )
        return environment

    def _make(
        self, folder: Path, requirements: Path, wanted: Requirements, on_line: Callable[[str], None]
    ) -> None:
        from mmcicd_jenkins.adapters.environments import (
            pip_failures,  # what pip may say is a page of patterns
        )

        # The log is kept: its lock makes us wait for the remains of one that was killed here.
        log = folder.with_suffix(".log")
        shutil.rmtree(folder, ignore_errors=True)
        seen = pip_failures.Signs()

        def listen(line: str) -> None:
            seen.take(line)
            on_line(line)

        variables = {
            "MMCICD_BASE_PYTHON": sys.executable,
            "MMCICD_VENV": str(folder),
            "MMCICD_REQUIREMENTS": str(requirements.resolve()),
        }
        for command in (MAKE, INSTALL):
            finished = self._commands.run(
                command,
                directory=requirements.resolve().parent,
                variables=variables,
                log=log,
                timeout_seconds=MAKE_SECONDS,
                on_line=listen,
            )
            if finished.status != 0:
                raise pip_failures.told(finished, seen, wanted, requirements, log, venv=command == MAKE)
        found = _describe(folder / "bin" / "python")
        _write(folder / COMPLETE, {"packages": found["packages"]})

    def _existing_environment(self) -> PythonEnvironment:
        python = _python_on_path()
        found = self._existing(python)
        path = os.environ.get("PATH", os.defpath)
        variables = {}
        if shutil.which("python") is None:
            # The team writes `python train.py`; this machine has that name only beside our own interpreter.
            variables["PATH"] = f"{Path(python).parent}{os.pathsep}{path}"
        return PythonEnvironment(
            digest=_existing_digest(found),
            python=python,
            variables=variables,
            packages=tuple(found["packages"]),
        )

    def _existing(self, python: str) -> Mapping[str, Any]:
        """What `python` is and holds; asked again when one of its package folders changed."""
        record = self._cache / "interpreters" / f"{digest_of(python).removeprefix('sha256:')[:32]}.json"
        try:
            known = json.loads(record.read_text(encoding="utf-8"))
            if known["stamp"] == _stamp(python, known["found"]["folders"]):
                return known["found"]  # type: ignore[no-any-return]
        except (OSError, ValueError, KeyError, TypeError):
            pass  # absent, from another version, or damaged: it is asked again
        found = _describe(Path(python))
        with contextlib.suppress(OutsideFailed):  # a cache that cannot be written only costs time
            _write(record, {"stamp": _stamp(python, found["folders"]), "found": found})
        return found


def _digest(wanted: Requirements) -> str:
    return digest_of(
        {
            "python": f"{sys.implementation.name}-{sys.version_info[0]}.{sys.version_info[1]}",
            "platform": sysconfig.get_platform(),
            "requirements": list(wanted.contents),
        }
    )


def _existing_digest(found: Mapping[str, Any]) -> str:
    return _digest_of_packages(found["python"], found["platform"], tuple(found["packages"]))


@lru_cache(maxsize=4)  # every stage asks for the one that is there, and its list is long
def _digest_of_packages(python: str, platform: str, found: tuple[str, ...]) -> str:
    packages = [p for p in found if p.partition("==")[0] not in NOT_OF_THE_MODEL]
    return digest_of({"python": python, "platform": platform, "packages": packages})


def _python_on_path() -> str:
    return shutil.which("python") or shutil.which("python3") or sys.executable


def _complete(folder: Path, digest: str, *, made: bool = False) -> PythonEnvironment | None:
    python = folder / "bin" / "python"
    try:
        packages = json.loads((folder / COMPLETE).read_text(encoding="utf-8"))["packages"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not python.exists():  # the Python it was made from was removed
        return None
    with contextlib.suppress(OSError):
        os.utime(folder)  # `gc --local` goes by the last use
    path = os.environ.get("PATH", os.defpath)
    return PythonEnvironment(
        digest=digest,
        python=str(python),
        variables={"PATH": f"{python.parent}{os.pathsep}{path}", "VIRTUAL_ENV": str(folder)},
        packages=tuple(packages),
        made=made,
    )


def _describe(python: Path) -> dict[str, Any]:
    try:
        answer = subprocess.run(
            [str(python), "-c", DESCRIBE],
            capture_output=True,
            check=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )
        return json.loads(answer.stdout)  # type: ignore[no-any-return]
    except (OSError, ValueError, subprocess.SubprocessError) as e:
        raise InputError(
            "the Python of this environment does not answer",
            where=str(python),
            why=(getattr(e, "stderr", b"") or str(e).encode()).decode("utf-8", "replace")[-256:],
            fix="install Python 3.11 or newer, or name a requirements file",
        ) from e


def _stamp(python: str, folders: list[str]) -> list[int]:
    """Installing and removing a package changes its folder's time; another Python changes the file behind the name."""
    places = [Path(python).resolve(), *map(Path, folders)]
    return [place.stat().st_mtime_ns for place in places if place.exists()]


def _write(path: Path, document: Mapping[str, object]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as e:
        temporary.unlink(missing_ok=True)
        raise file_lock.cannot_write(path, e) from e
