"""From a push on main to production and back, through every pipeline of the trusted side, each stage in a new workspace.

One story in the order in which it happens; every build has its trace.
"""

import json

import pytest
from paper_controller import make_controller

pytestmark = [pytest.mark.real, pytest.mark.tensorflow]


@pytest.fixture(scope="module")
def controller(tmp_path_factory):
    made = make_controller(tmp_path_factory.mktemp("ops") / "base")
    yield made
    made.stop()


HOSTILE = "odd $(touch pwned) `touch pwned` ; touch pwned # ${env.X} ' \" \\u000a é"


def promote(controller, choice, **settings):
    return controller.press(
        "promote", by="ada", answers=[{"by": "bob", "VERSION": choice, "REASON": "better"}], **settings
    )


@pytest.fixture(scope="module")
def released(controller):
    """Version 1 serves in staging."""
    return controller.ci("main")


def test_a_push_to_main_is_released_and_proposed(released, same_trace):
    same_trace("main-released", released, "SUCCESS")
    assert released.starts[-1] == {
        "job": "/ml/ops/double-promote",
        "parameters": {"VERSION": "1", "REASON": ""},
    }


def test_the_same_commit_again_changes_nothing(controller, released, same_trace):
    same_trace("main-unchanged", controller.ci("main"), "SUCCESS")
    same_trace(
        "release-replayed", controller.press("release", COMMIT=controller.git("rev-parse", "main")), "SUCCESS"
    )
    same_trace("release-without-commit", controller.press("release"), "SUCCESS")


def test_a_commit_that_is_not_on_main_is_not_released(controller, released, same_trace):
    stray = controller.push("feature/stray", factor_txt="0.99")
    controller.git("checkout", "-q", "main")
    ended = controller.press("release", COMMIT=stray)
    same_trace("release-of-a-stray-commit", ended, "FAILURE")


def test_nobody_answers(controller, released, same_trace):
    ended = controller.press("promote", answers=[{"abort": "time is over"}], duration=3 * 86_400_000 + 1)
    same_trace("promote-expired", ended, "ABORTED")
    stopped = controller.press("promote", answers=[{"abort": "stopped by ada"}])
    same_trace("promote-stopped", stopped, "ABORTED")


def test_a_newer_proposal_passes(controller, released, same_trace):
    ended = promote(controller, "1", passed_by_newer=[20])
    same_trace("promote-overtaken", ended, "ABORTED")


def test_a_promotion_is_kept_back_with_a_reason(controller, released, same_trace):
    ended = controller.press("promote", answers=[{"by": "bob", "VERSION": "none", "REASON": "a freeze"}])
    same_trace("promote-kept", ended, "SUCCESS")


def test_a_promotion_with_four_eyes(controller, released, same_trace):
    answers = [
        {"by": "ada", "VERSION": "1", "REASON": "mine"},
        {"by": "bob", "VERSION": "1", "REASON": " "},
        {"by": "bob", "VERSION": "1", "REASON": "first model"},
    ]
    same_trace("promote-first", controller.press("promote", by="ada", answers=answers), "SUCCESS")
    same_trace("promote-nothing-waits", controller.press("promote", by="ada"), "SUCCESS")


def test_a_restart_cannot_pass_the_approval(controller, released):
    ended = controller.press("promote", from_stage="Promote")
    assert "cannot be restarted" in ended.refused
    assert "cannot be restarted" in controller.press("rollback", from_stage="Rollback").refused


def test_a_worse_commit_on_main_releases_nothing(controller, released, same_trace):
    controller.push("main", factor_txt="0.60")
    same_trace("main-refused", controller.ci("main"), "UNSTABLE")


def test_a_second_version_and_the_way_back(controller, released, same_trace):
    controller.push("main", factor_txt="0.90")
    same_trace("main-second", controller.ci("main"), "SUCCESS")
    same_trace(
        "promote-second",
        controller.press("promote", answers=[{"by": "bob", "VERSION": "2", "REASON": HOSTILE}]),
        "SUCCESS",
    )
    # No traffic has come yet: undecided, which is no reason to wake anybody.
    same_trace("monitor", controller.press("monitor", by="timer"), "SUCCESS")
    same_trace("rollback", controller.press("rollback", by="eve", REASON=HOSTILE), "SUCCESS")
    same_trace("rollback-pressed-twice", controller.press("rollback", by="eve"), "SUCCESS")
    # Words of people reached the ledger as they were typed, and ran nowhere.
    told = json.loads(controller.command("history", "--model", "double", "--json", "--shared").stdout)
    assert [event["detail"].get("reason") for event in told["events"]].count(HOSTILE) >= 2
    assert not list(controller.base.rglob("pwned"))


@pytest.mark.parametrize(
    ("stage", "code", "result"),
    [("deploy", 75, "NOT_BUILT"), ("verify", 5, "FAILURE"), ("package", 7, "FAILURE")],
)
def test_a_release_that_ends_early(controller, released, same_trace, stage, code, result):
    controller.push("main", factor_txt=f"0.9{code % 10}5")
    controller.inject(stage, code)
    try:
        ended = controller.ci("main")
    finally:
        controller.mend()
    same_trace(f"release-ends-at-{stage}", ended, result)
