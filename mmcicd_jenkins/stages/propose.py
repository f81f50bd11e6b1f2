"""Stage `propose`: write down that a version waits for a person. The button is `promote`."""

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release import history
from mmcicd_jenkins.release.ledger import Event
from mmcicd_jenkins.stages.context import Job, Outcome, Ports
from mmcicd_jenkins.stages.releasing import find_release

# How far back a proposal is looked for before it is written again; a second one does no harm.
RECENT_EVENTS = 20


@dataclass(frozen=True, kw_only=True)
class Facts:
    version: int | None
    serving: int | None
    revoked: bool
    proposed: bool


@dataclass(frozen=True, kw_only=True)
class Plan:
    environment: str
    version: int
    write: bool
    serving: bool
    revoked: bool


def look(job: Job, ports: Ports) -> Facts:
    release = find_release(job, ports)
    snapshot = ports.ledger.snapshot(job.model.name)
    version = release.version if release else None
    recent = list(ports.ledger.events(job.model.name, RECENT_EVENTS))
    return Facts(
        version=version,
        serving=snapshot.pointer(job.config.production.name).serving,
        revoked=version is not None and snapshot.is_revoked(version),
        proposed=_is_proposed(recent, version),
    )


def _is_proposed(recent: list[Event], version: int | None) -> bool:
    """The newest proposal is this one and nothing was decided since."""
    for event in recent:
        if event.kind in {"proposed", "declined"}:
            return event.kind == "proposed" and event.detail.get("version") == version
    return False


def plan(job: Job, facts: Facts) -> Plan:
    if facts.version is None:
        raise InputError(
            f"{job.model.name} has no release to propose at this commit",
            fix=f"mmcicd-jenkins run --model {job.model.name}",
        )
    serving = facts.serving == facts.version
    return Plan(
        environment=job.config.production.name,
        version=facts.version,
        write=not (serving or facts.proposed or facts.revoked),
        serving=serving,
        revoked=facts.revoked,
    )


def apply(plan: Plan, job: Job, ports: Ports) -> Outcome:
    if plan.write:
        who = job.who(ports.clock)
        ports.ledger.commit(
            job.model.name, lambda snapshot: history.propose(snapshot, plan.environment, plan.version, who)
        )
    if plan.serving:
        sentence = f"{plan.environment} serves {plan.version} already"
    elif plan.revoked:
        sentence = f"{plan.version} was taken back, so nothing waits"
    else:
        by = ", ".join(job.config.production.approval.by)
        sentence = f"{plan.environment} waits for {by or 'you'}"
    return Outcome(
        stage="propose",
        sentence=sentence,
        found=not plan.write,
        detail={
            "version": plan.version,
            "environment": plan.environment,
            "waits": not (plan.serving or plan.revoked),
            "revoked": plan.revoked,
        },
    )
