"""The port to a builder of images by a team's own Dockerfile.

A build is not reproducible, so what it gave first is what the version is. A method raises only the errors of
`mmcicd_jenkins.errors`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mmcicd_jenkins.ports.store import BlobSource
from mmcicd_jenkins.records import dataclass

if TYPE_CHECKING:
    # They read and write layers; every command would wait for that.
    from mmcicd_jenkins.image.base_image import BaseImage
    from mmcicd_jenkins.image.manifest import Image


@dataclass(frozen=True, kw_only=True)
class BuildOrder:
    """What to build. `context` is a folder and `files` those of it that are sent, relative to it; `dockerfile` is one.

    `folder` holds the model, of `model_digest`; `warmup` are its warm-up requests, empty for none. `source` is where the
    layers of `base` are. `notes` become labels and annotations.
    """

    model: str
    version: int
    context: Path
    files: Sequence[str]
    dockerfile: str
    arguments: Mapping[str, str]
    notes: Mapping[str, str]
    folder: Path
    model_digest: str
    warmup: bytes
    base: "BaseImage"
    source: BlobSource | None
    log: Path


class Builder(Protocol):
    """Builds an image, checks what is in it, and has its layers in the store."""

    def not_ignored(self, context: Path, dockerfile: str) -> frozenset[str]:
        """The paths below a context that its `.dockerignore` leaves."""

    def build(self, order: BuildOrder) -> "Image":
        """The image, whose documents are still to be stored.

        Raises:
            CommandFailed: a step of the Dockerfile failed.
            InputError: the image is not what a server of models must be; says all that is missing.
            IntegrityFailed: it holds other bytes than the model.
            OutsideFailed: the engine failed.
        """
