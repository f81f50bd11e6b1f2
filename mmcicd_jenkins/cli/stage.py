"""`stage NAME`: one stage, as a generated Jenkinsfile calls it."""

import json
import time
from pathlib import Path

import click

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.options import dry_run_option, environment_option, json_option, model_option
from mmcicd_jenkins.cli.progress import make_progress
from mmcicd_jenkins.cli.telling import stage_line
from mmcicd_jenkins.errors import UsageError
from mmcicd_jenkins.stages import STAGES, plan_stage, run_stage
from mmcicd_jenkins.stages.context import Outcome
from mmcicd_jenkins.wiring import Bench, open_bench


@click.command(
    epilog="Example: mmcicd-jenkins stage evaluate --model churn --json",
    help="One stage of the pipeline; a Jenkinsfile calls nothing else. Stages rebuild what they need from ledger, "
    "store and checkout, so they may run on different machines, again, and in a fresh workspace.\n\n"
    "NAME is one of: " + ", ".join(STAGES) + ".",
)
@click.argument("name", type=click.Choice(list(STAGES)), metavar="NAME")
@model_option()
@environment_option()
@click.option("--version", type=click.IntRange(min=1), help="The version, for promote and rollback.")
@click.option("--reason", default="", help="Why; it stands in the ledger.")
@click.option("--again", is_flag=True, help="train: a new attempt although nothing changed.")
@click.option(
    "--for",
    "watch",
    default=0.0,
    metavar="SECONDS",
    help="monitor: keep watching for so long, or until it acted.",
)
@dry_run_option
@json_option
def command(
    name: str,
    model: str | None,
    environment: str | None,
    version: int | None,
    reason: str,
    again: bool,
    watch: float,
    dry_run: bool,
    as_json: bool,
) -> int:
    if again and name != "train":
        raise UsageError("--again belongs to the stage train", fix="the other stages find its newest attempt")
    if watch and name != "monitor":
        raise UsageError("--for belongs to the stage monitor")
    with make_progress() as progress:
        bench = open_bench(Path.cwd(), progress, shared=True)
        job = bench.job(model, environment=environment, version=version, reason=reason, again=again)
        if dry_run:
            report.out(json.dumps(plan_stage(name, job, bench.ports), indent=2, sort_keys=True))
            return 0
        started = time.monotonic()
        progress.begin(name)
        try:
            outcome = run_stage(name, job, bench.ports)
            while name == "monitor" and _keep_watching(outcome, started, watch):
                time.sleep(min(job.place.monitor.every_seconds, watch))
                outcome = run_stage(name, job, bench.ports)
                progress.update(outcome.sentence)
        finally:
            progress.end()
    _tell(outcome, started, bench, as_json=as_json)
    return outcome.exit_code


def _keep_watching(outcome: Outcome, started: float, watch: float) -> bool:
    acted = outcome.detail.get("action") in {"rollback", "freeze"}
    return not acted and time.monotonic() - started < watch


def _tell(outcome: Outcome, started: float, bench: Bench, *, as_json: bool) -> None:
    if as_json:
        report.emit(outcome.to_json())
        return
    report.say(stage_line(outcome, time.monotonic() - started, report.stderr_columns()))
    if outcome.stage == "evaluate":
        report.say(f"Report: {report.relative(Path(str(outcome.detail['report'])))}")
    if outcome.exit_code and outcome.stage in {"evaluate", "verify"}:
        production = bench.config.production.name
        report.say(f"No version was made; {production} keeps serving what it serves.")
