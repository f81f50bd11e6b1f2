"""`status --shared` where clusters do not answer: each row says why, the others are still shown, all in bounded time."""

import json
import os
import subprocess
import sys
import time

import pytest
from black_hole import tap
from paper import CONFIG, commit, make_repository

SILENT = 10
ELSEWHERE = "https://elsewhere.example.invalid:6443"


def login(folder, server):
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
        "clusters": [{"name": "one", "cluster": {"server": server}}],
        "users": [{"name": "one", "user": {"token": "not-a-word-of-it"}}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(document))
    return path


def cluster(name, server):
    return f"  {name}: {{kind: kubernetes, cluster: '{server}', namespace: {name}}}\n"


def repository(folder, server):
    """Ten environments on one silent cluster, one on a cluster for which there is no login, and this machine."""
    root = make_repository(folder / "repo")
    places = "".join(cluster(f"place-{n}", server) for n in range(SILENT))
    text = "environments:\n  here: {}\n" + places + cluster("elsewhere", ELSEWHERE)
    (root / "mmcicd.yaml").write_text(f"{CONFIG}{text}store: {{registry: registry.example.invalid/ml}}\n")
    commit(root, "begin")
    return root


def status(root, folder, server, *words):
    return subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "status", "--shared", *words],
        cwd=root, capture_output=True, text=True, check=False, timeout=120,
        env=os.environ | {"KUBECONFIG": str(login(folder, server)), "NO_COLOR": "1"},
    )  # fmt: skip


@pytest.fixture
def silent():
    with tap("") as way:
        yield f"http://{way.address}"


def test_clusters_that_do_not_answer_are_waited_for_together_and_each_says_why(tmp_path, silent):
    started = time.monotonic()
    done = status(repository(tmp_path, silent), tmp_path, silent, "--json")
    assert done.returncode == 5, done.stderr
    lines = {line["environment"]: line for line in json.loads(done.stdout)["status"]}
    assert len(lines) == SILENT + 2
    assert lines["here"]["warning"] == ""
    for number in range(SILENT):
        line = lines[f"place-{number}"]
        assert line["state"] == "unknown"
        assert "cannot be asked what it serves: " in line["warning"]
        assert "did not answer" in line["warning"]
    assert "elsewhere cannot be asked" in lines["elsewhere"]["warning"]
    assert "not-a-word-of-it" not in done.stdout + done.stderr
    # One after the other they would take minutes.
    assert time.monotonic() - started < 40


def test_a_refused_connection_is_told_as_that(tmp_path):
    refused = "http://127.0.0.1:9"
    done = status(repository(tmp_path, refused), tmp_path, refused)
    assert done.returncode == 5
    told = [line for line in done.stderr.splitlines() if "place-3 cannot be asked" in line]
    assert len(told) == 1
    assert "refused" in told[0]
    assert "here" in done.stdout
