"""The image of a version by the team's own Dockerfile, built once: what a first build gave is what the version is.

The pipeline finds it again by version and run; only a version without an image is built. Part of `package`.
"""

from pathlib import PurePosixPath

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.image.artifact import read_manifest
from mmcicd_jenkins.image.descriptor import Artifact
from mmcicd_jenkins.image.manifest import RUN_ID
from mmcicd_jenkins.ports.builder import BuildOrder
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.stages.context import Job, Ports
from mmcicd_jenkins.stages.drawing import Drawn
from mmcicd_jenkins.stages.evaluate import run_subject
from mmcicd_jenkins.stages.scoring import model_files

LOG = "build.log"


@dataclass(frozen=True, kw_only=True)
class Built:
    digest: str
    platforms: tuple[str, ...]


def find_built(version: int, run: Artifact, job: Job, ports: Ports) -> Built | None:
    """The image that a build of this run gave before; another run's under this version is none."""
    found = ports.store.find_image(job.model.name, version)
    if found is None or found.annotations.get(RUN_ID) != run.document["run_id"]:
        return None
    document = found.document
    return Built(digest=found.digest, platforms=(f"{document.get('os')}/{document.get('architecture')}",))


def build(version: int, run: Artifact, drawn: Drawn, job: Job, ports: Ports) -> Built:
    """Build it and store it. `drawn` is the image that joining would make: its notes and its base are the build's."""
    files, dockerfile = _context(job, ports)
    base = drawn.base
    order = BuildOrder(
        model=job.model.name,
        version=version,
        context=job.root / job.config.image.context,
        files=files,
        dockerfile=dockerfile,
        arguments=job.config.image.build_args,
        notes=read_manifest(drawn.image.documents[1], "image")[3],
        folder=model_files(job, ports, run_subject(run)),
        model_digest=str(run.document["model_digest"]),
        warmup=drawn.warmup_requests,
        base=base,
        source=ports.bases.source(base.name, base.digest) if base.platforms else None,
        log=job.workspace.run(str(run.document["run_id"])) / LOG,
    )
    image = ports.builder.build(order)
    failpoint("docker.before-image")
    ports.store.put_image(job.model.name, version, image)
    return Built(digest=image.digest, platforms=image.platforms)


def _context(job: Job, ports: Ports) -> tuple[tuple[str, ...], str]:
    """The tracked files of the context that `.dockerignore` leaves, and the Dockerfile's path, relative to the context.

    Raises:
        InputError: some of them differ from the commit, or there is no Dockerfile among them.
    """
    settings = job.config.image
    folder = PurePosixPath(settings.context)
    inside = {
        str(PurePosixPath(path).relative_to(folder))
        for path in ports.checkout.files(settings.context)
        if PurePosixPath(path).is_relative_to(folder)
    }
    dockerfile = _relative(settings.dockerfile, folder, job)
    kept = ports.builder.not_ignored(job.root / settings.context, dockerfile) & inside
    changed = sorted(
        str(PurePosixPath(path).relative_to(folder))
        for path in ports.checkout.changed()
        if PurePosixPath(path).is_relative_to(folder)
    )
    guilty = [path for path in changed if path in kept]
    if guilty:
        raise InputError(
            "the build context has changes that no commit has, so an image could not be traced to its source",
            where=", ".join(guilty[:5]),
            fix='git add -A && git commit -m "What changed", then the same command again',
        )
    if dockerfile not in inside:
        raise InputError(
            f"git does not know {settings.dockerfile}",
            where=job.config.mark("image.dockerfile"),
            fix=f"git add {settings.dockerfile}, and commit it",
        )
    return tuple(sorted({*kept, dockerfile})), dockerfile


def _relative(path: str, folder: PurePosixPath, job: Job) -> str:
    if not PurePosixPath(path).is_relative_to(folder):
        raise InputError(
            f"{path} is not inside the build context {folder}",
            where=job.config.mark("image.dockerfile"),
            fix="name a folder above it: image.context",
        )
    return str(PurePosixPath(path).relative_to(folder))
