"""What our objects in a cluster carry: the labels that make them ours, the fence, and the memory for the way back.

Pure. A Deployment remembers what it was told to serve, whether that ever served alone (`settled`), what served alone
before it (`fallback`, until it is settled), and the healthy version before (`previous`). Nothing else is memory: a
cluster is taken back by these alone.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from mmcicd_jenkins.errors import IntegrityFailed, OutsideFailed
from mmcicd_jenkins.ports import Switch
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release import packed, tracks
from mmcicd_jenkins.release.canonical import canonical
from mmcicd_jenkins.release.desired import TakenBack
from mmcicd_jenkins.release.documents import from_document, to_document

NAME = tracks.NAME_LABEL
MANAGED_BY = tracks.MANAGED_LABEL
OURS = tracks.MANAGER
ENVIRONMENT = tracks.ENVIRONMENT_LABEL
TRACK = tracks.TRACK_LABEL
POD_VERSION = tracks.VERSION_LABEL

EPOCH = "mmcicd.io/epoch"
OP_ID = "mmcicd.io/op-id"
VERSION = "mmcicd.io/version"
MANIFEST = "mmcicd.io/manifest"
SEAL = "mmcicd.io/seal"
SETTLED = "mmcicd.io/settled"
FALLBACK = "mmcicd.io/fallback"
PREVIOUS = "mmcicd.io/previous"
TAKES_BACK = "mmcicd.io/takes-back"
OFFLINE = "mmcicd.io/offline"
MEMORY = (VERSION, MANIFEST, SEAL, SETTLED, FALLBACK, PREVIOUS, TAKES_BACK, OFFLINE)

# All annotations of an object may have 256 KiB together; a manifest unpacks to a few KiB.
LARGEST = 4 * 2**20

Document = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Carried:
    """A version with all that brings it back: its documents and the seal over them."""

    version: int
    manifest: tuple[Document, ...]
    seal: Document


@dataclass(frozen=True, kw_only=True)
class Fence:
    """Whose decision an object is: of equal epochs only the same operation goes on."""

    epoch: int = 0
    op_id: str = ""

    def admits(self, order: "Fence") -> bool:
        """Whether `order` may change what carries this."""
        return self.epoch < order.epoch or self == order


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What a Deployment remembers. `told` None: to serve nothing. `takes_back`, until it is settled: what served before
    is bad.
    """

    fence: Fence = dataclasses.field(default_factory=Fence)
    told: Carried | None = None
    settled: bool = False
    fallback: Carried | None = None
    previous: Carried | None = None
    takes_back: bool = False
    offline: tuple[TakenBack, ...] = ()

    @property
    def healthy(self) -> Carried | None:
        """What served alone last, or what one goes back to because that is bad."""
        return self.told if self.settled or self.takes_back else self.fallback

    @property
    def way_back(self) -> Carried | None:
        """Where a rollback leads: a version that never served alone is left for the one that did."""
        candidates = [self.previous]
        if not self.settled and not self.takes_back:
            candidates.insert(0, self.fallback)
        now = self.told.version if self.told else None
        return next((one for one in candidates if one is not None and one.version != now), None)


def told_to(standing: Standing, order: Switch) -> Standing:
    """The memory while `order` is carried out."""
    told = Carried(version=order.version, manifest=order.manifest, seal=order.seal)
    fence = Fence(epoch=order.epoch, op_id=order.op_id)
    if not standing.settled and (told, fence) == (standing.told, standing.fence):
        return standing  # it was cut short
    serves = standing.settled and told == standing.told
    return dataclasses.replace(
        standing,
        fence=fence,
        told=told,
        settled=serves,
        fallback=None if serves else standing.healthy,
        takes_back=order.takes_back,
    )


def settled(standing: Standing) -> Standing:
    """The memory once what was told serves alone. What was taken back is no way back, and where one goes back to the
    version before there is none left.
    """
    told, fallback, previous = standing.told, standing.fallback, standing.previous
    if standing.takes_back or (told and previous and told.version == previous.version):
        previous = None
    elif fallback is not None and told is not None and fallback.version != told.version:
        previous = fallback
    return dataclasses.replace(standing, settled=True, fallback=None, previous=previous, takes_back=False)


def undone(standing: Standing) -> Standing:
    """The memory when what was told did not come: what served alone before is told again, and no rollback was done.
    Where that is the same, as when copies are lost, nothing is undone.
    """
    if standing.settled:
        return standing
    done = tuple(one for one in standing.offline if one.epoch != standing.fence.epoch)
    return dataclasses.replace(standing, told=standing.fallback, takes_back=False, offline=done)


def fence_of(document: Document) -> Fence:
    """The fence on an object; the lowest where there is none.

    Raises:
        IntegrityFailed: somebody wrote something else there.
    """
    return Fence(epoch=_number(document, EPOCH), op_id=_annotations(document).get(OP_ID, ""))


def fenced(document: Document, fence: Fence, notes: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The document with the fence on it, and `notes` besides."""
    metadata = document["metadata"]
    also = {**metadata.get("annotations", {}), **(notes or {}), EPOCH: str(fence.epoch), OP_ID: fence.op_id}
    return {**document, "metadata": {**metadata, "annotations": also}}


def read(document: Document | None) -> Standing:
    """What a Deployment remembers; nothing when it is not there.

    Raises:
        IntegrityFailed: somebody wrote something else into its annotations.
    """
    if document is None:
        return Standing()
    noted = _annotations(document)
    told = None
    if VERSION in noted:
        own = {"version": _number(document, VERSION), "manifest": _unpacked(document, MANIFEST)}
        told = _carried({**own, "seal": _seal(document)}, document, MANIFEST)
    return Standing(
        fence=fence_of(document),
        told=told,
        settled=noted.get(SETTLED) == noted.get(VERSION, ""),
        fallback=_carried(_unpacked(document, FALLBACK), document, FALLBACK),
        previous=_carried(_unpacked(document, PREVIOUS), document, PREVIOUS),
        takes_back=TAKES_BACK in noted,
        offline=_taken_back(document),
    )


def read_or_fence(document: Document | None) -> Standing:
    """As `read`, for whoever has a ledger: a memory that somebody spoilt is none, and bars nobody's way.

    Raises:
        IntegrityFailed: not even the fence can be read.
    """
    try:
        return read(document)
    except IntegrityFailed:
        return Standing(fence=fence_of(document) if document else Fence())


def version_told(document: Document) -> int | None:
    """The version that a Deployment was told, whatever else it remembers."""
    return _number(document, VERSION) or None


def notes(standing: Standing) -> dict[str, str | None]:
    """A Standing as annotations, the fence among them; None for what must not be there."""
    told = standing.told
    return {
        EPOCH: str(standing.fence.epoch),
        OP_ID: standing.fence.op_id,
        VERSION: str(told.version) if told else None,
        MANIFEST: pack(list(told.manifest)) if told else None,
        SEAL: canonical(told.seal).decode() if told else None,
        SETTLED: str(told.version) if told and standing.settled else None,
        FALLBACK: _packed(standing.fallback),
        PREVIOUS: _packed(standing.previous),
        TAKES_BACK: "true" if standing.takes_back else None,
        OFFLINE: canonical([to_document(one) for one in standing.offline]).decode()
        if standing.offline
        else None,
    }


def noted(standing: Standing) -> dict[str, str]:
    """A Standing as the annotations that are there."""
    return {key: text for key, text in notes(standing).items() if text is not None}


def differing(live: Document, standing: Standing) -> dict[str, Any] | None:
    """The merge patch after which a Deployment remembers this; None when it does already."""
    there = _annotations(live)
    differ = {key: text for key, text in notes(standing).items() if there.get(key) != text}
    return {"metadata": {"annotations": differ}} if differ else None


def is_ours(document: Document) -> bool:
    labels: Mapping[str, str] = document["metadata"].get("labels") or {}
    return labels.get(MANAGED_BY) == OURS


def track_of(document: Document) -> str:
    """The role of a Deployment or a pod; "" for one without."""
    labels: Mapping[str, str] = document["metadata"].get("labels") or {}
    return labels.get(TRACK, "")


def resource(document: Document) -> str:
    """`deployment/churn-stable`, as kubectl takes it."""
    return f"{document['kind'].lower()}/{document['metadata']['name']}"


def pack(value: object) -> str:
    return packed.pack(canonical(value))


def unpack(text: str) -> Any:
    """Raises ValueError for what was not packed."""
    return packed.unpack(text, LARGEST)


def _packed(carried: Carried | None) -> str | None:
    return pack({**to_document(carried), "manifest": list(carried.manifest)}) if carried else None


def _unpacked(document: Document, key: str) -> Any:
    text = _annotations(document).get(key)
    try:
        return unpack(text) if text else None
    except ValueError as e:
        raise _unreadable(document, key, str(e)) from e


def _json(document: Document, key: str) -> Any:
    text = _annotations(document).get(key)
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError) as e:
        raise _unreadable(document, key, str(e)) from e


def _seal(document: Document) -> Document:
    found = _json(document, SEAL)
    if not isinstance(found, dict | None):
        raise _unreadable(document, SEAL, "it is no envelope")
    return found or {}


def _carried(value: Any, document: Document, key: str) -> Carried | None:
    match value:
        case None:
            return None
        case {"version": int(version), "manifest": list(manifest), "seal": dict(seal)} if version > 0:
            if all(isinstance(one, dict) for one in manifest):
                return Carried(version=version, manifest=tuple(manifest), seal=seal)
    raise _unreadable(document, key, "it is not a version with its documents and seal")


def _taken_back(document: Document) -> tuple[TakenBack, ...]:
    listed = _json(document, OFFLINE)
    if listed is None:
        return ()
    where = f"{resource(document)} {OFFLINE}"
    if not isinstance(listed, list):
        raise _unreadable(document, OFFLINE, "it is not a list")
    return tuple(from_document(TakenBack, one, where) for one in listed)


def _number(document: Document, key: str) -> int:
    text = _annotations(document).get(key, "0")
    if not text.isdecimal():
        raise _unreadable(document, key, f"it is {text[:40]!r}, not a number")
    return int(text)


def _annotations(document: Document) -> Mapping[str, str]:
    return document["metadata"].get("annotations") or {}


def _unreadable(document: Document, key: str, why: str) -> IntegrityFailed:
    return IntegrityFailed(
        f"an annotation of {resource(document)} is not what was written there",
        where=f"{resource(document)} {key}",
        why=why,
        fix=f"kubectl annotate {resource(document)} {key}- removes it; then mmcicd-jenkins serve puts back what the "
        "ledger says",
    )


def refuse_foreign(document: Document) -> None:
    """Raises OutsideFailed for an object that we did not make."""
    if not is_ours(document):
        name = resource(document)
        raise OutsideFailed(
            f"{name} is there already and is not ours",
            where=name,
            why=f"it lacks the label {MANAGED_BY}: {OURS}",
            fix=f"move what it serves elsewhere and delete it, or hand it over: kubectl label {name} {MANAGED_BY}={OURS}",
        )
