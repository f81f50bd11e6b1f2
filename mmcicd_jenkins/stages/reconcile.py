"""`reconcile`: write into the ledger what an environment serves without it knowing. Nothing that serves is touched.

After a lost ledger the releases come back from their copies in the store, as far as the store can prove them. What only
the ledger knew (which versions were taken back, what served when, who decided) is gone, and is said to be.
"""

from dataclasses import field

from mmcicd_jenkins.errors import InputError, IntegrityFailed, OutsideFailed
from mmcicd_jenkins.ports.offline import Remembered
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.adoption import adopt, is_unplanned
from mmcicd_jenkins.release.desired import TakenBack
from mmcicd_jenkins.release.ledger import Change, Snapshot
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.release.runs import short
from mmcicd_jenkins.release.seal import Manifest, manifest_digest
from mmcicd_jenkins.stages.context import Job, Outcome, Ports
from mmcicd_jenkins.stages.kept_releases import kept
from mmcicd_jenkins.stages.unplanned import is_explained

# Numbers that were reserved and never released leave gaps; more than this in a row is the end.
LARGEST_GAP = 50


@dataclass(frozen=True, kw_only=True)
class Facts:
    environment: str
    snapshot: Snapshot
    version: int | None
    epoch: int
    known: bool
    stored: tuple[Release, ...]
    serving: tuple[int, ...]
    offline: tuple[TakenBack, ...] = ()
    manifest: Manifest = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`version` None: the ledger knows already. `decided_on` is its epoch, `epoch` the environment's own."""

    environment: str
    version: int | None
    epoch: int
    decided_on: int
    adopted: tuple[int, ...]
    serving: tuple[int, ...]
    releases: tuple[Release, ...] = field(default=(), repr=False)
    offline: tuple[TakenBack, ...] = ()
    manifest: Manifest = field(default=(), repr=False)


def look(job: Job, ports: Ports) -> Facts:
    model, place = job.model.name, job.place
    snapshot = ports.ledger.snapshot(model)
    observed = ports.target(place).observe(model)
    remembered = ports.offline(place).remember(model)
    noted = is_explained(remembered, snapshot, place.name) and remembered.serving == observed.version
    unplanned = noted or is_unplanned(snapshot, place.name, observed.version, observed.epoch)
    serving = observed.version if unplanned else None
    recorded = None if serving is None else ports.ledger.release(model, serving)
    if recorded is not None:
        _require_one(recorded, kept(model, recorded.version, ports))
    return Facts(
        environment=place.name,
        snapshot=snapshot,
        version=serving,
        epoch=observed.epoch,
        known=recorded is not None,
        stored=_lost_releases(job, ports, serving) if serving is not None else (),
        serving=_serving_anywhere(snapshot, job, ports),
        offline=remembered.offline,
        manifest=_new_manifest(remembered, serving, job, ports),
    )


def _new_manifest(remembered: Remembered, serving: int | None, job: Job, ports: Ports) -> Manifest:
    """What is applied for what serves, when the ledger does not have it."""
    manifest = remembered.manifest if serving is not None and remembered.serving == serving else ()
    known = not manifest or ports.ledger.manifest(job.model.name, manifest_digest(manifest)) is not None
    return () if known else manifest


def _require_one(recorded: Release, copy: Release | None) -> None:
    if copy is not None and copy.run_id != recorded.run_id:
        raise IntegrityFailed(
            f"two releases of {recorded.model} have the number {recorded.version}",
            where=f"run {short(recorded.run_id)} in the ledger, run {short(copy.run_id)} in the store",
            why="the ledger was begun anew beside a store that has the versions of an earlier one",
            fix="put the earlier ledger back; or move the new one away and run mmcicd-jenkins reconcile again",
        )


def _serving_anywhere(snapshot: Snapshot, job: Job, ports: Ports) -> tuple[int, ...]:
    """One login leads to one cluster: of an environment that cannot be asked the ledger's word must do."""
    seen = set()
    for place in job.config.environments.values():
        try:
            seen.add(ports.target(place).observe(job.model.name).version)
        except (InputError, OutsideFailed):
            if place.name == job.place.name:
                raise
            seen.add(snapshot.pointer(place.name).serving)
    return tuple(sorted(version for version in seen if version is not None))


def _lost_releases(job: Job, ports: Ports, at_least: int) -> tuple[Release, ...]:
    """Every release that the store can prove and the ledger does not have, nor has given its run another number."""
    found: list[Release] = []
    version, last = 0, at_least
    while version < last + LARGEST_GAP:
        version += 1
        release = kept(job.model.name, version, ports)
        if release is None:
            continue
        last = max(last, version)
        if (
            ports.ledger.release(job.model.name, version) is None
            and ports.ledger.version_of_run(job.model.name, release.run_id) is None
        ):
            found.append(release)
    return tuple(found)


def plan(job: Job, facts: Facts) -> Plan:
    """What to write.

    Raises:
        InputError: neither the ledger nor the store has a record of what serves.
    """
    version = facts.version
    if version is not None and not facts.known and version not in {r.version for r in facts.stored}:
        raise InputError(
            f"{facts.environment} serves {version} of {job.model.name}, and nothing can prove what that is",
            why="the ledger has no such release, and the store has no copy of its record that fits its bytes",
            fix="put the ledger back from a copy. To begin anew without it: "
            f"{_begin_anew(job)}, then mmcicd-jenkins run --model {job.model.name}",
        )
    return Plan(
        environment=facts.environment,
        version=version,
        epoch=facts.epoch,
        decided_on=facts.snapshot.pointer(facts.environment).epoch,
        adopted=tuple(release.version for release in facts.stored),
        serving=facts.serving,
        releases=facts.stored,
        offline=facts.offline,
        manifest=facts.manifest,
    )


def _begin_anew(job: Job) -> str:
    if job.place.kind == "local":
        return f"mmcicd-jenkins stop --env {job.place.name}, then delete the folder that status names"
    return (
        f"kubectl -n {job.place.namespace} delete deployment {job.model.name}-stable, which ends what serves"
    )


def apply(plan: Plan, job: Job, ports: Ports) -> Outcome:
    version = plan.version
    if version is None:
        _forget(plan, job, ports)
        return Outcome(
            stage="reconcile",
            sentence=f"{plan.environment}: the ledger knows what serves",
            found=True,
            detail={"environment": plan.environment, "version": None, "adopted": []},
        )
    who = job.who(ports.clock)

    def decide(snapshot: Snapshot) -> Change | None:
        return adopt(
            snapshot,
            plan.environment,
            version,
            plan.epoch,
            who,
            releases=plan.releases,
            serving=plan.serving,
            decided_on=plan.decided_on,
            taken_back=plan.offline,
            documents=plan.manifest,
        )

    ports.ledger.commit(job.model.name, decide)
    _forget(plan, job, ports)
    sentence = f"{plan.environment}: {version} was written down as what serves"
    if plan.adopted:
        numbers = ", ".join(map(str, plan.adopted))
        sentence += (
            f"; release {numbers} came back from the store. What served before is not known any more, and what "
            "serves nowhere counts as taken back"
        )
    if plan.offline:
        left = ", ".join(str(order.left) for order in plan.offline)
        sentence += f"; {left} is revoked, as it was taken back without the ledger"
    return Outcome(
        stage="reconcile",
        sentence=sentence,
        detail={"environment": plan.environment, "version": version, "adopted": list(plan.adopted)},
    )


def _forget(plan: Plan, job: Job, ports: Ports) -> None:
    """Once the ledger has them; a kill in between leaves them to the next reconcile."""
    if plan.offline:
        ports.offline(job.place).forget(job.model.name)
