"""Decide what a monitor does: nothing, wait, alert, roll back once, or freeze and ask. Pure.

Only a cause that a rollback can cure rolls back: the error budget burns too fast (SRE workbook, chapter 5:
over a long and a short window at once), or requests are refused that the version before answered. Drift of
the predictions alone never rolls back, because the old version would see the same inputs: it alerts.
Too little traffic decides nothing.
"""

import dataclasses
from enum import StrEnum
from typing import Protocol

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.alarm import Alarm, next_alarm
from mmcicd_jenkins.release.counters import Window
from mmcicd_jenkins.release.drift import NO_REFERENCE, Drift, judge_drift
from mmcicd_jenkins.release.verdicts import Verdict, worst

# A p99 objective allows one request in a hundred to be slower.
LATENCY_BUDGET = 0.01
# Of the shortest window, so that a clock that calls as often as a window is long may be a little early.
WHOLE_WINDOW = 0.9


class Action(StrEnum):
    NONE = "none"
    WAIT = "wait"
    ALERT = "alert"
    ROLLBACK = "rollback"
    FREEZE = "freeze"


@dataclass(frozen=True, kw_only=True)
class Burn:
    rate: float
    long_seconds: float
    short_seconds: float


class Past(Protocol):
    """What happened to one version, by stretches of time that end now."""

    def last(self, seconds: float, since: float = 0.0) -> Window | None:
        """The last `seconds`, at most from `since` on; None when nothing is known of them."""


@dataclass(frozen=True, kw_only=True)
class Objectives:
    """What was promised, and how much evidence a decision needs."""

    availability: float
    latency_p99_seconds: float
    windows: tuple[Burn, ...]
    min_requests: int
    min_errors: int
    bad_windows: int
    good_windows: int
    drift_min_predictions: int

    @property
    def longest(self) -> float:
        return max((burn.long_seconds for burn in self.windows), default=3600.0)

    @property
    def shortest(self) -> float:
        return min((burn.short_seconds for burn in self.windows), default=300.0)


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What the environment and the ledger say beside the counters.

    `refused_before` is the share of requests that the healthy version before refused; None when unknown: then
    refusals do not count, because nobody can say that they rose. `under_way` says which operation has not ended,
    `unfinished` why a monitor began a rollback that has not.
    `blind` says why no counters could be read, `short` which copies lack and for how long they have (seconds).
    `watched` is whether the version was promoted so lately that what goes wrong is likely its own fault.
    """

    version: int
    now: float
    ready: bool
    reason: str
    reference: tuple[int, ...]
    refused_before: float | None
    automatic: bool
    can_roll_back: bool
    cooling_down: bool
    frozen: str
    alarm: Alarm
    under_way: str = ""
    unfinished: str = ""
    blind: str = ""
    short: str = ""
    short_seconds: float = 0.0
    watched: bool = False


@dataclass(frozen=True, kw_only=True)
class Check:
    """One question and its answer. `curable`: a rollback would help."""

    name: str
    verdict: Verdict
    reason: str
    curable: bool = False


@dataclass(frozen=True, kw_only=True)
class Decision:
    action: Action
    verdict: Verdict
    reason: str
    checks: tuple[Check, ...]
    alarm: Alarm


def decide(past: Past, objectives: Objectives, situation: Situation) -> Decision:
    """One decision on all that is known so far."""
    alarm, since = situation.alarm, situation.alarm.at
    if situation.now - since >= WHOLE_WINDOW * objectives.shortest:
        drift = _drift(past, objectives, situation, since)
        alarm = next_alarm(
            alarm,
            drift.verdict,
            situation.now,
            bad_windows=objectives.bad_windows,
            good_windows=objectives.good_windows,
        )
    else:
        # Asked again before a window is over: it is told how things stand, and not counted.
        drift = _drift(past, objectives, situation, 0.0)
    note = _unknown(past, objectives, situation)
    checks = (
        _readiness(situation),
        *_copies(past, objectives, situation),
        *_burns(past, objectives, situation),
        *_drift_checks(drift, alarm, objectives),
    )
    made = _conclude(checks, situation, alarm)
    return dataclasses.replace(made, reason=made.reason + note)


def _conclude(checks: tuple[Check, ...], situation: Situation, alarm: Alarm) -> Decision:
    failed = [check for check in checks if check.verdict is Verdict.FAILED]
    curable = [check for check in failed if check.curable]
    if situation.unfinished:
        # A monitor that was killed in the middle of its own rollback; nobody else would end it.
        return Decision(
            action=Action.ROLLBACK,
            verdict=Verdict.FAILED,
            reason=situation.unfinished,
            checks=checks,
            alarm=alarm,
        )
    if situation.under_way:
        # What serves is about to change; its past says nothing about what comes, and a rollback would undo it.
        return Decision(
            action=Action.WAIT,
            verdict=Verdict.INCONCLUSIVE,
            reason=situation.under_way,
            checks=checks,
            alarm=alarm,
        )
    verdict = worst(check.verdict for check in checks)
    reason = "; ".join(check.reason for check in (failed or checks))
    if curable:
        reason = "; ".join(check.reason for check in curable)
        action, why = _cure(situation)
        reason += why
    elif failed:
        action = Action.ALERT
    else:
        action = Action.NONE if verdict is Verdict.PASSED else Action.WAIT
    return Decision(action=action, verdict=verdict, reason=reason, checks=checks, alarm=alarm)


def _cure(situation: Situation) -> tuple[Action, str]:
    """Roll back, unless a person must: switched off, frozen, nothing to go back to, or it was tried just now."""
    if situation.frozen:
        return Action.ALERT, f"; frozen: {situation.frozen}"
    if not situation.automatic:
        return Action.ALERT, "; automatic rollback is switched off"
    if situation.cooling_down:
        return Action.FREEZE, "; it was rolled back a short while ago, a person must decide"
    if not situation.can_roll_back:
        return Action.FREEZE, "; there is no earlier healthy release, a person must decide"
    return Action.ROLLBACK, ""


def _readiness(situation: Situation) -> Check:
    if situation.ready:
        return Check(name="ready", verdict=Verdict.PASSED, reason=f"version {situation.version} is available")
    why = f": {situation.reason}" if situation.reason else ""
    return Check(
        name="ready", verdict=Verdict.FAILED, reason=f"version {situation.version} is not available{why}"
    )


def _copies(past: Past, objectives: Objectives, situation: Situation) -> tuple[Check, ...]:
    """Only bad news. Copies that lack are the cluster's trouble; copies that die again and again are the version's, as
    long as it is so new that nothing else explains it.
    """
    checks = []
    if situation.short and situation.short_seconds >= objectives.shortest:
        minutes = situation.short_seconds / 60
        reason = f"{situation.short} for {minutes:.0f} minutes"
        checks.append(Check(name="copies", verdict=Verdict.FAILED, reason=reason))
    seen = past.last(min((burn.long_seconds for burn in objectives.windows), default=objectives.longest))
    if seen is not None and seen.restarts >= objectives.bad_windows:
        within = f"in the last {max(1, round(seen.seconds / 60))} minutes"
        reason = f"copies were started again {seen.restarts} times {within}"
        checks.append(
            Check(name="restarts", verdict=Verdict.FAILED, reason=reason, curable=situation.watched)
        )
    return tuple(checks)


def _burns(past: Past, objectives: Objectives, situation: Situation) -> tuple[Check, ...]:
    if situation.blind:
        reason = f"errors and latency are not known: {situation.blind}"
        return (Check(name="errors", verdict=Verdict.FAILED, reason=reason),)
    checks = [_burn_check("errors", past, objectives, situation)]
    if objectives.latency_p99_seconds:
        checks.append(_burn_check("latency", past, objectives, situation))
    return tuple(checks)


def _burn_check(kind: str, past: Past, objectives: Objectives, situation: Situation) -> Check:
    """Failed when both windows of any pair burn too fast on enough evidence."""
    enough, worst_told = False, ""
    for burn in objectives.windows:
        long, short = past.last(burn.long_seconds), past.last(burn.short_seconds)
        if long is None or short is None or long.requests < objectives.min_requests:
            continue
        enough = True
        rates = [_burn_rate(kind, one, objectives, situation) for one in (long, short)]
        bad = bad_requests(kind, long, objectives, situation)
        said = f"{kind}: {bad:,.0f} bad of {long.requests:,} requests" + _unjudged(kind, long, situation)
        told = f"{said}, budget burns {rates[0]:.1f} times too fast"
        if min(rates) >= burn.rate and bad >= objectives.min_errors:
            return Check(
                name=kind, verdict=Verdict.FAILED, reason=f"{told} (limit {burn.rate:g})", curable=True
            )
        worst_told = worst_told or said
    if not enough:
        seen = past.last(objectives.longest)
        reason = f"{kind} undecided, {seen.requests if seen else 0:,} of {objectives.min_requests:,} requests needed"
        return Check(name=kind, verdict=Verdict.INCONCLUSIVE, reason=reason)
    return Check(name=kind, verdict=Verdict.PASSED, reason=worst_told)


def bad_requests(kind: str, seen: Window, objectives: Objectives, situation: Situation) -> float:
    if kind == "latency":
        return seen.slower_than(objectives.latency_p99_seconds)
    # Refusals are the callers' fault as long as they are as many as before; a rise after a switch is ours.
    if situation.refused_before is None:
        return seen.failed
    return seen.failed + max(0.0, seen.refused - situation.refused_before * seen.requests)


def _unjudged(kind: str, seen: Window, situation: Situation) -> str:
    if kind == "latency" or situation.refused_before is not None or not seen.refused:
        return ""
    return f" ({seen.refused:,} refused, and no healthy version before to compare with)"


def _burn_rate(kind: str, seen: Window, objectives: Objectives, situation: Situation) -> float:
    if not seen.requests:
        return 0.0
    budget = LATENCY_BUDGET if kind == "latency" else 1.0 - objectives.availability
    return bad_requests(kind, seen, objectives, situation) / seen.requests / budget


def _drift(past: Past, objectives: Objectives, situation: Situation, since: float) -> Drift:
    """On the shortest stretch that holds enough predictions: up to the longest window of the objectives."""
    longest, seconds = objectives.longest, objectives.shortest
    counts: tuple[int, ...] = (0,) * len(situation.reference)
    while True:
        seen = past.last(seconds, since)
        counts = seen.predictions if seen else counts
        if sum(counts) >= objectives.drift_min_predictions or seconds >= longest:
            return judge_drift(situation.reference, counts, min_predictions=objectives.drift_min_predictions)
        seconds = min(seconds * 2, longest)


def _unknown(past: Past, objectives: Objectives, situation: Situation) -> str:
    """What is not asked because this server does not count it; that is no fault of the version."""
    seen = past.last(objectives.longest)
    if not situation.reference or seen is None or not seen.requests or seen.predictions:
        return ""
    return "; drift is not known here: this server counts no predictions"


def _drift_checks(drift: Drift, alarm: Alarm, objectives: Objectives) -> tuple[Check, ...]:
    """Nothing at all without a reference: an evaluation of the team's own may not have one."""
    if drift.psi is None and drift.reason == NO_REFERENCE:
        return ()
    if alarm.raised:
        return (Check(name="drift", verdict=Verdict.FAILED, reason=drift.reason),)
    if drift.verdict is Verdict.FAILED:
        reason = f"{drift.reason}, window {alarm.bad} of {objectives.bad_windows}"
        return (Check(name="drift", verdict=Verdict.INCONCLUSIVE, reason=reason),)
    return (Check(name="drift", verdict=drift.verdict, reason=drift.reason),)
