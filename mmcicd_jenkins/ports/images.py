"""The port to base images: what images stand on, wherever it lies.

A base is written as in `image.base_name`. A method raises only the errors of `mmcicd_jenkins.errors`.
"""

from typing import TYPE_CHECKING, Protocol

from mmcicd_jenkins.ports.store import BlobSource

if TYPE_CHECKING:
    from mmcicd_jenkins.image.base_image import BaseImage


class BaseImages(Protocol):
    """Images on registries, in OCI layouts and in a Docker engine."""

    def newest(self, base: str) -> "BaseImage":
        """What the name stands for now.

        Raises:
            InputError: there is no such image, or it cannot be a base.
        """

    def read(self, base: str, digest: str) -> "BaseImage":
        """The base with this digest, whatever the name stands for now. What was read once is not asked for again.

        Raises:
            InputError: it is no longer there.
        """

    def source(self, base: str, digest: str) -> BlobSource:
        """Where the layers of that base are. Nothing is opened until one is asked for."""
