"""Stage `rollback`: put the last healthy release back, at once: no gate, no approval, safe to press twice."""

import re
from dataclasses import replace

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.rollback import RollbackChoice, choose_rollback
from mmcicd_jenkins.stages.context import Job, Outcome, Ports
from mmcicd_jenkins.stages.moving import Move, move, require_release
from mmcicd_jenkins.stages.unplanned import learn


@dataclass(frozen=True, kw_only=True)
class Facts:
    environment: str
    epoch: int
    serving: int | None
    choice: RollbackChoice


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`target` None: nothing to do, and `reason` says why. `automatic`: monitoring decided."""

    environment: str
    epoch: int
    leaves: int | None
    target: int | None
    reason: str
    automatic: bool = False


def look(job: Job, ports: Ports) -> Facts:
    snapshot = ports.ledger.snapshot(job.model.name)
    pointer = snapshot.pointer(job.place.name)
    return Facts(
        environment=job.place.name,
        epoch=pointer.epoch,
        serving=pointer.serving,
        choice=choose_rollback(snapshot, job.place.name, job.version, ports.clock.now()),
    )


def plan(job: Job, facts: Facts) -> Plan:  # noqa: ARG001  every stage has the same three functions
    return _plan(facts)


def _plan(facts: Facts) -> Plan:
    return Plan(
        environment=facts.environment,
        epoch=facts.epoch,
        leaves=facts.choice.leaves,
        target=facts.choice.target,
        reason=facts.choice.reason,
    )


def apply(plan: Plan, job: Job, ports: Ports) -> Outcome:
    if learn(job.place, job, ports):
        # It was taken back already by what it knows itself: whether that is enough is for the same rules to say.
        plan = replace(_plan(look(job, ports)), automatic=plan.automatic)
    if plan.target is None:
        return Outcome(
            stage="rollback",
            sentence=plan.reason,
            found=True,
            detail={"environment": plan.environment, "from": None, "to": None},
        )
    started = ports.clock.now()
    order = Move(
        environment=plan.environment,
        action="rollback",
        release=require_release(job, ports, plan.target),
        decided_on=plan.epoch,
        leaves=plan.leaves,
        automatic=plan.automatic,
        # It was healthy when it served; the way back must not depend on anything but the server.
        check_answers=False,
    )
    move(order, by_build(job).at(plan.environment), ports, {})
    seconds = (ports.clock.now() - started).total_seconds()
    return Outcome(
        stage="rollback",
        sentence=_sentence(plan, seconds),
        detail={"environment": plan.environment, "from": plan.leaves, "to": plan.target, "seconds": seconds},
    )


def _sentence(plan: Plan, seconds: float) -> str:
    if plan.leaves == plan.target:
        return f"{plan.environment} serves {plan.target} as before, in {seconds:.1f} s"
    return f"{plan.environment} {plan.leaves} -> {plan.target} in {seconds:.1f} s; {plan.leaves} is revoked"


def by_build(job: Job) -> Job:
    """With the number of the build behind the name: whoever presses a second time looks for the first one."""
    number = re.search(r"/([0-9]+)/?$", job.builder)
    return job if number is None else replace(job, actor=f"{job.actor} (#{number[1]})")
