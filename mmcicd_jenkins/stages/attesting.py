"""What is stated of a release, signed, and laid beside its image before the ledger names it.

A statement is stored first and named second, so that the ledger never names what is not there. Killed in between, the
next try states the same again, with the time of the first, and what is the same is stored once. Whatever else lies
beside an image means nothing: only what the ledger names by digest counts.
"""

import contextlib
import dataclasses
from collections.abc import Mapping

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.image.descriptor import Artifact, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.ports.store import Store
from mmcicd_jenkins.release.dsse import Authority, seal, unseal
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.release.statements import (
    KINDS,
    PAYLOAD_TYPE,
    PREDICATES,
    Making,
    stated_record,
    statements,
)
from mmcicd_jenkins.stages.context import Job, Ports
from mmcicd_jenkins.stages.identity import identify

# OCI's own words for what an image stands on and comes from.
SOURCE = "org.opencontainers.image.source"
BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"
# in-toto's annotation by which tools tell statements apart.
PREDICATE_TYPE = "in-toto.io/predicate-type"


def attest(release: Release, job: Job, ports: Ports) -> Release:
    """State and sign what is known of a release that the ledger does not have yet; the release that names it all."""
    image = ports.store.find_image(release.model, release.image_digest)
    if image is None or image.manifest is None:
        raise IntegrityFailed(
            f"the image of version {release.version} of {release.model} is not in the store",
            where=release.image_digest,
            fix=f"mmcicd-jenkins stage package --model {release.model}",
        )
    _require_key(release, ports.authority)
    run = identify(job, ports).trained(release.model)
    failpoint("attest.before-attach")
    release = _as_stated_before(release, ports.store, ports.authority)
    stated = lay_beside(release, _making(run, image), image.manifest, ports.store, ports.authority)
    failpoint("attest.after-attach")
    return stated


def _require_key(release: Release, authority: Authority) -> None:
    if authority.required and authority.sign(PAYLOAD_TYPE, b"") is None:
        raise IntegrityFailed(
            f"version {release.version} of {release.model} cannot be released from here; nothing was changed",
            why="releases are signed, and this machine has no key that mmcicd.keys trusts",
            fix="name the key's file by MMCICD_SIGNING_KEY, or make one and let it be reviewed: mmcicd-jenkins keys init",
        )


def _as_stated_before(release: Release, store: Store, authority: Authority) -> Release:
    """The same release with the time of a try that was killed before the ledger knew, so that it is stated alike."""
    for artifact in store.attached(release.model, release.image_digest, KINDS["release"]):
        with contextlib.suppress(IntegrityFailed):
            for layer in artifact.layers:
                before = stated_record(unseal(store.read(layer), PAYLOAD_TYPE, authority, artifact.digest))
                same = dataclasses.replace(before, created=release.created, attestations={})
                if same == dataclasses.replace(release, attestations={}):
                    return dataclasses.replace(release, created=before.created)
    return release


def lay_beside(
    release: Release, making: Making, image: Descriptor, store: Store, authority: Authority
) -> Release:
    """Seal and store every statement of a release; the release that names them."""
    digests = {}
    for kind, statement in statements(release, making).items():
        envelope = seal(PAYLOAD_TYPE, statement, authority)
        store.attach(release.model, image, KINDS[kind], envelope, {PREDICATE_TYPE: PREDICATES[kind]})
        digests[kind] = digest_bytes(envelope)
    return dataclasses.replace(release, attestations=digests)


def _making(run: Artifact, image: Artifact) -> Making:
    """How the model was made, by the record of its run; what the image stands on, by its own annotations."""
    document: Mapping[str, object] = run.document
    packages = document.get("packages")
    return Making(
        source=image.annotations.get(SOURCE, ""),
        command=str(document.get("command", "")),
        seed=int(str(document.get("seed", 0))),
        trainer=str(document.get("builder", "")),
        trained=str(document.get("trained", "")),
        environment=str(document.get("environment", "")),
        packages=tuple(map(str, packages)) if isinstance(packages, list) else (),
        base_name=image.annotations.get(BASE_NAME, ""),
        base_digest=image.annotations.get(BASE_DIGEST, ""),
    )
