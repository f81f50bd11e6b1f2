"""The stage `canary` and what `promote`, `rollback` and a person's answer make of it, on a stand-in for a cluster.

A command of the team's own judges here, because pods of paper have no traffic. We look at: the road with and without the
stage, each outcome, the answers, a rollback meanwhile, who may, and what the ledger says.
"""

import pytest
from kubernetes_standin import serving
from paper import MODEL as FIXTURE
from paper_cluster import MODEL, PaperCluster

from mmcicd_jenkins.errors import GateRefused, Inconclusive, InputError, OutsideFailed, UsageError
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.stages import canary


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Version 1 serves in production, version 2 on staging."""
    base = tmp_path_factory.mktemp("canary")
    strategy = {"steps": ["33% for 1m", "50% for 1m"], "checks": [], "command": str(base / "judge.sh")}
    with serving() as standin, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL_FIXTURE", str(FIXTURE))
        paper = PaperCluster(base, standin).make(strategy={"canary": strategy})
        judge(paper, 0)
        paper.road()
        assert paper.stage("canary").found, "a first release has nothing to be compared with"
        paper.stage("promote")
        paper.edit("0.9")
        paper.road()
        yield paper


@pytest.fixture
def paper(made):
    """As it was made, whatever a test did."""
    return made


def judge(paper, status, said="fine"):
    script = paper.base / "judge.sh"
    script.write_text(
        f'#!/bin/sh\necho "$MMCICD_VERSION beside $MMCICD_STABLE_VERSION: {said}"\nexit {status}\n'
    )
    script.chmod(0o755)


def answer(paper, words):
    bench = paper.bench()
    job = bench.job(MODEL, reason="because")
    return canary.answer(words, job, paper.ports(bench))


def standing(paper):
    """What serves, the copies of a canary, how the last operation stands."""
    live = paper.deployment(track="canary")
    pointer = paper.pointer()
    return paper.serves(), live and live["spec"]["replicas"], pointer.operation.phase, pointer.serving


def test_a_plan_says_the_copies(paper):
    bench = paper.bench()
    job = bench.job(MODEL, reason="because")
    made = canary.plan(job, canary.look(job, paper.ports(bench)))
    assert made.steps == ("33.3 % (1 beside 2) for 60 s", "50 % (2 beside 2) for 60 s")


def test_one_that_fails_is_gone_and_not_revoked(paper):
    judge(paper, 4, "41 complaints")
    with pytest.raises(GateRefused, match="version 2 failed as a canary; 1 serves on"):
        paper.stage("canary")
    assert standing(paper) == (1, None, "failed", 1)
    assert "2 beside 1: 41 complaints" in paper.pointer().operation.reason
    with pytest.raises(GateRefused):
        paper.stage("promote")
    assert not paper.bench().ledger.snapshot(MODEL).is_revoked(2)


def test_one_that_cannot_be_judged_serves_nobody(paper):
    judge(paper, 1, "no dashboard")
    with pytest.raises(OutsideFailed, match="cannot be judged; 1 serves on"):
        paper.stage("canary")
    assert standing(paper) == (1, None, "failed", 1)


def test_an_undecided_one_stays_and_ends_by_an_answer(paper):
    judge(paper, 6, "ask me tomorrow")
    for _ in range(2):
        with pytest.raises(Inconclusive, match="ask me tomorrow"):
            paper.stage("canary")
        assert standing(paper) == (1, 1, "prepared", 1)
    ended = answer(paper, "take back (bob)")
    assert ended.verdict is Verdict.FAILED
    assert "was taken back, 1 serves on: bob" in ended.sentence
    assert standing(paper) == (1, None, "failed", 1)
    assert "bob" in paper.pointer().operation.reason


@pytest.mark.parametrize("words", ["extended 4 h (bob)", "extend 2m"])
def test_more_time_that_changes_nothing_ends_it(paper, words):
    judge(paper, 6)
    ended = answer(paper, words)
    assert ended.verdict is Verdict.FAILED
    assert standing(paper) == (1, None, "failed", 1)


def test_an_answer_to_nothing_and_one_that_is_none(paper):
    with pytest.raises(InputError, match="no promote of 2 to production is under way"):
        answer(paper, "take back")
    for words in ("", "yes", "extend", "extend 4 weeks", "take back it"):
        with pytest.raises(UsageError):
            answer(paper, words)


def test_a_rollback_ends_an_undecided_one_and_revokes_it(paper):
    judge(paper, 6)
    with pytest.raises(Inconclusive):
        paper.stage("canary")
    paper.edit("0.85")
    paper.road()
    paper.stage("rollback", "production")
    assert standing(paper) == (1, None, "done", 1)
    assert paper.bench().ledger.snapshot(MODEL).is_revoked(2)


def test_after_the_stage_a_promotion_only_switches(paper):
    judge(paper, 0)
    tried = paper.stage("canary")
    assert tried.sentence == "version 3 passed every step beside 1"
    assert standing(paper) == (1, 2, "prepared", 1)
    assert paper.stage("canary").detail["steps"] != []
    judge(paper, 4, "too late")
    paper.stage("promote")
    assert standing(paper) == (3, None, "done", 3)
    assert paper.stage("canary").sentence == "production serves 3 already"


def test_a_promotion_alone_goes_by_the_same_steps(paper):
    judge(paper, 4, "no")
    paper.edit("0.95")
    paper.road()
    with pytest.raises(GateRefused, match="failed as a canary"):
        paper.stage("promote")
    judge(paper, 0)
    paper.stage("promote")
    assert standing(paper) == (4, None, "done", 4)


def test_a_rollback_has_no_canary(paper):
    judge(paper, 4, "never asked")
    paper.stage("rollback", "production")
    assert standing(paper) == (3, None, "done", 3)
