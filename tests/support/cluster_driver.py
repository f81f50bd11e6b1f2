"""One stage of a `cluster_road` repository in a process of its own, so that it can be killed: ROOT STAGE.

All ports are the real ones, but for local environments, which are files, and the look of verify: it starts the program
of the pods on this machine and leaves out the faults that the pods will have.
"""

import contextlib
import json
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from paper import FileTarget, Replaced

from mmcicd_jenkins.errors import GateRefused, MmcicdError
from mmcicd_jenkins.ports import Endpoint, GoldenResult
from mmcicd_jenkins.ports.trial import TrialOrder
from mmcicd_jenkins.stages import ROAD, run_stage
from mmcicd_jenkins.wiring import Bench, open_bench

CALM = {"fault": "", "load_seconds": 0, "latency_ms": 0, "factor_grpc": None}


class ProgramTrial:
    """`ports.trial.Trial`: the program of the pods on a folder of this machine."""

    how = "by the program of the pods"

    def __init__(self, store: Any, folder: Path, program: str) -> None:
        self.store, self.folder, self.program = store, folder, program
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, order: TrialOrder) -> Endpoint:
        model = self.folder / "models" / order.model / str(order.version)
        self.store.extract(order.layers, model)
        rest, grpc = _free_port(), _free_port()
        environment = {
            "MODEL_NAME": order.model,
            "MODEL_BASE_PATH": str(self.folder / "models"),
            "DOUBLE": json.dumps(CALM),
        }
        self.process = subprocess.Popen(
            [self.program, f"--rest_api_port={rest}", f"--port={grpc}"],
            env=environment, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{rest}/v1/models/{order.model}", timeout=2).close()
                return Endpoint(rest=f"http://127.0.0.1:{rest}", grpc=f"127.0.0.1:{grpc}")
            time.sleep(0.02)
        raise GateRefused("the program of the pods does not start")

    def memory(self) -> int:
        return 0

    def death(self) -> str:
        return ""

    def stop(self) -> bool:
        if self.process:
            self.process.kill()
            self.process.wait()
        return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class PaperClient:
    """`ports.ModelClient` that takes a file's word for it, and asks everybody else."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def ask_golden(self, endpoint: Endpoint, model: str, golden: Any) -> GoldenResult:
        if endpoint.rest != FileTarget.endpoint(None, model).rest:
            return self.client.ask_golden(endpoint, model, golden)
        count = len(golden["instances"])
        return GoldenResult(asked=count, matched_rest=count, matched_grpc=count, seconds=())

    def metrics(self, endpoint: Endpoint) -> str:
        return self.client.metrics(endpoint)


def on_cluster(bench: Bench) -> Any:
    """The real ports of a bench, but for local environments and the trial of verify."""
    return Replaced(
        bench.ports,
        target=lambda place: (
            FileTarget(bench.serving(place.name) / "target.json", bench.store)
            if place.kind == "local"
            else bench.target(place)
        ),
        client=PaperClient(bench.ports.client),
        throwaway=lambda folder, runnable: ProgramTrial(bench.store, folder, bench.variables["ROAD_PROGRAM"]),  # noqa: ARG005 - the port names it
    )


def walk(bench: Bench, *stages: str) -> list[Any]:
    """The outcomes of these stages, up to the first that is not well."""
    ports, outcomes = on_cluster(bench), []
    for name in stages:
        job = bench.job(None, reason="because", environment=bench.variables.get("ROAD_ENVIRONMENT"))
        outcomes.append(run_stage(name, job, ports))
        if outcomes[-1].exit_code:
            break
    return outcomes


def main(root: str, command: str) -> int:
    outcomes = walk(open_bench(Path(root), shared=True), *(ROAD if command == "road" else (command,)))
    print(json.dumps([outcome.to_json() for outcome in outcomes]))
    return outcomes[-1].exit_code


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except MmcicdError as e:
        print(json.dumps(e.to_json()), file=sys.stderr)
        sys.exit(e.exit_code)
