"""Drift over simulated model-months: honest alarms, no rollback, and a real shift that is seen.

The promises: in 400 months without a change no alarm (one a month with fifty features would be tolerable) and no rollback;
a shift by half a standard deviation is seen within three windows of five hundred predictions, 95 times of 100.
"""

import numpy as np
import pytest

from mmcicd_jenkins.release.alarm import Alarm, next_alarm
from mmcicd_jenkins.release.counters import Window
from mmcicd_jenkins.release.drift import PSEUDOCOUNT, judge_drift
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.release.watch import Action, Burn, Objectives, Situation, decide

BINS = 10
WINDOWS = 30 * 24
MONTHS = 400
OBJECTIVES = Objectives(
    availability=0.999,
    latency_p99_seconds=0.0,
    windows=(Burn(rate=14.4, long_seconds=3600, short_seconds=300),),
    min_requests=1000,
    min_errors=10,
    bad_windows=3,
    good_windows=6,
    drift_min_predictions=500,
)


def psi_of(reference, windows):
    """As `release.drift` has it, for many windows at once; that they agree is tried below."""
    r = (reference + PSEUDOCOUNT) / (reference.sum() + PSEUDOCOUNT * BINS)
    w = (windows + PSEUDOCOUNT) / (windows.sum(axis=1, keepdims=True) + PSEUDOCOUNT * BINS)
    return ((w - r) * np.log(w / r)).sum(axis=1)


def in_a_row(bad, count):
    """Whether there are `count` true ones in a row."""
    runs = np.convolve(bad.astype(int), np.ones(count, int))
    return bool((runs >= count).any())


@pytest.mark.parametrize("predictions", [500, 5000])
@pytest.mark.parametrize("tested", [1000, 10_000])
def test_four_hundred_quiet_months_have_no_alarm(predictions, tested):
    """The reference is a sample too: `tested` rows that the release was evaluated on."""
    random = np.random.default_rng(7)
    alarms = single = 0
    for month in range(MONTHS):
        true = random.dirichlet(np.full(BINS, 5.0))
        reference = random.multinomial(tested, true)
        windows = random.multinomial(predictions, true, size=WINDOWS)
        judged = judge_drift(reference.tolist(), windows[0].tolist(), min_predictions=500)
        values = psi_of(reference, windows)
        assert judged.psi == pytest.approx(values[0])
        bad = values > judged.threshold
        single += int(bad.sum())
        alarms += in_a_row(bad, OBJECTIVES.bad_windows)
        if month % 20 == 0:
            verdicts = [
                judge_drift(reference.tolist(), w.tolist(), min_predictions=500).verdict for w in windows
            ]
            assert [v is Verdict.FAILED for v in verdicts] == bad.tolist()
    assert alarms == 0
    assert single <= MONTHS * WINDOWS * 1e-3


def test_a_shift_by_half_a_standard_deviation_is_seen_in_three_windows():
    random = np.random.default_rng(11)
    edges = np.quantile(random.normal(size=200_000), np.linspace(0, 1, BINS + 1)[1:-1])
    seen = 0
    for _ in range(MONTHS):
        reference = np.bincount(np.searchsorted(edges, random.normal(size=5000)), minlength=BINS)
        alarm = Alarm()
        for window in range(3):
            counts = np.bincount(np.searchsorted(edges, random.normal(0.5, 1.0, size=500)), minlength=BINS)
            verdict = judge_drift(reference.tolist(), counts.tolist(), min_predictions=500).verdict
            alarm = next_alarm(alarm, verdict, float(window), bad_windows=3, good_windows=6)
        seen += alarm.raised
    assert seen / MONTHS >= 0.95


class Same:
    """A past in which every stretch of time looked alike."""

    def __init__(self, predictions):
        self._seen = Window(seconds=300, answered=sum(predictions), predictions=tuple(predictions))

    def last(self, _seconds, _since=0.0):
        return self._seen


def test_no_drift_whatever_takes_a_version_back():
    random = np.random.default_rng(13)
    alarm, actions = Alarm(), set()
    for window in range(3000):
        counts = random.multinomial(2000, random.dirichlet(np.full(BINS, 0.5)))
        situation = Situation(
            version=2,
            now=1e9 + 300 * window,
            ready=True,
            reason="",
            reference=(100,) * BINS,
            refused_before=0.0,
            automatic=True,
            can_roll_back=True,
            cooling_down=False,
            frozen="",
            alarm=alarm,
            watched=True,
        )
        made = decide(Same(counts.tolist()), OBJECTIVES, situation)
        alarm = made.alarm
        actions.add(made.action)
    assert actions <= {Action.NONE, Action.WAIT, Action.ALERT}
    assert Action.ALERT in actions
