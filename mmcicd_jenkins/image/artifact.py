"""Manifests as bytes and back: a stored document with its files, or an image, seen as an `Artifact`.

What is read was written by others; a wrong type, a missing field or a strange digest is `IntegrityFailed`,
never a traceback.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.image.descriptor import MANIFEST, Artifact, Descriptor

# RFC 6838, as OCI 1.1 demands of an artifactType.
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][\w!#$&^.+-]{0,126}/[A-Za-z0-9][\w!#$&^.+-]{0,126}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
# Registries refuse larger manifests, and a document is read whole into memory. Files have no such limit.
LARGEST_DOCUMENT = 4 * 2**20


def is_digest(text: str) -> bool:
    return _DIGEST.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    return _TAG.fullmatch(text) is not None


def check_tag(tag: str) -> str:
    """`tag` itself.

    Raises:
        InputError: registries would refuse it.
    """
    if not is_tag(tag):
        raise InputError(
            f"{tag!r} cannot be a tag in a store",
            fix="use letters, digits, `_`, `.` and `-`, at most 128, beginning with a letter, a digit or `_`",
        )
    return tag


def check_size(content: bytes, what: str) -> bytes:
    """`content` itself.

    Raises:
        InputError: it is too large to be found again.
    """
    if len(content) > LARGEST_DOCUMENT:
        raise InputError(
            f"{what} of {len(content)} bytes cannot be stored: the most is {LARGEST_DOCUMENT}",
            fix="store the large part as a file",
        )
    return content


def artifact_manifest(
    kind: str,
    config: Descriptor,
    layers: Sequence[Descriptor],
    *,
    subject: Descriptor | None = None,
    annotations: Mapping[str, str] | None = None,
) -> bytes:
    """The manifest of a document of `kind` (its artifactType); `subject` is what it is said of, if it is.

    Raises:
        InputError: `kind` is no media type, or there are too many layers.
    """
    if not _MEDIA_TYPE.fullmatch(kind):
        raise InputError(
            f"{kind!r} cannot be the kind of an artifact",
            fix="use a media type, like application/vnd.mmcicd.run.v1",
        )
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": kind,
        "config": config.to_json(),
        "layers": [layer.to_json() for layer in layers],
        **({"subject": _bare(subject).to_json()} if subject else {}),
        **({"annotations": dict(annotations)} if annotations else {}),
    }
    return check_size(json_bytes(document), "a manifest")


def _bare(named: Descriptor) -> Descriptor:
    """Without annotations: the same subject gives the same bytes, whoever describes it."""
    return Descriptor(media_type=named.media_type, digest=named.digest, size=named.size)


def json_bytes(document: Mapping[str, object]) -> bytes:
    return json.dumps(
        document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    ).encode()


def json_object(content: bytes, where: str) -> dict[str, Any]:
    """`content` as a JSON object.

    Raises:
        IntegrityFailed: it is none.
    """
    try:
        document = json.loads(content, parse_constant=_no_constant)
    except (ValueError, RecursionError) as e:
        raise malformed(where, f"it is not JSON: {e}") from e
    if not isinstance(document, dict):
        raise malformed(where, "it is not a JSON object")
    return document


def read_descriptor(document: Any, where: str) -> Descriptor:
    """A descriptor from JSON.

    Raises:
        IntegrityFailed: it is none.
    """
    match document:
        case {"mediaType": str(media_type), "digest": str(digest), "size": int(size)} if is_digest(digest):
            annotations = document.get("annotations", {})
            # True is a number to Python; a size beyond 64 bits is one to nobody.
            if not isinstance(size, bool) and 0 <= size < 2**63 and _is_texts(annotations):
                return Descriptor(media_type=media_type, digest=digest, size=size, annotations=annotations)
    raise malformed(where, "it has a descriptor without media type, sha256 digest and size")


def read_manifest(
    content: bytes, where: str
) -> tuple[str, Descriptor, tuple[Descriptor, ...], Mapping[str, str]]:
    """Kind, config, layers and annotations of a manifest. The kind of an image is its config's media type.

    Raises:
        IntegrityFailed: it is no OCI manifest.
        InputError: it is a list of images for several platforms.
    """
    document = json_object(content, where)
    if "manifests" in document and "layers" not in document:
        raise InputError(
            "this names images for several platforms, not one image",
            where=where,
            fix="store one of them: skopeo copy --override-arch amd64 --override-os linux ...",
        )
    layers, annotations = document.get("layers"), document.get("annotations", {})
    if document.get("schemaVersion") != 2 or not isinstance(layers, list) or not _is_texts(annotations):
        raise malformed(where, "it is not an OCI image manifest")
    config = read_descriptor(document.get("config"), where)
    kind = document.get("artifactType", config.media_type)
    if not isinstance(kind, str):
        raise malformed(where, "its artifactType is not a text")
    return kind, config, tuple(read_descriptor(layer, where) for layer in layers), annotations


def read_artifact(named: Descriptor, manifest: bytes, config: bytes, where: str) -> Artifact:
    """The artifact whose manifest (`named`) and config these are.

    Raises:
        IntegrityFailed: they cannot be read.
    """
    kind, config_named, layers, annotations = read_manifest(manifest, where)
    return Artifact(
        digest=named.digest,
        kind=kind,
        document=json_object(config, where),
        layers=layers,
        annotations=annotations,
        manifest=Descriptor(media_type=MANIFEST, digest=named.digest, size=named.size),
        config=config_named,
    )


def malformed(where: str, why: str) -> IntegrityFailed:
    return IntegrityFailed("the store holds a document that cannot be read", where=where, why=why)


def _is_texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is not JSON")
