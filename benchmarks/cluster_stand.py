"""What benchmarks of a cluster share: a real cluster, a registry that its node pulls from, namespaces that go again.

It stands on what the tests stand on (`tests/support`), so that a benchmark asks the pods that a test knows.
"""

import contextlib
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness import skip

_TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(_TESTS / "support"), str(_TESTS / "system")]


@dataclass
class Stand:
    cluster: Any
    serving: Any
    folder: Path
    made: list[str] = field(default_factory=list)

    def namespace(self) -> str:
        name = f"mmcicd-test-{secrets.token_hex(4)}"
        self.cluster("create", "namespace", name)
        self.made.append(name)
        for _ in range(100):
            if self.cluster.run("get", "serviceaccount", "default", f"--namespace={name}").returncode == 0:
                break
            time.sleep(0.1)
        return name


@contextlib.contextmanager
def stand(folder: Path | None) -> Iterator[Stand]:
    """A place to measure in; the benchmark is skipped, with a sentence, where there can be none."""
    import registry_server
    from cluster_serving import shelf
    from cluster_tool import UnavailableError, running

    # Whose commits these are is no question of the machine.
    os.environ["GIT_CONFIG_GLOBAL"] = os.devnull
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
        try:
            cluster = stack.enter_context(running())
            serving = stack.enter_context(shelf(cluster, place / "serving"))
        except (UnavailableError, registry_server.UnavailableError) as e:
            skip(str(e))
        found = Stand(cluster, serving, place)
        try:
            yield found
        finally:
            if found.made:
                cluster("delete", "namespace", *found.made, "--wait=false", "--ignore-not-found")


def kubectl_version(stand_: Stand) -> str:
    told = json.loads(stand_.cluster("version", "--output=json", "--client"))
    return str(told["clientVersion"]["gitVersion"])
