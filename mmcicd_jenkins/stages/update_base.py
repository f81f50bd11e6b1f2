"""`image update-base`: what the images that the configuration names stand for now, against what the lock pins.

Only looks and says; whoever calls writes the lock. An older pin that is no longer readable is told by its digest alone.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from mmcicd_jenkins.config.lock import Lock
from mmcicd_jenkins.config.model import Config
from mmcicd_jenkins.errors import MmcicdError
from mmcicd_jenkins.image.base_image import BaseImage, only
from mmcicd_jenkins.image.base_name import parse_base
from mmcicd_jenkins.ports import Progress
from mmcicd_jenkins.ports.images import BaseImages
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.stages.pins import named_images

# What says which TensorFlow Serving, or which program at all, an image holds.
_VERSIONS = ("tensorflow_serving_github_branchtag", "org.opencontainers.image.version")
_LONGEST = 100


@dataclass(frozen=True, kw_only=True)
class About:
    """What a person wants to know of an image. `size` is that of the layers for its first platform, in bytes."""

    digest: str
    created: str = ""
    version: str = ""
    platforms: tuple[str, ...] = ()
    size: int = 0
    labels: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Pin:
    """One image that the configuration names: what the lock has (None: nothing) and what it is now."""

    image: str
    keys: tuple[str, ...]
    old: About | None
    new: About

    @property
    def is_moved(self) -> bool:
        return self.old is None or self.old.digest != self.new.digest


@dataclass(frozen=True, kw_only=True)
class Update:
    """`lock` is what should stand there; it has no pin that nothing names any more. `dropped` are those."""

    pins: tuple[Pin, ...]
    dropped: tuple[str, ...]
    lock: Lock


def look(config: Config, lock: Lock, bases: BaseImages, progress: Progress) -> Update:
    """Look at every image that the configuration names.

    Raises:
        InputError: one is not there, or cannot be what it is named for.
    """
    pins = []
    images: dict[str, str] = {}
    for written, keys in named_images(config).items():
        progress.update(f"looking at {written}")
        found = bases.newest(written)
        # A version that is only tried need not serve on every platform.
        if any(key in {"image.base", "image.gpu_base"} for key in keys):
            only(found, config.image.platforms)
        pins.append(Pin(image=written, keys=keys, old=_old(written, lock, found, bases), new=about(found)))
        if not parse_base(written).digest:
            images[written] = found.digest
    dropped = tuple(sorted(set(lock.images) - set(images)))
    return Update(pins=tuple(pins), dropped=dropped, lock=replace(lock, images=images))


def _old(written: str, lock: Lock, found: BaseImage, bases: BaseImages) -> About | None:
    digest = parse_base(written).digest or lock.images.get(written, "")
    if not digest:
        return None
    if digest == found.digest:
        return about(found)
    with suppress(MmcicdError):
        return about(bases.read(written, digest))
    return About(digest=digest)


def about(image: BaseImage) -> About:
    config = image.config
    settings = config.get("config")
    labels = _labels(settings.get("Labels") if isinstance(settings, dict) else None)
    return About(
        digest=image.digest,
        created=str(config.get("created") or "")[:19],
        version=next((labels[name] for name in _VERSIONS if labels.get(name)), ""),
        platforms=tuple(str(one.platform) for one in image.platforms),
        size=sum(layer.size for layer in image.platforms[0].layers),
        labels=labels,
    )


def _labels(found: Any) -> dict[str, str]:
    """Others wrote them: what is no text is left out, and no text is longer than a line."""
    if not isinstance(found, dict):
        return {}
    return {key: text[:_LONGEST] for key, text in sorted(found.items()) if isinstance(text, str)}
