"""`reconcile`: write into the ledger what the environments serve without it knowing."""

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
from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.stages import reconcile as stage
from mmcicd_jenkins.wiring import open_bench


@click.command(
    epilog="Example: mmcicd-jenkins reconcile --model churn",
    help="Write into the ledger what the environments serve without it knowing: after a lost ledger, or a change that was "
    "made offline. Releases come back from the store as far as it can prove them. Nothing that serves is touched.",
)
@model_option()
@environment_option("Only this environment.")
@click.option("--reason", default="", help="Why; it stands in the ledger.")
@dry_run_option
@shared_option
@json_option
def command(
    model: str | None, environment: str | None, reason: str, dry_run: bool, shared: bool, as_json: bool
) -> int:
    bench = open_bench(Path.cwd(), report.Lines(), shared=shared)
    models = [bench.model(model).name] if model else list(bench.config.models)
    places = [bench.place(environment).name] if environment else list(bench.config.environments)
    told: list[dict[str, object]] = []
    for name in models:
        for place in places:
            job = bench.job(name, environment=place, reason=reason)
            plan = stage.plan(job, stage.look(job, bench.ports))
            if dry_run:
                told.append({"model": name, "plan": to_document(plan)})
                continue
            outcome = stage.apply(plan, job, bench.ports)
            told.append({"model": name, **outcome.to_json()})
            if not as_json:
                report.say(f"{name} {outcome.sentence}")
    if as_json or dry_run:
        report.emit({"reconciled": told})
    return 0
