"""Stage `monitor`: look at what serves, decide by `release.watch`, and roll back when that cures.

What is remembered lies in the environment's own memory (counters only, never rows); only decisions reach the ledger.
One call is one look; a clock (cron, or `--for`) calls again. With `job.looks_only` a rollback is told and not done: who
looks every few minutes need not be able to deploy.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import field, replace

from mmcicd_jenkins.errors import OutsideFailed, Superseded
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release import history
from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.release.ledger import Change, Snapshot
from mmcicd_jenkins.release.monitor_memory import Memory, Point, pointed
from mmcicd_jenkins.release.watch import Action, Decision, Objectives, Past, bad_requests, decide
from mmcicd_jenkins.stages import rollback
from mmcicd_jenkins.stages.context import Job, Outcome, Ports
from mmcicd_jenkins.stages.watching import Facts, look, objectives_of

# With the default interval a failure that lasts half an hour; then somebody should know.
MOST_FAILURES = 6

__all__ = ["apply", "look", "plan", "watch"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`since` and `until`: the watch after a promotion, in seconds since 1970."""

    environment: str
    version: int
    epoch: int
    decision: Decision
    since: float
    until: float
    memory: Memory = field(repr=False)
    revision: str = ""


def plan(job: Job, facts: Facts) -> Plan:
    objectives = objectives_of(job.place.monitor)
    decision = decide(facts.past, objectives, facts.situation)
    return Plan(
        environment=job.place.name,
        version=facts.situation.version,
        epoch=facts.epoch,
        decision=decision,
        since=facts.since,
        until=facts.until,
        memory=_to_keep(facts, objectives, decision, job.place.monitor.watch_seconds),
        revision=facts.revision,
    )


def _to_keep(facts: Facts, objectives: Objectives, decision: Decision, watched: float) -> Memory:
    now = facts.situation.now
    point = _point(facts.past, objectives, facts) if facts.fresh else None
    return replace(
        facts.memory,
        # The same readings judged twice are not two windows.
        alarm=decision.alarm if facts.fresh else facts.memory.alarm,
        points=pointed(facts.memory.points, point, now, max(watched, objectives.longest)),
        action=str(decision.action),
        said=decision.reason,
    )


def _point(past: Past, objectives: Objectives, facts: Facts) -> Point | None:
    """What happened since the last point of the picture, or in the shortest window."""
    now = facts.situation.now
    last = facts.memory.points[-1].at if facts.memory.points else now - objectives.shortest
    seen = past.last(max(1.0, min(now - last, objectives.longest)))
    if seen is None:
        return None
    bad = bad_requests("errors", seen, objectives, facts.situation)
    return Point(at=now, requests=seen.requests, bad=round(bad), p99=seen.p99())


def apply(plan: Plan, job: Job, ports: Ports) -> Outcome:
    decision = plan.decision
    said = f"{plan.environment} {plan.version}: {decision.reason}"
    memory = ports.monitor_memory(job.place)
    memory.write(job.model.name, to_document(plan.memory), plan.revision, said)
    detail: dict[str, object] = {
        "environment": plan.environment,
        "version": plan.version,
        "action": str(decision.action),
        "checks": [to_document(check) for check in decision.checks],
        "since": plan.since,
        "watched_until": plan.until,
        "points": [[p.at, p.requests, p.bad, p.p99] for p in plan.memory.points],
    }
    if decision.action is Action.ROLLBACK and job.looks_only:
        said += "; to be rolled back by whoever may"
    elif decision.action is Action.ROLLBACK:
        taken = _roll_back(plan, job, ports)
        said += f"; {taken.sentence}"
        detail |= {"from": taken.detail["from"], "to": taken.detail["to"]}
    elif decision.action is Action.FREEZE:
        _freeze(plan, job, ports)
    return Outcome(
        stage="monitor",
        sentence=said,
        found=decision.action in {Action.NONE, Action.WAIT},
        verdict=decision.verdict,
        detail=detail,
    )


def watch(job: Job, ports: Ports, seconds: float, on_outcome: Callable[[Outcome], None]) -> Outcome:
    """Look again and again for `seconds`, or until it acted; the last outcome.

    A look that fails for an outside reason is told and made again: a watch that ends at the first lost answer watches
    nothing when it matters. So is one that a newer decision overtook.

    Raises:
        OutsideFailed, Superseded: so many looks in a row failed, or the last one did.
    """
    end = ports.clock.now().timestamp() + seconds
    failures = 0
    while True:
        error, acted = None, False
        try:
            outcome = apply(plan(job, look(job, ports)), job, ports)
        except (OutsideFailed, Superseded) as e:
            error, failures = e, failures + 1
            ports.progress.line(f"could not look, {failures} of {MOST_FAILURES} in a row: {e.what}")
        else:
            failures = 0
            on_outcome(outcome)
            acted = outcome.detail["action"] in {Action.ROLLBACK, Action.FREEZE}
        left = end - ports.clock.now().timestamp()
        if error is not None and (failures >= MOST_FAILURES or left <= 0):
            raise error
        if acted or left <= 0:
            return outcome
        ports.clock.sleep(min(job.place.monitor.every_seconds, left))


def _roll_back(plan: Plan, job: Job, ports: Ports) -> Outcome:
    """The same rollback as the button's, decided by the monitor and dated as automatic."""
    asked = dataclasses.replace(job, environment=plan.environment, version=None, reason=plan.decision.reason)
    chosen = rollback.plan(asked, rollback.look(asked, ports))
    _require_same(plan, chosen.epoch)
    return rollback.apply(replace(chosen, automatic=True), asked, ports)


def _freeze(plan: Plan, job: Job, ports: Ports) -> None:
    who = job.who(ports.clock, plan.decision.reason)

    def decide(snapshot: Snapshot) -> Change | None:
        _require_same(plan, snapshot.pointer(plan.environment).epoch)
        return history.freeze(snapshot, plan.environment, who)

    ports.ledger.commit(job.model.name, decide)


def _require_same(plan: Plan, epoch: int) -> None:
    """What was judged must still be what serves: a person may have mended it meanwhile."""
    if epoch != plan.epoch:
        raise Superseded(
            f"{plan.environment} has a newer decision than the one that was watched; nothing was changed",
            where=f"epoch {epoch}, watched {plan.epoch}",
            fix="the next monitor watches what serves now",
        )
