"""`run`: the whole pipeline here, with the stages Jenkins would call. Unchanged work is found, not redone."""

import dataclasses
import time
from pathlib import Path

import click

from mmcicd_jenkins.cli import editor_schema, report
from mmcicd_jenkins.cli.options import environment_option, json_option, model_option, shared_option
from mmcicd_jenkins.cli.progress import StageProgress, make_progress
from mmcicd_jenkins.cli.telling import say_next, stage_line
from mmcicd_jenkins.errors import Interrupted, MmcicdError, Terminated, UsageError
from mmcicd_jenkins.release.runs import short
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.stages import ROAD, run_stage
from mmcicd_jenkins.stages.context import Job, Outcome
from mmcicd_jenkins.wiring import Bench, open_bench
from mmcicd_jenkins.wiring.ledger import ledger_address

STAGE = click.Choice(list(ROAD))


@click.command(
    epilog="Example: mmcicd-jenkins run --model churn --until evaluate",
    help="The whole pipeline here, from prepare to propose, with the stages Jenkins would call. "
    "What is there already is found, not done again; after a failure the same command goes on.",
)
@model_option()
@click.option("--from", "first", type=STAGE, default=ROAD[0], help="Begin with this stage.")
@click.option("--until", "last", type=STAGE, default=ROAD[-1], help="End with this stage.")
@environment_option("Deploy only to this environment.")
@click.option(
    "--again", is_flag=True, help="Train again although nothing changed; the new attempt is the run."
)
@shared_option
@json_option
def command(
    model: str | None,
    first: str,
    last: str,
    environment: str | None,
    again: bool,
    shared: bool,
    as_json: bool,
) -> int:
    stages = ROAD[ROAD.index(first) : ROAD.index(last) + 1]
    if not stages:
        raise UsageError(f"--until {last} comes before --from {first}")
    if again and "train" not in stages:
        raise UsageError("--again trains again, and train is left out", fix="leave --from or --until out")
    with make_progress() as progress:
        bench = open_bench(Path.cwd(), progress, shared=shared)
        editor_schema.bring(bench.config.root)
        for warning in bench.warnings:
            fix = f" ({warning.fix})" if warning.fix else ""
            report.say(f"{warning.where}: {warning.what}{fix}", mark="warning")
        names = (
            [bench.model(model).name] if model or len(bench.config.models) == 1 else list(bench.config.models)
        )
        codes, told = [], {}
        for name in names:
            job = bench.job(name, environment=environment, again=again)
            try:
                outcomes = run_road(stages, job, bench, progress, shared=shared)
            except (Interrupted, Terminated):
                raise
            except MmcicdError as e:
                if len(names) == 1:
                    raise
                # One model's trouble does not keep the others from their turn.
                report.failed(e, as_json=False)
                told[name] = [e.to_json()]
                codes.append(e.exit_code)
                continue
            told[name] = [outcome.to_json() for outcome in outcomes]
            codes.append(outcomes[-1].exit_code)
    if as_json:
        report.emit({"models": told, "exit_code": max(codes)})
    return max(codes)


def run_road(
    stages: tuple[str, ...], job: Job, bench: Bench, progress: StageProgress, *, shared: bool = False
) -> list[Outcome]:
    """The stages one after the other, until one of them says no."""
    commit = bench.ports.checkout.commit()
    where = (
        f"on {ledger_address(bench.config)}" if shared else "on this machine only: nothing shared is touched"
    )
    report.say(f"{job.model.name} at {short(commit.sha)[:7]}, {where}")
    outcomes: list[Outcome] = []
    for stage in stages:
        started = time.monotonic()
        progress.begin(stage)
        outcome: Outcome | None = None
        try:
            # `--again` names a new attempt; once it is trained, the other stages find it as the newest.
            again = job.again and stage == "train"
            outcome = run_stage(stage, dataclasses.replace(job, again=again), bench.ports)
        finally:
            progress.end()
            told = outcome or Outcome(stage=stage, sentence="failed")
            report.say(stage_line(told, time.monotonic() - started, report.stderr_columns()))
        outcomes.append(outcome)
        if outcome.exit_code:
            break
    _say_end(outcomes, job, bench, " --shared" if shared else "")
    return outcomes


def _say_end(outcomes: list[Outcome], job: Job, bench: Bench, options: str) -> None:
    by_stage = {outcome.stage: outcome for outcome in outcomes}
    evaluated = by_stage.get("evaluate")
    if evaluated:
        report.say(f"Report: {report.relative(Path(str(evaluated.detail['report'])))}")
    last = outcomes[-1]
    serving = bench.ledger.snapshot(job.model.name).pointer(bench.config.production.name).serving
    keeps = (
        f"{bench.config.production.name} keeps serving {serving}"
        if serving
        else f"nothing serves in {bench.config.production.name}"
    )
    if last.exit_code:
        report.say(f"No version was made; {keeps}." if last.stage != "smoke" else f"{keeps}.")
        if last.stage == "evaluate" and last.verdict is Verdict.INCONCLUSIVE:
            say_next(
                "more test rows (test_size), or min_samples in mmcicd.yaml when fewer are enough to decide"
            )
        elif serving:
            say_next(f"mmcicd-jenkins show {job.model.name}@{serving}{options}, to compare with the report")
    elif last.detail.get("revoked"):
        say_next(
            f"a commit that makes it better, or mmcicd-jenkins run{options} --again: a new attempt is a new version"
        )
    elif last.stage == "propose" and last.detail.get("waits"):
        place = f"--env {bench.config.production.name}{options}"
        say_next(f"mmcicd-jenkins promote --model {job.model.name} {place}")
