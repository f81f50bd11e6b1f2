"""What is stated of a release, signed, and laid beside its image before the ledger names it.

A statement is stored first and named second, so that the ledger never names what is not there. Killed in between, the
next try states it again: the same statement is stored once, another one (with a later time) beside it, and only those
that the ledger names by digest count.
"""

import dataclasses
from collections.abc import Mapping

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.image.descriptor import Artifact, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.ports_store import Store
from mmcicd_jenkins.release.dsse import Authority, seal
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.release.statements import KINDS, PAYLOAD_TYPE, PREDICATES, Making, statements
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
    run = identify(job, ports).trained(release.model)
    failpoint("attest.before-attach")
    stated = lay_beside(release, _making(run, image), image.manifest, ports.store, ports.authority)
    failpoint("attest.after-attach")
    return stated


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
