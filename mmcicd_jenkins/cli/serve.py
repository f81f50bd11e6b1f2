"""`serve`: start the server of an environment again, as the ledger and its own state say."""

from pathlib import Path

import click

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.options import json_option
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.stages.context import Job
from mmcicd_jenkins.stages.moving import require_release, switch_to
from mmcicd_jenkins.wiring import Bench, open_bench


@click.command(
    epilog="Example: mmcicd-jenkins serve --env production",
    help="Make a local environment serve what the ledger says: start its server when it does not run, "
    "and load what it should serve. Decides nothing and writes nothing to the ledger.",
)
@click.option("--env", "environment", metavar="NAME", help="The environment (all local ones when left out).")
@json_option
def command(environment: str | None, as_json: bool) -> int:
    bench = open_bench(Path.cwd())
    places = [bench.place(environment)] if environment else list(bench.config.environments.values())
    served: dict[str, dict[str, int]] = {}
    for place in places:
        if place.kind != "local":
            raise InputError(
                f"{place.name} is not served by this machine",
                where=bench.config.mark(f"environments.{place.name}"),
            )
        served[place.name] = {
            name: version
            for name in bench.config.models
            if (version := _restore(bench.job(name, environment=place.name), bench)) is not None
        }
    if as_json:
        report.emit({"serving": served})
        return 0
    for place in places:
        models = ", ".join(f"{name} {version}" for name, version in served[place.name].items())
        address = f" at {bench.target(place).endpoint().rest}" if models else ""
        report.say(f"{place.name} serves {models or 'nothing yet'}{address}")
    return 0


def _restore(job: Job, bench: Bench) -> int | None:
    """Switch to what the ledger says; None when it says nothing."""
    pointer = bench.ledger.snapshot(job.model.name).pointer(job.place.name)
    if pointer.serving is None:
        return None
    release = require_release(job, bench.ports, pointer.serving)
    bench.target(job.place).switch(switch_to(release, pointer.epoch, job, bench.ports, job.place))
    return pointer.serving
