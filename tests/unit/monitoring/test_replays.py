"""Whole days of traffic replayed against the decisions: when it must act, and that it never acts otherwise.

The promises: all requests failing is decided within five minutes; a budget that burns as fast as it may decides nothing in
thirty days; on less than a thousand requests or ten errors nothing is ever done by itself; a version that dies again and
again is taken back while it is watched, and no longer; drift alone never takes anything back.
"""

import dataclasses
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcicd_jenkins.release.alarm import Alarm
from mmcicd_jenkins.release.counters import Reading
from mmcicd_jenkins.release.monitor_memory import Counted, Memory, Watched, counted
from mmcicd_jenkins.release.watch import Action, Burn, Objectives, Situation, decide

OBJECTIVES = Objectives(
    availability=0.999,
    latency_p99_seconds=0.0,
    windows=(
        Burn(rate=14.4, long_seconds=3600, short_seconds=300),
        Burn(rate=6.0, long_seconds=21600, short_seconds=1800),
    ),
    min_requests=1000,
    min_errors=10,
    bad_windows=3,
    good_windows=6,
    drift_min_predictions=500,
)
AUTOMATIC = {Action.ROLLBACK, Action.FREEZE}
DAY = 86400.0


class Replay:
    """One copy that serves, and a monitor that looks every so often."""

    def __init__(self, every, **situation):
        self.every = every
        self.memory = Memory()
        self.now = 1e9
        self.total = Reading(at=0.0, version=2, ready=True)
        self.situation = situation
        self.alarm = Alarm()

    def serve(self, answered, failed=0, restarts=0, **more):
        self.total = dataclasses.replace(
            self.total,
            answered=self.total.answered + answered,
            failed=self.total.failed + failed,
            restarts=self.total.restarts + restarts,
            **more,
        )

    def look(self):
        self.now += self.every
        seen = [Counted(copy="a", reading=self.total)]
        self.memory = counted(self.memory, seen, 2, self.now, most=OBJECTIVES.longest)
        past = Watched(readings=self.memory.readings, version=2, now=self.now)
        made = decide(past, OBJECTIVES, self._situation())
        self.alarm = made.alarm
        return made

    def _situation(self):
        standing = {
            "version": 2,
            "now": self.now,
            "ready": True,
            "reason": "",
            "reference": (),
            "refused_before": 0.0,
            "automatic": True,
            "can_roll_back": True,
            "cooling_down": False,
            "frozen": "",
            "alarm": self.alarm,
        }
        return Situation(**(standing | self.situation))


def draw(random_, mean):
    """About `mean` of many rare events."""
    return max(0, round(random_.gauss(mean, mean**0.5)))


@pytest.mark.parametrize("every", [60.0, 300.0])
@pytest.mark.parametrize("per_second", [4, 50])
@pytest.mark.parametrize("healthy_hours", [0.1, 1, 7])
def test_when_every_request_fails_it_is_decided_within_five_minutes(every, per_second, healthy_hours):
    replay = Replay(every)
    replay.look()
    for _ in range(max(1, int(healthy_hours * 3600 / every))):
        replay.serve(round(per_second * every))
        assert replay.look().action not in AUTOMATIC
    passed = 0.0
    while True:
        passed += every
        replay.serve(0, round(per_second * every))
        if replay.look().action is Action.ROLLBACK:
            break
    assert passed <= 300


@pytest.mark.parametrize(("per_second", "days"), [(0.2, 10), (20, 30)])
def test_a_budget_that_burns_as_it_may_decides_nothing_in_thirty_days(per_second, days):
    random_ = random.Random(20261124)
    replay = Replay(300.0)
    acted = 0
    for _ in range(int(days * DAY / 300)):
        requests = draw(random_, per_second * 300)
        failed = min(requests, draw(random_, requests * 0.001))
        replay.serve(requests - failed, failed)
        acted += replay.look().action not in {Action.NONE, Action.WAIT}
    assert acted == 0


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=1, max_size=12))
def test_on_little_evidence_nothing_is_ever_done_by_itself(looks):
    """Whatever the traffic: who acted had a thousand requests and ten errors in the long window."""
    replay = Replay(300.0)
    replay.look()
    history = []
    for answered, failed in looks:
        replay.serve(answered, failed)
        history.append((answered, failed))
        if replay.look().action in AUTOMATIC:
            longest = history[-72:]
            assert sum(a + f for a, f in longest) >= 1000
            assert sum(f for _, f in longest) >= 10


@pytest.mark.parametrize(("answered", "failed"), [(0, 999), (1_000_000, 9), (3, 996)])
def test_just_below_the_evidence_nothing_is_done(answered, failed):
    replay = Replay(300.0)
    replay.look()
    replay.serve(answered, failed)
    assert replay.look().action not in AUTOMATIC


def test_a_version_that_dies_again_and_again_is_taken_back_while_it_is_watched():
    replay = Replay(60.0, watched=True)
    replay.look()
    replay.serve(10, restarts=2)
    assert replay.look().action is Action.WAIT
    replay.serve(10, restarts=1)
    made = replay.look()
    assert made.action is Action.ROLLBACK
    assert "copies were started again 3 times" in made.reason


def test_after_the_watch_somebody_is_told_instead():
    replay = Replay(60.0)
    replay.look()
    replay.serve(10, restarts=3)
    assert replay.look().action is Action.ALERT


def test_restarts_of_long_ago_are_forgotten():
    replay = Replay(300.0, watched=True)
    replay.look()
    replay.serve(10, restarts=5)
    replay.look()
    for _ in range(13):
        replay.serve(10)
        made = replay.look()
    assert made.action is Action.WAIT


@pytest.mark.parametrize(("seconds", "action"), [(60.0, Action.WAIT), (300.0, Action.ALERT)])
def test_copies_that_lack_are_told_when_they_lack_for_long_and_never_roll_back(seconds, action):
    replay = Replay(60.0, watched=True, short="2 of 3 copies are ready", short_seconds=seconds)
    assert replay.look().action is action


def test_nobody_to_ask_is_an_alarm_and_no_reason_to_roll_back():
    replay = Replay(60.0, blind="Prometheus does not answer: refused", watched=True)
    made = replay.look()
    assert made.action is Action.ALERT
    assert "errors and latency are not known: Prometheus does not answer" in made.reason


def test_a_server_that_counts_no_predictions_is_said_to_and_blamed_for_nothing():
    replay = Replay(300.0, reference=(500, 500))
    replay.look()
    replay.serve(5000)
    made = replay.look()
    assert made.action is Action.NONE
    assert made.reason.endswith("drift is not known here: this server counts no predictions")
