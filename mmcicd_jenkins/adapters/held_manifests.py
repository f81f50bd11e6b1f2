"""A manifest in a store seen as `ports.upkeep.Held`, whoever made it. What cannot be read is no kind of ours."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.image.artifact import json_object, read_descriptor, read_manifest
from mmcicd_jenkins.image.descriptor import DOCUMENT, INDEX, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.ports.upkeep import Held

# Of a list in a list of platforms; deeper ones are nobody's.
DEPTH = 3

Read = Callable[[Descriptor], bytes | None]


def held(
    place: str, named: Descriptor, tags: Sequence[str], read: Read, touched: float | None = None
) -> Held:
    """What `named` is. `read` gives the bytes of a manifest or of a document, None when they are gone."""
    unknown = Held(place=place, digest=named.digest, size=named.size, tags=tuple(tags), touched=touched)
    try:
        content = _checked(named, read)
        document = json_object(content, named.digest)
        if "manifests" in document:
            return _index(unknown, document, read)
        return _manifest(unknown, content, document.get("subject"), read)
    except (InputError, IntegrityFailed):
        return unknown


def _checked(named: Descriptor, read: Read) -> bytes:
    content = read(named)
    if content is None or digest_bytes(content) != named.digest:
        raise IntegrityFailed(f"the store does not hold {named.digest}")
    return content


def _manifest(unknown: Held, content: bytes, subject: object, read: Read) -> Held:
    where = unknown.digest
    kind, config, layers, notes = read_manifest(content, where)
    return replace(
        unknown,
        kind=kind,
        blobs={blob.digest: blob.size for blob in (config, *layers)},
        subject=read_descriptor(subject, where).digest if subject is not None else "",
        document=json_object(_checked(config, read), config.digest) if config.media_type == DOCUMENT else {},
        notes=notes,
    )


def _index(unknown: Held, document: dict[str, Any], read: Read) -> Held:
    blobs: dict[str, int] = {}
    children = _children(document, unknown.digest, read, blobs, DEPTH)
    notes = document.get("annotations")
    return replace(
        unknown,
        kind=str(document.get("artifactType") or INDEX),
        blobs=blobs,
        children=tuple(children),
        notes={str(k): str(v) for k, v in notes.items()} if isinstance(notes, dict) else {},
    )


def _children(
    document: dict[str, Any], where: str, read: Read, blobs: dict[str, int], depth: int
) -> list[str]:
    """Digests of the manifests in a list, those in its lists too; what they need is added to `blobs`."""
    found = []
    for entry in document["manifests"] if isinstance(document["manifests"], list) else []:
        named = read_descriptor(entry, where)
        content = _checked(named, read)
        child = json_object(content, named.digest)
        blobs[named.digest] = named.size
        found.append(named.digest)
        if "manifests" in child:
            if depth == 0:
                raise IntegrityFailed(f"{where} holds lists in lists without end")
            found += _children(child, where, read, blobs, depth - 1)
        else:
            _, config, layers, _ = read_manifest(content, where)
            blobs |= {blob.digest: blob.size for blob in (config, *layers)}
    return found
