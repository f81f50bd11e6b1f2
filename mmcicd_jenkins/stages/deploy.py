"""Stage `deploy`: put the verified version into the environments that need no person, in their order."""

from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release import history
from mmcicd_jenkins.release.ledger import Change, Snapshot
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.stages import kept_releases
from mmcicd_jenkins.stages.attesting import attest
from mmcicd_jenkins.stages.context import Job, Outcome, Ports
from mmcicd_jenkins.stages.manifests import settings_differ, what_changes
from mmcicd_jenkins.stages.moving import Move, move, require_release
from mmcicd_jenkins.stages.releasing import draft_release, find_release
from mmcicd_jenkins.stages.scoring import recorded_golden


@dataclass(frozen=True, kw_only=True)
class PlaceFacts:
    """An environment as ledger and target say. `epoch` is what a decision made now stands on; `other_settings`: what
    serves was applied with others than today's.
    """

    name: str
    epoch: int
    recorded: int | None
    observed: int | None
    other_settings: bool = False
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Facts:
    release: Release
    new: bool
    places: tuple[PlaceFacts, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`environments` still to be moved; `epochs` on which that was decided; `changes` to what is applied in clusters."""

    version: int
    new: bool
    environments: tuple[str, ...]
    epochs: tuple[int, ...]
    serving: tuple[str, ...]
    changes: tuple[str, ...] = ()


def look(job: Job, ports: Ports) -> Facts:
    known = find_release(job, ports)
    release = known or draft_release(job, ports)
    return Facts(
        release=release,
        new=known is None,
        places=tuple(look_at(place, release, job, ports) for place in chosen_environments(job)),
    )


def chosen_environments(job: Job) -> tuple[Environment, ...]:
    """The one that was named, else all before production.

    Raises:
        InputError: production was named; that is `promote`.
    """
    if not job.environment:
        return job.config.before_production
    if job.environment == job.config.production.name:
        raise InputError(
            f"{job.environment} is promoted to, not deployed to",
            fix=f"mmcicd-jenkins promote --model {job.model.name} --env {job.environment}",
        )
    return (job.place,)


def look_at(place: Environment, release: Release, job: Job, ports: Ports) -> PlaceFacts:
    pointer = ports.ledger.snapshot(job.model.name).pointer(place.name)
    observed = ports.target(place).observe(job.model.name)
    other = settings_differ(release, pointer, place, job, ports)
    stands = pointer.serving == release.version == observed.version and not other
    return PlaceFacts(
        name=place.name,
        epoch=pointer.epoch,
        recorded=pointer.serving,
        observed=observed.version,
        other_settings=other,
        changes=() if stands else what_changes(release, pointer, place, job, ports),
    )


def plan(job: Job, facts: Facts) -> Plan:  # noqa: ARG001  every stage has the same three functions
    version = facts.release.version
    behind = [p for p in facts.places if p.other_settings or not (p.recorded == version == p.observed)]
    return Plan(
        version=version,
        new=facts.new,
        environments=tuple(p.name for p in behind),
        epochs=tuple(p.epoch for p in behind),
        serving=tuple(p.name for p in facts.places),
        changes=tuple(line for p in behind for line in p.changes),
    )


def apply(plan: Plan, job: Job, ports: Ports) -> Outcome:
    release = find_release(job, ports)
    new = release is None
    release = release or attest(draft_release(job, ports), job, ports)
    golden = recorded_golden(release.evaluation, ports)
    for name, epoch in zip(plan.environments, plan.epochs, strict=True):
        ports.progress.update(f"{name}: loading version {plan.version}")
        order = Move(environment=name, action="deploy", release=release, decided_on=epoch, new=new)
        move(order, job.at(name), ports, golden)
        new = False
    if new:
        _record(release, job, ports)
    # What the ledger has, which another process may have been first to write.
    kept_releases.keep(require_release(job, ports, plan.version), ports)
    names = " and ".join(plan.serving)
    found = not plan.environments
    sentence = f"{names} serves {plan.version}" if names else "there is no environment before production"
    return Outcome(
        stage="deploy",
        sentence=sentence + (", found" if found and names else ""),
        found=found,
        detail={"version": plan.version, "environments": list(plan.environments)},
    )


def _record(release: Release, job: Job, ports: Ports) -> None:
    who = job.who(ports.clock)

    def decide(snapshot: Snapshot) -> Change | None:
        known = ports.ledger.release(job.model.name, release.version) is not None
        return None if known else history.record(release, snapshot, who)

    ports.ledger.commit(job.model.name, decide)
