"""The same configuration with everything shared replaced by what this machine has of its own. Pure.

A laptop's `run` must touch nothing that others use: its ledger is the repository's sibling, its store a folder,
its environments are local, whatever the file says for Jenkins. `--shared` leaves the file as it is.
"""

import dataclasses
from collections.abc import Mapping

from mmcicd_jenkins.config.defaults import LEDGER, beside, local_ports
from mmcicd_jenkins.config.model import (
    Config,
    Environment,
    ImageSettings,
    LedgerSettings,
    Model,
    RollbackPolicy,
    StoreSettings,
)
from mmcicd_jenkins.image.base_name import parse_base

# Beside a ledger on a path that is about a cluster.
OWN_LEDGER = f"laptop.{LEDGER}"


def is_address(url: str) -> bool:
    """Whether a ledger is reached over a network: `ssh://host/path`, `host:path`; a path is this machine's."""
    if url.startswith("file://"):
        return False
    return "://" in url or ":" in url.split("/", maxsplit=1)[0]


def on_this_machine(config: Config) -> Config:
    """`config` without anything shared."""
    return dataclasses.replace(
        config,
        ledger=_own_ledger(config),
        store=_own_store(config.store),
        image=_own_image(config.image),
        environments=_own_environments(config.environments),
        models={name: _own_model(model) for name, model in config.models.items()},
    )


def _own_model(model: Model) -> Model:
    """A training in a cluster is one here."""
    return (
        dataclasses.replace(model, train=dataclasses.replace(model.train, job=None))
        if model.train.job
        else model
    )


def _own_ledger(config: Config) -> LedgerSettings:
    """A path is this machine's, unless it is about a cluster: what serves here must not stand in the history of there."""
    if is_address(config.ledger.url):
        return LedgerSettings(url=beside(config.root, LEDGER))
    if all(place.kind == "local" for place in config.environments.values()):
        return config.ledger
    return LedgerSettings(url=beside(config.root, OWN_LEDGER))


def _own_store(store: StoreSettings) -> StoreSettings:
    return dataclasses.replace(store, registry="") if store.registry else store


def _own_image(image: ImageSettings) -> ImageSettings:
    """A base that lies on this machine stays; one on a registry is not fetched, and the image holds the model alone.

    Further serving versions of a registry are not tried; `elsewhere` names them, so that this is told.
    """
    kept = {name: text for name in ("base", "gpu_base") if is_here(text := getattr(image, name))}
    platforms = image.platforms if kept else ()
    return dataclasses.replace(
        image,
        **({"base": "", "gpu_base": ""} | kept),
        platforms=platforms,
        verify_with=tuple(base for base in image.verify_with if is_here(base)),
        elsewhere=tuple(base for base in image.verify_with if not is_here(base)),
    )


def is_here(base: str) -> bool:
    return bool(base) and parse_base(base).is_here


def _own_environments(environments: Mapping[str, Environment]) -> dict[str, Environment]:
    kinds = {name: place.kind for name, place in environments.items()}
    ports = local_ports(dict.fromkeys(kinds, "local"))
    return {name: _own(place, ports[name]) for name, place in environments.items()}


def _own(place: Environment, ports: tuple[int, int]) -> Environment:
    if place.kind == "local":
        return place
    # Who may approve is a question of the shared environment; on one's own machine one asks oneself.
    return Environment(
        name=place.name,
        rest_port=ports[0],
        grpc_port=ports[1],
        rollback=RollbackPolicy(automatic=place.rollback.automatic),
        monitor=dataclasses.replace(place.monitor, prometheus=""),
    )
