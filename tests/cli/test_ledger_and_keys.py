"""`ledger verify` and `keys init` as a person types them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmcicd_jenkins.adapters.git.ledger import GitLedger
from mmcicd_jenkins.adapters.signing import DsseSigner, read_trusted
from mmcicd_jenkins.adapters.system_clock import SystemClock
from mmcicd_jenkins.release.history import Who, reserve

CONFIG = """\
models:
  churn:
    data: {customers: data.csv}
    train: sh train.sh
    evaluate: {command: sh evaluate.sh}
    gates: [accuracy >= 0.5]
ledger: {url: ../ledger.git}
"""
WHO = Who(actor="ada", at="2026-01-02T03:04:05+00:00")


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "mmcicd.yaml").write_text(CONFIG)
    return folder


def run(root: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", *arguments],
        cwd=root,
        env=os.environ | {"XDG_CONFIG_HOME": str(root.parent / "config")} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def write_events(root: Path, count: int = 3, first: int = 0) -> None:
    key = root.parent / "config" / "mmcicd-jenkins" / "signing.pem"
    signer = DsseSigner(read_trusted(root), key)
    ledger = GitLedger("../ledger.git", root=root, signer=signer, clock=SystemClock())
    for number in range(first, first + count):
        ledger.commit("churn", lambda s, n=number: reserve(s, f"sha256:{n:064x}", WHO)[0])


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@x"]
    subprocess.run(["git", *identity, "-C", str(folder), *arguments], check=True, capture_output=True)


def edit_by_hand(root: Path, path: str, old: str, new: str) -> None:
    work = root.parent / "work"
    git(root.parent, "clone", "--branch", "mmcicd/churn", "ledger.git", "work")
    (work / path).write_text((work / path).read_text().replace(old, new))
    git(work, "commit", "--all", "--message", "by hand")
    git(work, "push", "origin", "mmcicd/churn")


def test_an_unwritten_ledger_holds(root):
    done = run(root, "ledger", "verify")
    assert done.returncode == 0
    assert "nothing is written yet" in done.stdout
    assert not (root.parent / "ledger.git").exists()


def test_a_whole_ledger_holds_and_prints_its_witness(root):
    write_events(root)
    done = run(root, "ledger", "verify")
    assert done.returncode == 0
    assert "churn: 3 events hold, 0 releases; 3 unsigned; newest 3:sha256:" in done.stdout
    newest = done.stdout.split("newest ")[1].strip()
    assert run(root, "ledger", "verify", "--model", "churn", "--witness", newest).returncode == 0
    git(root.parent / "ledger.git", "update-ref", "refs/heads/mmcicd/churn", "refs/heads/mmcicd/churn~1")
    assert run(root, "ledger", "verify").returncode == 0
    cut = run(root, "ledger", "verify", "--model", "churn", "--witness", newest)
    assert cut.returncode == 7
    assert "the history ends at event 2" in cut.stderr


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("head.json", '"versions": 3', '"versions": 1'),
        ("events/000/2.json", '"actor": "ada"', '"actor": "eve"'),
        (f"runs/00/{2:064x}.json", '"version": 3', '"version": 9'),
    ],
)
def test_a_file_edited_by_hand_ends_in_7_and_names_the_place(root, path, old, new):
    write_events(root)
    edit_by_hand(root, path, old, new)
    done = run(root, "ledger", "verify")
    assert done.returncode == 7
    assert path in done.stderr
    assert "Traceback" not in done.stderr
    told = json.loads(run(root, "ledger", "verify", "--json").stdout)
    assert told["exit_code"] == 7
    assert told["retryable"] is False
    assert told["models"][0]["holds"] is False
    assert path in told["models"][0]["breaks"][0]["place"]


def test_keys_then_events_then_a_proof_that_names_the_zone(root):
    write_events(root, 1)
    made = run(root, "keys", "init", "--comment", "ada")
    assert made.returncode == 0
    assert "git add mmcicd.keys" in made.stderr
    assert "PRIVATE KEY" not in made.stdout + made.stderr
    unsigned = run(root, "ledger", "verify")
    assert unsigned.returncode == 7
    assert "vouches for all before it" in unsigned.stderr
    write_events(root, 2, first=1)
    done = run(root, "ledger", "verify")
    assert done.returncode == 0
    assert "2 signed by laptop, 1 unsigned" in done.stdout
    refused = run(root, "ledger", "verify", "--zone", "ops")
    assert refused.returncode == 7
    assert "zone laptop, which may not write here" in refused.stderr


def test_keys_init_again_changes_nothing(root):
    first = run(root, "keys", "init")
    before = {p: p.read_bytes() for p in root.parent.rglob("*") if p.is_file()}
    again = run(root, "keys", "init")
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert {p: p.read_bytes() for p in root.parent.rglob("*") if p.is_file()} == before
    told = json.loads(run(root, "keys", "init", "--json").stdout)
    assert (told["made"], told["added"], told["zone"]) == (False, False, "laptop")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("ledger", "verify", "--model", "../x"), 3),
        (("ledger", "verify", "--model", "$(id)"), 3),
        (("ledger", "verify", "--witness", "3:sha256:aa"), 2),
        (("ledger", "verify", "--model", "churn", "--witness", "x"), 2),
        (("keys", "init", "--zone", "root"), 2),
        (("ledger", "verify", "--model", "other"), 0),
    ],
)
def test_wrong_words_end_with_their_code(root, arguments, code):
    done = run(root, *arguments)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_an_unreachable_ledger_ends_in_5_and_may_be_retried(root):
    done = run(
        root, "ledger", "verify", "--shared", "--json", MMCICD_LEDGER_URL="git://127.0.0.1:1/ledger.git"
    )
    assert done.returncode == 5
    assert json.loads(done.stdout)["retryable"] is True


def test_images_are_looked_at_when_asked_for_and_only_then(root):
    write_events(root)
    done = run(root, "ledger", "verify", "--images")
    assert done.returncode == 0, done.stderr
    assert "churn: 0 images looked at, all hold" in done.stdout
    told = json.loads(run(root, "ledger", "verify", "--images", "--deep", "--json").stdout)
    assert told["models"][0]["images"] == {"looked_at": [], "stated": [], "collected": [], "breaks": {}}
    assert "images" not in json.loads(run(root, "ledger", "verify", "--json").stdout)["models"][0]
    assert run(root, "ledger", "verify", "--deep").returncode == 2


def test_of_a_history_that_does_not_hold_no_image_is_looked_at(root):
    write_events(root)
    edit_by_hand(root, "head.json", '"versions": 3', '"versions": 1')
    done = run(root, "ledger", "verify", "--images")
    assert done.returncode == 7
    assert "looked at" not in done.stdout
