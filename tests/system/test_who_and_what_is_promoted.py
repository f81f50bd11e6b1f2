"""What may be promoted and by whom: judged against what serves by now, approvers that stand in the file, one environment alone."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import pytest
from paper import FileTarget, commit, make_repository, on_paper
from test_killed_anywhere import drive, end_state, update_lock, walk
from test_moves_that_meet import Client
from test_the_road import command, road

from mmcicd_jenkins.errors import GateRefused, Inconclusive, IntegrityFailed
from mmcicd_jenkins.release import history
from mmcicd_jenkins.stages import promote, run_stage
from mmcicd_jenkins.wiring import open_bench


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """1 (0.80) serves; 2 (0.75) and 3 (0.95) were judged against it."""
    base = tmp_path_factory.mktemp("promoted")
    make_repository(base / "repo")
    update_lock(base)
    commit(base / "repo", "begin")
    walk(base, "road", "promote", "0.75", "road", "0.95", "road")
    return base


@pytest.fixture
def base(template, tmp_path):
    shutil.copytree(template, tmp_path / "base", symlinks=True)
    return tmp_path / "base"


def ask(base, version=None, actor="ada@laptop", do=False):
    bench = open_bench(base / "repo", variables={**os.environ, "MMCICD_ACTOR": actor})
    job = bench.job("double", environment="production", version=version, reason="because")
    ports = on_paper(bench, client=Client())
    if do:
        return run_stage("promote", job, ports)
    return promote.plan(job, promote.look(job, ports))


def test_a_version_that_is_worse_than_what_serves_by_now_is_refused(base):
    ask(base, 3, do=True)
    with pytest.raises(GateRefused, match="worse than 3") as refused:
        ask(base, 2)
    assert "0.750, needs >= 0.850 (champion 3 has 0.950)" in refused.value.why


def test_a_version_that_stands_the_comparison_with_what_serves_by_now_is_promoted(base):
    ask(base, 2, do=True)
    assert "It was judged" not in ask(base, 3).comparison


def test_numbers_of_other_data_do_not_compare_and_the_approver_reads_so(base):
    table = base / "repo/data/numbers.csv"
    table.write_text(table.read_text() + "100,200\n")
    update_lock(base)
    commit(base / "repo", "more data", factor_txt="0.90")
    road(base)
    ask(base, 3, do=True)
    assert "do not compare it with 3" in ask(base, 4).comparison


APPROVAL = """
environments:
  staging: {}
  production:
    approval: %s
"""


def approve(base, text):
    with (base / "repo/mmcicd.yaml").open("a") as file:
        file.write(APPROVAL % text)


def test_only_who_stands_in_the_file_approves(base):
    approve(base, "{by: [grace, edsger]}")
    with pytest.raises(Inconclusive, match="may not approve"):
        ask(base, 3, actor="ada@laptop")
    assert ask(base, 3, actor="grace@laptop").change
    assert ask(base, 3, actor="edsger").change


def test_a_proposal_names_who_may_approve(base):
    approve(base, "[ml-approvers, bob]")
    (told,) = json.loads(drive(base, "propose").stdout)
    assert told["sentence"] == "production waits for ml-approvers, bob"


def test_who_proposed_does_not_approve(base):
    approve(base, "{four_eyes: true}")
    bench = open_bench(base / "repo")
    asked = bench.ledger.release("double", 3).builder
    with pytest.raises(Inconclusive, match="another person"):
        ask(base, 3, actor=asked)
    assert ask(base, 3, actor="grace").change


def test_production_alone_gets_its_version_without_a_stage_before(base, tmp_path):
    root = tmp_path / "alone"
    make_repository(root / "repo")
    update_lock(root)
    with (root / "repo/mmcicd.yaml").open("a") as file:
        file.write("environments: {production: {}}\n")
    commit(root / "repo", "begin")
    outcomes = road(root)
    assert outcomes["smoke"]["sentence"] == "there is no environment before production"
    assert command(root, "promote")["sentence"] == "production serves 1"
    assert road(root)["smoke"]["version"] == 1
    assert end_state(root)["versions"] == 1


def test_a_promotion_that_nobody_can_answer_says_how_to_answer(base):
    done = subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "promote"],
        cwd=base / "repo", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "--yes --reason" in done.stderr


def test_again_belongs_to_training(base):
    done = subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "stage", "evaluate", "--again"],
        cwd=base / "repo", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr


def test_what_serves_is_restored_without_a_new_decision(base):
    bench = open_bench(base / "repo")
    target = FileTarget(bench.serving("production") / "target.json", bench.store)
    epoch = bench.ledger.snapshot("double").pointer("production").epoch
    target.withdraw("double", epoch)
    job = bench.job("double", environment="production", version=1)
    restored = run_stage("promote", dataclasses.replace(job, reason=""), on_paper(bench, client=Client()))
    assert restored.sentence == "production serves 1"
    assert target.observe("double").version == 1


def test_a_champion_that_the_ledger_lost_is_not_promoted_over(base):
    bench = open_bench(base / "repo")
    who = history.Who(actor="ada", at="2026-11-24T00:00:00+00:00", reason="by hand")
    pointer = bench.ledger.commit(
        "double", lambda s: history.begin(s, "production", "promote", 77, who)
    ).pointer("production")
    bench.ledger.commit("double", lambda s: history.finish(s, "production", pointer.epoch, who))
    with pytest.raises(IntegrityFailed, match="77"):
        ask(base, 3)


def test_again_without_training_is_refused(base):
    done = subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "run", "--from", "evaluate", "--again"],
        cwd=base / "repo", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr


def test_the_report_shows_the_curves_of_the_stored_run_not_of_a_killed_one(base):
    [folder] = [
        f for f in (base / "repo/.mmcicd/runs").iterdir() if "0.95" in (f / "report.html").read_text()
    ]
    (folder / "metrics.jsonl").write_text('{"epoch": 1, "val_accuracy": 0.1}\n')
    command(base, "evaluate")
    assert "0.9" in (folder / "metrics.jsonl").read_text()
