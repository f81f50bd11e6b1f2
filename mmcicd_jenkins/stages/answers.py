"""Golden requests to what serves: asked of an environment, and whether the answers are those of the evaluation."""

import dataclasses
from collections.abc import Callable, Mapping
from datetime import timedelta

from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import GateRefused, OutsideFailed
from mmcicd_jenkins.ports import Endpoint, GoldenResult
from mmcicd_jenkins.stages.context import Job, Ports

# A node of a cluster learns a moment late that a copy takes no more requests; a new connection may still get there.
SETTLING = timedelta(seconds=8)
PAUSE_SECONDS = 1.0


def ask(where: Callable[[], Endpoint], job: Job, ports: Ports, golden: Mapping[str, object]) -> GoldenResult:
    if not golden.get("instances"):
        return GoldenResult(asked=0, matched_rest=0, matched_grpc=0, seconds=())
    endpoint = where()
    result = ports.client.ask_golden(endpoint, job.model.name, golden)
    return dataclasses.replace(result, where=endpoint.rest)


def ask_settled(
    where: Callable[[], Endpoint], place: Environment, job: Job, ports: Ports, golden: Mapping[str, object]
) -> GoldenResult:
    """The answers right after a switch: of a cluster they are asked for again until they are right, or it has settled.

    Raises:
        OutsideFailed: nothing answers.
    """
    end = ports.clock.now() + (SETTLING if place.kind == "kubernetes" else timedelta())
    while True:
        try:
            result = ask(where, job, ports, golden)
            if is_right(result) or ports.clock.now() >= end:
                return result
        except OutsideFailed:
            if ports.clock.now() >= end:
                raise
        ports.clock.sleep(PAUSE_SECONDS)


def is_right(result: GoldenResult) -> bool:
    return not result.differences and result.matched_rest == result.matched_grpc == result.asked


def require_right(result: GoldenResult, version: int) -> None:
    """Raises GateRefused when the version answers otherwise than recorded."""
    if not is_right(result):
        raise GateRefused(
            f"version {version} answers otherwise than it did when it was evaluated; what served before serves on",
            # Whoever answers there may be somebody else: an address of mmcicd.yaml may lead astray.
            where=result.where,
            why="; ".join(result.differences[:3])
            or f"{result.matched_rest} of {result.asked} by REST, {result.matched_grpc} by gRPC",
        )
