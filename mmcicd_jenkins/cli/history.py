"""`history`: what happened to a model, newest first."""

from pathlib import Path

import click

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.options import json_option, model_option, shared_option
from mmcicd_jenkins.cli.telling import moment
from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.release.ledger import Event
from mmcicd_jenkins.wiring import open_bench


@click.command(
    epilog="Example: mmcicd-jenkins history --model churn --limit 10",
    help="What happened to a model, newest first: versions, deployments, promotions, refusals, rollbacks. "
    "An intent is shown only when nothing ended it; --json has every event.",
)
@model_option()
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="So many events at most."
)
@shared_option
@json_option
def command(model: str | None, limit: int, shared: bool, as_json: bool) -> int:
    bench = open_bench(Path.cwd(), report.Lines(), shared=shared)
    name = bench.model(model).name
    # An intent and its end are one line for people.
    events = list(bench.ledger.events(name, limit if as_json else 2 * limit))
    if as_json:
        report.emit({"model": name, "events": [to_document(event) for event in events]})
        return 0
    if not events:
        report.say(f"Nothing happened to {name} yet.")
        return 0
    ended = {e.detail.get("op_id") for e in events if e.kind in {"done", "failed"}}
    told = [e for e in events if not (e.kind == "prepared" and e.detail.get("op_id") in ended)][:limit]
    rows = [(moment(e.at), e.kind, sentence(e), e.actor, str(e.detail.get("reason", ""))) for e in told]
    report.out(report.table(rows, head=("WHEN (UTC)", "EVENT", "WHAT", "WHO", "WHY")))
    return 0


def sentence(event: Event) -> str:
    """An event in a few words."""
    detail = event.detail
    if event.kind == "reserved":
        return f"version {detail.get('version')} for run {str(detail.get('run_id', '')).removeprefix('sha256:')[:8]}"
    if event.kind == "collected":
        versions = detail.get("versions")
        return f"the images of {', '.join(map(str, versions)) if isinstance(versions, list) else versions} given up"
    if event.kind == "declined":
        return f"{detail.get('environment')} keeps {detail.get('kept') or 'nothing'}"
    if event.kind == "proposed":
        return f"version {detail.get('version')} to {detail.get('environment')}"
    if event.kind == "released":
        return f"version {detail.get('to')}, first for {detail.get('environment')}"
    if "to" in detail:
        source = detail.get("from")
        return (
            f"{detail.get('action')} {detail.get('environment')} {source or 'nothing'} -> {detail.get('to')}"
        )
    return str(detail.get("environment", ""))
