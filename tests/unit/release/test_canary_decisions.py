"""What a canary's looks mean. Nothing missing passes, four outcomes have limits of their own, and every step ends.

Aspects: no and little traffic, NaN, stable without traffic, copies started again or not ready, errors that nothing can
make good, the order of outcomes, limits, and that every sequence of looks ends in a decision.
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcicd_jenkins.release.canary import (
    Action,
    Look,
    Outcome,
    Tally,
    decide,
    judge,
    outcome_of,
    told,
)
from mmcicd_jenkins.release.canary_limits import Limits
from mmcicd_jenkins.release.rules import parse_rule
from mmcicd_jenkins.release.shares import nearest_share, percent
from mmcicd_jenkins.release.traffic import Traffic

RULES = (parse_rule("error_rate <= stable + 0.001"), parse_rule("latency_p99 <= stable * 1.2"))
LIMITS = Limits(failed=3, inconclusive=1, error=5)


def traffic(requests: float, errors: float = 0.0, p99: float = 0.030) -> Traffic:
    """All answers in one bucket around `p99`."""
    return Traffic(
        requests=requests, errors=errors, latency={p99: requests, 10 * p99: requests, math.inf: requests}
    )


def outcome(canary: Traffic, stable: Traffic, *, rules=RULES, **more: int) -> Outcome:  # type: ignore[no-untyped-def]
    return outcome_of(judge(rules, Look(canary=canary, stable=stable, **more), min_requests=1000))


def test_good_traffic_passes() -> None:
    assert outcome(traffic(4112, 1), traffic(40_000, 8)) is Outcome.PASSED


@pytest.mark.parametrize(
    ("canary", "stable", "expected"),
    [
        (traffic(5000, 20), traffic(40_000, 8), Outcome.FAILED),
        (traffic(5000, 0, p99=0.080), traffic(40_000, 8), Outcome.FAILED),
        (traffic(0), traffic(40_000), Outcome.INCONCLUSIVE),
        (traffic(999), traffic(40_000), Outcome.INCONCLUSIVE),
        (traffic(5000), traffic(0), Outcome.INCONCLUSIVE),
        (traffic(5000), traffic(999), Outcome.INCONCLUSIVE),
        (Traffic(requests=5000), traffic(40_000), Outcome.INCONCLUSIVE),
        (Traffic(requests=math.nan, errors=math.nan), traffic(40_000), Outcome.INCONCLUSIVE),
        (Traffic(requests=math.inf, errors=0), traffic(40_000), Outcome.INCONCLUSIVE),
        (Traffic(requests=5000, latency={0.1: 0, math.inf: 5000}), traffic(40_000), Outcome.FAILED),
    ],
)
def test_what_is_not_good_does_not_pass(canary: Traffic, stable: Traffic, expected: Outcome) -> None:
    assert outcome(canary, stable) is expected


def test_a_stable_that_is_as_slow_as_can_be_measured_is_no_measure() -> None:
    slow = Traffic(requests=5000, latency={0.1: 0, math.inf: 5000})
    assert outcome(traffic(5000), slow, rules=RULES[1:]) is Outcome.INCONCLUSIVE


def test_errors_that_nothing_can_make_good_fail_at_once() -> None:
    """300 of 300 requests failed: 700 better ones would not make it pass."""
    assert outcome(traffic(300, 300), traffic(40_000, 8)) is Outcome.FAILED


def test_a_few_errors_in_a_few_requests_are_chance() -> None:
    assert outcome(traffic(20, 9), traffic(40_000, 8)) is Outcome.INCONCLUSIVE


def test_errors_are_not_judged_without_stable_to_compare_with() -> None:
    assert outcome(traffic(300, 300), traffic(10)) is Outcome.INCONCLUSIVE


def test_absolute_rules_need_no_stable() -> None:
    rules = (parse_rule("error_rate <= 0.01"), parse_rule("latency_p99 <= 40 ms"))
    assert outcome(traffic(2000, 1), traffic(0), rules=rules) is Outcome.PASSED
    assert outcome(traffic(2000, 100), traffic(0), rules=rules) is Outcome.FAILED


def test_a_copy_that_was_started_again_fails_whatever_traffic_says() -> None:
    assert outcome(traffic(0), traffic(0), restarts=1) is Outcome.FAILED
    assert outcome(traffic(5000), traffic(40_000), restarts=2) is Outcome.FAILED


def test_copies_that_are_not_ready_decide_nothing() -> None:
    assert outcome(traffic(5000), traffic(40_000), wanted=3, ready=2) is Outcome.INCONCLUSIVE


def test_failed_is_said_before_inconclusive() -> None:
    assert outcome(traffic(5000, 4000), traffic(40_000), wanted=3, ready=2) is Outcome.FAILED


@given(
    st.floats(allow_nan=True, allow_infinity=True), st.floats(allow_nan=True, allow_infinity=True),
    st.floats(allow_nan=True, allow_infinity=True), st.floats(allow_nan=True, allow_infinity=True),
)  # fmt: skip
def test_only_numbers_pass(requests: float, errors: float, stable: float, stable_errors: float) -> None:
    """Whatever counters say: a check that passed has a finite value, a finite limit and enough requests."""
    look = Look(
        canary=Traffic(requests=requests, errors=errors),
        stable=Traffic(requests=stable, errors=stable_errors),
    )
    for check in judge(RULES, look, min_requests=1000):
        if check.outcome is Outcome.PASSED:
            assert math.isfinite(check.value)
            assert math.isfinite(check.limit)
            assert requests >= 1000


def test_a_step_passes_when_its_time_is_over_and_not_before() -> None:
    action, tally = decide(Tally(), Outcome.PASSED, LIMITS, over=False)
    assert action is Action.WAIT
    assert decide(tally, Outcome.PASSED, LIMITS, over=True)[0] is Action.PASS


def test_failures_in_a_row_end_it_early_and_one_alone_does_not() -> None:
    tally = Tally()
    for expected in (Action.WAIT, Action.WAIT, Action.FAIL):
        action, tally = decide(tally, Outcome.FAILED, LIMITS, over=False)
        assert action is expected
    _, once = decide(Tally(failed=2), Outcome.PASSED, LIMITS, over=False)
    assert once.failed == 0


def test_waiting_for_traffic_is_nothing_bad_until_the_time_is_over() -> None:
    tally = Tally()
    for _ in range(100):
        action, tally = decide(tally, Outcome.INCONCLUSIVE, LIMITS, over=False)
        assert action is Action.WAIT
    assert decide(tally, Outcome.INCONCLUSIVE, LIMITS, over=True)[0] is Action.ASK


def test_one_lost_answer_is_nothing_and_five_in_a_row_are() -> None:
    tally = Tally()
    for _ in range(4):
        action, tally = decide(tally, Outcome.ERROR, LIMITS, over=False)
        assert action is Action.WAIT
    assert decide(tally, Outcome.ERROR, LIMITS, over=False)[0] is Action.GIVE_UP


def test_a_lost_answer_between_two_failures_does_not_hide_them() -> None:
    tally = Tally()
    for seen in (Outcome.FAILED, Outcome.ERROR, Outcome.FAILED, Outcome.ERROR):
        _, tally = decide(tally, seen, LIMITS, over=False)
    assert decide(tally, Outcome.FAILED, LIMITS, over=False)[0] is Action.FAIL


@given(
    st.lists(st.sampled_from(list(Outcome)), min_size=40, max_size=40),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_every_step_ends(looks: list[Outcome], failed: int, inconclusive: int, error: int) -> None:
    limits = Limits(failed=failed, inconclusive=inconclusive, error=error)
    tally, steps = Tally(), 0
    for seen in looks:
        action, tally = decide(tally, seen, limits, over=True)
        steps += 1
        if action is not Action.WAIT:
            break
        assert seen is not Outcome.PASSED
    assert steps <= failed + inconclusive + error
    assert action is not Action.WAIT
    assert (action is Action.PASS) == (seen is Outcome.PASSED)


@given(st.floats(0.01, 0.99), st.integers(1, 200))
def test_the_copies_of_a_share_are_the_nearest(share: float, replicas: int) -> None:
    copies, given_share = nearest_share(share, replicas)
    assert copies >= 1
    assert given_share == copies / (replicas + copies)
    distance = abs(given_share - share)
    others = [c for c in (copies - 1, copies + 1) if c >= 1]
    assert all(distance <= abs(c / (replicas + c) - share) + 1e-12 for c in others)


def test_the_line_of_a_step_reads_as_designed() -> None:
    look = Look(canary=traffic(4112, 1, p99=0.0313), stable=traffic(40_000, 8, p99=0.0303))
    text = told(0.1, 1, 3, look, Outcome.PASSED)
    assert text == (
        "canary 10 %, step 1 of 3: errors 0.02 % (stable 0.02 %), p99 31 ms (30 ms), 4,112 requests: passed"
    )


def test_the_line_says_unknown_where_nothing_is_known() -> None:
    assert "errors unknown (stable unknown), p99 unknown (unknown), 0 requests: inconclusive" in told(
        0.1, 1, 1, Look(), Outcome.INCONCLUSIVE
    )


@pytest.mark.parametrize(
    ("share", "text"), [(0.1, "10 %"), (1 / 3, "33.3 %"), (0.5, "50 %"), (0.001, "0.1 %")]
)
def test_shares_are_written_short(share: float, text: str) -> None:
    assert percent(share) == text
