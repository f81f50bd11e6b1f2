"""Further serving versions that `verify` tries: the same model layers joined to each base that `image.verify_with` names.

Such an image is never stored, tagged or released; it goes to the engine as a stream and is forgotten there. What a
server did is kept under the digests of the version's image and of the joined one. Time and memory are judged where
the model will serve, on its own base, and not here.
"""

from collections.abc import Mapping

from mmcicd_jenkins.errors import GateRefused, Inconclusive, MmcicdError
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.image.descriptor import Artifact
from mmcicd_jenkins.ports import GoldenResult
from mmcicd_jenkins.ports.trial import Joined
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.documents import from_document, to_document
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.stages.context import Job, Ports
from mmcicd_jenkins.stages.drawing import draw
from mmcicd_jenkins.stages.package import Packaged
from mmcicd_jenkins.stages.pins import pinned_verify_with
from mmcicd_jenkins.stages.trying import answers_alike, order, try_serving

# Beside the records of versions, and removed with them: `stages.gc_images`.
VERIFIED_KIND = "application/vnd.mmcicd.verified.v1+json"
JOINED = "joined"
_SHORT = 32


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What a model did on a serving version that it is not released on.

    `base` is as written, `digest` what the lock has for it, `image` the digest of the joined image; `log` is where the
    server's words are, "" of one that passed.
    """

    base: str
    digest: str
    image: str
    verdict: Verdict
    reason: str
    how: str = ""
    log: str = ""
    golden: GoldenResult | None = None


@dataclass(frozen=True, kw_only=True)
class Other:
    """An image to try."""

    base: str
    digest: str
    joined: Joined

    @property
    def image(self) -> str:
        return self.joined.image.digest


def others(packaged: Packaged, run: Artifact, job: Job, ports: Ports) -> tuple[Other, ...]:
    """What there is to try of a version, in the order of the file. Reads documents of bases, no layer.

    Raises:
        InputError: the lock does not have one, or it is no longer there.
    """
    found = []
    for written, digest in pinned_verify_with(job):
        base = ports.bases.read(written, digest)
        drawn = draw(packaged.version, run, job, ports, base)
        joined = Joined(
            image=drawn.image,
            blobs=drawn.blobs,
            below=base.layers,
            source=ports.bases.source(written, digest),
        )
        found.append(Other(base=written, digest=digest, joined=joined))
    return tuple(found)


def joined_tag(version_image: str, joined: str) -> str:
    return f"{JOINED}-{version_image.removeprefix('sha256:')}-{joined.removeprefix('sha256:')[:_SHORT]}"


def find_tried(other: Other, packaged: Packaged, ports: Ports) -> Tried | None:
    """What was seen of it before; only what passed is kept."""
    stored = ports.store.find(joined_tag(packaged.digest, other.image))
    if stored is None:
        return None
    tried = from_document(Tried, dict(stored.document), f"verification of {other.image}")
    return tried if tried.image == other.image and tried.verdict is Verdict.PASSED else None


def try_other(
    other: Other,
    packaged: Packaged,
    run_id: str,
    golden: Mapping[str, object],
    job: Job,
    ports: Ports,
) -> Tried:
    """Try it; whatever it does is what is told of it, for the next is tried in any case.

    Raises:
        OutsideFailed: what should run it failed.
    """
    ports.progress.line(f"trying {other.base}")
    log = f"serving-{other.image.removeprefix('sha256:')[:12]}.log"
    wanted = order(run_id, packaged, job, joined=other.joined, log=log)
    try:
        seen = try_serving(wanted, golden, job, ports, runnable=True)
    except GateRefused as e:
        return _tried(other, Verdict.FAILED, _told(e), log=str(wanted.log))
    except Inconclusive as e:
        return _tried(other, Verdict.INCONCLUSIVE, _told(e))
    if not answers_alike(seen.golden):
        return _tried(other, Verdict.FAILED, _difference(seen.golden), seen.how, log=str(wanted.log))
    tried = _tried(other, Verdict.PASSED, _passed(seen.golden), seen.how, golden=seen.golden)
    failpoint("verify.before-record")
    ports.store.put_artifact(joined_tag(packaged.digest, other.image), VERIFIED_KIND, to_document(tried))
    return tried


def _tried(
    other: Other,
    verdict: Verdict,
    reason: str,
    how: str = "",
    *,
    log: str = "",
    golden: GoldenResult | None = None,
) -> Tried:
    return Tried(
        base=other.base,
        digest=other.digest,
        image=other.image,
        verdict=verdict,
        reason=reason,
        how=how,
        log=log,
        golden=golden,
    )


def _told(error: MmcicdError) -> str:
    return error.what + (f": {error.why}" if error.why else "")


def _difference(golden: GoldenResult) -> str:
    if golden.differences:
        return golden.differences[0]
    return f"{golden.matched_rest} of {golden.asked} golden answers by REST, {golden.matched_grpc} by gRPC"


def _passed(golden: GoldenResult) -> str:
    if not golden.asked:
        return "loads; there are no golden requests"
    return f"loads; {golden.matched_rest} of {golden.asked} golden answers"
