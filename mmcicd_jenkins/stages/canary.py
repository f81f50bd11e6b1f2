"""Stage `canary`: begin a promotion and try the version beside what serves, on live traffic; `promote` does the rest.

The plan is the promotion's: the same guards, the same approver. `promote` alone goes through the steps as well; this
stage is what a pipeline shows of it, and where a person's answer to an undecided canary comes in.
"""

import dataclasses
import re

from mmcicd_jenkins.config.forms import SECONDS
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import Inconclusive, UsageError
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.shares import nearest_share, percent
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.stages import promote
from mmcicd_jenkins.stages.context import Job, Outcome, Ports
from mmcicd_jenkins.stages.moving import abandon, try_out
from mmcicd_jenkins.stages.promote import look

__all__ = ["Plan", "answer", "apply", "look", "plan"]

TAKE_BACK = "take back"
# In brackets stands who said it, and perhaps why.
_ANSWER = re.compile(
    r"(?:(take back)|extend(ed)? (\d{1,4}) ?(m|h|d))(?: \((.*)\))?", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`steps` are in words; `why_not` says why there are none."""

    promotion: promote.Plan
    steps: tuple[str, ...]
    why_not: str = ""


def plan(job: Job, facts: promote.Facts) -> Plan:
    """Raises what a promotion's plan raises."""
    promotion = promote.plan(job, facts)
    why_not = _why_not(promotion, job.place, facts.observed)
    return Plan(promotion=promotion, steps=() if why_not else _steps(job.place), why_not=why_not)


def _why_not(promotion: promote.Plan, place: Environment, observed: int | None) -> str:
    if place.kind == "local" or place.strategy.kind != "canary":
        return f"{place.name} has no canary"
    if promotion.serving == promotion.version or not promotion.change:
        return f"{place.name} serves {promotion.version} already"
    if promotion.serving is None or observed is None:
        return f"{place.name} serves nothing that a canary could be compared with"
    return ""


def _steps(place: Environment) -> tuple[str, ...]:
    """By the copies of the file; where they are scaled, those that serve count."""
    told = []
    for step in place.strategy.steps:
        copies, share = nearest_share(step.share, place.replicas)
        told.append(f"{percent(share)} ({copies} beside {place.replicas}) for {step.hold_seconds:g} s")
    return tuple(told)


def apply(plan: Plan, job: Job, ports: Ports) -> Outcome:
    if plan.why_not:
        return _outcome(plan, plan.why_not, found=True)
    promote.require_as_seen(plan.promotion, job, ports)
    return _tried(plan, job, ports, None)


def _tried(plan: Plan, job: Job, ports: Ports, patience_seconds: float | None) -> Outcome:
    order = promote.order_of(plan.promotion, job, ports)
    ran = try_out(order, job.at(plan.promotion.environment), ports, patience_seconds)
    sentence = f"version {plan.promotion.version} passed every step beside {plan.promotion.serving}"
    return _outcome(plan, sentence, found=not ran)


def answer(line: str, job: Job, ports: Ports) -> Outcome:
    """What a person, or the end of a person's time, said about a canary that does not decide.

    `take back` ends it; the version is not revoked. `extend 4h`: that much more time is given, counted from now; `extended
    4h`: it was given. When it is still undecided after it, it is taken back as well, so that nobody is asked for ever.

    Raises:
        UsageError: it is no answer.
        GateRefused, OutsideFailed, Superseded: as `apply`.
    """
    patience, who = _understood(line)
    made = plan(job, look(job, ports))
    if made.why_not:
        return _outcome(made, made.why_not, found=True)
    if patience is None:
        return _taken_back(made, who or job.actor, job, ports)
    try:
        return _tried(made, job, ports, patience)
    except Inconclusive as e:
        return _taken_back(made, f"{e.what} after {line.strip()}", job, ports)


def _understood(line: str) -> tuple[float | None, str]:
    """Seconds that may still be waited, None for the end; and who says so."""
    match = _ANSWER.fullmatch(" ".join(line.split()))
    if match is None:
        raise UsageError(f"{line[:60]!r} is no answer", fix=f"{TAKE_BACK}, or extend 4h")
    ended, over, number, unit, who = match.groups()
    if ended:
        return None, who or ""
    return 0.0 if over else float(number) * SECONDS[unit.lower()], who or ""


def _taken_back(made: Plan, reason: str, job: Job, ports: Ports) -> Outcome:
    place = made.promotion.environment
    serving = abandon(promote.order_of(made.promotion, job, ports), reason, job.at(place), ports)
    sentence = f"the canary of version {made.promotion.version} was taken back, {serving or 'nothing'} serves on: {reason}"
    return dataclasses.replace(_outcome(made, sentence), verdict=Verdict.FAILED)


def _outcome(made: Plan, sentence: str, *, found: bool = False) -> Outcome:
    detail = {
        "environment": made.promotion.environment,
        "version": made.promotion.version,
        "from": made.promotion.serving,
        "steps": list(made.steps),
    }
    return Outcome(stage="canary", sentence=sentence, found=found, detail=detail)
