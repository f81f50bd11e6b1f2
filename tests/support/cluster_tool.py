"""The tool `tests/cluster` and kubectl in the hands of a test or a benchmark; it knows nothing of pytest.

`with running() as cluster:` finds a cluster that is up and leaves it so, or starts one and stops it again.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

TOOL = Path(__file__).resolve().parents[1] / "cluster"
_OWN = "node"
_NOT_HERE = 2


class UnavailableError(Exception):
    """No cluster can be had here; the sentence says what is missing and how to get it."""


def tool(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOL), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)


def _told(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode == _NOT_HERE:
        raise UnavailableError(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True)
class Cluster:
    """A cluster that answers; call it as you would call kubectl."""

    kind: str
    kubeconfig: str
    kubectl: str

    @property
    def is_own(self) -> bool:
        return self.kind == _OWN

    def run(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"KUBECONFIG": self.kubeconfig, "KUBECACHEDIR": tempfile.gettempdir()}
        return subprocess.run(
            [self.kubectl, *words], input=stdin, capture_output=True, text=True, check=False, env=environment
        )

    def __call__(self, *words: str, stdin: str | None = None) -> str:
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return done.stdout

    def get(self, *words: str) -> Any:
        return json.loads(self("get", *words, "--output=json"))

    def apply(self, namespace: str, *documents: Mapping[str, Any]) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": documents}
        self("apply", f"--namespace={namespace}", "--filename=-", stdin=json.dumps(listed))

    def wait(self, namespace: str, what: str, condition: str, seconds: int = 90) -> None:
        words = ("wait", f"--namespace={namespace}", what, f"--for={condition}", f"--timeout={seconds}s")
        done = self.run(*words)
        if done.returncode:
            events = self.run("get", "events", f"--namespace={namespace}").stdout
            raise AssertionError(f"{what} is not {condition}: {done.stderr}\n{events}")

    @cached_property
    def address(self) -> str:
        """Where a NodePort is found: on a node of our own loopback, and nowhere else."""
        if self.is_own:
            return "127.0.0.1"
        addresses = self.get("nodes")["items"][0]["status"]["addresses"]
        return next(each["address"] for each in addresses if each["type"] == "InternalIP")

    @cached_property
    def server(self) -> str:
        """The address of its API server."""
        config = self("config", "view", "--minify", "--output=json")
        return str(json.loads(config)["clusters"][0]["cluster"]["server"])

    def node_port(self, namespace: str, service: str) -> str:
        ports = self.get("service", service, f"--namespace={namespace}")["spec"]["ports"]
        return f"{self.address}:{ports[0]['nodePort']}"

    def image(self, name: str, folder: Path, config: Mapping[str, Any]) -> str:
        """Everything below `folder` as an image that the node has; its name, for a pod that never pulls."""
        _told(tool("image", name, str(folder), f"--config={json.dumps(config)}", KUBECONFIG=self.kubeconfig))
        return name

    def bring(self, archive: Path, name: str = "") -> list[str]:
        """The images of an archive: `docker save`, or a tar of an OCI layout with `name` before its tags."""
        return _told(tool("import", str(archive), f"--name={name}", KUBECONFIG=self.kubeconfig)).split()

    def trust(self, registry: str, authority: Path | None = None) -> None:
        """Let the node pull from `registry`: by http, or by https with the CA file."""
        _told(tool("trust", registry, f"--ca={authority or ''}", KUBECONFIG=self.kubeconfig))


@contextlib.contextmanager
def running() -> Iterator[Cluster]:
    """A cluster until the end of the block.

    Raises:
        UnavailableError: there is none, and none can be started in seconds.
    """
    facts = json.loads(_told(tool("up", "--json", "--no-build")))
    try:
        yield Cluster(facts["kind"], facts["kubeconfig"], facts["kubectl"])
    finally:
        if facts["started"]:
            _told(tool("down"))


def answers(url: str, seconds: float = 30) -> str:
    """What a server says by http, once it does; a new connection each time, no proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError), opener.open(url, timeout=5) as answer:
            return answer.read().decode()
        if time.monotonic() > end:
            raise AssertionError(f"{url} does not answer")
        time.sleep(0.05)
