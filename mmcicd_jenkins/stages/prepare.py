"""Stage `prepare`: is anything to be done, and is the Python environment of the model there?"""

from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.stages.context import Job, Outcome, Ports
from mmcicd_jenkins.stages.identity import Identity, environment_of, identify, refuse_uncommitted
from mmcicd_jenkins.stages.numbering import version_of
from mmcicd_jenkins.stages.pins import pinned_base, pinned_verify_with


@dataclass(frozen=True, kw_only=True)
class Facts:
    identity: Identity
    version: int | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`trained`: the run is stored; `version`: it was released under this number."""

    run_id: str
    commit: str
    requirements: str
    trained: bool
    version: int | None


def look(job: Job, ports: Ports) -> Facts:
    refuse_uncommitted(job, ports)
    # Hours of training must not end at an image that nobody pinned.
    pinned_base(job)
    pinned_verify_with(job)
    # A fork's build has no right to read the store either, and no need.
    identity = identify(job, ports, must_see=False)
    return Facts(identity=identity, version=_version(job, ports, identity))


def _version(job: Job, ports: Ports, identity: Identity) -> int | None:
    """A fork's build has no right to read the ledger; what it knows is no condition for making an environment."""
    try:
        return version_of(identity.run_id, job, ports)
    except OutsideFailed:
        return None


def plan(job: Job, facts: Facts) -> Plan:
    return Plan(
        run_id=facts.identity.run_id,
        commit=facts.identity.commit.sha,
        requirements=job.model.train.requirements,
        trained=facts.identity.artifact is not None,
        version=facts.version,
    )


def apply(plan: Plan, job: Job, ports: Ports) -> Outcome:
    environment = environment_of(job, ports)
    if job.model.train.image:
        made = f"image {job.model.train.image}, {environment.digest[:19]}"
    elif not plan.requirements:
        made = "no requirements file: the environment that is there"
    else:
        made = f"environment from {plan.requirements}, " + ("made once" if environment.made else "found")
    if plan.version is not None:
        made += f"; nothing to train since {plan.version}"
    elif plan.trained:
        made += "; trained already"
    return Outcome(
        stage="prepare",
        sentence=made,
        found=not environment.made,
        detail={
            "run_id": plan.run_id,
            "commit": plan.commit,
            "trained": plan.trained,
            "version": plan.version,
            "environment": environment.digest,
        },
    )
