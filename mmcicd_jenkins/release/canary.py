"""Decide about a canary: how many copies a share takes, what live traffic says, and what to do then. Pure.

A look has one of four outcomes. Passed: every check holds on enough requests. Failed: one does not, or a copy was started
again. Inconclusive: too few requests, or copies that are not ready. Error: nobody could be asked. Nothing that is
missing, NaN or infinite ever passes. Each outcome has a limit of its own, as in the analysis of Argo Rollouts
(https://argo-rollouts.readthedocs.io/en/stable/features/analysis/).
"""

import math
from collections.abc import Sequence
from dataclasses import field, replace
from enum import StrEnum

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.canary_limits import Limits
from mmcicd_jenkins.release.gates import figures
from mmcicd_jenkins.release.rules import Rule
from mmcicd_jenkins.release.shares import percent
from mmcicd_jenkins.release.traffic import Traffic, quantile

ERROR_RATE = "error_rate"
QUANTILES = {"latency_p50": 0.5, "latency_p95": 0.95, "latency_p99": 0.99}
# So many errors are no chance: with them a rule may fail before there are enough requests to pass it.
CERTAIN_ERRORS = 10


class Outcome(StrEnum):
    """What one look says."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


class Action(StrEnum):
    """What to do after a look. `ASK`: a person decides; `GIVE_UP`: it cannot be judged."""

    WAIT = "wait"
    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    ASK = "ask"
    GIVE_UP = "give up"


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Looks in a row by outcome, and all of them since the time of the step was over."""

    failed: int = 0
    inconclusive: int = 0
    error: int = 0
    late: int = 0


@dataclass(frozen=True, kw_only=True)
class Check:
    """One rule and what it says. `value`, `limit` and `stable` are NaN where there is none."""

    rule: str
    outcome: Outcome
    reason: str
    value: float = math.nan
    limit: float = math.nan
    stable: float = math.nan


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was seen at once: traffic of both since the step began, copies that are ready, copies started again."""

    canary: Traffic = field(default_factory=Traffic)
    stable: Traffic = field(default_factory=Traffic)
    wanted: int = 1
    ready: int = 1
    restarts: int = 0


def judge(rules: Sequence[Rule], look: Look, *, min_requests: int) -> tuple[Check, ...]:
    """Every rule on the canary, compared with stable over the same time, and the copies themselves."""
    return (*_copies(look), *(_judge_rule(rule, look, min_requests) for rule in rules))


def _copies(look: Look) -> tuple[Check, ...]:
    """Only bad news: a pod that crashed has no counters, so that its silence must not look like peace."""
    if look.restarts > 0:
        reason = f"copies of the canary were started again {look.restarts} times"
        return (Check(rule="copies", outcome=Outcome.FAILED, reason=reason),)
    if look.ready < look.wanted:
        reason = f"{look.ready} of {look.wanted} copies of the canary are ready"
        return (Check(rule="copies", outcome=Outcome.INCONCLUSIVE, reason=reason),)
    return ()


def _judge_rule(rule: Rule, look: Look, min_requests: int) -> Check:
    """Too few requests decide nothing, but for errors that no later request can make good."""
    value, stable = measured(rule.metric, look.canary), measured(rule.metric, look.stable)
    limit = rule.limit.value(stable)
    known = Check(
        rule=rule.text, outcome=Outcome.INCONCLUSIVE, reason="", value=value, limit=limit, stable=stable
    )
    compared = bool(rule.limit.baseline)
    if compared and look.stable.requests < min_requests:
        return replace(known, reason=_too_few("stable", look.stable, min_requests))
    if look.canary.requests < min_requests:
        if _is_lost(rule, look, limit, min_requests):
            told = f"{look.canary.errors:,.0f} errors in {look.canary.requests:,.0f} requests"
            return replace(known, outcome=Outcome.FAILED, reason=f"{told}, needs {rule.text}")
        return replace(known, reason=_too_few("", look.canary, min_requests))
    if not (math.isfinite(value) and math.isfinite(limit)):
        return _unmeasured(rule, known)
    passed = value >= limit if rule.relation == ">=" else value <= limit
    shown, asked = figures(rule.metric, value, limit)
    if passed:
        return replace(known, outcome=Outcome.PASSED, reason=f"{rule.metric} {shown} {rule.relation} {asked}")
    reason = f"{rule.metric} {shown}, needs {rule.relation} {asked}"
    if compared:
        reason += f" (stable has {figures(rule.metric, stable)[0]})"
    return replace(known, outcome=Outcome.FAILED, reason=reason)


def _too_few(whose: str, traffic: Traffic, min_requests: int) -> str:
    of = f" of {whose}" if whose else ""
    return f"{traffic.requests:,.0f} of {min_requests:,} requests{of}"


def _is_lost(rule: Rule, look: Look, limit: float, min_requests: int) -> bool:
    """Whether it would fail if every request from here to `min_requests` were answered well."""
    if rule.metric != ERROR_RATE or rule.relation != "<=" or look.canary.errors < CERTAIN_ERRORS:
        return False
    return math.isfinite(limit) and look.canary.errors > limit * min_requests


def _unmeasured(rule: Rule, known: Check) -> Check:
    """Infinity is a latency beyond every bucket: bad on a canary whose limit is known, no answer otherwise."""
    if known.value == math.inf and math.isfinite(known.limit) and rule.relation == "<=":
        reason = f"{rule.metric} is beyond all that is measured, needs {rule.relation} {figures(rule.metric, known.limit)[0]}"
        return replace(known, outcome=Outcome.FAILED, reason=reason)
    return replace(known, reason=f"{rule.metric} is not measured")


def measured(metric: str, traffic: Traffic) -> float:
    """A metric of `config.metrics.LIVE_METRICS`; NaN when traffic says nothing about it."""
    if metric == ERROR_RATE:
        return traffic.error_rate
    share = QUANTILES.get(metric)
    return math.nan if share is None else quantile(share, traffic.latency).value


def outcome_of(checks: Sequence[Check]) -> Outcome:
    """One outcome for all: failed before error before inconclusive before passed. Nothing to check is passed."""
    seen = {check.outcome for check in checks}
    order = (Outcome.FAILED, Outcome.ERROR, Outcome.INCONCLUSIVE)
    return next((outcome for outcome in order if outcome in seen), Outcome.PASSED)


def decide(tally: Tally, outcome: Outcome, limits: Limits, *, over: bool) -> tuple[Action, Tally]:
    """What a look means. `over`: the time of the step, and any patience beyond it, is over.

    Ends always: looks that contradict each other after the time of a step are a person's to judge.
    """
    after = _counted(tally, outcome, over=over)
    if after.failed >= limits.failed:
        return Action.FAIL, after
    if after.error >= limits.error:
        return Action.GIVE_UP, after
    if not over:
        return Action.WAIT, after
    if outcome is Outcome.PASSED:
        return Action.PASS, after
    at_most = limits.failed + limits.inconclusive + limits.error
    if after.inconclusive >= limits.inconclusive or after.late >= at_most:
        return Action.ASK, after
    return Action.WAIT, after


def _counted(tally: Tally, outcome: Outcome, *, over: bool) -> Tally:
    late = tally.late + 1 if over else 0
    if outcome is Outcome.FAILED:
        return Tally(failed=tally.failed + 1, late=late)
    if outcome is Outcome.ERROR:
        return Tally(error=tally.error + 1, failed=tally.failed, late=late)
    if outcome is Outcome.INCONCLUSIVE:
        return Tally(inconclusive=tally.inconclusive + 1 if over else 0, late=late)
    return Tally(late=late)


def told(share: float, step: int, steps: int, look: Look, outcome: Outcome) -> str:
    """`canary 10 %, step 1 of 3: errors 0.02 % (stable 0.02 %), p99 31 ms (30 ms), 4,112 requests: passed`."""
    errors = f"errors {_rate(look.canary)} (stable {_rate(look.stable)})"
    p99 = f"p99 {_slow(look.canary)} ({_slow(look.stable)})"
    requests = f"{look.canary.requests:,.0f} requests"
    return f"canary {percent(share)}, step {step} of {steps}: {errors}, {p99}, {requests}: {outcome}"


def _rate(traffic: Traffic) -> str:
    rate = traffic.error_rate
    return "unknown" if math.isnan(rate) else percent(rate, 2)


def _slow(traffic: Traffic) -> str:
    p99 = quantile(0.99, traffic.latency).value
    if math.isnan(p99):
        return "unknown"
    return f"{p99 * 1000:,.3g} ms" if math.isfinite(p99) else "beyond measure"
