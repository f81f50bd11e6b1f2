"""`serve`: the environments of this machine as the ledger says, or one model in the foreground."""

import os
import tempfile
from pathlib import Path

import click

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.naming import named_release
from mmcicd_jenkins.cli.options import json_option, shared_option
from mmcicd_jenkins.cli.progress import make_progress
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import Superseded, UsageError
from mmcicd_jenkins.image.descriptor import descriptor
from mmcicd_jenkins.release.history import refuse_collected
from mmcicd_jenkins.release.ledger import Pointer
from mmcicd_jenkins.stages.context import Job
from mmcicd_jenkins.stages.moving import require_release, restore_order
from mmcicd_jenkins.wiring import Bench, open_bench


@click.command(
    epilog="Example: mmcicd-jenkins serve --env production\n\n"
    "Example: mmcicd-jenkins serve churn@2 --rest-port 9001\n\n"
    "Example: mmcicd-jenkins serve path/to/saved_model",
    help="Without WHAT: make the environments serve what the ledger says: the servers of this machine, which are started "
    "when they do not run; with --shared also those of a cluster, as they were applied. With WHAT, a release (MODEL@VERSION) or a model directory: serve it here until Ctrl-C. "
    "Decides nothing and writes nothing to the ledger.",
)
@click.argument("what", required=False, metavar="[WHAT]")
@click.option("--env", "environment", metavar="NAME", help="Only this environment.")
@click.option("--host", default="127.0.0.1", show_default=True, help="With WHAT: the address to listen on.")
@click.option("--rest-port", default=8501, show_default=True, help="With WHAT: the port for REST; 0 for any.")
@click.option("--grpc-port", default=8500, show_default=True, help="With WHAT: the port for gRPC; 0 for any.")
@shared_option
@json_option
def command(
    what: str | None,
    environment: str | None,
    host: str,
    rest_port: int,
    grpc_port: int,
    shared: bool,
    as_json: bool,
) -> int:
    if what is not None:
        if environment:
            raise UsageError("--env and WHAT exclude each other", fix="leave one of them out")
        return _in_the_foreground(what, host, rest_port, grpc_port)
    with make_progress() as progress:
        bench = open_bench(Path.cwd(), progress, shared=shared)
        places = [bench.place(environment)] if environment else list(bench.config.environments.values())
        served = {place.name: _restore_all(place, bench) for place in places}
    code = Superseded.exit_code if any(_unfinished(place, bench) for place in places) else 0
    if as_json:
        report.emit({"serving": served, "exit_code": code})
        return code
    for place in places:
        models = ", ".join(f"{name} {version}" for name, version in served[place.name].items())
        address = f" at {bench.target(place).endpoint(next(iter(served[place.name]))).rest}" if models else ""
        report.say(f"{place.name} serves {models or 'nothing yet'}{address}")
        for told in _unfinished(place, bench):
            report.say(told)
    return code


def _in_the_foreground(what: str, host: str, rest_port: int, grpc_port: int) -> int:
    from mmcicd_jenkins.serving.standalone import serve, versions_in

    # TensorFlow greets with a dozen lines about the machine; whoever wants them says so.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory(prefix="mmcicd-serve-") as folder:
        path = Path(what)
        if path.is_dir():
            name, versions = path.resolve().name, versions_in(path)
        else:
            bench = open_bench(Path.cwd(), report.Lines())
            release = named_release(what, bench)
            refuse_collected(bench.ledger.snapshot(release.model), release.version)
            unpacked = Path(folder) / "model"
            bench.store.extract([descriptor(layer) for layer in release.layers], unpacked)
            name, versions = release.model, {release.version: unpacked}

        def say_how_to_try(port: int) -> None:
            report.say(f"Try:  curl http://{host}:{port}/v1/models/{name}")
            report.say("Stop: Ctrl-C")

        state = Path(folder) / "state"
        state.mkdir()
        serve(
            state,
            {name: versions},
            host=host,
            rest_port=rest_port,
            grpc_port=grpc_port,
            listening=say_how_to_try,
        )
    return 0


def _restore_all(place: Environment, bench: Bench) -> dict[str, int]:
    restored = {
        name: _restore(bench.job(name, environment=place.name), bench) for name in bench.config.models
    }
    return {name: version for name, version in restored.items() if version is not None}


def _restore(job: Job, bench: Bench) -> int | None:
    """Switch to what the ledger says; None when it says nothing, or when an operation is on its way there."""
    pointer = bench.ledger.snapshot(job.model.name).pointer(job.place.name)
    if pointer.serving is None or _is_under_way(pointer):
        return None
    release = require_release(job, bench.ports, pointer.serving)
    bench.target(job.place).switch(restore_order(release, pointer, job, bench.ports))
    return pointer.serving


def _is_under_way(pointer: Pointer) -> bool:
    return pointer.operation is not None and pointer.operation.phase == "prepared"


def _unfinished(place: Environment, bench: Bench) -> list[str]:
    """Operations that were cut short or still run: what serves is theirs to say."""
    told = []
    for name in bench.config.models:
        pointer = bench.ledger.snapshot(name).pointer(place.name)
        operation = pointer.operation
        if operation is not None and _is_under_way(pointer):
            told.append(
                f"{place.name}: the {operation.action} of {name} {operation.target} has not ended, so nothing was "
                f"changed; the same command finishes it, mmcicd-jenkins rollback --env {place.name} ends it"
            )
    return told
