"""`rollback`: the last healthy release back, at once. Safe to press twice."""

import contextlib
import time
from collections.abc import Iterator
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
from mmcicd_jenkins.cli.telling import own_or_shared
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.stages import load_stage
from mmcicd_jenkins.stages.context import Job
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
        with own_or_shared(bench, job.place.name):
            with contextlib.nullcontext() if offline else _way_without_ledger(job, shared=shared):
                facts = stage.look(job, bench.ports)
            plan = stage.plan(job, facts)
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


@contextlib.contextmanager
def _way_without_ledger(job: Job, *, shared: bool) -> Iterator[None]:
    """On the worst day nobody looks for an option in a manual."""
    try:
        yield
    except OutsideFailed as e:
        words = f"mmcicd-jenkins rollback --offline --env {job.place.name}" + (" --shared" if shared else "")
        e.fix = "; ".join(filter(None, [e.fix, f"when it is the ledger alone that does not answer: {words}"]))
        raise
