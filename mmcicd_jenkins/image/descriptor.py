"""Content-addressed documents: what an OCI descriptor and an artifact are (OCI image spec 1.1)."""

from collections.abc import Mapping
from dataclasses import field

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.records import dataclass

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = LAYER + "+gzip"
LAYER_ZSTD = LAYER + "+zstd"
EMPTY = "application/vnd.oci.empty.v1+json"
DOCUMENT = "application/vnd.mmcicd.document.v1+json"
FILE = "application/octet-stream"
TITLE = "org.opencontainers.image.title"


@dataclass(frozen=True, kw_only=True)
class Descriptor:
    """A blob: `digest` is `sha256:` and 64 hex digits, `size` in bytes."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        document: dict[str, object] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.annotations:
            document["annotations"] = dict(sorted(self.annotations.items()))
        return document


def descriptor(document: Mapping[str, object]) -> Descriptor:
    """Back from the JSON of a descriptor, as our own records keep it.

    Raises:
        IntegrityFailed: the record was changed by hand.
    """
    annotations = document.get("annotations", {})
    try:
        return Descriptor(
            media_type=str(document["mediaType"]),
            digest=str(document["digest"]),
            size=int(str(document["size"])),
            annotations=annotations if isinstance(annotations, Mapping) else {},
        )
    except (KeyError, ValueError) as e:
        raise IntegrityFailed(
            "a record names bytes without media type, digest and size",
            why=f"{type(e).__name__}: {e}",
            fix="mmcicd-jenkins ledger verify",
        ) from e


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer of a model: `blob` as stored, `diff_id` the digest of the uncompressed tar."""

    blob: Descriptor
    diff_id: str


@dataclass(frozen=True, kw_only=True)
class ModelLayers:
    """A model as layers. `digest` is the model digest: independent of layers and compression.

    `size` is the sum of the model's files in bytes.
    """

    digest: str
    size: int
    layers: tuple[Layer, ...]


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A stored manifest: `digest` of the manifest, `kind` its artifactType, `document` its config as JSON.

    `manifest` and `config` name the two documents as bytes, for whoever needs them as they were stored.
    """

    digest: str
    kind: str
    document: Mapping[str, object]
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict)
    manifest: Descriptor | None = None
    config: Descriptor | None = None

    def file(self, name: str) -> Descriptor | None:
        """The layer whose title annotation is `name`."""
        return next((layer for layer in self.layers if layer.annotations.get(TITLE) == name), None)
