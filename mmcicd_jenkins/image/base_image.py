"""A base image as it was stored: one image, or an index of images for several platforms. Pure.

What is read was made by others. Every document is held against the descriptor that named it; what is no image for
Linux (attestations, Windows, signatures) is left out. Nested indexes are laid flat; the first image for a platform
is the one that engines take.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.image.artifact import (
    LARGEST_DOCUMENT,
    json_object,
    read_descriptor,
    read_manifest,
)
from mmcicd_jenkins.image.checking import check_layers
from mmcicd_jenkins.image.descriptor import INDEX, LAYER, LAYER_GZIP, LAYER_ZSTD, MANIFEST, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.image.platforms import Platform, parse_platform, platform_of
from mmcicd_jenkins.records import dataclass

Read = Callable[[Descriptor], bytes]

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
_DOCKER_1 = "application/vnd.docker.distribution.manifest.v1"
_MANIFESTS = (MANIFEST, DOCKER_MANIFEST)
_INDEXES = (INDEX, DOCKER_INDEX)
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
_OCI_LAYERS = {
    LAYER: LAYER,
    LAYER_GZIP: LAYER_GZIP,
    LAYER_ZSTD: LAYER_ZSTD,
    _DOCKER_LAYER: LAYER,
    _DOCKER_LAYER + ".gzip": LAYER_GZIP,
    _DOCKER_LAYER + ".zstd": LAYER_ZSTD,
}
# An index in an index in an index: more has no meaning that anybody uses.
DEEPEST = 3
# Docker's own images have ten; what is larger was made to keep us busy.
MOST_PLATFORMS = 64
# No layer of a real base comes near; one that claims more would fill a disk before its digest is known to be wrong.
LARGEST_LAYER = 64 * 2**30


@dataclass(frozen=True, kw_only=True)
class BasePlatform:
    """One image of a base: its two documents as stored."""

    config: bytes
    manifest: bytes
    platform: Platform

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """Its layers under OCI's names of their kinds; an OCI manifest may not mix them with Docker's."""
        return tuple(_as_oci(layer) for layer in read_manifest(self.manifest, "base image")[2])


@dataclass(frozen=True, kw_only=True)
class BaseImage:
    """What an image stands on. `digest` is of the manifest or index that was asked for; no platforms = nothing."""

    name: str = ""
    digest: str = ""
    is_index: bool = False
    platforms: tuple[BasePlatform, ...] = ()

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """The layers of all platforms, each once."""
        found = {layer.digest: layer for one in self.platforms for layer in one.layers}
        return tuple(found.values())

    @property
    def config(self) -> Mapping[str, Any]:
        """The config of the first platform as JSON: what a person asks a base about is the same on all."""
        return json_object(self.platforms[0].config, self.name) if self.platforms else {}


def read_base(top: Descriptor, read: Read, name: str) -> BaseImage:
    """The base that `top` names; `read` gives the bytes of a document, trusted in nothing.

    Raises:
        IntegrityFailed: a document is not what names it, or contradicts itself.
        InputError: it is no image that can be a base.
    """
    budget = [MOST_PLATFORMS]
    found: dict[tuple[str, str, str], BasePlatform] = {}
    for one in _images(top, None, read, name, (DEEPEST, budget)):
        found.setdefault(one.platform.key, one)
    if not found:
        raise InputError(f"{name} holds no image for Linux", why="TensorFlow Serving runs on Linux alone")
    first = json_object(_document(top, read, name), name)
    return BaseImage(
        name=name, digest=top.digest, is_index="manifests" in first, platforms=tuple(found.values())
    )


def only(base: BaseImage, wanted: Sequence[str]) -> BaseImage:
    """`base` for the platforms in `wanted`, in their order; for all when none is named.

    Raises:
        InputError: the base has none for one of them.
    """
    if not wanted or not base.platforms:
        return base
    chosen = {}
    for text in wanted:
        platform = parse_platform(text)
        match = [one for one in base.platforms if _serves(platform, one.platform)]
        if not match:
            has = ", ".join(str(one.platform) for one in base.platforms)
            raise InputError(
                f"{base.name} has no image for {platform}",
                why=f"it has {has}",
                fix="image.platforms names what the servers run on; choose from these, or another base",
            )
        chosen[match[0].platform.key] = match[0]
    return BaseImage(
        name=base.name, digest=base.digest, is_index=base.is_index, platforms=tuple(chosen.values())
    )


def _serves(wanted: Platform, platform: Platform) -> bool:
    if not wanted.variant:
        return (wanted.os, wanted.architecture) == (platform.os, platform.architecture)
    return wanted.key == platform.key


def _images(
    named: Descriptor, told: Platform | None, read: Read, name: str, left: tuple[int, list[int]]
) -> Iterator[BasePlatform]:
    """The images for Linux that a document is or names; `left` is how deep and how many may still come."""
    depth, budget = left
    content = _document(named, read, name)
    document = json_object(content, f"{name} {named.digest}")
    if not _is_index(document, named, name):
        budget[0] -= 1
        if budget[0] < 0:
            raise _broken(name, f"it names more than {MOST_PLATFORMS} images")
        image = _image(content, told, read, name)
        if image is not None:
            yield image
        return
    if depth == 0:
        raise _broken(name, f"its indexes lie more than {DEEPEST} deep in each other")
    for entry, platform in _entries(document, name):
        yield from _images(entry, platform, read, name, (depth - 1, budget))


def _is_index(document: Mapping[str, Any], named: Descriptor, name: str) -> bool:
    """Whether it is an index; the bytes themselves say so, and whoever names them must agree."""
    is_index, is_manifest = "manifests" in document, "layers" in document or "config" in document
    told = document.get("mediaType") or named.media_type or (INDEX if is_index else MANIFEST)
    if "fsLayers" in document or named.media_type.startswith(_DOCKER_1):
        raise InputError(
            f"{name} is an image of Docker's first format",
            why="its config lies in pieces, and nothing pulls it any more",
            fix="pull it with an old Docker and push it with a newer one",
        )
    if is_index == is_manifest:
        raise _broken(f"{name} {named.digest}", "it is not clear whether it is a manifest or an index")
    if told not in (_INDEXES if is_index else _MANIFESTS) or named.media_type not in {told, ""}:
        raise _broken(f"{name} {named.digest}", "it is of another kind than its name says")
    return is_index


def _entries(document: Mapping[str, Any], name: str) -> Iterator[tuple[Descriptor, Platform | None]]:
    """What may be an image for Linux."""
    entries = document.get("manifests")
    if document.get("schemaVersion") != 2 or not isinstance(entries, list):
        raise _broken(name, "it is not an image index")
    for entry in entries:
        named = read_descriptor(entry, name)
        platform = entry.get("platform")
        if platform is not None and not isinstance(platform, dict):
            raise _broken(name, "a platform in its index is not an object")
        told = platform_of(platform) if platform else None
        if platform and told is None:
            raise _broken(name, "a platform in its index cannot be one")
        is_other = "vnd.docker.reference.type" in named.annotations or "artifactType" in entry
        if is_other or named.media_type not in (*_MANIFESTS, *_INDEXES) or (told and told.os != "linux"):
            continue
        yield named, told


def _image(content: bytes, told: Platform | None, read: Read, name: str) -> BasePlatform | None:
    """An image with its config; None when it is for no Linux."""
    _, config_named, layers, _ = read_manifest(content, name)
    config = _document(config_named, read, name)
    platform = platform_of(json_object(config, f"{name} {config_named.digest}"))
    if platform is None:
        raise _broken(name, "the config of an image does not say what it runs on")
    if told is not None and not _agree(told, platform):
        raise _broken(name, f"its index says {told}, the image itself {platform}")
    if platform.os != "linux":
        return None
    check_layers(config, content)
    for layer in layers:
        _as_oci(layer)
        if layer.size > LARGEST_LAYER:
            raise _broken(name, f"layer {layer.digest} claims {layer.size} bytes")
    return BasePlatform(config=config, manifest=content, platform=told or platform)


def _agree(told: Platform, platform: Platform) -> bool:
    """Whether an index and a config mean the same; many configs leave the variant out."""
    if (told.os, told.architecture) != (platform.os, platform.architecture):
        return False
    return not told.variant or not platform.variant or told.key == platform.key


def _document(named: Descriptor, read: Read, name: str) -> bytes:
    if named.size > LARGEST_DOCUMENT:
        raise _broken(name, f"document {named.digest} claims {named.size} bytes")
    content = read(named)
    if len(content) != named.size or digest_bytes(content) != named.digest:
        raise IntegrityFailed(
            f"{name} holds other bytes than it says",
            where=named.digest,
            why=f"{len(content)} bytes with {digest_bytes(content)}, expected {named.size}",
            fix="ask its owners; nothing was made of it",
        )
    return content


def _as_oci(layer: Descriptor) -> Descriptor:
    """The same layer under OCI's name of its kind.

    Raises:
        InputError: it is one that may not be copied, or of a kind that is not known.
    """
    kind = _OCI_LAYERS.get(layer.media_type)
    if kind is None:
        raise InputError(
            f"a layer of the base image cannot be copied: it is of kind {layer.media_type[:100]!r}",
            where=layer.digest,
            fix="choose a base whose layers lie in its registry",
        )
    return Descriptor(media_type=kind, digest=layer.digest, size=layer.size)


def _broken(where: str, why: str) -> IntegrityFailed:
    return IntegrityFailed("a base image cannot be read", where=where, why=why)
