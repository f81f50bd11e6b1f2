"""Stage `promote`: put a release that served before production into production, after a person said yes.

The person's yes is asked by the command line or by Jenkins, on the plan; `apply` carries the epoch of that
plan, so a decision that was made meanwhile is never written over.
"""

from mmcicd_jenkins.errors import GateRefused, Inconclusive, InputError, Superseded, UsageError
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release import history
from mmcicd_jenkins.release.ledger import Pointer, Snapshot
from mmcicd_jenkins.release.promotion import compare_again
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.stages import kept_releases
from mmcicd_jenkins.stages.context import Job, Outcome, Ports
from mmcicd_jenkins.stages.manifests import settings_differ, what_changes
from mmcicd_jenkins.stages.moving import Move, move, require_release, require_serving
from mmcicd_jenkins.stages.scoring import recorded_golden

# How far back a proposal is looked for.
RECENT_EVENTS = 50


@dataclass(frozen=True, kw_only=True)
class Facts:
    environment: str
    snapshot: Snapshot
    candidate: Release
    champion: Release | None
    observed: int | None
    asked_by: frozenset[str]
    other_settings: bool = False
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`change` is False when the version serves already. `comparison` is a sentence for the approver; `other_settings`:
    it serves, and what is changed is how. `changes` to what is applied in a cluster, in lines.
    """

    environment: str
    version: int
    serving: int | None
    epoch: int
    change: bool
    comparison: str
    author: str
    other_settings: bool = False
    changes: tuple[str, ...] = ()


def look(job: Job, ports: Ports) -> Facts:
    place = job.place
    snapshot = ports.ledger.snapshot(job.model.name)
    version = job.version if job.version is not None else newest_candidate(job, snapshot, ports)
    pointer = snapshot.pointer(place.name)
    serving = pointer.serving
    candidate = require_release(job, ports, version)
    return Facts(
        environment=place.name,
        snapshot=snapshot,
        candidate=candidate,
        champion=None if serving is None else require_serving(job, ports, place.name, serving),
        observed=ports.target(place).observe(job.model.name).version,
        asked_by=frozenset({candidate.author, candidate.builder, *_proposers(version, job, ports)}),
        other_settings=settings_differ(candidate, pointer, place, job, ports),
        changes=what_changes(candidate, pointer, place, job, ports),
    )


def _proposers(version: int, job: Job, ports: Ports) -> list[str]:
    recent = ports.ledger.events(job.model.name, RECENT_EVENTS)
    return [e.actor for e in recent if e.kind == "proposed" and e.detail.get("version") == version]


def newest_candidate(job: Job, snapshot: Snapshot, ports: Ports) -> int:
    """What the environment before production serves; the newest healthy release when there is no such environment.

    Raises:
        InputError: nothing serves there.
    """
    before = job.config.before_production
    serving = snapshot.pointer(before[-1].name).serving if before else _newest_release(job, snapshot, ports)
    if serving is None:
        raise InputError(
            f"{job.model.name} has no version that could be promoted",
            why=f"{before[-1].name if before else 'the ledger'} holds none",
            fix=f"mmcicd-jenkins run --model {job.model.name}",
        )
    return serving


def _newest_release(job: Job, snapshot: Snapshot, ports: Ports) -> int | None:
    numbers = range(snapshot.head.versions, 0, -1)
    healthy = (n for n in numbers if not snapshot.is_revoked(n))
    return next((n for n in healthy if ports.ledger.release(job.model.name, n) is not None), None)


def plan(job: Job, facts: Facts) -> Plan:
    """What would change, and that this person may have it changed.

    Raises:
        GateRefused: as `assess`.
        Inconclusive: this person may not approve it.
    """
    assessed = assess(job, facts)
    if assessed.change and (assessed.serving != assessed.version or assessed.other_settings):
        _require_approver(job, facts)
    return assessed


def assess(job: Job, facts: Facts) -> Plan:
    """Refuse what must not be promoted, whoever asks; say how the candidate compares.

    Raises:
        GateRefused: the version was revoked, never served before production, or is worse than what serves by now.
        InputError: its image is no longer kept.
    """
    version = facts.candidate.version
    pointer = facts.snapshot.pointer(facts.environment)
    change = facts.other_settings or not (pointer.serving == version == facts.observed)
    # One that was begun before it was revoked is let through to be undone.
    begun = pointer.serving != version and history.is_begun(
        facts.snapshot, facts.environment, "promote", version
    )
    if change and facts.snapshot.is_revoked(version) and not begun:
        raise GateRefused(
            f"version {version} was taken back and cannot be promoted again",
            why=facts.snapshot.head.revoked[str(version)],
            fix="commit what makes it better, or mmcicd-jenkins run --again: a new attempt is a new version",
        )
    again = ""
    if change and pointer.serving != version:
        history.refuse_collected(facts.snapshot, version)
        for place in job.config.before_production:
            _require_served(facts.snapshot.pointer(place.name), version)
        again = _require_no_worse(facts)
    return Plan(
        environment=facts.environment,
        version=version,
        serving=pointer.serving,
        epoch=pointer.epoch,
        change=change,
        comparison=_told(facts, again),
        author=facts.candidate.author,
        other_settings=facts.other_settings,
        changes=facts.changes if change else (),
    )


def _told(facts: Facts, again: str) -> str:
    if facts.other_settings:
        return "The same version with other settings."
    return " ".join(filter(None, [compare(facts.candidate, facts.champion), again]))


def _require_served(pointer: Pointer, version: int) -> None:
    if version not in {served.version for served in pointer.served}:
        raise GateRefused(
            f"version {version} never served in {pointer.environment}, so it cannot go further",
            why=f"{pointer.environment} served {', '.join(str(s.version) for s in pointer.served) or 'nothing yet'}",
            fix="deploy it there first: mmcicd-jenkins stage deploy",
        )


def _require_approver(job: Job, facts: Facts) -> None:
    """A guard that stands in the file is never passed over, wherever the yes comes from."""
    approval = job.place.approval
    names = {job.actor, job.actor.partition("@")[0]}
    if approval.by and not job.answered and not names & set(approval.by):
        raise Inconclusive(
            f"{job.actor} may not approve a promotion to {facts.environment}; nothing was changed",
            where=job.config.mark(f"environments.{facts.environment}.approval.by"),
            why=f"{', '.join(approval.by)} may",
            fix="let one of them promote it (MMCICD_ACTOR says who acts)",
        )
    if approval.four_eyes and _same_person(job):
        raise Inconclusive(
            f"You started this promotion; another member of {', '.join(approval.by) or 'the team'} must approve. "
            "Nothing changed",
            where=job.config.mark(f"environments.{facts.environment}.approval.four_eyes"),
            fix="let another person promote it",
        )
    if approval.four_eyes and names & {name for person in facts.asked_by for name in _known_as(person)}:
        raise Inconclusive(
            f"{job.actor} asked for this promotion; another person must approve it. Nothing was changed",
            where=job.config.mark(f"environments.{facts.environment}.approval.four_eyes"),
            why=f"version {facts.candidate.version} was written, built or proposed by {', '.join(sorted(facts.asked_by))}",
            fix="let another person promote it (MMCICD_ACTOR says who acts)",
        )


def _known_as(person: str) -> set[str]:
    """A commit says `Ann <ann@acme.example>`, a laptop `ann@host`, Jenkins `ann`."""
    address = person.rpartition("<")[2].rstrip(">")
    return {person, address, address.partition("@")[0]}


def _same_person(job: Job) -> bool:
    """Jenkins takes names that differ in case for one."""
    return job.actor.casefold() in {name.casefold() for name in job.requesters}


def _require_no_worse(facts: Facts) -> str:
    """Judge against what serves by now; a sentence for the approver where the numbers do not decide."""
    champion = facts.champion
    if champion is None or facts.snapshot.is_revoked(champion.version):
        return ""
    outcomes = compare_again(facts.candidate, champion)
    failed = [o.reason for o in outcomes if o.verdict is Verdict.FAILED]
    if failed:
        raise GateRefused(
            f"version {facts.candidate.version} is worse than {champion.version}, which {facts.environment} serves "
            "since it was judged",
            why="; ".join(failed),
            fix="commit what makes it better; to go back to a version that served here: "
            f"mmcicd-jenkins rollback --version {facts.candidate.version}",
        )
    if any(o.verdict is Verdict.INCONCLUSIVE for o in outcomes):
        judged = facts.candidate.gates.champion or "nothing"
        return f"It was judged against {judged}, and the recorded numbers do not compare it with {champion.version}."
    return ""


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
        require_as_seen(plan, job, ports)
        order = order_of(plan, job, ports)
        ports.progress.update(f"{plan.environment}: loading version {plan.version}")
        move(order, job.at(plan.environment), ports, recorded_golden(order.release.evaluation, ports))
        kept_releases.keep(order.release, ports)
    return Outcome(
        stage="promote",
        sentence=f"{plan.environment} serves {plan.version}" + ("" if plan.change else " already"),
        found=not plan.change,
        detail={"environment": plan.environment, "version": plan.version, "from": plan.serving},
    )


def order_of(plan: Plan, job: Job, ports: Ports) -> Move:
    return Move(
        environment=plan.environment,
        action="promote" if _is_decision(plan) else "restore",
        release=require_release(job, ports, plan.version),
        decided_on=plan.epoch,
    )


def _is_decision(plan: Plan) -> bool:
    """Putting back what the ledger says is none."""
    return plan.serving != plan.version or plan.other_settings


def require_as_seen(plan: Plan, job: Job, ports: Ports) -> None:
    """The person said why, and said it about what still serves.

    An operation that was under way may have ended since, which raises no epoch.
    """
    if _is_decision(plan) and not job.reason.strip():
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
