"""What Deployments, pods and a Service say of a model, as `ports.Observed`. Pure.

The version is the one of the copies that requests come to. Which of two colours that is changes with each switch:
people read `stable` for the one that serves and `preview` for the other.
"""

from collections.abc import Iterable, Mapping

from mmcicd_jenkins.adapters.kubernetes import annotations, looking
from mmcicd_jenkins.adapters.kubernetes.annotations import Document
from mmcicd_jenkins.adapters.kubernetes.departures import departure
from mmcicd_jenkins.adapters.kubernetes.parts import CANARY, PREVIEW, STABLE, track_led_to
from mmcicd_jenkins.ports import Copies, Observed
from mmcicd_jenkins.release.rollout import Copy, Look, ready_by_version, told


def observed(
    deployments: Mapping[str, Document], pods: Iterable[Document], service: Document | None
) -> Observed:
    """Args:
    deployments: those of the model, by track.
    service: the one that leads to them.
    """
    known = list(pods)
    serving = track_led_to(service) or STABLE
    looks = {track: _look(one, track, serving, known) for track, one in deployments.items()}
    standing = annotations.read_or_fence(deployments.get(STABLE))
    wanted = standing.told.version if standing.told else None
    counts = ready_by_version(looks[serving].copies) if serving in looks else {}
    counts = counts or ready_by_version(copy for look in looks.values() for copy in look.copies)
    version = max(counts, key=lambda v: (counts[v], v == wanted), default=None)
    return Observed(
        version=version,
        state=_state(version, counts, wanted),
        epoch=standing.fence.epoch,
        reason=_reason(version, counts, wanted, _coming(wanted, looks) or looks.get(serving)),
        copies=tuple(part for track, one in deployments.items() for part in _copies(one, looks[track])),
        departure=departure(standing.told.manifest, deployments.get(serving), service)
        if standing.told
        else "",
    )


def by_track(deployments: Iterable[Document]) -> dict[str, Document]:
    """Those that are ours."""
    return {
        annotations.track_of(one): one
        for one in deployments
        if annotations.is_ours(one) and annotations.track_of(one)
    }


def _look(deployment: Document, track: str, serving: str, pods: list[Document]) -> Look:
    role = track
    if CANARY not in {track, serving}:
        role = STABLE if track == serving else PREVIEW
    return looking.look(role, deployment, (pod for pod in pods if annotations.track_of(pod) == track))


def _copies(deployment: Document, look: Look) -> list[Copies]:
    """Per version that runs in a role; what is wanted is wanted of the version of its template."""
    wanted = looking.version_of(deployment["spec"]["template"])
    ready = ready_by_version(look.copies)
    versions = {v for v in (wanted if look.group.wanted else None, *ready) if v is not None}
    return [
        Copies(
            version=version,
            role=look.role,
            wanted=look.group.wanted if version == wanted else 0,
            ready=ready.get(version, 0),
        )
        for version in sorted(versions, reverse=True)
    ]


def _state(version: int | None, counts: Mapping[int | None, int], wanted: int | None) -> str:
    if len(counts) > 1:
        return "MIXED"
    if version is not None:
        return "AVAILABLE"
    return "LOADING" if wanted is not None else "END"


def _coming(wanted: int | None, looks: Mapping[str, Look]) -> Look | None:
    """The copies beside those that serve, when what is wanted is on its way there."""
    return next(
        (
            look
            for look in looks.values()
            if look.role == PREVIEW and any(copy.version == wanted for copy in look.copies)
        ),
        None,
    )


def _reason(
    version: int | None, counts: Mapping[int | None, int], wanted: int | None, look: Look | None
) -> str:
    if look is None:
        return "never served here"
    if wanted is None:
        return "" if version is None else "it is told to serve nothing"
    if version == wanted and len(counts) == 1:
        return ""
    return f"{wanted} is wanted: {told(wanted, look)}{_trouble(look.copies, wanted)}"


def _trouble(copies: tuple[Copy, ...], wanted: int) -> str:
    """What the first copy that does not come says."""
    for copy in copies:
        said = copy.refused or copy.evicted or copy.message or copy.halted
        if copy.version == wanted and not copy.ready and said:
            return f"; {copy.name}: {said}"
    return ""
