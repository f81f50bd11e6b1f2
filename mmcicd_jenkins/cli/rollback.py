"""`rollback`: the last healthy release back, at once. Safe to press twice."""

import time
from pathlib import Path

import click

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.options import (
    dry_run_option,
    environment_option,
    json_option,
    model_option,
    shared_option,
)
from mmcicd_jenkins.cli.progress import make_progress
from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.stages import load_stage
from mmcicd_jenkins.wiring import open_bench


@click.command(
    epilog="Example: mmcicd-jenkins rollback --model churn --env production --reason 'answers are wrong'",
    help="Put the last healthy release back at once: no gate, no approval. What it leaves is revoked and can "
    "never serve again. A second press within ten minutes does nothing; to go further, name a --version.",
)
@model_option()
@environment_option("The environment to roll back (production when left out).")
@click.option("--version", type=click.IntRange(min=1), help="Go back to this version.")
@click.option("--reason", default="", help="Why; it stands in the ledger.")
@click.option(
    "--offline", is_flag=True, help="By what the environment knows itself, without ledger and store."
)
@dry_run_option
@shared_option
@json_option
def command(
    model: str | None,
    environment: str | None,
    version: int | None,
    reason: str,
    offline: bool,
    dry_run: bool,
    shared: bool,
    as_json: bool,
) -> int:
    with make_progress() as progress:
        bench = open_bench(Path.cwd(), progress, shared=shared)
        job = bench.job(model, environment=environment, version=version, reason=reason)
        stage = load_stage("rollback_offline" if offline else "rollback")
        plan = stage.plan(job, stage.look(job, bench.ports))
        if dry_run:
            report.emit({"stage": "rollback", "plan": to_document(plan)})
            return 0
        started = time.monotonic()
        progress.begin("rollback")
        try:
            outcome = stage.apply(plan, job, bench.ports)
        finally:
            progress.end()
    if as_json:
        report.emit({**outcome.to_json(), "seconds": round(time.monotonic() - started, 3)})
    else:
        report.say(outcome.sentence)
    return outcome.exit_code
