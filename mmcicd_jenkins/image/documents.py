"""The small documents of an image as a store keeps them: which is what, and whether they belong together. Pure.

An image is its documents in order: what a document names comes before it, and the last is the one that is served,
a manifest or an index of manifests for several platforms. Layers are no documents; a store has them already.
"""

from collections.abc import Callable, Sequence
from typing import Any

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.image.artifact import (
    json_object,
    read_artifact,
    read_descriptor,
    read_manifest,
)
from mmcicd_jenkins.image.descriptor import CONFIG, INDEX, MANIFEST, Artifact, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.image.manifest import check

_WHERE = "an image to be stored"
_DOCKER = "application/vnd.docker.distribution.manifest"
# What registries serve under `/manifests/`; everything else is a blob.
MANIFESTS = (MANIFEST, INDEX, f"{_DOCKER}.v2+json", f"{_DOCKER}.list.v2+json")


def described(document: bytes, where: str = _WHERE) -> Descriptor:
    """A document by its digest and by what it is.

    Raises:
        IntegrityFailed: it is no JSON object.
    """
    media_type = _media_type(json_object(document, where))
    return Descriptor(media_type=media_type, digest=digest_bytes(document), size=len(document))


def _media_type(document: dict[str, Any]) -> str:
    told = document.get("mediaType")
    if isinstance(told, str):
        return told
    if "manifests" in document:
        return INDEX
    return MANIFEST if "config" in document and "layers" in document else CONFIG


def check_image(documents: Sequence[bytes]) -> tuple[Descriptor, ...]:
    """The documents by their digests, once it is sure that each names only what comes before it.

    Raises:
        IntegrityFailed: says which rule is broken.
    """
    known: dict[str, bytes] = {}
    described_all = []
    for document in documents:
        named = described(document)
        if named.media_type in MANIFESTS:
            _check_named(document, known)
        known[named.digest] = document
        described_all.append(named)
    if not described_all or described_all[-1].media_type not in MANIFESTS:
        raise _broken("the last is neither a manifest nor an index")
    return tuple(described_all)


def _check_named(document: bytes, known: dict[str, bytes]) -> None:
    children = index_entries(document)
    if children is None:
        config = read_manifest(document, _WHERE)[1]
        check(known.get(config.digest, b""), document)
        return
    missing = [child.digest for child in children if child.digest not in known]
    if missing:
        raise _broken(f"the index names {missing[0]}, which is not among them")


def _broken(why: str) -> IntegrityFailed:
    return IntegrityFailed("an image's documents contradict each other", why=why)


def layers_of(documents: Sequence[bytes]) -> tuple[Descriptor, ...]:
    """Every layer that some manifest among the documents names, once."""
    found: dict[str, Descriptor] = {}
    for document in documents:
        if described(document).media_type in MANIFESTS and index_entries(document) is None:
            found.update({layer.digest: layer for layer in read_manifest(document, _WHERE)[2]})
    return tuple(found.values())


def index_entries(document: bytes, where: str = _WHERE) -> tuple[Descriptor, ...] | None:
    """The manifests that an index names; None when it is no index."""
    content = json_object(document, where)
    entries = content.get("manifests")
    if not isinstance(entries, list) or "layers" in content:
        return None
    return tuple(read_descriptor(entry, where) for entry in entries)


def read_image(
    named: Descriptor, document: bytes, read: Callable[[Descriptor], bytes], where: str
) -> Artifact:
    """An image as stored; `read` gives its config. Of an index the layers are the manifests that it names.

    Raises:
        IntegrityFailed: it cannot be read.
    """
    children = index_entries(document, where)
    if children is None:
        return read_artifact(named, document, read(read_manifest(document, where)[1]), where)
    if json_object(document, where).get("schemaVersion") != 2:
        raise IntegrityFailed("this is not an OCI image index", where=where)
    return Artifact(
        digest=named.digest,
        kind=INDEX,
        document=json_object(document, where),
        layers=children,
        manifest=Descriptor(media_type=INDEX, digest=named.digest, size=named.size),
    )
