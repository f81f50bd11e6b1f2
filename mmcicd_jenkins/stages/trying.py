"""One server of one image, started, asked the golden requests, and gone again: what every look of `verify` has in common.

What is to be thought of the answers is for the caller. The law: the server is stopped however it ends, and its log kept.
"""

import shutil
from collections.abc import Mapping

from mmcicd_jenkins.errors import GateRefused, OutsideFailed
from mmcicd_jenkins.ports import Endpoint, GoldenResult
from mmcicd_jenkins.ports.trial import Joined, Trial, TrialOrder
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.stages.context import Job, Ports
from mmcicd_jenkins.stages.package import Packaged
from mmcicd_jenkins.stages.workspace import fresh_directory

# Beside the run's other logs, where a build keeps them.
LOG = "serving.log"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """`memory` is the most bytes in use, 0 when not known; `how` what served, in words."""

    golden: GoldenResult
    memory: int
    how: str


def order(
    run_id: str, packaged: Packaged, job: Job, *, joined: Joined | None = None, log: str = LOG
) -> TrialOrder:
    """What to start: the image of a version, or its model joined to something else."""
    serving = job.model.serving
    return TrialOrder(
        model=job.model.name,
        version=packaged.version,
        image=joined.image.digest if joined else packaged.digest,
        layers=packaged.served_layers,
        log=job.workspace.run(run_id) / log,
        memory_bytes=serving.memory_bytes,
        cpu=serving.cpu,
        gpus=serving.gpus,
        joined=joined,
    )


def try_serving(
    wanted: TrialOrder,
    golden: Mapping[str, object],
    job: Job,
    ports: Ports,
    *,
    runnable: bool,
    requests: int = 0,
) -> Seen:
    """Start it and ask: every golden request once, and again until there are `requests` of them.

    Raises:
        GateRefused: it does not load, or ended under the requests.
        Inconclusive: nothing here can start it.
        OutsideFailed: what should run it failed.
    """
    folder = job.workspace.verification(wanted.image)
    waiting = f"waiting for another process that verifies version {wanted.version}"
    with job.workspace.lock(f"verify-{folder.name}", lambda: ports.progress.line(waiting)):
        trial = ports.throwaway(folder, runnable=runnable)
        # The server of a verify that was killed here lives on; nobody else knows of it.
        trial.stop()
        fresh_directory(folder)
        try:
            ports.progress.update("loading the packaged model")
            result = _ask_alive(job, ports, golden, trial, wanted, requests)
            return Seen(golden=result, memory=trial.memory(), how=trial.how)
        finally:
            trial.stop()
            shutil.rmtree(folder, ignore_errors=True)


def _ask_alive(
    job: Job, ports: Ports, golden: Mapping[str, object], trial: Trial, wanted: TrialOrder, requests: int
) -> GoldenResult:
    """The golden answers of a server that lives to the end."""
    endpoint = trial.start(wanted)
    try:
        result = _ask(job, ports, golden, endpoint, requests)
    except OutsideFailed as e:
        death = trial.death()
        if not death:
            raise
        raise _died(wanted, death) from e
    death = trial.death()
    if death:
        raise _died(wanted, death)
    return result


def _died(wanted: TrialOrder, death: str) -> GateRefused:
    return GateRefused(
        f"version {wanted.version} of {wanted.model} was refused: {death}",
        where=str(wanted.log),
        why="it ended while it answered the golden requests",
        fix="read the log; more serving.memory, or a smaller model",
    )


def _ask(
    job: Job, ports: Ports, golden: Mapping[str, object], endpoint: Endpoint, requests: int
) -> GoldenResult:
    if not golden.get("instances"):
        return GoldenResult(asked=0, matched_rest=0, matched_grpc=0, seconds=())
    first = ports.client.ask_golden(endpoint, job.model.name, golden)
    seconds = list(first.seconds)
    while len(seconds) < requests and not first.differences and first.seconds:
        seconds += ports.client.ask_golden(endpoint, job.model.name, golden).seconds
    return GoldenResult(
        asked=first.asked,
        matched_rest=first.matched_rest,
        matched_grpc=first.matched_grpc,
        seconds=tuple(seconds),
        differences=first.differences,
    )


def answers_alike(golden: GoldenResult) -> bool:
    """Whether all was answered as it was recorded, by both protocols."""
    return not golden.differences and {golden.matched_rest, golden.matched_grpc} == {golden.asked}
