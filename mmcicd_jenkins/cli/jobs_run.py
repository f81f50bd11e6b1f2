"""`jobs run`: start a job on Jenkins from a terminal, see its stages, answer its question, end with its outcome."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.options import json_option, model_option
from mmcicd_jenkins.errors import UsageError

if TYPE_CHECKING:
    from mmcicd_jenkins.config.model import Config, Model
    from mmcicd_jenkins.ports.jenkins import PendingInput
    from mmcicd_jenkins.stages.jobs_answers import Answer
    from mmcicd_jenkins.stages.jobs_run import Controls, Ended, Started
    from mmcicd_jenkins.wiring.jenkins import Controller

KINDS = ("ci", "release", "promote", "rollback", "monitor")
# Which options mean something to which job.
_TAKES = {
    "ci": {"branch"},
    "release": {"commit"},
    "promote": {"version", "reason", "answer"},
    "rollback": {"version", "reason"},
    "monitor": set(),
}
_WORDS = {0: "passed", 4: "refused", 6: "inconclusive", 75: "superseded", 130: "aborted"}


@click.command(name="run")
@click.argument("kind", type=click.Choice(KINDS))
@model_option()
@click.option("--branch", help="ci: the branch to build (the main branch when left out).")
@click.option("--commit", help="release: a commit on main (the newest when left out).")
@click.option("--version", type=click.IntRange(min=1), help="promote, rollback: the version.")
@click.option("--reason", default="", help="Why; it stands in the audit record.")
@click.option(
    "--approve", is_flag=True, help="Answer the approval when it is asked, with --version and --reason."
)
@click.option("--answer", metavar="VALUE", help="Approve with this choice, such as 8 or none.")
@click.option("--refuse", is_flag=True, help="Answer no: the build is aborted, what serves serves on.")
@click.option("--build", type=click.IntRange(min=1), help="Follow this build instead of starting one.")
@click.option("--no-wait", is_flag=True, help="Start it and return.")
@click.option("--log", "whole_log", is_flag=True, help="Show the whole log.")
@json_option
def run(
    kind: str,
    model: str | None,
    branch: str | None,
    commit: str | None,
    version: int | None,
    reason: str,
    approve: bool,
    answer: str | None,
    refuse: bool,
    build: int | None,
    no_wait: bool,
    whole_log: bool,
    as_json: bool,
) -> int:
    """Start ci, release, promote, rollback or monitor of a model on Jenkins and follow it.

    Ends with the outcome's exit code: 0 success, 4 or 6 unstable, 75 not built, 130 aborted, else what the failed
    command ended with (5 when Jenkins does not say). Ctrl-C ends the build, if it was started here.

    Example: mmcicd-jenkins jobs run promote --model churn --answer 8 --reason 'better recall'
    """
    answering = approve or refuse or answer is not None
    given = {
        "branch": branch is not None,
        "commit": commit is not None,
        "version": version is not None,
        "reason": bool(reason),
        "answer": answering,
    }
    _refuse_misplaced(kind, given)
    if approve and refuse:
        raise UsageError("--approve and --refuse contradict each other")
    config, controller, entry = _opened(model)
    said = _answer(answer, version, reason, refuse=refuse) if answering else None
    parameters = {"VERSION": str(version or ""), "REASON": reason} if "version" in _TAKES[kind] else {}
    if kind == "release":
        parameters = {"COMMIT": commit or ""}
    audience = Audience(whole_log=whole_log)
    controls = _controls(controller, audience)
    started = _start(controls, config, kind, entry.name, branch, parameters, build)
    if no_wait:
        return _told_start(started, as_json=as_json)
    return _followed(controls, started, said, as_json=as_json)


def _refuse_misplaced(kind: str, given: dict[str, bool]) -> None:
    for option, is_given in given.items():
        if is_given and option not in _TAKES[kind]:
            takers = " and ".join(name for name, options in _TAKES.items() if option in options)
            name = "an answer" if option == "answer" else f"--{option}"
            raise UsageError(f"{name} means nothing to {kind}", fix=f"it belongs to {takers}")


def _answer(answer: str | None, version: int | None, reason: str, *, refuse: bool) -> "Answer":
    from mmcicd_jenkins.stages.jobs_answers import Answer

    return Answer(value=answer or str(version or ""), reason=reason, refuse=refuse)


def _opened(model: str | None) -> "tuple[Config, Controller, Model]":
    from mmcicd_jenkins.wiring.jenkins import load_jenkins_config, open_controller

    config = load_jenkins_config(Path.cwd(), os.environ)
    if model is None and len(config.models) == 1:
        model = next(iter(config.models))
    if model is None or model not in config.models:
        what = "which model?" if model is None else f"there is no model {model!r}"
        raise UsageError(what, where=config.file, fix="--model " + " or --model ".join(config.models))
    return config, open_controller(config, os.environ), config.models[model]


def _controls(controller: "Controller", audience: "Audience") -> "Controls":
    from mmcicd_jenkins.adapters.system_clock import SystemClock
    from mmcicd_jenkins.stages.jobs_run import Controls

    return Controls(
        builds=controller.builds, inputs=controller.inputs, clock=SystemClock(), audience=audience
    )


def _start(
    controls: "Controls",
    config: "Config",
    kind: str,
    model: str,
    branch: str | None,
    parameters: dict[str, str],
    build: int | None,
) -> "Started":
    from mmcicd_jenkins.adapters.jenkins.names import branch_job
    from mmcicd_jenkins.render.jobs import folder_of, settings_of
    from mmcicd_jenkins.stages import jobs_run as stage

    settings = settings_of(config)
    if kind == "ci":
        project, own = f"{folder_of(settings, 'ci')}/{model}", branch_job(branch or settings.main)
        if build is None:
            return stage.start_branch(controls, project, own)
        return stage.Started(job=f"{project}/{own}", number=build, ours=False)
    job = f"{folder_of(settings, 'ops')}/{model}-{kind}"
    if build is None:
        return stage.start(controls, job, parameters)
    return stage.Started(job=job, number=build, ours=False)


def _told_start(started: "Started", *, as_json: bool) -> int:
    if as_json:
        report.emit({"job": started.job, "build": started.number, "started_here": started.ours})
    else:
        report.out(f"{started.job} #{started.number}")
    return 0


def _followed(controls: "Controls", started: "Started", said: "Answer | None", *, as_json: bool) -> int:
    from mmcicd_jenkins.stages import jobs_run as stage

    ended = stage.follow(controls, started, said)
    if as_json:
        report.emit(
            {
                "job": started.job,
                "build": started.number,
                "url": ended.state.url,
                "result": ended.state.result,
                "description": ended.state.description,
                "last_lines": list(ended.last_lines) if ended.exit_code else [],
                "exit_code": ended.exit_code,
            }
        )
        return ended.exit_code
    _tell(ended)
    for job in ended.scheduled:
        _tell_waiting(controls, job)
    return ended.exit_code


def _tell(ended: "Ended") -> None:
    if ended.exit_code not in _WORDS:
        for line in ended.last_lines:
            report.say(f"    {line}")
    word = _WORDS.get(ended.exit_code, "failed")
    report.say(f"{word}: {ended.state.description or ended.state.result}")
    if ended.exit_code:
        report.say(f"  {ended.state.url}")


def _tell_waiting(controls: "Controls", job: str) -> None:
    """A build that was started and not awaited, and asks something by now."""
    state = controls.builds.build(job)
    if state is None or state.result:
        return
    report.say(f"{job} #{state.number} waits: {state.url}")


class Audience:
    """`stages.jobs_run.Audience` on stderr: one line per stage, deeper for builds that a build started."""

    def __init__(self, *, whole_log: bool) -> None:
        self._whole_log = whole_log
        self._waited = ""

    def begins(self, job: str, number: int, depth: int) -> None:
        report.say(f"{'  ' * depth}{job} #{number}")

    def stage(self, name: str, seconds: float, agent: str, depth: int) -> None:
        from mmcicd_jenkins.cli.telling import duration

        where = f" on {agent}" if agent else ""
        report.say(f"{'  ' * depth}  {name} {duration(seconds)}{where}")

    def waits(self, why: str) -> None:
        if why and why != self._waited:
            self._waited = why
            report.say(f"  waits: {why}")

    def lines(self, lines: list[str]) -> None:
        if self._whole_log:
            for line in lines:
                report.say(f"    {line}")

    def answered(self, values: Mapping[str, str]) -> None:
        told = ", ".join(f"{name}={value}" for name, value in values.items())
        report.say(f"  answered: {told or 'no'}")

    def asks(self, job: str, number: int, pending: "PendingInput", *, for_us: bool) -> None:
        report.say(f"{job} #{number} asks: {pending.message or 'for an approval'}")
        for question in pending.questions:
            report.say(f"  {question.name}" + (f"  {question.description}" if question.description else ""))
            for choice in question.choices:
                report.say(f"    {choice}")
        if for_us:
            return
        model, _, kind = job.rpartition("/")[2].rpartition("-")
        report.say(
            f"  answer: mmcicd-jenkins jobs run {kind} --model {model} --build {number} --answer VALUE --reason TEXT"
        )
