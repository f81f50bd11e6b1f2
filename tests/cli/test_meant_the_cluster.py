"""Whoever forgets --shared asks this machine: each command says so, and never that nothing serves in the cluster."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FILE = """\
models: {churn: {train: ./t, evaluate: {command: ./e}, gates: [accuracy >= 0.5]}}
environments:
  staging: {kind: KIND}
  production: {kind: KIND}
store: {registry: registry.example.invalid/ml}
ledger: ssh://git@git.example.invalid/ml/ledger.git
"""
CLUSTER = "kubernetes, cluster: 'https://k8s.example.invalid:6443', namespace: NAME"
HINT = "this is production of this machine; for the cluster of mmcicd.yaml: the same command with --shared; "


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    root.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main"], check=True, cwd=root)
    text = FILE.replace("KIND", CLUSTER)
    for name in ("one", "two"):
        text = text.replace("NAME", name, 1)
    (root / "mmcicd.yaml").write_text(text)
    return root


def command(root: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", *words],
        cwd=root, capture_output=True, text=True, check=False, env=os.environ | {"NO_COLOR": "1"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (["rollback"], 6, "production has no earlier healthy release to go back to"),
        (["rollback", "--offline"], 6, "production knows no earlier healthy release to go back to"),
        (["promote", "--yes", "--reason", "why"], 3, "churn has no version that could be promoted"),
    ],
)
def test_what_is_not_here_may_be_in_the_cluster(
    repository: Path, words: list[str], code: int, what: str
) -> None:
    done = command(repository, *words, "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["error"]) == (code, what)
    assert told["fix"].startswith(HINT)


def test_a_mistake_in_the_words_is_no_question_of_where(repository: Path) -> None:
    done = command(repository, "rollback", "--env", "nowhere")
    assert done.returncode == 2
    assert "--shared" not in done.stderr


def test_status_says_whose_environments_these_are(repository: Path) -> None:
    done = command(repository, "status")
    assert done.returncode == 0, done.stderr
    assert (
        "These are this machine's own; staging and production of mmcicd.yaml: mmcicd-jenkins status --shared"
        in done.stderr
    )


def test_where_all_is_on_this_machine_nothing_is_said_of_clusters(repository: Path) -> None:
    (repository / "mmcicd.yaml").write_text(FILE.replace("KIND", "local"))
    assert "--shared" not in command(repository, "status").stderr
    assert "--shared" not in command(repository, "rollback").stderr
