"""`mmcicd-jenkins doctor` as typed: Jenkins that is away, says no, is slow or is not ready; a laptop; an agent."""

import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading

import pytest
from jenkins_standin import Standin
from jenkins_standin.state import Agent

CONFIG = """\
models:
  churn:
    data: {{customers: {{url: customers.csv, label: churned, test_size: 0.5}}}}
    train: 'true'
    evaluate: {{command: 'true'}}
    gates: [accuracy >= 0.9]
environments:
  staging: {{kind: local, folder: {root}/serve/staging}}
  production: {{kind: local, folder: {root}/serve/production, approval: {{by: [a]}}, rollback: {{by: [b]}}}}
store: {{path: {root}/store}}
ledger: {{url: {root}/ledger.git}}
jenkins:
  url: {url}
  folder: ml
  source: {{git: '{root}/origin.git'}}
  agents: {{default: linux, train: {label}}}
  credentials: {{ops: {{signing: mmcicd-signing}}}}
"""
PLUGINS = {
    "branch-api", "cloudbees-folder", "credentials", "credentials-binding", "git", "junit", "lockable-resources",
    "matrix-auth", "pipeline-rest-api", "plain-credentials", "workflow-aggregator", "workflow-cps", "workflow-job",
    "workflow-multibranch",
}  # fmt: skip
FOLDER = b"<com.cloudbees.hudson.plugins.folder.Folder/>"


class Repository:
    """A repository with a bare origin beside it, and the commands in it."""

    def __init__(self, root, url="", label="linux"):
        self.root = root / "churn"
        self.outside = root
        self.variables = {"XDG_CACHE_HOME": str(root / "cache")}
        self.root.mkdir()
        (self.root / "customers.csv").write_text("x,churned\n1,1\n2,0\n3,1\n4,0\n")
        self.config = CONFIG.format(root=root, url=url, label=label)
        (self.root / "mmcicd.yaml").write_text(self.config)
        subprocess.run(["git", "init", "-q", "--bare", root / "origin.git"], check=True)
        self.git("init", "-q")
        self.run("generate")
        self.commit()

    def git(self, *arguments):
        names = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
        subprocess.run(["git", *names, *arguments], cwd=self.root, check=True, capture_output=True)

    def commit(self, *, push=True):
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "All")
        if push:
            self.git("push", "-q", str(self.outside / "origin.git"), "HEAD:refs/heads/main")

    def run(self, *arguments, **variables):
        return subprocess.run(
            [sys.executable, "-m", "mmcicd_jenkins", *arguments],
            cwd=self.root,
            env={**os.environ, **self.variables, **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    def doctor(self, *arguments, user="admin", secret="11aa", **variables):  # noqa: S107  the stand-in's
        account = {"MMCICD_JENKINS_USER": user, "MMCICD_JENKINS_TOKEN": secret} if user else {}
        return self.run("doctor", *arguments, **account, **variables)

    def findings(self, *arguments, **options):
        done = self.doctor("--json", *arguments, **options)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)["findings"]


def failures(findings, topic="jenkins"):
    return [f["what"] for f in findings if f["severity"] == "fail" and f["topic"] == topic]


@pytest.fixture(scope="module")
def standin():
    with Standin(accounts={"admin": "11aa", "bob": "11cc"}, plugins=PLUGINS) as server:
        server.readers.add("bob")
        yield server


@pytest.fixture
def ready(standin):
    """A controller that has everything but the jobs; whatever a test breaks is mended after it."""
    state = standin.state
    before = dict(vars(state))
    standin.items.children.clear()
    for path in ("ml", "ml/ops"):
        folder, _, name = path.rpartition("/")
        standin.items.create(standin.item(folder) if folder else standin.items.top, name, FOLDER)
    state.stores = {"ml/ops": ["mmcicd-signing"]}
    state.agents = [Agent("Built-In Node", ("built-in", "linux"))]
    state.disabled, state.failed = set(), set()
    yield standin
    vars(state).update(before)
    standin.items.plugins = set(PLUGINS)


@pytest.fixture(scope="module")
def churn(standin, tmp_path_factory):
    return Repository(tmp_path_factory.mktemp("doctor"), standin.url)


@pytest.fixture
def elsewhere(churn):
    """`elsewhere(url)`: the repository with another address of Jenkins."""

    def point(old, new):
        (churn.root / "mmcicd.yaml").write_text(churn.config.replace(old, new))
        return churn

    yield point
    (churn.root / "mmcicd.yaml").write_text(churn.config)


# --- Jenkins is not ready


def test_before_the_first_sync_it_says_what_to_type(ready, churn):
    done = churn.doctor()
    assert done.returncode == 3, done.stderr
    assert done.stdout.startswith("ok    Jenkins 2.541.2: your token (admin), its address, its clock, ")
    assert "agents linux, 1 credential, reports are readable" in done.stdout
    assert (
        "fail  ml/ci/churn, ml/ops/churn-release, ml/ops/churn-promote and 3 more are missing\n"
        f"      mmcicd-jenkins jobs sync --repo {churn.outside}/origin.git\n"
    ) in done.stdout
    assert done.stderr == ""


def test_it_posts_nothing(ready, churn):
    ready.requests.clear()
    churn.doctor()
    assert {method for method, _, _ in ready.requests} == {"GET"}


def test_who_may_not_make_jobs_gets_a_line_for_who_may(ready, churn):
    found = churn.findings(user="bob", secret="11cc")
    what = next(text for text in failures(found) if "missing" in text)
    assert "you lack Job/Create in ml, ml/ops. Send this to its owners:" in what
    fix = next(f["fix"] for f in found if f["what"] == what)
    assert fix == f"mmcicd-jenkins jobs sync --repo {churn.outside}/origin.git"


def test_what_an_ordinary_account_may_not_see_is_said_and_not_guessed(ready, churn):
    found = churn.findings(user="bob", secret="11cc")
    told = [f["what"] for f in found]
    assert any("their versions are not shown to you" in what for what in told)
    assert any("may not see the credentials of ml/ops" in what for what in told)
    assert not any("approval" in what for what in told)


def test_after_the_sync_nothing_fails(ready, churn):
    account = {"MMCICD_JENKINS_USER": "admin", "MMCICD_JENKINS_TOKEN": "11aa"}
    synced = churn.run("jobs", "sync", "--adopt", **account)
    assert synced.returncode == 0, synced.stderr
    done = churn.doctor()
    assert done.returncode == 0, done.stdout
    assert "6 jobs" in done.stdout
    other = churn.doctor(user="bob", secret="11cc")
    assert other.returncode == 0, other.stdout
    assert "6 jobs" in other.stdout, "whoever synchronised: jobs are the same for everybody"


def test_a_job_that_mmcicd_yaml_changed_since(ready, churn):
    account = {"MMCICD_JENKINS_USER": "admin", "MMCICD_JENKINS_TOKEN": "11aa"}
    churn.run("jobs", "sync", "--adopt", **account)
    (churn.root / "mmcicd.yaml").write_text(
        churn.config.replace("folder: ml\n", "folder: ml\n  main: trunk\n")
    )
    try:
        told = [f["what"] for f in churn.findings(user="bob", secret="11cc") if f["severity"] == "warn"]
    finally:
        (churn.root / "mmcicd.yaml").write_text(churn.config)
    assert any("differ from mmcicd.yaml" in what and "ml/ops/churn-release" in what for what in told), told


def test_a_plugin_that_is_disabled_one_that_failed_and_one_that_is_missing(ready, churn):
    ready.state.disabled, ready.state.failed = {"junit"}, {"lockable-resources"}
    ready.items.plugins = PLUGINS - {"plain-credentials"}
    told = failures(churn.findings())
    assert "plugin junit is disabled; needed for junit" in told
    assert "plugin lockable-resources did not start; needed for lock" in told
    assert "plugin plain-credentials is not installed; needed for file and string credentials" in told


def test_an_agent_that_is_offline_says_why(ready, churn):
    ready.state.agents = [Agent("a-1", ("linux",), offline=True, why="disk is full")]
    assert "no agent with the label linux is online; offline: a-1: disk is full" in failures(churn.findings())


def test_a_wrong_label_has_a_place_and_a_right_one(ready, churn):
    ready.state.agents = [Agent("a-1", ("linux-x64",))]
    found = next(f for f in churn.findings() if "label" in f["what"])
    assert found["what"] == "no agent has the label linux; labels that there are: linux-x64"
    assert found["fix"].startswith("jenkins.agents: write linux-x64")
    assert found["where"].startswith("mmcicd.yaml:16:")


def test_a_key_of_ops_in_reach_of_branches(ready, churn):
    ready.state.stores = {"": ["mmcicd-signing"]}
    (what,) = [text for text in failures(churn.findings()) if "credential" in text]
    assert "Jenkins' own store, where every branch can use it" in what


def test_what_makes_a_controller_careless_is_a_warning(ready, churn):
    state = ready.state
    state.policy, state.pending, state.interpolation, state.hook_status = "", True, "ignore", 200
    state.url = "http://jenkins.example/"
    warned = " ".join(f["what"] for f in churn.findings() if f["severity"] == "warn")
    for words in (
        "without a Content-Security-Policy", "scripts wait for an approval", "secret into a Groovy string",
        "notifyCommit asks for no token", "Jenkins calls itself http://jenkins.example/",
    ):  # fmt: skip
        assert words in warned


def test_reports_of_a_domain_of_their_own(ready, churn):
    ready.state.resources = "https://files.example/"
    assert any(f["what"] == "reports from a domain of their own" for f in churn.findings())


# --- Jenkins does not answer, or says no


def only_failure(repository, **options):
    (what,) = failures(repository.findings(**options))
    return what


def test_an_address_where_nobody_listens_hides_nothing_else(elsewhere, standin):
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    churn = elsewhere(standin.url, f"http://127.0.0.1:{port}/")
    found = churn.findings()
    (what,) = failures(found)
    assert what.startswith("Jenkins cannot be reached: ")
    assert what.endswith("not checked: controller, plugins, permissions, jobs, agents, pods, credentials, "
                         "reports, webhook, security")  # fmt: skip
    assert {f["topic"] for f in found if f["severity"] == "ok"} >= {"git", "store", "machine", "models"}


def test_a_token_that_is_not_known(churn):
    assert only_failure(churn, secret="wrong").startswith("Jenkins does not know admin: ")


def test_no_token_at_all(churn):
    assert only_failure(churn, user="").startswith("no token was given, and Jenkins tells nobody")


def test_half_an_account_hides_nothing_else(churn):
    found = churn.findings(user="", MMCICD_JENKINS_USER="admin")
    assert failures(found) == ["MMCICD_JENKINS_USER is set and MMCICD_JENKINS_TOKEN is not"]
    assert {f["topic"] for f in found} >= {"git", "store", "machine", "models"}


def test_a_lock_that_cannot_be_read_hides_nothing_else(ready, churn):
    lock = churn.root / "mmcicd.lock"
    before = lock.read_bytes()
    lock.write_text("{")
    try:
        found = churn.findings()
    finally:
        lock.write_bytes(before)
    assert any("lock" in what for what in failures(found, "models"))
    assert any(f["topic"] == "jenkins" and f["severity"] == "ok" for f in found)


def test_an_account_that_may_not_even_look(churn, standin):
    standin.faults["/api/json"] = [403] * 9
    try:
        assert only_failure(churn).startswith("admin may not do this on Jenkins: ")
    finally:
        standin.faults.clear()


def test_an_address_that_is_no_jenkins(elsewhere, standin):
    churn = elsewhere(standin.url, f"{standin.url}wrong/")
    assert only_failure(churn).startswith("there is no Jenkins at this address: ")


def test_an_address_that_speaks_no_tls(elsewhere, standin):
    churn = elsewhere(standin.url, standin.url.replace("http:", "https:"))
    assert only_failure(churn).startswith("Jenkins does not speak https at this address")


def test_a_controller_that_is_slow_ends_in_time_and_hides_nothing_else(elsewhere, standin):
    release = threading.Event()

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            release.wait(60)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    churn = elsewhere(standin.url, f"http://127.0.0.1:{server.server_address[1]}/")
    try:
        found = churn.findings("--within", "4")
    finally:
        release.set()
        server.shutdown()
        server.server_close()
    told = failures(found)
    assert told
    assert all("gave no answer within 4 s" in what or "did not answer in time" in what for what in told)
    assert {f["topic"] for f in found if f["severity"] == "ok"} >= {"git", "store", "models"}


def test_only_outside_systems_failed_is_code_5(elsewhere, standin):
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    churn = elsewhere(standin.url, f"http://127.0.0.1:{port}/")
    churn.run("generate")
    churn.commit()
    try:
        done = churn.doctor()
        assert done.returncode == 5, done.stdout
    finally:
        (churn.root / "mmcicd.yaml").write_text(churn.config)
        churn.run("generate")
        churn.commit()


# --- git


def test_generated_files_that_were_not_committed_and_then_not_pushed(ready, churn, standin):
    path = churn.root / "mmcicd.yaml"
    try:
        path.write_text(churn.config + "# a word\n")
        assert failures(churn.findings(), "git") == ["not committed, so no build would find it: mmcicd.yaml"]
        churn.commit(push=False)
        (what,) = failures(churn.findings(), "git")
        assert what.startswith("not on main of the source as here")
    finally:
        path.write_text(churn.config)
        churn.commit()


def test_a_source_that_is_not_there(elsewhere, ready):
    churn = elsewhere("origin.git", "nowhere.git")
    (what,) = failures(churn.findings(), "git")
    assert "git repository" in what


# --- a laptop, an agent


def free_ports(count):
    doors = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [door.getsockname()[1] for door in doors]
    for door in doors:
        door.close()
    return ports


@pytest.fixture
def laptop(tmp_path):
    made = Repository.__new__(Repository)
    made.root = tmp_path / "churn"
    made.outside = tmp_path
    made.variables = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    made.root.mkdir()
    (made.root / "a.csv").write_text("x,y\n1,1\n2,0\n")
    (made.root / "mmcicd.yaml").write_text(
        "models: {m: {data: {a: {url: a.csv, label: y, test_size: 0.5}}, train: 'true', evaluate: binary, "
        "gates: [accuracy >= 0.9]}}\n"
        + "environments: {{staging: {{rest_port: {}, grpc_port: {}}}, production: {{rest_port: {}, grpc_port: {}}}}}\n".format(
            *free_ports(4)
        )
    )
    return made


def test_a_laptop_needs_no_jenkins(laptop):
    found = laptop.findings(user="")
    assert {f["topic"] for f in found} == {"git", "store", "environments", "machine", "models"}
    told = [f["what"] for f in found if f["severity"] == "fail"]
    assert any("not a git repository" in what for what in told)
    assert "m/a is not in mmcicd.lock" in told
    assert any(f["severity"] == "warn" and "no requirements file" in f["what"] for f in found)


def test_the_registry_that_a_laptop_needs_for_shared_is_looked_at(laptop):
    with (laptop.root / "mmcicd.yaml").open("a") as file:
        file.write("store: {registry: '127.0.0.1:9/ml'}\n")
    for flags in ((), ("--here",)):
        found = [f for f in laptop.findings(*flags, user="") if f["topic"] == "store"]
        assert [f["severity"] for f in found] == ["fail"]
        assert "127.0.0.1:9" in found[0]["where"] + found[0]["what"]


def test_the_base_that_a_laptop_needs_for_shared_is_looked_for_in_the_lock(laptop):
    with (laptop.root / "mmcicd.yaml").open("a") as file:
        file.write("image: registry.example/serving:1\nstore: {registry: '127.0.0.1:9/ml'}\n")
    (found,) = [f for f in laptop.findings(user="") if f["what"].startswith("registry.example/serving:1")]
    assert (found["severity"], found["topic"]) == ("fail", "models")
    assert "mmcicd-jenkins image update-base" in found["fix"]


def test_data_that_are_not_there(laptop):
    (laptop.root / "a.csv").unlink()
    found = laptop.findings(user="")
    assert any(f["severity"] == "fail" and f["check"] == "m/a" for f in found)


def test_a_port_that_another_program_has(laptop):
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        text = (laptop.root / "mmcicd.yaml").read_text()
        (laptop.root / "mmcicd.yaml").write_text(
            re.sub(r"rest_port: \d+", f"rest_port: {port}", text, count=1)
        )
        told = [f["what"] for f in laptop.findings(user="")]
    assert f"port {port} of staging is taken by another program" in told


def test_an_agent_is_looked_at_with_and_without_a_repository(laptop, tmp_path):
    unreachable = {
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "",
    }
    found = laptop.findings("--here", user="", **unreachable)
    index = next(f for f in found if f["check"] == "package index")
    assert index["severity"] == "fail"
    assert index["what"] == "pip does not reach its package index: [Errno 111] Connection refused"
    assert {f["check"] for f in found} >= {"programs", "cache", "store", "staging"}
    laptop.root = tmp_path / "bare"
    laptop.root.mkdir()
    bare = laptop.doctor("--here", user="", **unreachable)
    assert bare.returncode == 5, bare.stdout
    assert bare.stdout.startswith("ok    this machine: Python 3.")


def test_an_engine_that_is_needed_and_not_there_is_told_with_the_way_to_it(laptop):
    config = laptop.root / "mmcicd.yaml"
    config.write_text(
        config.read_text().replace("train: 'true'", "train: {command: 'true', image: acme/train:3}")
    )
    door = laptop.outside / "docker.sock"

    def told(*arguments):
        found = laptop.findings(*arguments, user="", DOCKER_HOST=f"unix://{door}", PIP_NO_INDEX="1")
        return [f for f in found if f["check"] == "docker engine"]

    for arguments in (["--here"], []):
        (found,) = told(*arguments)
        assert found["severity"] == "fail"
        assert found["what"].startswith(
            "there is no Docker engine (nothing listens there), and models.m.train.image"
        )
        assert "systemctl start docker" in found["fix"]
        assert found["where"].startswith("mmcicd.yaml:1:")
    config.write_text(config.read_text().replace(", image: acme/train:3", ""))
    assert told("--here") == []


def test_no_repository_is_told_as_everywhere(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "doctor"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "no mmcicd.yaml" in done.stderr


def test_a_model_that_is_not_there(laptop):
    assert laptop.doctor("--model", "nope", user="").returncode == 2
