"""A controller of paper: jobs as `jobs sync` would make them, builds that `harness.groovy` executes, nothing else of Jenkins.

Real: Groovy 2.4, the generated files, git, shells, the command line, the store, the ledger, the server. Of paper: agents
are folders (new for every stage), credentials are a table, people's answers are a list.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from mmcicd_jenkins.adapters.groovy import find_groovy
from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.render.jobs import ops_jobs, retrain_all
from mmcicd_jenkins.render.scaffold import managed_files

HERE = Path(__file__).parent
MODEL = HERE.parent / "system" / "fixtures" / "double"
NAME = "double"
FOLDER = "ml"

CONFIG = """\
models:
  double:
    data:
      numbers:
        url: data/numbers.csv
        label: y
        test_size: 0.3
    test: ./check.sh
    train:
      command: ./train.sh
      inputs: [train.sh, factor.txt]
    evaluate: {{command: ./evaluate.sh}}
    gates:
      - accuracy >= 0.5
      - accuracy >= champion - 0.1
    min_samples: 10
environments:
  staging: {{kind: local, folder: {base}/serve/staging, rest_port: {ports[0]}, grpc_port: {ports[1]}}}
  production:
    kind: local
    folder: {base}/serve/production
    rest_port: {ports[2]}
    grpc_port: {ports[3]}
    approval: {{by: [ml-approvers], four_eyes: true}}
    rollback: {{by: [ml-oncall]}}
store: {{path: {base}/store}}
ledger: {{url: "{base}/ledger.git"}}
jenkins:
  url: https://jenkins.example
  folder: ml
  source: {{git: "{base}/remote.git"}}
  agents: {{default: linux, train: gpu, deploy: ops}}
  credentials:
    ci: {{ledger: ledger-read}}
    ops: {{ledger: ledger-write}}
hooks: {{before_promote: ./ticket.sh}}
"""
FILES = {
    "check.sh": "#!/bin/sh\nset -eu\ntest -s factor.txt\n",
    "ticket.sh": '#!/bin/sh\nset -eu\ntest "$MMCICD_MODEL" = double\n',
    "train.sh": """\
#!/bin/sh
set -eu
case $(cat factor.txt) in
  broken) echo "no such column: y" >&2; exit 3 ;;
  slow) echo started > "$HARNESS_BASE/training"; sleep 120 ;;
esac
cp -R "$MODEL_FIXTURE"/. "$MMCICD_MODEL_DIR"/
cp factor.txt "$MMCICD_MODEL_DIR"/assets_factor.txt
""",
    "evaluate.sh": """\
#!/bin/sh
set -eu
samples=30
factor=$(cat "$MMCICD_MODEL_DIR/assets_factor.txt")
if [ "$factor" = few ]; then factor=0.9 samples=3; fi
printf '{"metrics": {"accuracy": %s}, "samples": %s}' "$factor" "$samples" > "$MMCICD_EVALUATION_DIR/metrics.json"
""",
}
# Stands before the command line and ends a stage as a test asks: what the world does cannot be ordered otherwise.
SHIM = """\
#!/bin/sh
if [ "$1" = stage ] && [ -f "$HARNESS_BASE/inject/$2" ]; then
  code=$(cat "$HARNESS_BASE/inject/$2")
  echo "injected: stage $2 ends with $code" >&2
  exit "$code"
fi
exec {python} -m mmcicd_jenkins "$@"
"""
IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.invalid",
    "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.invalid",
}  # fmt: skip
USER = "hudson.model.Cause$UserIdCause"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A build that ended: its result, its trace without what changes from run to run, what it started."""

    result: str
    description: str
    trace: tuple[str, ...]
    refused: str
    starts: tuple[dict, ...]

    @property
    def text(self):
        return "\n".join(self.trace) + "\n"


@dataclass
class Controller:
    """Jobs, their numbers, and the repository whose pipelines they run."""

    base: Path
    numbers: dict = field(default_factory=dict)

    @property
    def repo(self):
        return self.base / "repo"

    def git(self, *words):
        done = subprocess.run(
            ["git", *words],
            cwd=self.repo,
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, **IDENTITY},
        )
        return done.stdout.strip()

    def command(self, *words):
        """The command line, as a person in the repository types it."""
        return subprocess.run(
            [sys.executable, "-m", "mmcicd_jenkins", *words],
            cwd=self.repo, check=False, capture_output=True, text=True, env=self.agent(),
        )  # fmt: skip

    def push(self, branch="main", message="a change", **files):
        """Commit on a branch and push it; returns the commit."""
        if self.git("branch", "--list", branch):
            self.git("checkout", "-q", branch)
        else:
            self.git("checkout", "-q", "-b", branch)
        for name, text in files.items():
            (self.repo / name.replace("_", ".")).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        self.git("push", "-q", "origin", branch)
        return self.git("rev-parse", "HEAD")

    def inject(self, stage, code):
        (self.base / "inject").mkdir(exist_ok=True)
        (self.base / "inject" / stage).write_text(str(code))

    def mend(self):
        shutil.rmtree(self.base / "inject", ignore_errors=True)

    def agent(self):
        """What an agent's processes see before a build adds to it."""
        return {
            "PATH": f"{self.base}/bin:{os.environ['PATH']}",
            "HOME": str(self.base / "home"),
            "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
            "MMCICD_CLI": "installed",
            "MMCICD_TESTING": "1",
            "MODEL_FIXTURE": str(MODEL),
            "HARNESS_BASE": str(self.base),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            # The command line that is tested is the one that the tests import.
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        }

    def ci(self, branch="main", *, change=None, fork=None, **settings):
        """A build of the multibranch job; `change` is the number of a pull request, `fork` whose."""
        name = f"PR-{change}" if change else branch
        variables = {"BRANCH_NAME": name}
        if change:
            variables |= {"CHANGE_ID": str(change), "CHANGE_TARGET": "main", "CHANGE_BRANCH": branch}
            variables |= {"CHANGE_FORK": fork} if fork else {}
        text = self.git("show", f"origin/{branch}:jenkins/{NAME}.Jenkinsfile")
        # No fork and no branch sees what the folder ops has.
        credentials = {} if fork else {"ledger-read": _login()}
        job = self._job(f"{FOLDER}/ci/{NAME}/{name}", text, branch, variables, credentials=credentials)
        job["jobs"] = {f"/{FOLDER}/ops/{NAME}-{kind}": self.ops(kind) for kind in ("release", "promote")}
        return run_document(job | settings)

    def ops(self, kind):
        """A job of the folder ops, with the parameters that its XML declares."""
        config = load_config(self.repo / "mmcicd.yaml", environ={})
        job = next(job for job in ops_jobs(config, config.models[NAME]) if job.name == f"{NAME}-{kind}")
        text = job.text or self.git("show", f"origin/main:{job.script_path}")
        described = self._job(
            f"{FOLDER}/ops/{job.name}", text, "main", {}, credentials={"ledger-write": _login()}
        )
        described["params"] = {p.name: p.default for p in job.parameters}
        described["jobs"] = {}
        if kind == "release":
            described["jobs"] = {f"/{FOLDER}/ops/{NAME}-promote": self.ops("promote")}
        return described

    def retrain(self, **settings):
        """A build of the job that looks for new data."""
        config = load_config(self.repo / "mmcicd.yaml", environ={})
        job = retrain_all(config)
        text = self.git("show", f"origin/main:{job.script_path}")
        described = self._job(f"{FOLDER}/ci/{job.name}", text, "main", {}, credentials={})
        return run_document(described | settings)

    def press(self, kind, by="ada", answers=(), **settings):
        """A build of an ops job that a person starts. Settings in capitals are parameters."""
        job = self.ops(kind)
        parameters = {name: value for name, value in settings.items() if name.isupper()}
        job["params"] = job["params"] | parameters
        job["causes"] = [{"_class": USER, "userId": by}]
        job["answers"] = list(answers)
        return run_document(job | {name: value for name, value in settings.items() if not name.isupper()})

    def _job(self, name, text, branch, variables, credentials):
        number = self.numbers[name] = self.numbers.get(name, 0) + 1
        folder = self.base / "jenkins" / name.replace("/", "_") / str(number)
        folder.mkdir(parents=True)
        (folder / "Jenkinsfile").write_text(text)
        own = {
            "JOB_NAME": name,
            "BUILD_NUMBER": str(number),
            "BUILD_ID": str(number),
            "BUILD_URL": f"https://jenkins.example/job/{name.replace('/', '/job/')}/{number}/",
            "CI": "true",
        }
        return {
            "name": name,
            "number": number,
            "file": str(folder / "Jenkinsfile"),
            "env": self.agent() | own | variables,
            "params": {},
            "scm": {"url": str(self.base / "remote.git"), "branch": branch},
            "labels": ["linux", "gpu", "ops"],
            "credentials": credentials,
            "workspaces": str(self.base / "workspaces" / name),
            "fresh": True,
            "artifacts": str(folder / "archive"),
            "stashes": str(folder / "stashes"),
            "log": str(folder / "log"),
            "answers": [],
            "causes": [],
        }

    def stop(self):
        """End the servers that deployments started: those whose state lies here."""
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"{self.base}/serve/" in (process / "cmdline").read_bytes().decode(errors="replace"):
                    os.kill(int(process.name), signal.SIGTERM)

    def log(self):
        """The end of every log, for a person who reads why a test failed."""
        logs = sorted((self.base / "jenkins").glob("*/*/log"))
        return "\n".join(f"== {log.parent}\n{log.read_text()[-3000:]}" for log in logs)


def run_document(job):
    """One build, in a Groovy of its own."""
    document = Path(job["file"]).with_name("job.json")
    document.write_text(json.dumps(job))
    groovy = find_groovy(os.environ)
    done = subprocess.run(
        [groovy.program, str(HERE / "harness.groovy"), str(HERE / "parts"), str(document)],
        capture_output=True, text=True, check=False, timeout=600,
        env={**os.environ, "JAVA_HOME": groovy.java_home, "JAVA_OPTS": "-Dfile.encoding=UTF-8 -Xshare:auto"},
    )  # fmt: skip
    assert done.stdout, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    return Ended(
        result=answer["result"],
        description=calm(answer["description"] or ""),
        trace=tuple(calm(line) for line in answer["trace"]),
        refused=answer["refused"],
        starts=tuple(answer["starts"]),
    )


def calm(text):
    """A line without what differs from run to run."""
    text = re.sub(r"\b[0-9a-f]{40}\b", "<commit>", text)
    text = re.sub(r"\b[0-9a-f]{12}\b", "<commit>", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:]+\+00:00", "<moment>", text)
    text = re.sub(r"\bsince \d+ [A-Z][a-z]+\b", "since <day>", text)
    text = text.replace("moments in ", "<time> in ")
    text = re.sub(r"\b[0-9a-f]{7}\b", "<short>", text)
    text = re.sub(r"sha256:[0-9a-f]+", "<digest>", text)
    text = re.sub(r"\b\d+(\.\d+)? (ms|s|m|min|h)\b( \d+ s\b)?", "<time>", text)
    text = re.sub(r"\b\d+(\.\d+)? (bytes|kB|MB)\b", "<size>", text)
    return re.sub(r"/tmp/\S+", "<path>", text)


def _login():
    return {"kind": "usernamePassword", "username": "jenkins", "password": "of-paper"}


def make_controller(base):
    """The repository, locked, generated, committed and pushed."""
    base.mkdir(parents=True, exist_ok=True)
    controller = Controller(base)
    repo = controller.repo
    (repo / "data").mkdir(parents=True)
    (repo / "data" / "numbers.csv").write_text("x,y\n" + "".join(f"{x},{2 * x}\n" for x in range(100)))
    (repo / "factor.txt").write_text("0.80")
    (repo / "mmcicd.yaml").write_text(CONFIG.format(base=base, ports=free_ports(4)))
    for name, text in FILES.items():
        (repo / name).write_text(text)
        (repo / name).chmod(0o755)
    (base / "bin").mkdir()
    (base / "home").mkdir()
    (base / "bin" / "mmcicd-jenkins").write_text(SHIM.format(python=sys.executable))
    (base / "bin" / "mmcicd-jenkins").chmod(0o755)
    for generated in managed_files(load_config(repo / "mmcicd.yaml", environ={}), "0.1.0"):
        target = repo / generated.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(generated.content)
        target.chmod(0o755 if generated.executable else 0o644)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(base / "remote.git")], check=True)
    controller.git("init", "-q", "-b", "main")
    controller.git("remote", "add", "origin", str(base / "remote.git"))
    locked = controller.command("data", "update")
    assert locked.returncode == 0, locked.stderr
    controller.push(message="begin")
    return controller


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
