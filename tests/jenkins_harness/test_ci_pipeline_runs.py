"""The CI pipeline on every kind of branch, with every way in which a stage may end, each stage in a new workspace.

What it starts on main is in `test_ops_pipelines_run`.
"""

import pytest
from paper_controller import make_controller

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def controller(tmp_path_factory):
    return make_controller(tmp_path_factory.mktemp("ci") / "base")


def test_branches_and_pull_requests(controller, same_trace):
    controller.push("feature/better", factor_txt="0.90")
    same_trace("ci-feature", controller.ci("feature/better"), "SUCCESS")
    same_trace("ci-feature-again", controller.ci("feature/better"), "SUCCESS")
    same_trace("ci-pull-request", controller.ci("feature/better", change=1), "SUCCESS")
    fork = controller.ci("feature/better", change=2, fork="mallory")
    same_trace("ci-fork", fork, "SUCCESS")
    assert not [line for line in fork.trace if "credentials" in line or "gpu" in line]


def test_a_train_command_that_fails(controller, same_trace):
    controller.push("feature/broken", factor_txt="broken")
    ended = controller.ci("feature/broken")
    same_trace("ci-train-fails", ended, "FAILURE")
    assert "no such column" in controller.log()


def test_a_gate_that_says_no(controller, same_trace):
    controller.push("feature/worse", factor_txt="0.30")
    ended = controller.ci("feature/worse")
    same_trace("ci-gate-refuses", ended, "UNSTABLE")
    assert "0.300" in ended.description


def test_numbers_that_do_not_decide(controller, same_trace):
    controller.push("feature/few", factor_txt="few")
    same_trace("ci-inconclusive", controller.ci("feature/few"), "UNSTABLE")


@pytest.mark.parametrize(
    ("stage", "code", "result"),
    [
        ("data", 75, "NOT_BUILT"),
        ("train", 143, "ABORTED"),
        ("data", 7, "FAILURE"),
        ("prepare", 3, "FAILURE"),
        ("test", 8, "FAILURE"),
    ],
)
def test_every_exit_code_has_its_result(controller, stage, code, result):
    controller.push("feature/codes", factor_txt="0.91")
    controller.inject(stage, code)
    try:
        ended = controller.ci("feature/codes")
    finally:
        controller.mend()
    assert not ended.refused
    assert ended.result == result
    assert str(code) in ended.description or "exit code" in ended.text


def test_an_abort_in_the_middle_of_training_and_the_same_again(controller, same_trace):
    controller.push("feature/slow", factor_txt="slow")
    ended = controller.ci("feature/slow", abort={"stage": "Train", "when": f"{controller.base}/training"})
    same_trace("ci-aborted", ended, "ABORTED")
    controller.push("feature/slow", factor_txt="0.92")
    assert controller.ci("feature/slow").result == "SUCCESS"


def test_restart_from_a_later_stage_in_a_new_workspace(controller, same_trace):
    controller.push("feature/restart", factor_txt="0.93")
    assert controller.ci("feature/restart").result == "SUCCESS"
    same_trace(
        "ci-restarted-from-evaluate", controller.ci("feature/restart", from_stage="Evaluate"), "SUCCESS"
    )
    same_trace("ci-restarted-from-train", controller.ci("feature/restart", from_stage="Train"), "SUCCESS")


def test_a_restart_of_what_was_never_trained(controller):
    controller.push("feature/never", factor_txt="0.94")
    ended = controller.ci("feature/never", from_stage="Evaluate")
    assert not ended.refused
    assert ended.result == "FAILURE"
    assert ended.description


def test_a_release_does_not_run_without_its_commit(controller, same_trace):
    controller.push("main", factor_txt="0.95")
    same_trace("ci-restarted-from-release", controller.ci("main", from_stage="Release"), "FAILURE")


def test_credentials_that_are_missing_fail_the_build(controller):
    ended = controller.ci("main", credentials={}, from_stage="Evaluate")
    assert ended.result == "FAILURE"
    assert (
        "Could not find credentials entry with ID 'ledger-read'" in ended.text
        or "credentials" not in ended.text
    )
