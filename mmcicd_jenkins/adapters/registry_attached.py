"""What is attached to a manifest in a registry: by the referrers list of OCI 1.1, by a tag where there is none.

Old registries do not list who names a manifest as subject. There the index `sha256-<hex>` is kept, as OCI 1.1 asks
of clients. A tag cannot be changed by comparison: of two that write it at the same moment one may be lost, and the
same command again attaches it again.
"""

from collections.abc import Mapping

from mmcicd_jenkins.adapters.registry_client import Repository
from mmcicd_jenkins.errors import IntegrityFailed, OutsideFailed
from mmcicd_jenkins.image.artifact import json_bytes, json_object, malformed, read_artifact, read_manifest
from mmcicd_jenkins.image.attachments import EMPTY_CONFIG, attachment, subject_of
from mmcicd_jenkins.image.descriptor import INDEX, MANIFEST, Artifact, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes

_TRIES = 5


def attach(
    repository: Repository, subject: Descriptor, kind: str, content: bytes, annotations: Mapping[str, str]
) -> Artifact:
    """Store `content` as attached to `subject`, which is there.

    Raises:
        OutsideFailed: others kept writing the same tag.
    """
    manifest = attachment(subject, kind, content, annotations)
    repository.put_blob(content)
    repository.put_blob(EMPTY_CONFIG)
    named = Descriptor(media_type=MANIFEST, digest=digest_bytes(manifest), size=len(manifest))
    repository.put_manifest(named.digest, manifest, MANIFEST)
    if all(entry.digest != named.digest for entry in repository.referrers(subject.digest, kind)):
        _list_by_tag(repository, subject.digest, {**named.to_json(), "artifactType": kind})
    return _artifact(repository, named, manifest)


def attached(repository: Repository, digest: str, kind: str) -> tuple[Artifact, ...]:
    """Everything of `kind` ("" = any) that is attached to `digest`.

    Raises:
        IntegrityFailed: something of it cannot be read.
    """
    listed = [entry.digest for entry in repository.referrers(digest, kind)]
    listed += [str(entry.get("digest")) for entry in _by_tag(repository, digest)]
    found = {}
    for each in dict.fromkeys(listed):
        read = repository.manifest(each)
        if read is None or subject_of(read[1], _where(repository, each)) != digest:
            continue
        artifact = _artifact(repository, *read)
        if kind in ("", artifact.kind):
            found[each] = artifact
    return tuple(found.values())


def _artifact(repository: Repository, named: Descriptor, manifest: bytes) -> Artifact:
    where = _where(repository, named.digest)
    config = read_manifest(manifest, where)[1]
    if config.digest != digest_bytes(EMPTY_CONFIG):
        raise malformed(where, "what is attached by others than us has a config")
    return read_artifact(named, manifest, EMPTY_CONFIG, where)


def _list_by_tag(repository: Repository, digest: str, entry: dict[str, object]) -> None:
    for _ in range(_TRIES):
        entries = _by_tag(repository, digest)
        if any(each.get("digest") == entry["digest"] for each in entries):
            return
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*entries, entry]}
        repository.put_manifest(_tag(digest), json_bytes(index), INDEX)
    raise OutsideFailed(
        "what is attached to an image cannot be listed: others write the same list",
        where=f"{repository.place}:{_tag(digest)}",
        retryable=True,
    )


def _by_tag(repository: Repository, digest: str) -> list[dict[str, object]]:
    found = repository.manifest(_tag(digest))
    if found is None:
        return []
    where = f"{repository.place}:{_tag(digest)}"
    entries = json_object(found[1], where).get("manifests")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise IntegrityFailed("the list of what is attached to an image cannot be read", where=where)
    return entries


def _tag(digest: str) -> str:
    return digest.replace(":", "-")


def _where(repository: Repository, digest: str) -> str:
    return f"{repository.place}@{digest}"
