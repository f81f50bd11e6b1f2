"""What stands already: is a commit trained and released, and what do the environments serve. For the words of a build."""

from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.stages.context import Job, Ports
from mmcicd_jenkins.stages.identity import identify
from mmcicd_jenkins.stages.numbering import version_of


@dataclass(frozen=True, kw_only=True)
class Standing:
    """`version` is None when the run has none, or nobody can tell; `served`: every place before production has it."""

    run: str
    trained: bool
    version: int | None
    served: bool


def standing(job: Job, ports: Ports) -> Standing:
    """How far this checkout's run has come. A ledger that does not answer is no reason to stop a training."""
    identity = identify(job, ports)
    trained = identity.artifact is not None
    try:
        version = version_of(identity.run_id, job, ports) if trained else None
        known = version is not None and ports.ledger.release(job.model.name, version) is not None
        snapshot = ports.ledger.snapshot(job.model.name)
    except OutsideFailed:
        return Standing(run=identity.name, trained=trained, version=None, served=False)
    places = [snapshot.pointer(place.name).serving for place in job.config.before_production]
    return Standing(
        run=identity.name,
        trained=trained,
        version=version if known else None,
        served=known and all(serving == version for serving in places),
    )


def still_serving(job: Job, ports: Ports) -> str:
    """`staging and production still serve 7`, `staging serves 8, production 7`; "" when nobody can tell."""
    try:
        snapshot = ports.ledger.snapshot(job.model.name)
    except OutsideFailed:
        return ""
    serving = {name: snapshot.pointer(name).serving for name in job.config.environments}
    versions = set(serving.values())
    if versions == {None}:
        return "nothing serves yet"
    if len(versions) == 1:
        names = list(serving)
        return f"{' and '.join(names)} still serve{'s' if len(names) == 1 else ''} {versions.pop()}"
    return ", ".join(f"{name} serves {version or 'nothing'}" for name, version in serving.items())
