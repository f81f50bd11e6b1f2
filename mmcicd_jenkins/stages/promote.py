"""Stage `promote`: put a release that served before production into production, after a person said yes.

The person's yes is asked by the command line or by Jenkins, on the plan; `apply` carries the epoch of that
plan, so a decision that was made meanwhile is never written over.
"""

from dataclasses import dataclass

from mmcicd_jenkins.errors import GateRefused, InputError, Superseded, UsageError
from mmcicd_jenkins.release.ledger import Pointer, Snapshot
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.stages.context import Job, Outcome, Ports
from mmcicd_jenkins.stages.moving import Move, move, require_release
from mmcicd_jenkins.stages.scoring import recorded_golden


@dataclass(frozen=True, kw_only=True)
class Facts:
    environment: str
    snapshot: Snapshot
    candidate: Release
    champion: Release | None
    observed: int | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`change` is False when the version serves already. `comparison` is a sentence for the approver."""

    environment: str
    version: int
    serving: int | None
    epoch: int
    change: bool
    comparison: str
    author: str


def look(job: Job, ports: Ports) -> Facts:
    place = job.place
    snapshot = ports.ledger.snapshot(job.model.name)
    version = job.version if job.version is not None else newest_candidate(job, snapshot)
    serving = snapshot.pointer(place.name).serving
    return Facts(
        environment=place.name,
        snapshot=snapshot,
        candidate=require_release(job, ports, version),
        champion=None if serving is None else ports.ledger.release(job.model.name, serving),
        observed=ports.target(place).observe(job.model.name).version,
    )


def newest_candidate(job: Job, snapshot: Snapshot) -> int:
    """What the environment before production serves.

    Raises:
        InputError: nothing serves there.
    """
    before = job.config.before_production
    serving = snapshot.pointer(before[-1].name).serving if before else snapshot.head.versions or None
    if serving is None:
        raise InputError(
            f"{job.model.name} has no version that could be promoted",
            why=f"{before[-1].name if before else 'the ledger'} holds none",
            fix=f"mmcicd-jenkins run --model {job.model.name}",
        )
    return serving


def plan(job: Job, facts: Facts) -> Plan:
    """Refuse what must not be promoted; say how the candidate compares.

    Raises:
        GateRefused: the version was revoked, or never served before production.
    """
    version = facts.candidate.version
    pointer = facts.snapshot.pointer(facts.environment)
    change = not (pointer.serving == version == facts.observed)
    if change and facts.snapshot.is_revoked(version):
        raise GateRefused(
            f"version {version} was taken back and cannot be promoted again",
            why=facts.snapshot.head.revoked[str(version)],
            fix="commit what makes it better, or mmcicd-jenkins run --again: a new attempt is a new version",
        )
    for place in job.config.before_production:
        if change and pointer.serving != version:
            _require_served(facts.snapshot.pointer(place.name), version)
    return Plan(
        environment=facts.environment,
        version=version,
        serving=pointer.serving,
        epoch=pointer.epoch,
        change=change,
        comparison=compare(facts.candidate, facts.champion),
        author=facts.candidate.author,
    )


def _require_served(pointer: Pointer, version: int) -> None:
    if version not in {served.version for served in pointer.served}:
        raise GateRefused(
            f"version {version} never served in {pointer.environment}, so it cannot go further",
            why=f"{pointer.environment} served {', '.join(str(s.version) for s in pointer.served) or 'nothing yet'}",
            fix="deploy it there first: mmcicd-jenkins stage deploy",
        )


def compare(candidate: Release, champion: Release | None) -> str:
    """The gated numbers of the candidate, with the champion's beside them."""
    if champion is None:
        return "First release, so absolute gates alone decided."
    gated = dict.fromkeys(outcome.rule.split()[0] for outcome in candidate.gates.outcomes)
    told = []
    for metric in gated:
        new, old = candidate.metrics.get(metric), champion.metrics.get(metric)
        if new is not None and old is not None:
            told.append(f"{metric} {new:.3f} ({new - old:+.3f})")
    return ", ".join(told) + f" against {champion.version}." if told else f"{champion.version} serves."


def apply(plan: Plan, job: Job, ports: Ports) -> Outcome:
    if plan.change:
        _require_as_seen(plan, job, ports)
        release = require_release(job, ports, plan.version)
        order = Move(
            environment=plan.environment,
            action="promote" if plan.serving != plan.version else "restore",
            release=release,
            decided_on=plan.epoch,
        )
        ports.progress.update(f"{plan.environment}: loading version {plan.version}")
        move(order, job.at(plan.environment), ports, recorded_golden(release.evaluation, ports))
    return Outcome(
        stage="promote",
        sentence=f"{plan.environment} serves {plan.version}" + ("" if plan.change else " already"),
        found=not plan.change,
        detail={"environment": plan.environment, "version": plan.version, "from": plan.serving},
    )


def _require_as_seen(plan: Plan, job: Job, ports: Ports) -> None:
    """The person said why, and said it about what still serves.

    An operation that was under way may have ended since, which raises no epoch.
    """
    if plan.serving != plan.version and not job.reason.strip():
        raise UsageError(
            "a promotion needs a reason; it stands in the audit record", fix="--reason 'why this version'"
        )
    serving = ports.ledger.snapshot(job.model.name).pointer(plan.environment).serving
    if serving not in {plan.serving, plan.version}:
        raise Superseded(
            f"{plan.environment} serves {serving or 'nothing'} now; nothing was changed",
            why=f"{plan.serving or 'nothing'} served when {plan.version} was compared with it",
            fix="look again: mmcicd-jenkins promote",
        )
