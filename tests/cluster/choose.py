"""Which cluster: the one that KUBECONFIG names, else one of kind, else a node of our own.

A KUBECONFIG that names our own node means that node: somebody did what `make cluster` said, and calls it again.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import images
import needs
import node
import programs
from place import KUBECONFIG, NAME, STATE, Missing, Trouble, cache


class Choice(ABC):
    """One way to a cluster."""

    # What its own commands are called.
    name: str
    kubeconfig: str

    @abstractmethod
    def up(self) -> None: ...

    @abstractmethod
    def is_up(self) -> bool: ...

    @abstractmethod
    def bring(self, archive: Path, name: str) -> list[str]:
        """Let every node know the images of an archive; what they are called there, as far as it is told."""

    @abstractmethod
    def kubectl(self) -> str: ...

    def trust(self, registry: str, authority: str) -> None:
        del authority
        raise Missing(f"How to pull from {registry} can be told to a node of our own only.")


def _asks(kubectl: str, kubeconfig: str) -> subprocess.CompletedProcess[str]:
    command = [kubectl, "get", "--raw=/readyz", "--request-timeout=10s"]
    # As a variable it may name several files.
    own = os.environ | {"KUBECONFIG": kubeconfig}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=own)


def _kubectl() -> str:
    """The person's own, else ours."""
    found = shutil.which("kubectl")
    if not found and not programs.is_built():
        raise Missing("kubectl is not on the PATH (Debian: apt-get install kubernetes-client).")
    return found or str(programs.folder() / "kubectl")


class Given(Choice):
    """A cluster of somebody else: asked whether it answers, never started, stopped or set up."""

    name = "KUBECONFIG"

    def __init__(self, kubeconfig: str) -> None:
        self.kubeconfig = kubeconfig

    def up(self) -> None:
        answer = _asks(self.kubectl(), self.kubeconfig)
        if answer.returncode:
            raise Trouble(
                f"The cluster that KUBECONFIG={self.kubeconfig} names does not answer: {answer.stderr.strip()}\n"
                "Unset KUBECONFIG to have one started here."
            )

    def is_up(self) -> bool:
        return _asks(self.kubectl(), self.kubeconfig).returncode == 0

    def bring(self, archive: Path, name: str) -> list[str]:
        del name
        raise Missing(
            f"{archive} cannot be brought to the nodes of {self.kubeconfig}; push it to a registry."
        )

    def kubectl(self) -> str:
        return _kubectl()


class Kind(Choice):
    """A cluster of kind's with our name."""

    name = "kind"
    kubeconfig = str(cache() / "kind.kubeconfig")

    def _kind(self, *words: str) -> str:
        done = subprocess.run(["kind", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Trouble(f"`kind {' '.join(words)}` failed: {done.stderr.strip()}")
        return done.stdout

    def _exists(self) -> bool:
        try:
            return NAME in self._kind("get", "clusters").split()
        except Trouble as e:
            raise Missing(f"kind is here and does not work; start its Docker engine. {e}") from e

    def up(self) -> None:
        if self._exists() and not _asks(self.kubectl(), self.kubeconfig).returncode:
            return
        # One that does not answer was killed half-way; what was in it was for trying out.
        self.down()
        self._kind("create", "cluster", "--name", NAME, "--kubeconfig", self.kubeconfig, "--wait", "180s")

    def down(self) -> None:
        if self._exists():
            self._kind("delete", "cluster", "--name", NAME, "--kubeconfig", self.kubeconfig)
        Path(self.kubeconfig).unlink(missing_ok=True)

    def is_up(self) -> bool:
        return self._exists() and _asks(self.kubectl(), self.kubeconfig).returncode == 0

    def bring(self, archive: Path, name: str) -> list[str]:
        del name
        self._kind("load", "image-archive", str(archive), "--name", NAME)
        return []

    def kubectl(self) -> str:
        return _kubectl()


class Own(Choice):
    """A node of our own on this machine."""

    name = "node"
    kubeconfig = str(KUBECONFIG)

    def up(self) -> None:
        node.up()

    def is_up(self) -> bool:
        return node.is_up()

    def bring(self, archive: Path, name: str) -> list[str]:
        return images.bring(archive, name)

    def kubectl(self) -> str:
        return str(programs.folder() / "kubectl")

    def trust(self, registry: str, authority: str) -> None:
        node.trust(registry, authority)


def choose() -> Choice:
    named = os.environ.get("KUBECONFIG", "")
    if named not in {"", Own.kubeconfig, Kind.kubeconfig}:
        return Given(named)
    # A node that is there stays the choice when kind is installed later.
    if shutil.which("kind") and not STATE.exists():
        return Kind()
    os.environ["PATH"] = needs.SEARCH
    return Own()


def stop_ours() -> None:
    """Whatever of ours runs, also when KUBECONFIG names another cluster, which is left alone."""
    os.environ["PATH"] = needs.SEARCH
    node.down()
    if Path(Kind.kubeconfig).exists():
        Kind().down()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Nobody else of this user builds, starts or stops at the same time."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another command is at work on the cluster; waiting for it.", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
