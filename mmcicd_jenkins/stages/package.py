"""Stage `package`: a version number and an image. Of the model only the graph is looked at; no byte of it is copied or uploaded.

The number is reserved in the ledger before the image is made, because the image carries it; a run that has
a number keeps it, so a killed or repeated `package` ends at the same image.
"""

from contextlib import suppress
from dataclasses import replace

from mmcicd_jenkins.errors import GateRefused, Inconclusive, IntegrityFailed, Superseded
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.image.descriptor import Artifact, Descriptor, descriptor
from mmcicd_jenkins.image.standing import standing_on
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release import history
from mmcicd_jenkins.release.adoption import is_unplanned
from mmcicd_jenkins.release.ledger import Change, Snapshot
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.stages.building import build, find_built
from mmcicd_jenkins.stages.context import Job, Outcome, Ports, short
from mmcicd_jenkins.stages.drawing import Drawn, draw, model_layers
from mmcicd_jenkins.stages.evaluate import Judged, judge_run, run_subject
from mmcicd_jenkins.stages.identity import Identity, identify
from mmcicd_jenkins.stages.moving import served_layers
from mmcicd_jenkins.stages.numbering import number_of, version_of
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
    """An image in the store. `size` is that of the model's layers in bytes; the base and we add to it.

    `base` is what it stands on as people call it, "" for nothing.
    `served_layers` are those that a server without the image loads.
    """

    version: int
    digest: str
    size: int
    found: bool
    served_layers: tuple[Descriptor, ...]
    warmup: Descriptor | None = None
    base: str = ""
    base_digest: str = ""
    platforms: tuple[str, ...] = ()

    @property
    def stands_on(self) -> dict[str, object]:
        """As a release records it."""
        if not self.base:
            return {}
        return {"base": self.base, "digest": self.base_digest, "platforms": list(self.platforms)}


def look(job: Job, ports: Ports) -> Facts:
    identity = identify(job, ports)
    run = identity.trained(job.model.name)
    version = version_of(identity.run_id, job, ports)
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
        base=job.config.image.base_for(job.model.serving),
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
        sentence=_sentence(packaged),
        found=packaged.found,
        detail={
            "version": packaged.version,
            "image": packaged.digest,
            "size": packaged.size,
            "address": ports.store.address(job.model.name, packaged.digest),
            "base": packaged.base,
            "base_digest": packaged.base_digest,
            "platforms": list(packaged.platforms),
            "warmup": packaged.warmup.digest if packaged.warmup else "",
        },
    )


def _sentence(packaged: Packaged) -> str:
    said = f"version {packaged.version}, {_told_size(packaged.size)}"
    if packaged.base:
        said += f" on {packaged.base}"
    if len(packaged.platforms) > 1:
        said += f" for {' and '.join(packaged.platforms)}"
    said += f", {packaged.digest[:19]}" + (", found" if packaged.found else "")
    return said


def _told_size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"


def ensure_image(run_id: str, job: Job, ports: Ports) -> Packaged:
    """Reserve the version if needed and store the image if it is not there. What was released stays what it is."""
    run = identify(job, ports).trained(job.model.name)
    version = _reserve(run_id, job, ports)
    release = ports.ledger.release(job.model.name, version)
    if release is not None:
        _refuse_other_bytes(release, run)
        found = ports.store.find_image(job.model.name, release.image_digest)
        if found is not None:
            return _released(release, found, run)
    drawn = draw(version, run, job, ports)
    if release is not None and drawn.image.digest != release.image_digest:
        raise _lost(release)
    if job.config.image.builder == "docker":
        return _by_dockerfile(version, drawn, run, job, ports)
    is_there = release is None and _is_there(version, drawn, job, ports)
    if not is_there:
        # What was evaluated was looked at; what is released is looked at whoever evaluated it, and by today's list.
        refuse_unsafe(model_files(job, ports, run_subject(run)), job, ports)
        _put(version, drawn, job, ports)
    return _drawn(version, drawn, run, found=is_there)


def _is_there(version: int, drawn: Drawn, job: Job, ports: Ports) -> bool:
    # A damaged one is not the end: storing the same again makes it whole.
    with suppress(IntegrityFailed):
        existing = ports.store.find_image(job.model.name, version)
        return existing is not None and existing.digest == drawn.image.digest
    return False


def _by_dockerfile(version: int, drawn: Drawn, run: Artifact, job: Job, ports: Ports) -> Packaged:
    """The image that the team's Dockerfile gave; what joining would make says the base and what a server loads."""
    built = find_built(version, run, job, ports)
    found = built is not None
    if built is None:
        refuse_unsafe(model_files(job, ports, run_subject(run)), job, ports)
        failpoint("package.before-image")
        built = build(version, run, drawn, job, ports)
        failpoint("package.after-image")
    joined = _drawn(version, drawn, run, found=found)
    return replace(joined, digest=built.digest, platforms=built.platforms)


def _put(version: int, drawn: Drawn, job: Job, ports: Ports) -> None:
    failpoint("package.before-image")
    base = drawn.base
    if base.layers:

        def progress(done: int, total: int) -> None:
            ports.progress.update(f"layers of {base.name}", done / total if total else None)

        ports.store.take(job.model.name, base.layers, ports.bases.source(base.name, base.digest), progress)
    failpoint("package.base-taken")
    ports.store.put_image(job.model.name, version, drawn.image, drawn.blobs)
    failpoint("package.after-image")


def _drawn(version: int, drawn: Drawn, run: Artifact, *, found: bool) -> Packaged:
    layers = tuple(layer.blob for layer in model_layers(run).layers)
    warmup = drawn.warmup.blob if drawn.warmup else None
    return Packaged(
        version=version,
        digest=drawn.image.digest,
        size=sum(layer.size for layer in layers),
        found=found,
        served_layers=(*layers, *([warmup] if warmup else [])),
        warmup=warmup,
        base=drawn.base.name,
        base_digest=drawn.base.digest,
        platforms=drawn.image.platforms,
    )


def _released(release: Release, image: Artifact, run: Artifact) -> Packaged:
    """A released version, as its record and its image say; today's settings change nothing about it."""
    stands = standing_on(image, release.stands_on)
    return Packaged(
        version=release.version,
        digest=release.image_digest,
        size=sum(layer.blob.size for layer in model_layers(run).layers),
        found=True,
        served_layers=served_layers(release),
        warmup=descriptor(release.warmup) if release.warmup else None,
        base=stands.base,
        base_digest=stands.digest,
        platforms=stands.platforms,
    )


def _lost(release: Release) -> IntegrityFailed:
    return IntegrityFailed(
        f"the image of version {release.version} of {release.model} is gone from the store, and cannot be made again",
        where=release.image_digest,
        why="its base, its settings or this program have changed since it was released",
        fix=f"put the store back from a copy, or mmcicd-jenkins run --model {release.model} --again: "
        "a new attempt is a new version",
    )


def _refuse_other_bytes(release: Release, run: Artifact) -> None:
    """The first recorded result of a run is the run. A store that lost it may meanwhile hold a second one.

    Raises:
        IntegrityFailed: the ledger released other bytes under this version.
    """
    if release.model_digest != run.document["model_digest"]:
        raise IntegrityFailed(
            f"version {release.version} of {release.model} was released with other bytes than the store now has for its run",
            where=f"run {short(str(run.document['run_id']))}",
            why=f"released {release.model_digest[:19]}, stored {str(run.document['model_digest'])[:19]}: "
            "the store lost the model, and it was trained a second time",
            fix=f"put the store back from a copy, or mmcicd-jenkins run --model {release.model} --again: "
            "a new attempt is a new version",
        )


def _reserve(run_id: str, job: Job, ports: Ports) -> int:
    key, existing = number_of(run_id, job, ports)
    if existing is not None:
        return existing
    _refuse_lost_ledger(job, ports)
    reserved: list[int] = []

    def decide(snapshot: Snapshot) -> Change | None:
        # Asked again on every head: another process may have reserved for the same run meanwhile.
        taken = ports.ledger.version_of_run(job.model.name, key)
        if taken is not None:
            reserved[:] = [taken]
            return None
        change, version = history.reserve(snapshot, key, job.who(ports.clock))
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
