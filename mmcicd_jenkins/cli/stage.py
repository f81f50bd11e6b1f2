"""`stage NAME`: one stage, as a generated Jenkinsfile calls it."""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import click

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.options import dry_run_option, environment_option, json_option, model_option
from mmcicd_jenkins.cli.progress import StageProgress, make_progress
from mmcicd_jenkins.cli.summary import Summary, write_questions
from mmcicd_jenkins.cli.telling import stage_line
from mmcicd_jenkins.errors import MmcicdError, OutsideFailed, UsageError
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.stages import STAGES, plan_stage, run_stage
from mmcicd_jenkins.stages.context import Job, Outcome
from mmcicd_jenkins.wiring import Bench, open_bench

# Between two tries, growing: a registry that restarts is back within a minute.
PAUSE_SECONDS = 15.0
# A ledger that does not answer by then is none, where there is a way back without it.
HURRY_SECONDS = 20.0
# What a monitor does when there is no alarm, decided or not.
QUIET = frozenset({"none", "wait"})


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
@click.option(
    "--look-only",
    is_flag=True,
    help="monitor: say that a rollback is due and leave it to a login that may; nothing else changes.",
)
@click.option("--quiet", is_flag=True, help="monitor: too little traffic to judge by is no alarm; exit 0.")
@click.option(
    "--commit", default="", metavar="SHA", help="Only this commit, and only when HEAD has it in its history."
)
@click.option(
    "--attempts",
    type=click.IntRange(1, 10),
    default=1,
    help="Try again when an outside system failed and may recover.",
)
@click.option(
    "--ask", is_flag=True, help="promote: write what a person is asked into the summary; change nothing."
)
@click.option(
    "--choice",
    default="",
    metavar="LINE",
    help="canary, promote: the line that was chosen; `none` keeps what serves.",
)
@click.option(
    "--answer",
    default="",
    metavar="WORDS",
    help="canary: what was said about one that does not decide: `take back`, or `extend 4h`.",
)
@click.option(
    "--offline", is_flag=True, help="rollback: by what the environment knows itself, without a ledger."
)
@click.option("--or-offline", is_flag=True, help="rollback: so when the ledger does not answer.")
@click.option(
    "--summary", "folder", default="", metavar="FOLDER", help="Write what Jenkins shows into this folder."
)
@dry_run_option
@json_option
def command(folder: str, as_json: bool, dry_run: bool, **options: Any) -> int:
    order = Order(**options)
    order.check()
    summary = Summary(folder)
    try:
        with make_progress() as progress:
            return _run(order, summary, progress, dry_run=dry_run, as_json=as_json)
    except MmcicdError as e:
        summary.failed(e, order.model or "mmcicd-jenkins")
        raise


@dataclass(frozen=True, kw_only=True)
class Order:
    """What was asked on the command line."""

    name: str
    model: str | None
    environment: str | None
    version: int | None
    reason: str
    again: bool
    watch: float
    commit: str
    attempts: int
    ask: bool
    choice: str
    answer: str
    offline: bool
    or_offline: bool
    quiet: bool
    look_only: bool

    def check(self) -> None:
        """Raises `UsageError` for an option that belongs to another stage."""
        belongs = (
            ("--again", "train", self.again),
            ("--for", "monitor", self.watch),
            ("--quiet", "monitor", self.quiet),
            ("--look-only", "monitor", self.look_only),
            ("--ask", "promote", self.ask),
            ("--answer", "canary", self.answer),
            ("--offline", "rollback", self.offline),
            ("--or-offline", "rollback", self.or_offline),
        )
        for option, stage, given in belongs:
            if given and self.name != stage:
                raise UsageError(f"{option} belongs to the stage {stage}")
        if self.choice and self.name not in {"canary", "promote"}:
            raise UsageError("--choice belongs to the stages canary and promote")


def _run(order: Order, summary: Summary, progress: StageProgress, *, dry_run: bool, as_json: bool) -> int:
    if order.commit:
        from mmcicd_jenkins.adapters.git.protected_main import go_to

        go_to(Path.cwd(), order.commit)
    bench = open_bench(Path.cwd(), progress, shared=True)
    if order.or_offline:
        bench = dataclasses.replace(bench, ledger_seconds=HURRY_SECONDS)
    version = _chosen(order) if order.choice else order.version
    job = bench.job(
        order.model,
        environment=order.environment,
        version=version,
        reason=order.reason,
        again=order.again,
    )
    if order.look_only:
        job = dataclasses.replace(job, looks_only=True)
    if order.choice and "BUILD_URL" in bench.variables:
        job = dataclasses.replace(job, answered=True)
    if dry_run:
        report.out(json.dumps(plan_stage(order.name, job, bench.ports), indent=2, sort_keys=True))
        return 0
    if order.ask:
        return _ask(job, bench, summary, as_json=as_json)
    started = time.monotonic()
    progress.begin(order.name)
    try:
        outcome = _watch(order, job, bench) if order.watch else _until_it_answers(order, job, bench)
    finally:
        progress.end()
    summary.told(outcome, job, bench.ports)
    _tell(outcome, started, bench, as_json=as_json)
    return 0 if order.quiet and outcome.detail.get("action") in QUIET else outcome.exit_code


def _until_it_answers(order: Order, job: Job, bench: Bench) -> Outcome:
    """Only what an outside system may answer a moment later is tried again."""
    for attempt in range(1, order.attempts + 1):
        try:
            return _once(order, job, bench)
        except OutsideFailed as e:
            if not e.retryable or attempt == order.attempts:
                raise
            seconds = PAUSE_SECONDS * attempt
            bench.progress.line(f"{e.what}; attempt {attempt + 1} of {order.attempts} in {seconds:.0f} s")
            time.sleep(seconds)
    raise AssertionError


def _once(order: Order, job: Job, bench: Bench) -> Outcome:
    if order.choice and job.version is None:
        return _kept(order, job, bench)
    if order.answer:
        from mmcicd_jenkins.stages import canary

        return canary.answer(order.answer, job, bench.ports)
    if order.offline or order.or_offline:
        return _offline(order, job, bench)
    return run_stage(order.name, job, bench.ports)


def _kept(order: Order, job: Job, bench: Bench) -> Outcome:
    """A person keeps what serves; the stage that would have changed it writes that down."""
    from mmcicd_jenkins.stages import asking

    if order.name == "canary":
        return Outcome(stage="canary", sentence="what serves is kept", found=True)
    return asking.keep(job, bench.ports)


def _chosen(order: Order) -> int | None:
    from mmcicd_jenkins.stages import asking

    return asking.chosen(order.choice)


def _offline(order: Order, job: Job, bench: Bench) -> Outcome:
    from mmcicd_jenkins.stages import rollback_offline

    if order.offline:
        plan = rollback_offline.plan(job, rollback_offline.look(job, bench.ports))
        return rollback_offline.apply(plan, job, bench.ports)
    return rollback_offline.or_offline(job, bench.ports, lambda: run_stage(order.name, job, bench.ports))


def _ask(job: Job, bench: Bench, summary: Summary, *, as_json: bool) -> int:
    from mmcicd_jenkins.stages import asking

    plan = asking.plan(job, asking.look(job, bench.ports))
    nothing = f"{job.model.name}: nothing waits for {plan.environment}"
    summary.ask(plan.choices, plan.message if plan.choices else nothing)
    summary.write("plan.json", json.dumps(to_document(plan), indent=2, sort_keys=True) + "\n")
    if summary.folder is not None and plan.choices:
        write_questions(summary.folder, plan.versions, plan.serving, job, bench)
    if as_json:
        report.emit({"stage": "promote", "plan": to_document(plan)})
        return 0
    for line in (plan.message, *plan.choices) if plan.choices else (nothing,):
        report.out(line)
    return 0


def _watch(order: Order, job: Job, bench: Bench) -> Outcome:
    from mmcicd_jenkins.stages import monitor

    return monitor.watch(job, bench.ports, order.watch, lambda seen: bench.progress.update(seen.sentence))


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
