"""A repository of paper whose environments are namespaces of a stand-in for a cluster; it knows nothing of pytest.

The stages, git, the ledger, the way to the cluster and what is applied there are the real ones. The trainer is a shell
script, verify looks at files, and the store is a folder that says under which name a cluster would pull.
"""

import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from kubernetes_standin import StandIn
from paper import CONFIG, FileTarget, Replaced, commit, make_repository
from test_killed_anywhere import update_lock

from mmcicd_jenkins.adapters.embedded_trial import EmbeddedTrial
from mmcicd_jenkins.adapters.system_clock import SystemClock
from mmcicd_jenkins.ports import Endpoint, GoldenResult
from mmcicd_jenkins.stages import rollback_offline, run_stage
from mmcicd_jenkins.stages.context import Outcome
from mmcicd_jenkins.wiring import Bench, open_bench

MODEL = "double"
GOLDEN = """
cat > "$MMCICD_EVALUATION_DIR/golden.json" <<END
{"signature": "serving_default", "inputs": {"x": {"dtype": "float32", "shape": [null]}}, "output": "y",
 "instances": [1.0, 2.0], "outputs": [2.0, 4.0], "tolerance": 0.0001}
END
"""
ROAD = ("prepare", "data", "train", "evaluate", "package", "verify", "deploy", "smoke", "propose")


class Addressed:
    """A store whose images a cluster could pull."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def address(self, model: str, digest: str) -> str:
        return f"registry.example/ml/{model}@{digest}"


class Quick(SystemClock):
    """A clock that does not wait, and goes on all the same."""

    def __init__(self) -> None:
        self._slept = timedelta()

    def now(self) -> datetime:
        return super().now() + self._slept

    def sleep(self, seconds: float) -> None:
        self._slept += timedelta(seconds=seconds)


class Answers:
    """`ports.ModelClient` whose model answers as it did, unless told otherwise."""

    def __init__(self) -> None:
        self.wrong = False
        self.asked: list[Endpoint] = []

    def ask_golden(self, endpoint: Endpoint, _model: str, golden: Any) -> GoldenResult:
        self.asked.append(endpoint)
        count = len(golden["instances"])
        right = 0 if self.wrong else count
        return GoldenResult(asked=count, matched_rest=right, matched_grpc=right, seconds=(0.001,) * count)


class PaperCluster:
    """`base/repo` and what lies beside it; `standin` is the cluster of both environments."""

    def __init__(self, base: Path, standin: StandIn) -> None:
        self.base, self.standin = base, standin
        standin.namespaces.add("staging")
        self.client = Answers()
        self.variables = {
            **os.environ,
            "KUBECONFIG": str(standin.kubeconfig(base)),
            "XDG_CACHE_HOME": str(base / "cache"),
            "MMCICD_ACTOR": "ada",
        }

    @property
    def repo(self) -> Path:
        return self.base / "repo"

    def make(self, **production: Any) -> "PaperCluster":
        make_repository(self.repo)
        with (self.repo / "evaluate.sh").open("a") as script:
            script.write(GOLDEN)
        self.configure(**production)
        update_lock(self.base)
        commit(self.repo, "begin")
        return self

    def configure(self, **production: Any) -> None:
        cluster = {"kind": "kubernetes", "cluster": self.standin.address}
        pods = {"min_ready": "1s", "start_timeout": "1s", "drain": "1s", "longest_request": "1s"}
        address = {"rest": "http://127.0.0.1:9", "grpc": "127.0.0.1:9"}
        quick = {"progress_timeout": "3s", "pods": pods, "address": address}
        places = {
            "staging": {**cluster, **quick, "namespace": "staging"},
            "production": {**cluster, **quick, "namespace": "ml", "replicas": 2, **production},
        }
        registry = {"registry": "registry.example/ml"}
        text = f"environments: {json.dumps(places)}\nstore: {json.dumps(registry)}\n"
        (self.repo / "mmcicd.yaml").write_text(CONFIG + text)

    def edit(self, factor: str) -> None:
        commit(self.repo, f"a factor of {factor}", factor_txt=factor)

    def bench(self, **variables: str) -> Bench:
        return open_bench(self.repo, variables={**self.variables, **variables}, shared=True)

    def ports(self, bench: Bench, **instead: Any) -> Any:
        store = Addressed(_layout(bench))
        return Replaced(
            bench.ports,
            store=store,
            client=self.client,
            clock=Quick(),
            throwaway=lambda folder, runnable: EmbeddedTrial(  # noqa: ARG005 - the port names it
                FileTarget(folder / "target.json", store), folder, "paper"
            ),
            **instead,
        )

    def stage(self, name: str, environment: str = "", version: int | None = None, **instead: Any) -> Outcome:
        bench = self.bench()
        job = bench.job(MODEL, environment=environment or None, version=version, reason="because")
        return run_stage(name, job, self.ports(bench, **instead))

    def road(self) -> list[Outcome]:
        return [self.stage(name) for name in ROAD]

    def offline(self, environment: str = "production") -> Outcome:
        bench = self.bench()
        job = bench.job(MODEL, environment=environment, reason="git is down")
        ports = self.ports(bench)
        return rollback_offline.apply(
            rollback_offline.plan(job, rollback_offline.look(job, ports)), job, ports
        )

    def pointer(self, environment: str = "production") -> Any:
        return self.bench().ledger.snapshot(MODEL).pointer(environment)

    def serves(self, environment: str = "production") -> int | None:
        bench = self.bench()
        return bench.target(bench.config.environments[environment]).observe(MODEL).version

    def deployment(self, namespace: str = "ml", track: str = "stable") -> Any:
        return self.standin.object("Deployment", f"{MODEL}-{track}", namespace)


def _layout(bench: Bench) -> Any:
    from mmcicd_jenkins.adapters.layout.store import OciLayoutStore

    return OciLayoutStore(bench.config.root.parent / "store")
