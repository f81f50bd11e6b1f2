"""A copy of each release's record in the store, beside its bytes: what `reconcile` goes by when a ledger was lost.

The ledger is the truth as long as there is one; a copy is written after it and never read before.
"""

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.release.documents import from_document, to_document
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.stages.context import Ports
from mmcicd_jenkins.stages.zones import run_tags

RELEASE_KIND = "application/vnd.mmcicd.release.v1+json"


def release_tag(model: str, version: int) -> str:
    return f"release-{model}-{version}"


def keep(release: Release, ports: Ports) -> None:
    tag = release_tag(release.model, release.version)
    if ports.store.find(tag) is None:
        ports.store.put_artifact(tag, RELEASE_KIND, to_document(release))


def kept(model: str, version: int, ports: Ports) -> Release | None:
    """The record of a version, when the store can prove it: its image and its run are there and are those of the record.

    Raises:
        IntegrityFailed: the store holds something else under these names.
    """
    stored = ports.store.find(release_tag(model, version))
    if stored is None:
        return None
    if stored.kind != RELEASE_KIND:
        raise _foreign(model, version, f"{stored.digest} is a {stored.kind}")
    release = from_document(Release, dict(stored.document), f"the stored release {version}")
    if (release.model, release.version) != (model, version):
        raise _foreign(model, version, f"it is the record of {release.model} {release.version}")
    (run_tag,) = run_tags(release.run_id, "trusted")
    run, image = ports.store.find(run_tag), ports.store.find_image(model, version)
    if run is None or run.document.get("model_digest") != release.model_digest:
        return None
    return release if image is not None and image.digest == release.image_digest else None


def _foreign(model: str, version: int, why: str) -> IntegrityFailed:
    return IntegrityFailed(
        "the store has another document under the name of a release",
        where=release_tag(model, version),
        why=why,
        fix="restore the store from a copy",
    )
