"""Training as a Job of a real cluster: a build that is killed finds it again, two builds wait for one, failures say why.

The pod runs our own command line in an image of this machine's Python; the training is a shell script that copies a model.
Everything is done by the account that `render rbac --training` makes, in a namespace held to `restricted`.
"""

import json
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cluster import cluster, namespace, serving  # noqa: F401 - fixtures
from cluster_accounts import Accounts
from training_image import put_training_image

from mmcicd_jenkins.adapters.registry.client import Access, Repository
from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.image.reference import parse_reference
from mmcicd_jenkins.render.rbac import render_trainer
from mmcicd_jenkins.render.rights import dangers

pytestmark = pytest.mark.real

DOUBLE = Path(__file__).parents[1] / "system" / "fixtures" / "double"
CONFIG = """\
models:
  churn:
    data: {{numbers: {{url: numbers.csv, label: y, test_size: 0.5}}}}
    train:
      command: {command}
      image: {registry}/ml/train:1
      timeout: {timeout}
      seed: {seed}
      job: {{cluster: '{server}', namespace: {namespace}, cpu: 0.1, memory: {memory}{more}}}
    evaluate: {{command: 'true'}}
    gates: [accuracy >= 0.9]
store: {{registry: {registry}/ml, insecure: true}}
ledger: {{url: ../ledger.git}}
"""
LOG = ".mmcicd/runs/*/train.log"
SCRIPT = """\
set -e
echo "begun with $(ls "$MMCICD_CHECKPOINT_DIR" | head -1)"
n=0
while [ $n -lt ${LOOPS:-1} ]; do n=$((n+1)); echo "epoch $n"; sleep 1; done
cp -r model/. "$MMCICD_MODEL_DIR"
echo exported
"""


class Forwarder(socketserver.BaseRequestHandler):
    """A registry on loopback, reached from pods."""

    to = ("127.0.0.1", 0)

    def handle(self):
        with socket.create_connection(self.to) as other:
            thread = threading.Thread(target=copied, args=(other, self.request), daemon=True)
            thread.start()
            copied(self.request, other)
            thread.join()


def copied(source, target):
    try:
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture(scope="module")
def registry(cluster, serving):  # noqa: F811
    """A registry at an address that the node, its pods and this machine share, with the image of a training."""
    if not shutil.which("busybox"):
        pytest.skip("busybox is missing, the shell of the image that trains: apt-get install busybox-static")
    address = cluster.get("nodes")["items"][0]["status"]["addresses"][0]["address"]
    handler = type("To", (Forwarder,), {"to": ("127.0.0.1", serving.registry.port)})
    server = socketserver.ThreadingTCPServer((address, 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"{address}:{server.server_address[1]}"
    cluster.trust(host)
    access = Access(host, {"HOME": "/nonexistent"}, insecure=True)
    digest = put_training_image(Repository(parse_reference(f"{host}/ml/train"), access))
    yield host, digest
    server.shutdown()
    server.server_close()


class Site:
    """A repository whose model trains in the cluster."""

    def __init__(self, cluster, name, registry, folder):  # noqa: F811
        self.cluster, self.name, self.registry, self.digest = cluster, name, *registry
        self.root = folder / "churn"
        self.accounts = Accounts(cluster, name)
        # One registry for all tests: no run of one is a run of another.
        self.seed = int(name.rpartition("-")[2], 16) % 2**31
        shutil.copytree(DOUBLE, self.root / "model")
        (self.root / "numbers.csv").write_text("x,y\n" + "".join(f"{n},{n}\n" for n in range(50)))
        (self.root / "train.sh").write_text(SCRIPT)
        self.write()
        cluster.apply(name, *render_trainer(load_config(self.root, environ={}).models["churn"].train.job))
        path = self.accounts.kubeconfig("mmcicd-trainer", folder)
        self.variables = {
            **{key: text for key, text in os.environ.items() if not key.startswith("MMCICD_")},
            "KUBECONFIG": str(path),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "HOME": str(folder),
        }
        self.git("init", "-q", "-b", "main")
        (self.root / ".gitignore").write_text(".mmcicd/\n")
        self("data", "update")
        lock = json.loads((self.root / "mmcicd.lock").read_text())
        lock["images"] = {f"{self.registry}/ml/train:1": self.digest}
        (self.root / "mmcicd.lock").write_text(json.dumps(lock))
        self.commit()

    def write(self, *, command="sh train.sh", timeout="5m", memory="256Mi", more=""):
        text = CONFIG.format(
            command=json.dumps(command), registry=self.registry, timeout=timeout, memory=memory, more=more,
            seed=self.seed, server=self.accounts.server, namespace=self.name,
        )  # fmt: skip
        (self.root / "mmcicd.yaml").write_text(text)

    def git(self, *words):
        names = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
        return subprocess.run(
            ["git", *names, *words], cwd=self.root, check=True, capture_output=True, text=True
        ).stdout

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-qm", "A state")

    def change(self, **settings):
        self.write(**settings)
        self.commit()

    def begin(self, *words, **variables):
        return subprocess.Popen(
            [sys.executable, "-m", "mmcicd_jenkins", *words],
            cwd=self.root, env=self.variables | variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __call__(self, *words, code=0, **variables):
        process = self.begin(*words, **variables)
        out, err = process.communicate(timeout=240)
        assert process.returncode == code, f"{process.returncode}\n{out}\n{err}\n{self.pods()}"
        return out, err

    def train(self, *, code=0, **variables):
        out, err = self("stage", "train", "--json", code=code, **variables)
        return json.loads(out), err

    def get(self, kind):
        return self.cluster.get(kind, f"--namespace={self.name}")["items"]

    def pods(self):
        return self.cluster.run("describe", "pods", f"--namespace={self.name}").stdout[-3000:]

    def until(self, seen, seconds=90):
        end = time.monotonic() + seconds
        while not (found := seen()):
            assert time.monotonic() < end, self.pods()
            time.sleep(0.2)
        return found

    def configs(self):
        """What each pod was told in TF_CONFIG."""
        found = []
        for pod in self.get("pods"):
            lines = self.cluster.run(
                "logs", pod["metadata"]["name"], f"--namespace={self.name}"
            ).stdout.splitlines()
            found += [json.loads(line[line.index("{") :]) for line in lines if '"cluster"' in line]
        return found

    def log(self):
        for pod in self.get("pods"):
            done = self.cluster.run("logs", pod["metadata"]["name"], f"--namespace={self.name}")
            return done.stdout
        return ""


@pytest.fixture
def site(cluster, namespace, registry, tmp_path):  # noqa: F811
    return Site(cluster, namespace(), registry, tmp_path)


def test_a_training_runs_in_the_cluster_and_is_found_like_any_other(site):
    result, err = site.train()
    assert result["found"] is False
    assert result["model_digest"].startswith("sha256:")
    assert "runs" in err
    (log,) = site.root.glob(LOG)
    assert log.read_text().splitlines()[:3] == ["begun with", "epoch 1", "exported"]
    assert site.get("jobs") == []
    site.until(lambda: not [each for each in site.get("configmaps") if "train" in each["metadata"]["name"]])
    again, _ = site.train()
    assert (again["found"], again["run"]) == (True, result["run"])


def test_a_build_that_is_killed_finds_it_again_and_two_builds_wait_for_one(site):
    site.change(command="LOOPS=7 sh train.sh")
    first = site.begin("stage", "train", "--json")
    site.until(lambda: "epoch 2" in site.log())
    first.send_signal(signal.SIGKILL)
    first.communicate()
    (job,) = site.get("jobs")
    two = [site.begin("stage", "train", "--json") for _ in range(2)]
    # Each with a workspace lock of its own, as two agents have: the second waits on the first's only on one machine.
    told = [each.communicate(timeout=200) for each in two]
    assert [each.returncode for each in two] == [0, 0], told
    results = [json.loads(out) for out, _ in told]
    assert len({each["run"] for each in results}) == 1
    assert "joins the training that runs already" in told[0][1] + told[1][1]
    assert not [each for each in site.get("jobs") if each["metadata"]["uid"] != job["metadata"]["uid"]]


def test_two_agents_at_once_start_one(site, tmp_path):
    site.change(command="LOOPS=3 sh train.sh")
    other = tmp_path / "other" / "churn"
    shutil.copytree(site.root, other, ignore=shutil.ignore_patterns(".mmcicd"))
    first = site.begin("stage", "train", "--json")
    site.root = other
    second = site.begin("stage", "train", "--json")
    told = [each.communicate(timeout=200) for each in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], told
    assert len({json.loads(out)["run"] for out, _ in told}) == 1
    assert "joins the training" in told[0][1] + told[1][1]


def test_an_aborted_build_leaves_the_training_and_one_that_is_told_so_ends_it(site):
    for more, code, words in (
        ("", 143, "the training goes on"),
        (", stop_on_abort: true", 143, "told to end"),
    ):
        site.change(command="LOOPS=60 sh train.sh", more=more)
        for log in site.root.glob(LOG):
            log.unlink()
        build = site.begin("stage", "train", "--json")
        site.until(lambda: any("epoch" in log.read_text() for log in site.root.glob(LOG)))
        begun = time.monotonic()
        build.send_signal(signal.SIGTERM)
        _, err = build.communicate(timeout=20)
        assert time.monotonic() - begun < 4
        assert (build.returncode, words in err) == (code, True), err
    site.until(lambda: not site.get("jobs"))


def test_a_pod_that_is_lost_goes_on_from_its_checkpoint(site, tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    folder.chmod(0o777)
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(0o755)
    site.cluster("apply", "--filename=-", stdin=json.dumps(volume(site.name, folder)))
    try:
        resumes = 'echo "has $(ls $MMCICD_CHECKPOINT_DIR)"; touch $MMCICD_CHECKPOINT_DIR/epoch-1; LOOPS=3 sh train.sh'
        site.change(command=resumes, more=", checkpoints: kept")
        build = site.begin("stage", "train", "--json")
        site.until(lambda: "epoch 1" in site.log())
        (pod,) = site.get("pods")
        site.cluster("delete", "pod", pod["metadata"]["name"], f"--namespace={site.name}", "--grace-period=1")
        out, err = build.communicate(timeout=120)
        assert build.returncode == 0, out + err
        (log,) = site.root.glob(LOG)
        assert "has epoch-1" in log.read_text()
    finally:
        site.cluster("delete", "persistentvolume", site.name, "--wait=false")


def volume(name, folder):
    capacity = {"storage": "1Mi"}
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "",
        "volumeName": name,
        "resources": {"requests": capacity},
    }
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": name},
                "spec": {
                    "capacity": capacity,
                    "accessModes": ["ReadWriteOnce"],
                    "hostPath": {"path": str(folder)},
                },
            },
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": "kept", "namespace": name},
                "spec": claim,
            },
        ],
    }


def test_several_workers_know_of_each_other_and_the_first_stores_the_model(site):
    """That they reach each other by these names is not seen here: this cluster has no DNS."""
    site.change(command='echo "$TF_CONFIG"; sh train.sh', more=", workers: 2")
    site.cluster.apply(
        site.name, *render_trainer(load_config(site.root, environ={}).models["churn"].train.job)
    )
    build = site.begin("stage", "train", "--json")
    service = site.until(lambda: site.get("services"))[0]
    configs = site.until(lambda: len(told := site.configs()) == 2 and told)
    out, err = build.communicate(timeout=120)
    assert build.returncode == 0, out + err
    assert sorted(each["task"]["index"] for each in configs) == [0, 1]
    hosts = configs[0]["cluster"]["worker"]
    assert hosts == configs[1]["cluster"]["worker"]
    assert [host.split(".")[1].partition(":")[0] for host in hosts] == [service["metadata"]["name"]] * 2
    site.until(lambda: not site.get("services"))


def test_what_fails_in_the_pod_fails_here_in_the_same_words(site):
    site.change(command="echo no GPU today; exit 7")
    error, _ = site.train(code=8)
    assert error["error"] == "the training of churn failed"
    assert any("no GPU today" in line for line in error["last_lines"])
    assert len(site.get("jobs")) == 1  # what a person may want to look at
    _, err = site.train(code=8)
    assert "ended before" in err


def test_a_training_without_a_model_and_one_that_takes_too_much_memory(site):
    site.change(command="echo nothing written")
    error, _ = site.train(code=8)
    assert any("without a SavedModel" in line for line in error["last_lines"])
    site.change(command="dd if=/dev/zero of=/dev/null bs=400M count=1", memory="160Mi")
    error, _ = site.train(code=8)
    assert "memory" in error["why"] or "killed" in " ".join(error["last_lines"]).lower()


def test_what_cannot_start_says_why_and_is_gone(site):
    site.change(more=", node_selector: {pool: none}, start_timeout: 3s")
    error, _ = site.train(code=5)
    assert error["error"].startswith("the training did not start within 3 s")
    assert "node" in error["why"]
    assert site.until(lambda: not site.get("jobs")) is True
    site.change(more=", secrets: [nowhere], start_timeout: 4s")
    error, _ = site.train(code=5)
    assert "nowhere" in error["why"]


def test_the_account_of_trainings_may_no_more_than_it_needs(site):
    token = site.accounts.token("mmcicd-trainer")
    answers = {danger.question: site.accounts.status(danger.question, token) for danger in dangers(site.name)}
    assert set(answers.values()) == {403}, answers
