"""Stage `rollback` when no ledger answers: the environment goes back by what it knows itself.

The rules of the button hold: a second press within ten minutes does nothing, what it leaves is bad. What was
done is noted in the environment, so that the ledger can be told when it answers again.
"""

from collections.abc import Callable
from datetime import datetime

from mmcicd_jenkins.errors import Inconclusive, InputError, OutsideFailed
from mmcicd_jenkins.ports.offline import Remembered
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.desired import DESIRED, TakenBack
from mmcicd_jenkins.release.ledger import read_time
from mmcicd_jenkins.release.rollback import SECOND_PRESS
from mmcicd_jenkins.stages.context import Job, Outcome, Ports, timestamp
from mmcicd_jenkins.stages.rollback import by_build
from mmcicd_jenkins.stages.unplanned import is_explained


@dataclass(frozen=True, kw_only=True)
class Facts:
    environment: str
    remembered: Remembered
    now: datetime


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`target` None: nothing to do, and `reason` says why."""

    environment: str
    epoch: int
    leaves: int | None
    target: int | None
    reason: str


def look(job: Job, ports: Ports) -> Facts:
    return Facts(
        environment=job.place.name,
        remembered=ports.offline(job.place).remember(job.model.name),
        now=ports.clock.now(),
    )


def plan(job: Job, facts: Facts) -> Plan:
    """Where the way back leads.

    Raises:
        InputError: another version was named than the one that lies there.
        Inconclusive: none lies there.
    """
    known = facts.remembered
    last = known.offline[-1] if known.offline else None
    if last is not None and last.to == known.serving and _is_same(job, last, facts.now):
        # It may have been cut short, and then it is finished.
        return _plan(facts, leaves=last.left, target=None, reason=_again(last))
    if job.version == known.serving and job.version is not None:
        return _plan(facts, leaves=None, target=None, reason=f"{job.version} serves already")
    if known.previous is None:
        raise Inconclusive(
            f"{facts.environment} knows no earlier healthy release to go back to",
            why=f"{known.serving or 'nothing'} serves, and no ledger answers",
            fix="when the ledger answers again: mmcicd-jenkins rollback",
        )
    if job.version not in {None, known.previous}:
        raise InputError(
            f"version {job.version} does not lie in {facts.environment}",
            why=f"without a ledger it can go back to {known.previous} alone",
            fix="leave the version out",
        )
    return _plan(facts, leaves=known.serving, target=known.previous, reason="the version before")


def _plan(facts: Facts, *, leaves: int | None, target: int | None, reason: str) -> Plan:
    return Plan(
        environment=facts.environment,
        epoch=facts.remembered.epoch,
        leaves=leaves,
        target=target,
        reason=reason,
    )


def _is_same(job: Job, last: TakenBack, now: datetime) -> bool:
    """A second press: the version is named, or it is so soon that nobody can mean a step further."""
    recent = abs(now - read_time(last.at, DESIRED)) < SECOND_PRESS
    return job.version == last.to or (job.version is None and recent)


def _again(last: TakenBack) -> str:
    return (
        f"already rolled back at {last.at} by {last.actor}, {last.to} serves; to go further, name a version"
    )


def apply(plan: Plan, job: Job, ports: Ports) -> Outcome:
    target = ports.offline(job.place)
    if plan.target is None:
        standing = target.remember(job.model.name).offline
        if standing:
            target.take_back(job.model.name, standing[-1])
        return _outcome(plan, plan.reason, found=True)
    started = ports.clock.now()
    order = TakenBack(
        left=plan.leaves or 0,
        to=plan.target,
        epoch=plan.epoch + 1,
        at=timestamp(ports.clock),
        actor=by_build(job).actor,
        reason=job.reason,
    )
    target.take_back(job.model.name, order)
    seconds = (ports.clock.now() - started).total_seconds()
    sentence = (
        f"{plan.environment} {plan.leaves} -> {plan.target} in {seconds:.1f} s; {plan.leaves} is revoked. "
        "The ledger does not know it yet"
    )
    return _outcome(plan, sentence, found=False)


def _outcome(plan: Plan, sentence: str, *, found: bool) -> Outcome:
    moved = plan.target is not None
    return Outcome(
        stage="rollback",
        sentence=sentence,
        found=found,
        detail={
            "environment": plan.environment,
            "from": plan.leaves if moved else None,
            "to": plan.target,
            "offline": True,
        },
    )


def or_offline(job: Job, ports: Ports, online: Callable[[], Outcome]) -> Outcome:
    """The rollback by the ledger; by the environment alone when something outside failed before it was moved.

    Raises:
        OutsideFailed: it was moved, and then something failed: the same command again finishes it.
    """
    target = ports.offline(job.place)
    before = target.remember(job.model.name)
    try:
        _require_ledger(before, job, ports)
        return online()
    except OutsideFailed as e:
        if target.remember(job.model.name).epoch != before.epoch:
            raise
        ports.progress.line(f"{e.what}; {job.place.name} is taken back by what it knows itself")
    return apply(plan(job, look(job, ports)), job, ports)


def _require_ledger(remembered: Remembered, job: Job, ports: Ports) -> None:
    """A repository that is not there any more is a ledger that does not answer, whatever git calls it. So is one that has
    less than what serves was decided by: an empty one in its place, or an old copy.
    """
    try:
        snapshot = ports.ledger.snapshot(job.model.name)
    except InputError as e:
        raise OutsideFailed(e.what, where=e.where, why=e.why, fix=e.fix) from e
    known = snapshot.pointer(job.place.name).epoch
    if remembered.epoch > known and not is_explained(remembered, snapshot, job.place.name):
        raise OutsideFailed(
            f"the ledger does not have the decision by which {job.place.name} serves {remembered.serving or 'nothing'}",
            where=f"epoch {remembered.epoch} there, {known} in the ledger",
            fix="put the ledger back, or mmcicd-jenkins reconcile",
        )
