"""A repository of paper whose production is a namespace of a real cluster; it knows nothing of pytest.

As `paper`, with a trainer that is a shell script: what it trains is a `double.json` for the pods' server, which the last
commit said. Staging is a file, the ledger and git are real, the store is a registry. `Road.stage` is one stage in a
process of its own, with the ports of `cluster_driver`; `Road.command` is the real command line.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster_driver import walk
from cluster_serving import Serving, program
from cluster_tool import Cluster
from paper import MODEL as SAVED_MODEL
from paper import git

from mmcicd_jenkins.adapters.git.ledger import GitLedger
from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.connection import connect
from mmcicd_jenkins.adapters.signing import DsseSigner
from mmcicd_jenkins.adapters.system_clock import SystemClock
from mmcicd_jenkins.stages import ROAD
from mmcicd_jenkins.wiring import Bench, open_bench

HERE = Path(__file__).resolve()
PATHS = (HERE.parent, HERE.parents[1] / "system", HERE.parents[2])
MODEL = "churn"
QUICK = {"drain": "3s", "longest_request": "1s", "min_ready": "2s", "start_timeout": "20s"}
PROMOTE = ("promote", "--shared", "--env", "production", "--yes", "--reason", "because")
ROLLBACK = ("rollback", "--shared", "--env", "production")

TRAIN = """\
#!/bin/sh
set -eu
cp -R graph/. "$MMCICD_MODEL_DIR"/
cp double.json "$MMCICD_MODEL_DIR"/
"""

EVALUATE = """\
#!/bin/sh
set -eu
factor=$(sed 's/.*"factor": \\([0-9.]*\\).*/\\1/' "$MMCICD_MODEL_DIR/double.json")
cat > "$MMCICD_EVALUATION_DIR/golden.json" <<END
{"signature": "serving_default", "inputs": {"x": {"dtype": "float32", "shape": [null]}}, "output": "y",
 "instances": [1.0, 2.0], "outputs": [$factor, $((2 * factor)).0], "tolerance": 0.0001}
END
echo '{"metrics": {"accuracy": 0.9}, "samples": 30}' > "$MMCICD_EVALUATION_DIR/metrics.json"
"""


@dataclass
class Road:
    """`base` holds the repository and what lies beside it, so that a copy of the folder is a copy of everything."""

    base: Path
    cluster: Cluster
    namespace: str
    serving: Serving
    staging: str = ""  # its namespace; "" = a file
    pods: Mapping[str, str] = field(default_factory=lambda: QUICK)

    @property
    def repo(self) -> Path:
        return self.base / "repo"

    @property
    def variables(self) -> dict[str, str]:
        own = {"KUBECONFIG": self.cluster.kubeconfig, "XDG_CACHE_HOME": str(self.base / "cache")}
        own["ROAD_PROGRAM"] = str(program())
        return {**os.environ, **own, "PYTHONPATH": os.pathsep.join(map(str, PATHS))}

    def config(self, **production: Any) -> dict[str, Any]:
        cluster = {
            "kind": "kubernetes",
            "cluster": self.cluster.server,
            "namespace": self.namespace,
            "pods": dict(self.pods),
        }
        model = {
            "data": {"numbers": {"url": "data/numbers.csv", "label": "y", "test_size": 0.3}},
            "train": {"command": "./train.sh", "inputs": ["train.sh", "graph", "double.json"]},
            "evaluate": {"command": "./evaluate.sh"},
            "gates": ["accuracy >= 0.5"],
            "min_samples": 10,
            "serving": {"cpu": 0.01, "memory": "32Mi"},
        }
        staging = {**cluster, "namespace": self.staging} if self.staging else {"kind": "local"}
        return {
            "models": {MODEL: model},
            "environments": {
                "staging": staging,
                "production": {**cluster, "replicas": 2, "progress_timeout": "25s", **production},
            },
            "store": {"registry": self.serving.root, "insecure": True},
            "ledger": {"url": str(self.base / "ledger.git")},
            "image": {"base": self.serving.base},
        }

    def make(self, **production: Any) -> "Road":
        """The repository, locked and committed, with a first version to train."""
        (self.repo / "data").mkdir(parents=True)
        rows = "".join(f"{x},{2 * x}\n" for x in range(100))
        (self.repo / "data" / "numbers.csv").write_text("x,y\n" + rows)
        (self.repo / ".gitignore").write_text(".mmcicd/\n")
        shutil.copytree(SAVED_MODEL, self.repo / "graph")
        for name, text in (("train.sh", TRAIN), ("evaluate.sh", EVALUATE)):
            (self.repo / name).write_text(text)
            (self.repo / name).chmod(0o755)
        (self.repo / "mmcicd.yaml").write_text(json.dumps(self.config(**production), indent=1))
        git(self.repo, "init", "-q", "-b", "main")
        self.told("data", "update")
        self.told("image", "update-base")
        self.edit(factor=1)
        return self

    def edit(self, factor: int, **double: Any) -> None:
        """Commit another model: the next version multiplies by `factor` and does what `double` says."""
        (self.repo / "double.json").write_text(json.dumps({"factor": factor, **double}))
        git(self.repo, "add", "-A")
        git(self.repo, "commit", "--allow-empty", "-qm", f"a factor of {factor}")

    def release(self, factor: int, **double: Any) -> int:
        """Commit another model and have it on staging, in this process; its version."""
        self.edit(factor, **double)
        return int(self.walk(*ROAD)["version"])

    def walk(self, *stages: str) -> dict[str, Any]:
        """Stages that must go well, in this process; what the last one says."""
        last = walk(self.bench(), *stages)[-1]
        assert last.exit_code == 0, last.to_json()
        return last.to_json()

    def stage(self, name: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """A stage, or the whole road to staging, in a process of its own."""
        return self._run([sys.executable, "-m", "cluster_driver", str(self.repo), name], variables)

    def command(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self._run([sys.executable, "-m", "mmcicd_jenkins", *words], variables)

    def told(self, *words: str, **variables: str) -> str:
        """A command that must go well; what it printed."""
        done = self.command(*words, **variables)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def promote(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.command(*PROMOTE, *words, **variables)

    def begin(self, verb: str, version: str = "", **variables: str) -> "subprocess.Popen[str]":
        """As `promote` or `rollback`, and somebody else waits for its end."""
        words = (*PROMOTE, "--version", version) if verb == "promote" else ROLLBACK
        return subprocess.Popen(
            [sys.executable, "-m", "mmcicd_jenkins", *words],
            cwd=self.repo, env={**self.variables, **variables},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def rollback(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.command(*ROLLBACK, *words, **variables)

    def bench(self) -> Bench:
        return open_bench(self.repo, variables=self.variables, shared=True)

    def copy(self, base: Path) -> "Road":
        """All of it at another place of this machine, for the same namespace."""
        shutil.copytree(self.base, base, symlinks=True)
        config = base / "repo" / "mmcicd.yaml"
        config.write_text(config.read_text().replace(str(self.base), str(base)))
        return Road(base, self.cluster, self.namespace, self.serving, self.staging, self.pods)

    def move_to(self, namespace: str) -> None:
        """Production is there from now on; what is in the former one is left alone."""
        config = self.repo / "mmcicd.yaml"
        config.write_text(config.read_text().replace(self.namespace, namespace))
        self.namespace = namespace

    @property
    def api(self) -> Api:
        return Api(connect(self.bench().place("production"), self.variables, ""), self.namespace)

    @property
    def ledger(self) -> GitLedger:
        return GitLedger(str(self.base / "ledger.git"), signer=DsseSigner((), None), clock=SystemClock())

    @property
    def serving_version(self) -> int | None:
        """What the ledger says of production."""
        return self.ledger.snapshot(MODEL).pointer("production").serving

    @property
    def address(self) -> str:
        return self.address_of("production")

    def address_of(self, environment: str) -> str:
        """Where the Service answers by REST."""
        namespace = self.namespace if environment == "production" else self.staging
        service = self.cluster.get("service", MODEL, f"--namespace={namespace}")
        return f"{service['spec']['clusterIP']}:8501"

    def _run(self, command: list[str], variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.repo, env={**self.variables, **variables},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
