"""What is applied in a cluster for a version, its digest, and the signature over both that rides beside it. Pure.

A manifest has no epoch and no time in it, so that the same decision on the same settings is the same manifest. A seal
says which version of which model it is, where, and from which image: whoever goes back by the cluster alone goes by it.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.canonical import canonical, digest_of
from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.release.dsse import Authority, unseal

PAYLOAD_TYPE = "application/vnd.mmcicd.seal.v1+json"

Manifest = tuple[Mapping[str, object], ...]


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """What a seal speaks for. `image` is the digest of the image, `manifest` that of the documents."""

    model: str
    environment: str
    version: int
    manifest: str
    image: str


def manifest_digest(manifest: Sequence[Mapping[str, object]]) -> str:
    """The one name of these documents; "" for none."""
    return digest_of(list(manifest)) if manifest else ""


def manifest_file(manifest: Manifest) -> dict[str, object]:
    """How a ledger keeps it."""
    return {"documents": list(manifest)}


def read_manifest(document: object, digest: str, where: str) -> Manifest:
    """The documents of a file, when they are those of the digest.

    Raises:
        IntegrityFailed: they are not.
    """
    documents = document.get("documents") if isinstance(document, dict) and len(document) == 1 else None
    if not isinstance(documents, list) or not all(isinstance(one, dict) for one in documents):
        raise _refused(where, "expected a list of documents")
    if manifest_digest(documents) != digest:
        raise _refused(where, f"its documents have another digest than {digest}")
    return tuple(documents)


def seal(what: Sealed, authority: Authority) -> dict[str, object]:
    """The envelope as a document. A machine without a key makes one that nobody signed."""
    payload = canonical(to_document(what))
    signature = authority.sign(PAYLOAD_TYPE, payload)
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [dict(signature)] if signature else [],
    }


def check_seal(envelope: Mapping[str, object], what: Sealed, authority: Authority, where: str) -> None:
    """Whether somebody who counts said that this is what belongs there. Where no key is known, nobody need have.

    Raises:
        IntegrityFailed: it is about something else, signed by nobody who counts, or no seal.
    """
    if not envelope and not authority.required:
        return
    stated = unseal(canonical(dict(envelope)), PAYLOAD_TYPE, authority, where)
    expected = to_document(what)
    differ = [name for name in expected if stated.get(name) != expected[name]]
    if differ:
        name = differ[0]
        raise _refused(where, f"its seal is about {name} {stated.get(name)!r}, not {expected[name]!r}")


def image_digest(manifest: Sequence[Mapping[str, object]], model: str) -> str:
    """The digest of the image by which a manifest serves the model; "" when it names none.

    Other containers may stand beside it, before or after.
    """
    for document in manifest:
        if document.get("kind") == "Deployment":
            for image in _images(document):
                name, _, digest = image.rpartition("@")
                if name.endswith(f"/{model}"):
                    return digest
    return ""


def _images(deployment: Any) -> list[str]:
    # It may come from a cluster, where somebody wrote something else.
    try:
        containers = deployment["spec"]["template"]["spec"]["containers"]
        return [str(container["image"]) for container in containers]
    except (KeyError, TypeError):
        return []


def _refused(where: str, why: str) -> IntegrityFailed:
    return IntegrityFailed(
        "a manifest is not what was written down",
        where=where,
        why=why,
        fix="mmcicd-jenkins ledger verify; mmcicd-jenkins serve puts back what the ledger says",
    )
