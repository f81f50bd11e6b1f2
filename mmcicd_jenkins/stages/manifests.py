"""What is applied in a cluster for a release: rendered anew on the way forward, as it was written down on the way back.

An environment of this machine has none. Which documents an operation applies is written into the ledger with its
intent, so whoever finishes it applies the same. The law: the way back never depends on what today's file would render,
unless nothing was written down.
"""

from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.release.ledger import Pointer
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.release.seal import Manifest, Sealed, manifest_digest, seal
from mmcicd_jenkins.stages.context import Job, Ports


def fresh_manifest(release: Release, place: Environment, job: Job, ports: Ports) -> Manifest:
    """The documents by today's settings; () for an environment of this machine.

    Raises:
        InputError: the image lies where no cluster can pull it, or a template is wrong.
    """
    if place.kind == "local":
        return ()
    from mmcicd_jenkins.render.kubernetes import render_manifest

    address = ports.store.address(release.model, release.image_digest)
    if not address:
        raise InputError(
            f"{place.name} cannot pull version {release.version} of {release.model}",
            where=job.config.mark("store"),
            why="the store is a folder; a cluster pulls images from a registry",
            fix="store: {registry: registry.example/ml} in mmcicd.yaml, then run the pipeline",
        )
    return render_manifest(job.config, job.model, place, release.version, address)


def last_manifest(release: Release, pointer: Pointer, place: Environment, job: Job, ports: Ports) -> Manifest:
    """The documents by which the release served there last; by today's settings when nobody wrote them down."""
    digest = pointer.manifest_of(release.version)
    if place.kind == "local":
        return ()
    return recorded_manifest(release.model, digest, ports) or fresh_manifest(release, place, job, ports)


def recorded_manifest(model: str, digest: str, ports: Ports) -> Manifest:
    """The documents of a digest that the ledger names; () for "".

    Raises:
        IntegrityFailed: the ledger does not have them.
    """
    if not digest:
        return ()
    documents = ports.ledger.manifest(model, digest)
    if documents is None:
        raise IntegrityFailed(
            f"the ledger of {model} names a manifest that it does not have",
            where=digest,
            fix="mmcicd-jenkins ledger verify shows the first break; restore the branch from a copy",
        )
    return documents


def seal_of(release: Release, environment: str, manifest: Manifest, ports: Ports) -> dict[str, object]:
    """Who says that this belongs there, for whoever reads it in the cluster; {} where there is nothing to say."""
    if not manifest:
        return {}
    what = Sealed(
        model=release.model,
        environment=environment,
        version=release.version,
        manifest=manifest_digest(manifest),
        image=release.image_digest,
    )
    return seal(what, ports.authority)


def what_changes(
    release: Release, pointer: Pointer, place: Environment, job: Job, ports: Ports
) -> tuple[str, ...]:
    """What changes from what was applied there last to what would be, as lines."""
    if place.kind == "local":
        return ()
    from mmcicd_jenkins.release.object_changes import change_lines, manifest_changes

    digest = "" if pointer.serving is None else pointer.manifest_of(pointer.serving)
    before = recorded_manifest(release.model, digest, ports)
    changes = manifest_changes(before, fresh_manifest(release, place, job, ports))
    return tuple(change_lines(changes, place=place.name))


def settings_differ(release: Release, pointer: Pointer, place: Environment, job: Job, ports: Ports) -> bool:
    """Whether the version that serves was applied with other settings than today's."""
    if place.kind == "local" or pointer.serving != release.version:
        return False
    fresh = fresh_manifest(release, place, job, ports)
    return manifest_digest(fresh) != pointer.manifest_of(release.version)
