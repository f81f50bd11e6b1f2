"""Stage `package`: a version number and an image. No model byte is read, copied or uploaded here.

The number is reserved in the ledger before the image is made, because the image carries it; a run that has
a number keeps it, so a killed or repeated `package` ends at the same image.
"""

from mmcicd_jenkins.errors import GateRefused, Inconclusive, InputError, IntegrityFailed, Superseded
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.image.descriptor import Artifact, Layer, ModelLayers, descriptor
from mmcicd_jenkins.image.manifest import BaseImage, Image, Origin, join
from mmcicd_jenkins.image.version_layer import version_layer
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release import history
from mmcicd_jenkins.release.adoption import is_unplanned
from mmcicd_jenkins.release.ledger import Change, Snapshot
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.stages.context import Job, Outcome, Ports, short
from mmcicd_jenkins.stages.evaluate import Judged, judge_run, run_subject
from mmcicd_jenkins.stages.identity import Identity, identify
from mmcicd_jenkins.stages.scanning import refuse_unsafe
from mmcicd_jenkins.stages.scoring import model_files


@dataclass(frozen=True, kw_only=True)
class Facts:
    identity: Identity
    run: Artifact
    judged: Judged
    version: int | None
    released: bool


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`version` is None when a number must be reserved; `released`: the ledger has the release already."""

    run_id: str
    version: int | None
    released: bool
    base: str


@dataclass(frozen=True, kw_only=True)
class Packaged:
    """An image in the store, with its size in bytes: all of its layers and documents."""

    version: int
    image: Image
    size: int
    found: bool


def look(job: Job, ports: Ports) -> Facts:
    identity = identify(job, ports)
    run = identity.trained(job.model.name)
    version = ports.ledger.version_of_run(job.model.name, identity.run_id)
    return Facts(
        identity=identity,
        run=run,
        judged=judge_run(job, ports, run),
        version=version,
        released=version is not None and ports.ledger.release(job.model.name, version) is not None,
    )


def plan(job: Job, facts: Facts) -> Plan:
    """Only a run that passed its gates becomes a version.

    Raises:
        GateRefused: a gate said no.
        Inconclusive: the evidence does not decide.
    """
    if not facts.released:
        refuse_unless_passed(job, facts.judged)
    return Plan(
        run_id=facts.identity.run_id,
        version=facts.version,
        released=facts.released,
        base=job.config.image.base,
    )


def refuse_unless_passed(job: Job, judged: Judged) -> None:
    verdict = judged.gates.verdict
    if verdict is Verdict.FAILED:
        raise GateRefused(
            f"{job.model.name} was refused by its gates; no version was made", why=judged.gates.reason
        )
    if verdict is Verdict.INCONCLUSIVE:
        raise Inconclusive(
            f"the gates of {job.model.name} are inconclusive; no version was made",
            why=judged.gates.reason,
            fix="more test data, or a gate that can decide",
        )


def apply(plan: Plan, job: Job, ports: Ports) -> Outcome:
    packaged = ensure_image(plan.run_id, job, ports)
    return Outcome(
        stage="package",
        sentence=f"version {packaged.version}, {_told_size(packaged.size)}, {packaged.image.digest[:19]}"
        + (", found" if packaged.found else ""),
        found=packaged.found,
        detail={
            "version": packaged.version,
            "image": packaged.image.digest,
            "size": packaged.size,
            "address": ports.store.address(job.model.name, packaged.image.digest),
        },
    )


def _told_size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"


def ensure_image(run_id: str, job: Job, ports: Ports) -> Packaged:
    """Reserve the version if needed and store the image if it is not there."""
    run = identify(job, ports).trained(job.model.name)
    version = _reserve(run_id, job, ports)
    _refuse_other_bytes(version, run, job, ports)
    blob, layer = version_layer(job.model.name, version, compression=job.config.store.compression)
    model = model_layers(run)
    image = join(_base(job), model, layer, _origin(job, run, version))
    size = len(image.config) + len(image.manifest) + layer.blob.size + sum(m.blob.size for m in model.layers)
    existing = ports.store.find_image(job.model.name, version)
    if existing is not None and existing.digest == image.digest:
        return Packaged(version=version, image=image, size=size, found=True)
    # What was evaluated was looked at; what is released is looked at whoever evaluated it, and by today's list.
    refuse_unsafe(model_files(job, ports, run_subject(run)), job, ports)
    failpoint("package.before-image")
    ports.store.put_image(job.model.name, version, image, [blob])
    failpoint("package.after-image")
    return Packaged(version=version, image=image, size=size, found=False)


def _refuse_other_bytes(version: int, run: Artifact, job: Job, ports: Ports) -> None:
    """The first recorded result of a run is the run. A store that lost it may meanwhile hold a second one.

    Raises:
        IntegrityFailed: the ledger released other bytes under this version.
    """
    release = ports.ledger.release(job.model.name, version)
    if release is not None and release.model_digest != run.document["model_digest"]:
        raise IntegrityFailed(
            f"version {version} of {job.model.name} was released with other bytes than the store now has for its run",
            where=f"run {short(str(run.document['run_id']))}",
            why=f"released {release.model_digest[:19]}, stored {str(run.document['model_digest'])[:19]}: "
            "the store lost the model, and it was trained a second time",
            fix=f"put the store back from a copy, or mmcicd-jenkins run --model {job.model.name} --again: "
            "a new attempt is a new version",
        )


def _reserve(run_id: str, job: Job, ports: Ports) -> int:
    existing = ports.ledger.version_of_run(job.model.name, run_id)
    if existing is not None:
        return existing
    _refuse_lost_ledger(job, ports)
    reserved: list[int] = []

    def decide(snapshot: Snapshot) -> Change | None:
        # Asked again on every head: another process may have reserved for the same run meanwhile.
        taken = ports.ledger.version_of_run(job.model.name, run_id)
        if taken is not None:
            reserved[:] = [taken]
            return None
        change, version = history.reserve(snapshot, run_id, job.who(ports.clock))
        reserved[:] = [version]
        return change

    ports.ledger.commit(job.model.name, decide)
    return reserved[0]


def _refuse_lost_ledger(job: Job, ports: Ports) -> None:
    """A ledger that begins anew would give away numbers that are taken, and its decisions would be refused later.

    Raises:
        Superseded: an environment of this machine follows a decision that the ledger does not have.
    """
    model = job.model.name
    local = [place for place in job.config.environments.values() if place.kind == "local"]
    seen = {place.name: ports.target(place).observe(model) for place in local}
    # Read after the environments: a decision is in the ledger before an environment follows it.
    snapshot = ports.ledger.snapshot(model)
    for name, observed in seen.items():
        if is_unplanned(snapshot, name, observed.version, observed.epoch):
            raise Superseded(
                f"{name} serves {observed.version} of {model} by a decision that the ledger does not have; "
                "no version was made",
                where=f"epoch {observed.epoch} there, {snapshot.pointer(name).epoch} in the ledger",
                why="the ledger was lost, or ledger.url names another one",
                fix="put it back, or mmcicd-jenkins reconcile writes what serves into this one",
            )


def model_layers(run: Artifact) -> ModelLayers:
    """The layers of a stored run."""
    layers = run.document["layers"]
    assert isinstance(layers, list)  # noqa: S101  we wrote this document; the store checked its digest
    return ModelLayers(
        digest=str(run.document["model_digest"]),
        size=int(str(run.document["model_size"])),
        layers=tuple(Layer(blob=descriptor(one["blob"]), diff_id=one["diff_id"]) for one in layers),
    )


def _base(job: Job) -> BaseImage:
    if job.config.image.base:
        raise InputError(
            "a base image needs the registry, which this version does not read yet",
            where=job.config.mark("image.base"),
            fix="leave image.base out: the image then holds the model alone",
        )
    return BaseImage()


def _origin(job: Job, run: Artifact, version: int) -> Origin:
    return Origin(
        model=job.model.name,
        version=version,
        run_id=str(run.document["run_id"]),
        commit=str(run.document["commit"]),
        # The commit of the run, not of this checkout: a later commit that changes no input keeps the image.
        committed=int(str(run.document["committed"])),
    )
