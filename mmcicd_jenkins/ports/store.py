"""The store's port: content-addressed bytes, runs and evaluations by tag, images by model and version.

A method raises only the errors of `mmcicd_jenkins.errors`; what holds for every store is `tests/contract/store_contract.py`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mmcicd_jenkins.image.descriptor import Artifact, Descriptor, ModelLayers

if TYPE_CHECKING:
    from mmcicd_jenkins.image.manifest import Image
    from mmcicd_jenkins.image.reference import Reference


class BlobSource(Protocol):
    """Somewhere else that holds blobs: another repository or registry, a layout, an engine."""

    @property
    def place(self) -> "Reference | None":
        """The repository on a registry, from which blobs may be mounted; None elsewhere."""

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        """The bytes, unchecked."""


class Store(Protocol):
    """Content-addressed bytes: an OCI registry or an OCI image layout. Digests are checked on every read."""

    def put_model(self, directory: Path, progress: Callable[[int, int], None] | None = None) -> ModelLayers:
        """Store the files of `directory` as reproducible layers in one pass; `progress(done, total)` in bytes."""

    def put_artifact(
        self,
        tag: str,
        kind: str,
        document: Mapping[str, object],
        *,
        layers: Sequence[Descriptor] = (),
        files: Mapping[str, Path | bytes] | None = None,
    ) -> Artifact:
        """Store a manifest under `tag`. Create-only: when the tag exists, what it names is returned instead."""

    def find(self, tag: str) -> Artifact | None:
        """The artifact a tag (or `sha256:` digest) names."""

    def put_image(self, model: str, version: int, image: "Image", blobs: Sequence[bytes] = ()) -> str:
        """Store an image's documents and small blobs as `version` of `model`; returns the digest that serves.

        Its other layers are stored already: a model's by `put_model`, a base's by `take`.
        """

    def find_image(self, model: str, which: int | str) -> Artifact | None:
        """The image of a version, or the one with this `sha256:` digest."""

    def take(
        self,
        model: str,
        blobs: Sequence[Descriptor],
        source: BlobSource,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Have these blobs where images of `model` lie; what is there already is not asked for."""

    def attach(
        self,
        model: str,
        subject: Descriptor,
        kind: str,
        content: bytes,
        annotations: Mapping[str, str] = {},
    ) -> Artifact:
        """Store `content` as said of `subject`, an image of `model`. The same content twice is one."""

    def attached(self, model: str, digest: str, kind: str = "") -> tuple[Artifact, ...]:
        """What is attached to an image, by digest; of one `kind`, or of all. Order means nothing."""

    def address(self, model: str, digest: str) -> str:
        """`registry.example/ml/churn@sha256:...` for engines and clusters; "" where no engine can pull from."""

    def read(self, blob: Descriptor) -> bytes:
        """A blob or manifest that an artifact of this store names."""

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        """The bytes of a blob that this store holds, in pieces and unchecked.

        Raises:
            IntegrityFailed: it does not hold it.
        """

    def check_blob(self, model: str, blob: Descriptor, *, deep: bool = False) -> None:
        """Whether a blob lies where images of `model` are pulled from: by its size, or by reading all of it.

        Raises:
            IntegrityFailed: it does not, or has another size or other bytes.
        """

    def extract(self, layers: Sequence[Descriptor], directory: Path) -> None:
        """Unpack model layers into `directory` (absent or empty), safely; nothing is left of a failed try."""
