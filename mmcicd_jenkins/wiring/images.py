"""The part of `wiring` that reaches base images: registries, layouts, the Docker engine. Opened only when one is read."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mmcicd_jenkins.ports.images import BaseImages

if TYPE_CHECKING:
    from mmcicd_jenkins.adapters.base_images import Engine, Repository
    from mmcicd_jenkins.adapters.registry.client import Access
    from mmcicd_jenkins.image.reference import Reference


def open_bases(
    root: Path, cache: Path, access: Callable[[], "Access"], engine: Callable[[], "Engine"]
) -> BaseImages:
    """Base images as a repository at `root` names them; what was read of them is kept in `cache`."""
    from mmcicd_jenkins.adapters.base_images import BaseImageFiles

    def repository(place: "Reference") -> "Repository":
        from mmcicd_jenkins.adapters.registry import client as registry_client

        return registry_client.Repository(place, access())

    return BaseImageFiles(root, cache / "images", repository, engine)
