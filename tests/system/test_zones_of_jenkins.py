"""What a branch trains and what CI evaluates never reaches the side that releases.

Aspects: which side a build is on; a run of a branch is trained again on main; a branch finds what main trained; the
release side evaluates again; the writer of a commit is one of four eyes.
"""

import os

import pytest
from paper import MODEL, commit, make_repository, on_paper
from test_killed_anywhere import update_lock

from mmcicd_jenkins.errors import Inconclusive
from mmcicd_jenkins.stages import promote, run_stage
from mmcicd_jenkins.stages.zones import zone_of
from mmcicd_jenkins.wiring import open_bench

CI = ("prepare", "data", "train", "evaluate")


@pytest.fixture
def base(tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_FIXTURE", str(MODEL))
    make_repository(tmp_path / "repo")
    update_lock(tmp_path)
    commit(tmp_path / "repo", "begin")
    return tmp_path


def build(base, stages, **variables):
    """The stages of one build, in a process that sees these variables; stage -> outcome."""
    bench = open_bench(base / "repo", variables={**os.environ, **variables})
    ports = on_paper(bench)
    return {name: run_stage(name, bench.job("double", environment="staging"), ports) for name in stages}


@pytest.mark.parametrize(
    ("variables", "zone"),
    [
        ({}, "trusted"),
        ({"JOB_NAME": "ml/ops/double-release"}, "trusted"),
        ({"BRANCH_NAME": "main"}, "main"),
        ({"BRANCH_NAME": "feature/x"}, "branch"),
        ({"BRANCH_NAME": "PR-1", "CHANGE_ID": "1"}, "branch"),
        ({"BRANCH_NAME": "main", "CHANGE_ID": "1"}, "branch"),
    ],
)
def test_the_side_of_a_build(variables, zone):
    assert zone_of(variables, "main") == zone


def test_what_a_branch_trained_is_trained_again_on_main(base):
    assert not build(base, CI, BRANCH_NAME="feature/x")["train"].found
    assert build(base, CI, BRANCH_NAME="feature/y")["train"].found, "branches share among themselves"
    assert not build(base, CI, BRANCH_NAME="main")["train"].found


def test_a_branch_finds_what_main_trained(base):
    build(base, CI, BRANCH_NAME="main")
    assert build(base, CI, BRANCH_NAME="feature/x")["train"].found


def test_the_side_that_releases_evaluates_again(base):
    build(base, CI, BRANCH_NAME="main")
    again = build(base, CI, BRANCH_NAME="main")
    assert again["evaluate"].found
    released = build(base, CI, JOB_NAME="ml/ops/double-release")
    assert released["train"].found
    assert not released["evaluate"].found
    assert build(base, CI, JOB_NAME="ml/ops/double-release")["evaluate"].found


def test_who_wrote_the_commit_does_not_approve_it_alone(base):
    file = base / "repo" / "mmcicd.yaml"
    file.write_text(
        file.read_text() + "environments: {staging: {}, production: {approval: {four_eyes: true}}}\n"
    )
    commit(base / "repo", "two people")
    build(base, (*CI, "package", "verify", "deploy", "smoke", "propose"), JOB_NAME="j", BUILD_NUMBER="7")
    bench = open_bench(base / "repo", variables={**os.environ, "MMCICD_ACTOR": "paper"})
    author = bench.ports.checkout.commit().author
    local = author.rpartition("<")[2].partition("@")[0]
    bench = open_bench(base / "repo", variables={**os.environ, "MMCICD_ACTOR": local})
    job, ports = bench.job("double", environment="production", reason="x"), on_paper(bench)
    with pytest.raises(Inconclusive, match="another person must approve"):
        promote.plan(job, promote.look(job, ports))
    other = open_bench(base / "repo", variables={**os.environ, "MMCICD_ACTOR": "somebody"})
    assert promote.plan(other.job("double", reason="x"), promote.look(job, ports)).change
    [event] = [e for e in other.ledger.events("double", 20) if e.kind == "proposed"]
    assert event.actor == "j #7", "history names the build"
