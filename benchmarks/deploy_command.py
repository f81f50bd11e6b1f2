"""A deployment into a real API server without the cluster's own time, against a script on the typed client.

Ours renders, has each document checked by the cluster, fences, applies and notes the way back; the script only applies
documents that are ready. Both are processes of their own, turn by turn, and apply the same documents in namespaces of
their own. And what it costs to start each command that speaks with a cluster.
"""

import contextlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import harness, peers

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from cluster_tool import Cluster, UnavailableError, running

_GOAL = 0.7
_HERE = Path(__file__).parent
_PEERS = ("37.0.2", "36.0.3")
_COMMANDS = (
    "doctor", "promote", "reconcile", "render kubernetes", "render rbac", "rollback", "serve",
    "stage canary", "stage deploy", "stage monitor", "stage smoke", "status", "stop",
)  # fmt: skip


@contextlib.contextmanager
def namespaces(cluster: Cluster, count: int) -> Iterator[list[str]]:
    names = [f"mmcicd-bench-{secrets.token_hex(4)}" for _ in range(count)]
    try:
        for name in names:
            cluster("create", "namespace", name)
        yield names
    finally:
        cluster.run("delete", "namespace", *names, "--wait=false", "--ignore-not-found")


def configure(folder: Path, cluster: Cluster, namespace: str) -> None:
    server = cluster.server
    place = {"kind": "kubernetes", "cluster": server, "namespace": namespace, "replicas": 2}
    model = {"train": "true", "evaluate": {"command": "true"}, "gates": ["accuracy >= 0.9"]}
    document = {"models": {"churn": model}, "environments": {"production": place}}
    folder.mkdir()
    (folder / "mmcicd.yaml").write_text(json.dumps(document))


def ours(folder: Path) -> harness.Contender:
    command = [sys.executable, "-m", "benchmarks.deploying", str(folder)]
    return harness.Contender(
        name="mmcicd-jenkins", version=harness.our_version(), command=lambda run: [*command, str(run)]
    )


def typed(folder: Path, namespace: str, version: str) -> harness.Contender:
    ready = folder / f"{namespace}.json"
    render = [sys.executable, "-m", "benchmarks.deploying", str(folder)]

    def prepare(run: int) -> None:
        # In a process of its own: what this one loads would count as memory of all.
        subprocess.run([*render, str(run), str(ready), namespace], check=True)

    python = peers.peer(f"kubernetes=={version}") / "python"
    return harness.Contender(
        name="typed client",
        version=version,
        prepare=prepare,
        command=lambda _: [str(python), str(_HERE / "deploy_typed.py"), str(ready), namespace],
    )


def start_up(runs: int) -> list[dict[str, object]]:
    """`--help` of each command that speaks with a cluster."""
    program = str(Path(sys.executable).with_name("mmcicd-jenkins"))
    contenders = [
        harness.Contender(
            name=name, version="", command=lambda _, name=name: [program, *name.split(), "--help"]
        )
        for name in _COMMANDS
    ]
    samples = harness.alternate(contenders, runs)
    return [kept.to_json(one) for one, kept in zip(contenders, samples, strict=True)]


def benchmark(cluster: Cluster, folder: Path, runs: int, versions: tuple[str, ...]) -> dict[str, object]:
    os.environ["KUBECONFIG"] = cluster.kubeconfig
    with namespaces(cluster, 1 + len(versions)) as (own, *others):
        configure(folder / "repository", cluster, own)
        place = folder / "repository"
        contenders = [ours(place), *(typed(place, *pair) for pair in zip(others, versions, strict=True))]
        samples, *theirs = harness.alternate(contenders, runs)
    compared = [
        {
            "peer": kept.to_json(one),
            "ratio": harness.ratio_of(samples, kept),
            "cpu_ratio": harness.cpu_ratio_of(samples, kept),
            "goal": f"at most {_GOAL}",
            "met": harness.ratio_of(samples, kept) <= _GOAL,
        }
        for one, kept in zip(contenders[1:], theirs, strict=True)
    ]
    return {
        "name": "deploy_command",
        "what": "a deployment of four documents to a real API server, without the cluster's own time",
        "size": "4 documents",
        "runs": runs,
        "ours": samples.to_json(contenders[0]),
        **compared[0],
        "others": compared[1:],
        "start_up": start_up(min(runs, 5)),
    }


def main() -> None:
    chosen = harness.options(__doc__ or "")
    versions = _PEERS[:1] if chosen.smoke else _PEERS
    with contextlib.ExitStack() as stack:
        try:
            cluster = stack.enter_context(running())
        except UnavailableError as e:
            harness.skip(str(e))
        folder = stack.enter_context(TemporaryDirectory(dir=chosen.folder))
        result = benchmark(cluster, Path(folder), chosen.runs or (1 if chosen.smoke else 15), versions)
    harness.tell(result, chosen.json)


if __name__ == "__main__":
    main()
