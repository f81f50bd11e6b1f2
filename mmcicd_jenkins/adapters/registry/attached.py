"""What is attached to a manifest in a registry, by its list of referrers; where a registry has none, the client keeps one."""

from collections.abc import Mapping

from mmcicd_jenkins.adapters.registry.client import Repository
from mmcicd_jenkins.image.artifact import malformed, read_artifact, read_manifest
from mmcicd_jenkins.image.attachments import EMPTY_CONFIG, attachment, subject_of
from mmcicd_jenkins.image.descriptor import MANIFEST, Artifact, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes


def attach(
    repository: Repository, subject: Descriptor, kind: str, content: bytes, annotations: Mapping[str, str]
) -> Artifact:
    """Store `content` as attached to `subject`, which is there."""
    manifest = attachment(subject, kind, content, annotations)
    repository.put_blob(content)
    repository.put_blob(EMPTY_CONFIG)
    named = Descriptor(media_type=MANIFEST, digest=digest_bytes(manifest), size=len(manifest))
    repository.put_manifest(named.digest, manifest, MANIFEST)
    return _artifact(repository, named, manifest)


def attached(repository: Repository, digest: str, kind: str) -> tuple[Artifact, ...]:
    """Everything of `kind` ("" = any) that is attached to `digest`, and can be read.

    Raises:
        IntegrityFailed: something of it cannot be read.
    """
    found = {}
    for each in dict.fromkeys(entry.digest for entry in repository.referrers(digest, kind)):
        read = repository.manifest(each)
        # The list names what was deleted since, and a wrong list names what is attached elsewhere.
        if read is not None and subject_of(read[1], _where(repository, each)) == digest:
            found[each] = _artifact(repository, *read)
    return tuple(artifact for artifact in found.values() if kind in ("", artifact.kind))


def _artifact(repository: Repository, named: Descriptor, manifest: bytes) -> Artifact:
    where = _where(repository, named.digest)
    config = read_manifest(manifest, where)[1]
    if config.digest != digest_bytes(EMPTY_CONFIG):
        raise malformed(where, "it is attached to an image, and its config is not the empty one")
    return read_artifact(named, manifest, EMPTY_CONFIG, where)


def _where(repository: Repository, digest: str) -> str:
    return f"{repository.place}@{digest}"
