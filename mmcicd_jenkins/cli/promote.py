"""`promote`: show what would change, ask, do it. The same stage as behind the Jenkins button."""

import contextlib
import dataclasses
import sys
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
from mmcicd_jenkins.errors import OutsideFailed, UsageError
from mmcicd_jenkins.release import history
from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.stages import promote as stage
from mmcicd_jenkins.stages.context import Job
from mmcicd_jenkins.wiring import Bench, open_bench


@click.command(
    epilog="Example: mmcicd-jenkins promote --model churn --env production --reason 'first model'",
    help="Put a version into production. Without --version: what the environment before it serves. "
    "Shows what changes and asks; --yes answers for scripts and then needs --reason.",
)
@model_option()
@environment_option("The environment to promote to (production when left out).")
@click.option("--version", type=click.IntRange(min=1), help="The version to promote.")
@click.option("--reason", default="", help="Why; it stands in the ledger.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@dry_run_option
@shared_option
@json_option
def command(
    model: str | None,
    environment: str | None,
    version: int | None,
    reason: str,
    yes: bool,
    dry_run: bool,
    shared: bool,
    as_json: bool,
) -> int:
    if yes and not reason:
        raise UsageError("--yes needs a reason", fix="--reason 'why this version'")
    with make_progress() as progress:
        bench = open_bench(Path.cwd(), progress, shared=shared)
        job = bench.job(model, environment=environment, version=version, reason=reason)
        with own_or_shared(bench, job.place.name):
            plan = stage.plan(job, stage.look(job, bench.ports))
        if dry_run:
            report.emit({"stage": "promote", "plan": to_document(plan)})
            return 0
        if plan.change:
            report.say(f"{job.model.name}: {plan.serving or 'nothing'} -> {plan.version}. {plan.comparison}")
            for line in plan.changes if plan.other_settings else ():
                report.say(f"  {line}")
            if not yes:
                answered = _ask(plan, job, bench)
                if answered is None:
                    return 0
                job = answered
        progress.begin("promote")
        try:
            outcome = stage.apply(plan, job, bench.ports)
        finally:
            progress.end()
    if as_json:
        report.emit(outcome.to_json())
        return outcome.exit_code
    report.say(outcome.sentence)
    _say_how_to_try(job, bench)
    return outcome.exit_code


def _ask(plan: stage.Plan, job: Job, bench: Bench) -> Job | None:
    """The job with its reason, None when the person keeps what serves (which is recorded)."""
    try:
        job = dataclasses.replace(job, reason=job.reason or click.prompt("Reason", err=True))
        agreed = click.confirm(f"Promote {plan.version} to {plan.environment}?", err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        report.say()  # the question stands on a line that nobody ended
        raise UsageError("nobody answers here", fix="--yes --reason 'why this version'") from None
    if agreed:
        return job
    who = job.who(bench.ports.clock)
    bench.ledger.commit(
        job.model.name, lambda snapshot: history.decline(snapshot, plan.environment, plan.version, who)
    )
    report.say(f"{plan.environment} keeps {plan.serving or 'serving nothing'}; your reason is recorded.")
    return None


def _say_how_to_try(job: Job, bench: Bench) -> None:
    golden = bench.workspace.golden(job.model.name)
    # It is promoted whether or not this machine could ask it.
    with contextlib.suppress(OutsideFailed):
        endpoint = bench.target(job.place).endpoint(job.model.name)
        if golden.is_file():
            report.say(
                f"Try:  curl -d @{report.relative(golden)} {endpoint.rest}/v1/models/{job.model.name}:predict"
            )
    if job.place.kind == "local":
        report.say("Stop: mmcicd-jenkins stop")
