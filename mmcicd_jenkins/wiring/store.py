"""The part of `wiring` that opens the store: a registry where the configuration names one, else a folder.

Which repositories a side writes and what it takes from the other one is data of `stages.zones`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mmcicd_jenkins.config.model import Config
from mmcicd_jenkins.ports.store import Store
from mmcicd_jenkins.stages.zones import SHELVES, Zone

if TYPE_CHECKING:
    from mmcicd_jenkins.adapters.registry.client import Access
    from mmcicd_jenkins.adapters.registry.tries import Deadlines, Patience


def open_access(
    config: Config,
    variables: Mapping[str, str],
    *,
    deadlines: "Deadlines | None" = None,
    patience: "Patience | None" = None,
) -> "Access":
    """How registries are reached: the store's own, and those of base images.

    Raises:
        InputError: the authority's file cannot be read, or half a login is set.
    """
    from mmcicd_jenkins.adapters.registry.client import Access

    settings = config.store
    return Access(
        settings.registry.partition("/")[0],
        variables,
        ca=str(config.root / settings.ca) if settings.ca else "",
        insecure=settings.insecure,
        piece=settings.upload_chunk,
        deadlines=deadlines,
        patience=patience,
    )


def open_store(
    config: Config, zone: Zone, access: "Callable[[], Access]", cache: Path, folder: Callable[[], Path]
) -> Store:
    """The store of `config` as `zone` sees it.

    Args:
        config: names the registry, or none.
        zone: the side that this process is on.
        access: how registries are reached; called when there is one.
        cache: a folder of this machine for what can be made again.
        folder: where the layout lies; called when there is no registry.
    """
    settings = config.store
    if not settings.registry:
        from mmcicd_jenkins.adapters.layout.store import OciLayoutStore

        return OciLayoutStore(folder(), settings.compression)
    from mmcicd_jenkins.adapters.registry.repositories import Places
    from mmcicd_jenkins.adapters.registry.store import RegistryStore

    places = Places(settings.registry, access(), SHELVES[zone], tuple(config.models))
    return RegistryStore(places, cache / "layers", settings.compression)
