"""What is said of a stored manifest, attached to it: OCI 1.1 artifacts with a `subject`. Pure.

The content is the one layer, its config the empty object: so `oras` and other tools read it, and the same words on
the same subject are the same bytes.
"""

from collections.abc import Mapping

from mmcicd_jenkins.image.artifact import artifact_manifest, json_object, read_descriptor
from mmcicd_jenkins.image.descriptor import EMPTY, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes

EMPTY_CONFIG = b"{}"


def attachment(subject: Descriptor, kind: str, content: bytes, annotations: Mapping[str, str]) -> bytes:
    """The manifest of `content` as an attachment of `subject`.

    Raises:
        InputError: `kind` is no media type.
    """
    config = Descriptor(media_type=EMPTY, digest=digest_bytes(EMPTY_CONFIG), size=len(EMPTY_CONFIG))
    layer = Descriptor(media_type=kind, digest=digest_bytes(content), size=len(content))
    return artifact_manifest(kind, config, [layer], subject=subject, annotations=annotations)


def subject_of(manifest: bytes, where: str) -> str:
    """The digest that a manifest is attached to; "" when to none.

    Raises:
        IntegrityFailed: it cannot be read.
    """
    subject = json_object(manifest, where).get("subject")
    return read_descriptor(subject, where).digest if subject is not None else ""
