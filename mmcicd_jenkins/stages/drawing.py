"""The image of a version, drawn from what the earlier stages stored: documents and small layers, no model byte.

Everything in it comes from the run, its evaluation, the lock and the configuration, so that drawing it again gives the
same digest.
"""

from urllib.parse import urlsplit

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image.base_image import BaseImage, only
from mmcicd_jenkins.image.descriptor import Artifact, Layer, ModelLayers, descriptor
from mmcicd_jenkins.image.manifest import Image, Origin, join
from mmcicd_jenkins.image.start import Start
from mmcicd_jenkins.image.version_layer import version_layer, warmup_layer
from mmcicd_jenkins.image.warmup import warmup_requests
from mmcicd_jenkins.ports import Scored
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.render.job_sources import source_of
from mmcicd_jenkins.stages.context import Job, Ports
from mmcicd_jenkins.stages.evaluate import run_subject
from mmcicd_jenkins.stages.pins import pinned_base
from mmcicd_jenkins.stages.scoring import ensure_scored, measures_digest

# What an image for GPUs has in its environment, by the makers of the driver.
_GPU_VARIABLES = ("NVIDIA_", "CUDA_")


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """An image with the blobs that the store does not have yet, and what it stands on."""

    image: Image
    blobs: tuple[bytes, ...]
    base: BaseImage
    warmup: Layer | None
    warmup_requests: bytes = b""


def draw(version: int, run: Artifact, job: Job, ports: Ports, base: BaseImage | None = None) -> Drawn:
    """The image of a stored run as `version`, on the model's base or on `base`."""
    scored = ensure_scored(job, ports, run_subject(run))
    compression = job.config.store.compression
    settings = job.config.image
    blob, layer = version_layer(
        job.model.name, version, monitoring=settings.monitoring, compression=compression
    )
    records = _warmup_requests(run, scored, job, ports)
    warm = warmup_layer(records, compression=compression) if records else None
    base = base_image(job, ports) if base is None else base
    image = join(
        base,
        model_layers(run),
        layer,
        _origin(job, run, version, scored),
        warmup=warm[1] if warm else None,
        start=Start(user=settings.user, monitoring=settings.monitoring),
    )
    blobs = (blob, warm[0]) if warm else (blob,)
    return Drawn(
        image=image, blobs=blobs, base=base, warmup=warm[1] if warm else None, warmup_requests=records
    )


def base_image(job: Job, ports: Ports) -> BaseImage:
    """What the model's image stands on, as the lock pins it; nothing where the configuration names none.

    Raises:
        InputError: the lock does not have it, or it has no image for a platform that is asked for.
    """
    written, digest = pinned_base(job)
    if not written:
        return BaseImage()
    base = only(ports.bases.read(written, digest), job.config.image.platforms)
    if job.model.serving.gpus and not _is_for_gpus(base):
        ports.progress.line(
            f"{job.model.name} asks for GPUs, and {written} does not look as if it could use them: "
            "image.gpu_base names a base for such models"
        )
    return base


def _is_for_gpus(base: BaseImage) -> bool:
    settings = base.config.get("config")
    variables = settings.get("Env") if isinstance(settings, dict) else None
    return isinstance(variables, list) and any(str(line).startswith(_GPU_VARIABLES) for line in variables)


def model_layers(run: Artifact) -> ModelLayers:
    """The layers of a stored run."""
    layers = run.document["layers"]
    assert isinstance(layers, list)  # noqa: S101  we wrote this document; the store checked its digest
    return ModelLayers(
        digest=str(run.document["model_digest"]),
        size=int(str(run.document["model_size"])),
        layers=tuple(Layer(blob=descriptor(one["blob"]), diff_id=one["diff_id"]) for one in layers),
    )


def _warmup_requests(run: Artifact, scored: Scored, job: Job, ports: Ports) -> bytes:
    """Records to warm up with; none when the model brings its own, or its run does not say whether it does."""
    if not job.model.serving.warmup or run.document.get("own_warmup") is not False:
        return b""
    try:
        records, count = warmup_requests(job.model.name, scored.golden)
    except InputError as e:
        ports.progress.line(f"no warm-up requests in the image: {e.why}")
        return b""
    return records if count else b""


def _origin(job: Job, run: Artifact, version: int, scored: Scored) -> Origin:
    return Origin(
        model=job.model.name,
        version=version,
        run_id=str(run.document["run_id"]),
        commit=str(run.document["commit"]),
        # The commit of the run, not of this checkout: a later commit that changes no input keeps the image.
        committed=int(str(run.document["committed"])),
        source=source_url(job),
        more={"io.mmcicd.metrics-digest": measures_digest(scored)},
    )


def source_url(job: Job) -> str:
    """Where the source is, without a login; "" when the configuration does not say."""
    jenkins = job.config.jenkins
    if jenkins is None or not any(
        jenkins.source.get(host) for host in ("git", "github", "gitlab", "bitbucket")
    ):
        return ""
    remote = source_of(jenkins, job.config.mark("jenkins.source")).remote
    try:
        parts = urlsplit(remote)
    except ValueError:
        return ""
    host = parts.netloc.rpartition("@")[2]
    return (
        parts._replace(netloc=host, query="", fragment="").geturl()
        if parts.scheme
        else remote.rpartition("@")[2]
    )
