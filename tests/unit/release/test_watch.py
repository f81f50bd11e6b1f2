"""What a monitor decides: burn rates, little traffic, refusals after a switch, drift, cool-down, freeze."""

import dataclasses
import random

import pytest

from mmcicd_jenkins.release.alarm import Alarm
from mmcicd_jenkins.release.counters import Reading, read_counters, window
from mmcicd_jenkins.release.monitor_memory import Watched
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.release.watch import Action, Burn, Objectives, Situation, decide

OBJECTIVES = Objectives(
    availability=0.999,
    latency_p99_seconds=0.1,
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
BOUNDS = (0.01, 0.1, 1.0, float("inf"))


def traffic(
    minutes, *, per_minute=100, failed=0.0, refused=0.0, slow=0.0, version=2, bins=(1, 1, 1, 1), start=0
):
    """One reading a minute; the shares are of each minute's requests."""
    readings = []
    for minute in range(minutes + 1):
        n = minute * per_minute
        bad, no = round(n * failed), round(n * refused)
        ok = n - bad - no
        late = round(ok * slow)
        readings.append(
            Reading(
                at=start + minute * 60.0,
                version=version,
                ready=True,
                answered=ok,
                refused=no,
                failed=bad,
                latency=(ok - late, 0, late, 0),
                bounds=BOUNDS,
                predictions=tuple(ok * b // sum(bins) for b in bins),
            )
        )
    return readings


def situation(readings, **changes):
    base = Situation(
        version=2,
        now=readings[-1].at,
        ready=True,
        reason="",
        reference=(2500, 2500, 2500, 2500),
        refused_before=0.0,
        automatic=True,
        can_roll_back=True,
        cooling_down=False,
        frozen="",
        alarm=Alarm(),
    )
    return dataclasses.replace(base, **changes)


def decision(readings, **changes):
    at = situation(readings, **changes)
    return decide(Watched(readings=tuple(readings), version=2, now=at.now), OBJECTIVES, at)


def test_a_healthy_version_is_left_alone():
    made = decision(traffic(60))
    assert (made.action, made.verdict) == (Action.NONE, Verdict.PASSED)


def test_total_failure_rolls_back_as_soon_as_there_is_evidence():
    made = decision(traffic(11, failed=1.0))
    assert made.action is Action.ROLLBACK
    assert "errors: 1,100 bad of 1,100 requests" in made.reason


def test_a_burn_of_one_never_acts():
    made = decision(traffic(360, failed=0.001))
    assert made.action is Action.NONE


def test_little_traffic_decides_nothing():
    made = decision(traffic(60, per_minute=2, failed=1.0))
    assert (made.action, made.verdict) == (Action.WAIT, Verdict.INCONCLUSIVE)


def test_nine_errors_are_not_enough():
    readings = traffic(9, per_minute=120, failed=1 / 120)
    assert decision(readings).action is not Action.ROLLBACK


def test_an_old_incident_that_ended_does_not_act():
    bad = traffic(20, failed=1.0)
    good = [dataclasses.replace(r, at=r.at + 1200, failed=2000) for r in traffic(40)]
    assert decision([*bad, *good]).action is not Action.ROLLBACK


def test_refusals_count_only_as_far_as_they_rose():
    assert decision(traffic(30, refused=0.2), refused_before=0.2).action is Action.NONE
    assert decision(traffic(30, refused=0.2), refused_before=0.0).action is Action.ROLLBACK


def test_slow_answers_burn_the_latency_budget():
    made = decision(traffic(30, slow=0.5))
    assert made.action is Action.ROLLBACK
    assert "latency" in made.reason


def test_drift_alone_alerts_after_three_windows_and_never_rolls_back():
    readings = traffic(60, bins=(1, 1, 1, 7))
    first = decision(readings)
    assert (first.action, first.alarm.bad) == (Action.WAIT, 1)
    third = decision(readings, alarm=Alarm(bad=2))
    assert (third.action, third.verdict) == (Action.ALERT, Verdict.FAILED)
    assert "PSI" in third.reason


def test_a_drift_alarm_ends_after_six_good_windows():
    quiet = traffic(60)
    raised = Alarm(raised=True, good=4)
    fifth = decision(quiet, alarm=raised)
    assert (fifth.action, fifth.alarm.raised) == (Action.ALERT, True)
    assert decision(traffic(65), alarm=fifth.alarm).action is Action.NONE


def test_no_prediction_is_counted_in_two_windows():
    """A monitor that is asked every minute must not see one bad stretch three times."""
    alarm = decision(traffic(60, bins=(1, 1, 1, 7))).alarm
    for minute in range(61, 65):
        alarm = decision(traffic(minute, bins=(1, 1, 1, 7)), alarm=alarm).alarm
        assert alarm.bad == 1
    alarm = decision(traffic(65, bins=(1, 1, 1, 7)), alarm=alarm).alarm
    assert (alarm.bad, alarm.raised) == (2, False)


def test_a_window_begins_where_the_last_one_ended():
    """What drifted before was counted; good traffic since then is a good window, however bad the hour was."""
    bad = traffic(60, bins=(1, 1, 1, 7))
    alarm = decision(bad).alarm
    last = bad[-1]
    good = [
        dataclasses.replace(
            r,
            at=r.at + last.at,
            answered=r.answered + last.answered,
            latency=tuple(a + b for a, b in zip(r.latency, last.latency, strict=True)),
            predictions=tuple(a + b for a, b in zip(r.predictions, last.predictions, strict=True)),
        )
        for r in traffic(5)[1:]
    ]
    after = decision([*bad, *good], alarm=alarm).alarm
    assert (after.bad, after.good) == (0, 1)


def test_little_traffic_makes_a_window_longer_and_is_not_counted_before():
    quiet = {"per_minute": 20, "bins": (1, 1, 1, 7)}
    alarm = decision(traffic(60, **quiet)).alarm
    assert alarm.bad == 1
    assert decision(traffic(80, **quiet), alarm=alarm).alarm == alarm
    assert decision(traffic(85, **quiet), alarm=alarm).alarm.bad == 2


def test_without_a_reference_drift_is_not_asked():
    made = decision(traffic(60), reference=())
    assert (made.action, made.verdict) == (Action.NONE, Verdict.PASSED)
    assert "drift" not in {check.name for check in made.checks}


def test_not_ready_alerts():
    assert decision(traffic(60), ready=False, reason="END").action is Action.ALERT


@pytest.mark.parametrize(
    ("changes", "action"),
    [
        ({"cooling_down": True}, Action.FREEZE),
        ({"can_roll_back": False}, Action.FREEZE),
        ({"automatic": False}, Action.ALERT),
        ({"frozen": "rolled back twice"}, Action.ALERT),
    ],
)
def test_when_a_rollback_must_not_be_automatic(changes, action):
    assert decision(traffic(11, failed=1.0), **changes).action is action


def test_a_restarted_server_counts_from_zero():
    before, after = traffic(10, failed=0.1), traffic(10, failed=0.1, start=600)
    seen = window([*before, *after], 2, now=1200.0, seconds=3600)
    assert (seen.failed, seen.requests) == (200, 2000)


def test_counters_of_another_version_or_model_are_not_ours():
    text = "\n".join(
        [
            "# TYPE :mmcicd:serving:request_count counter",
            ':mmcicd:serving:request_count{model_name="churn",version="2",class="ok"} 90',
            ':mmcicd:serving:request_count{model_name="churn",version="2",class="refused"} 7',
            ':mmcicd:serving:request_count{model_name="churn",version="2",class="failed"} 3',
            ':mmcicd:serving:request_count{model_name="churn",version="1",class="ok"} 5000',
            ':mmcicd:serving:request_count{model_name="fraud",version="2",class="ok"} 5000',
            ':mmcicd:serving:request_latency_bucket{model_name="churn",version="2",le="10000"} 80',
            ':mmcicd:serving:request_latency_bucket{model_name="churn",version="2",le="+Inf"} 90',
            ':mmcicd:serving:prediction_count{model_name="churn",version="2",bin="1"} 90',
            ':mmcicd:serving:prediction_count{model_name="churn",version="2",bin="nan"} 4',
            "garbage {{{",
        ]
    )
    reading = read_counters(text, "churn", 2, at=1.0, ready=True, bins=3)
    assert (reading.answered, reading.refused, reading.failed) == (90, 7, 3)
    assert reading.latency == (80, 10)
    assert reading.predictions == (0, 90, 0)


def test_no_false_alarm_in_a_thousand_quiet_windows():
    random.seed(7)
    alarms = 0
    for _ in range(1000):
        counts = [0] * 10
        for _ in range(600):
            counts[random.randrange(10)] += 1
        readings = [
            Reading(at=0.0, version=2, ready=True, predictions=(0,) * 10),
            Reading(at=60.0, version=2, ready=True, answered=600, predictions=tuple(counts)),
        ]
        alarms += decision(readings, reference=(1000,) * 10).alarm.bad
    assert alarms == 0
