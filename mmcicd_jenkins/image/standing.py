"""What a stored image stands on and what it runs on, as its own documents say. Pure."""

from collections.abc import Mapping
from typing import Any

from mmcicd_jenkins.image.descriptor import INDEX, Artifact
from mmcicd_jenkins.image.platforms import platform_of
from mmcicd_jenkins.records import dataclass

BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """`base` and `digest` are "" and `platforms` () for an image that stands on nothing."""

    base: str = ""
    digest: str = ""
    platforms: tuple[str, ...] = ()


def standing_on(image: Artifact, recorded: Mapping[str, Any]) -> Standing:
    """As its release `recorded` it, else as the image says; an image by a team's own Dockerfile may say nothing."""
    if recorded:
        told = recorded.get("platforms")
        platforms = tuple(map(str, told)) if isinstance(told, list) else ()
        return Standing(
            base=str(recorded.get("base")), digest=str(recorded.get("digest")), platforms=platforms
        )
    notes = _texts(image.document.get("annotations")) if image.kind == INDEX else image.annotations
    base = notes.get(BASE_NAME, "")
    if not base:
        return Standing()
    return Standing(base=base, digest=notes.get(BASE_DIGEST, ""), platforms=_platforms(image))


def _platforms(image: Artifact) -> tuple[str, ...]:
    entries = image.document.get("manifests")
    told: list[object] = [image.document]
    if image.kind == INDEX:
        told = [_object(entry).get("platform") for entry in entries] if isinstance(entries, list) else []
    platforms = [platform_of(_object(one)) for one in told]
    return tuple(str(platform) for platform in platforms if platform is not None)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _texts(value: object) -> Mapping[str, str]:
    return {key: text for key, text in _object(value).items() if isinstance(text, str)}
