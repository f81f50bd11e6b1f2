"""What a rollback must know when nothing but the environment answers: a `mmcicd.yaml` of one model and one place.

It rides inside the rollback's pipeline, so that a checkout is not needed. Pure. The law: whatever decides where
a rollback goes is in here, nothing else is, and no machine's path that was not in the file.
"""

from collections.abc import Mapping
from typing import Any

from mmcicd_jenkins.config.defaults import LEDGER, STORE, beside
from mmcicd_jenkins.config.model import Config, Environment, Model


def coordinates(config: Config, model: Model, place: Environment) -> str:
    """The text of the smallest configuration by which `rollback` finds the environment, ledger and store."""
    import yaml

    document = {
        # A rollback trains and judges nothing; the keys are there because a model must have them.
        "models": {model.name: {"train": "false", "evaluate": {"command": "false"}}},
        "environments": {place.name: _place(place)},
        **_shared(config),
    }
    text: str = yaml.safe_dump(document, sort_keys=False, default_flow_style=False, width=1000)
    return text


def _place(place: Environment) -> dict[str, Any]:
    if place.kind == "local":
        ports = {"host": place.host, "rest_port": place.rest_port, "grpc_port": place.grpc_port}
        return {"kind": "local", **({"folder": place.folder} if place.folder else {}), **ports}
    return {
        "kind": place.kind,
        **({"cluster": place.cluster} if place.cluster else {}),
        **({"namespace": place.namespace} if place.namespace else {}),
        **_waits(place),
        **({"address": address} if (address := _address(place)) else {}),
        # Which copies a way back changes; the steps of a canary are of no use on it.
        **({"strategy": place.strategy.kind} if place.strategy.kind == "blue-green" else {}),
    }


def _waits(place: Environment) -> dict[str, Any]:
    """How long a copy may take, where the file says so. The times hang together, so all or none."""
    usual, pods = Environment(name=place.name), place.pods
    given = (place.progress_timeout_seconds, pods.start_timeout_seconds, pods.min_ready_seconds)
    if given == (
        usual.progress_timeout_seconds,
        usual.pods.start_timeout_seconds,
        usual.pods.min_ready_seconds,
    ):
        return {}
    progress, start, ready = map(_duration, given)
    return {"progress_timeout": progress, "pods": {"start_timeout": start, "min_ready": ready}}


def _duration(seconds: float) -> str:
    return f"{int(seconds) if seconds == int(seconds) else seconds}s"


def _address(place: Environment) -> dict[str, str]:
    written = {"rest": place.address.rest, "grpc": place.address.grpc}
    return {key: text for key, text in written.items() if text}


def _shared(config: Config) -> Mapping[str, Any]:
    """Ledger and store, where the file names them; what lies beside a checkout has no meaning without one."""
    told: dict[str, Any] = {}
    if config.ledger.url != beside(config.root, LEDGER):
        told["ledger"] = {"url": config.ledger.url}
    if config.store.registry:
        told["store"] = {"registry": config.store.registry}
    elif config.store.path != beside(config.root, STORE):
        told["store"] = {"path": config.store.path}
    return told
