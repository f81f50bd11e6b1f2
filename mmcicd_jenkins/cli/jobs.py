"""`jobs sync|diff|prune`: folders and jobs on Jenkins as mmcicd.yaml says; `jobs run` stands in `jobs_run`."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.jobs_run import run
from mmcicd_jenkins.cli.options import dry_run_option, json_option, model_option
from mmcicd_jenkins.errors import InputError, OutsideFailed, UsageError

if TYPE_CHECKING:
    from mmcicd_jenkins.config.model import Config
    from mmcicd_jenkins.render.job_items import Access, Item
    from mmcicd_jenkins.stages.jobs_sync import Done, Look
    from mmcicd_jenkins.wiring.jenkins import Controller


@click.group(name="jobs")
def command() -> None:
    """Make the jobs on Jenkins, compare them, clean up; start one and follow it.

    Example: mmcicd-jenkins jobs sync --dry-run
    """


command.add_command(run)

_repo_option = click.option(
    "--repo", metavar="URL", help="Read mmcicd.yaml from the main branch of this repository, not from here."
)


@command.command(name="sync")
@model_option()
@_repo_option
@click.option("--deep", is_flag=True, help="Also compare what our marks say is unchanged.")
@click.option("--adopt", is_flag=True, help="Take over jobs of these names that we did not make.")
@dry_run_option
@json_option
def sync(model: str | None, repo: str | None, deep: bool, adopt: bool, dry_run: bool, as_json: bool) -> int:
    """Make what is missing, change what differs, leave the rest alone.

    Exits 3 when a job of somebody else stands in the way, 5 when Jenkins refused or dropped something.

    Example: mmcicd-jenkins jobs sync --repo ssh://git@git.example/ml/churn.git
    """
    with _opened(repo) as (config, controller):
        return _sync(
            config, controller, model or "", deep=deep, adopt=adopt, dry_run=dry_run, as_json=as_json
        )


@command.command(name="diff")
@model_option()
@_repo_option
@click.option(
    "--marks", is_flag=True, help="Believe our marks instead of comparing each job: a few requests."
)
@json_option
def diff(model: str | None, repo: str | None, marks: bool, as_json: bool) -> int:
    """Show how the jobs on Jenkins differ from mmcicd.yaml; exits 3 when they do.

    Example: mmcicd-jenkins jobs diff --model churn
    """
    from mmcicd_jenkins.cli.jobs_telling import action_document, counts, plan_table

    with _opened(repo) as (config, controller):
        found, _ = _look(config, controller, model or "", deep=not marks, adopt=False)
    differing = [action for action in found.actions if action.do not in {"unchanged", "keep"}]
    code = InputError.exit_code if differing else 0
    if as_json:
        report.emit({"jobs": [action_document(a) for a in found.actions], "exit_code": code})
        return code
    _out(plan_table(found.actions))
    report.say(counts(found.actions))
    return code


@command.command(name="prune")
@_repo_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@dry_run_option
@json_option
def prune(repo: str | None, yes: bool, dry_run: bool, as_json: bool) -> int:
    """Delete jobs that this repository once made and does not want any more, with their builds.

    Only what carries our mark of this repository; never a folder.

    Example: mmcicd-jenkins jobs prune --dry-run
    """
    from mmcicd_jenkins.render.job_items import desired_items
    from mmcicd_jenkins.render.job_sources import source_of
    from mmcicd_jenkins.render.jobs import settings_of
    from mmcicd_jenkins.stages import jobs_sync as stage

    with _opened(repo) as (config, controller):
        identity = source_of(settings_of(config), config.mark("jenkins.source")).identity
        paths = stage.to_prune(controller.items, desired_items(config), identity)
        if not as_json:
            _out("\n".join(paths))
        if not paths or dry_run:
            if as_json:
                report.emit({"prune": list(paths), "deleted": []})
            else:
                report.say(f"{len(paths)} to delete" if paths else "Nothing to delete.")
            return 0
        if not yes:
            _confirm(len(paths))
        stage.prune(controller.items, paths)
    if as_json:
        report.emit({"prune": list(paths), "deleted": list(paths)})
    else:
        report.say(f"deleted {len(paths)}, with their builds")
    return 0


def _confirm(count: int) -> None:
    try:
        click.confirm(f"Delete {count} jobs and all their builds?", err=True, abort=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        raise UsageError("nobody answers here", fix="jobs prune --yes, after a look with --dry-run") from None


@contextmanager
def _opened(repo: str | None) -> "Iterator[tuple[Config, Controller]]":
    """The configuration, from here or from a repository, and the controller that it names."""
    from mmcicd_jenkins.wiring.jenkins import checkout_of, load_jenkins_config, open_controller

    if repo is None:
        config = load_jenkins_config(Path.cwd(), os.environ)
        yield config, open_controller(config, os.environ)
        return
    with checkout_of(repo) as folder:
        config = load_jenkins_config(folder, os.environ, repo)
        yield config, open_controller(config, os.environ)


def _look(
    config: "Config", controller: "Controller", model: str, *, deep: bool, adopt: bool
) -> "tuple[Look, list[str]]":
    """What there is to do, and what a person must know about it."""
    from mmcicd_jenkins.render.job_items import access_of, desired_items
    from mmcicd_jenkins.render.job_sources import source_of
    from mmcicd_jenkins.render.jobs import settings_of
    from mmcicd_jenkins.stages import jobs_sync as stage

    if model and model not in config.models:
        raise UsageError(f"there is no model {model!r}", fix="--model " + " or --model ".join(config.models))
    access: Access | None = access_of(config, controller.facts.account())
    warnings = []
    plugins = controller.facts.plugins()
    if plugins is not None and "matrix-auth" not in plugins:
        access = None
        warnings.append(
            "matrix-auth is not there, so whoever may build anywhere may promote; the approval still asks by name"
        )
    desired: Sequence[Item] = desired_items(config, access=access, model=model)
    identity = source_of(settings_of(config), config.mark("jenkins.source")).identity
    return stage.look(controller.items, desired, identity, deep=deep, adopt=adopt), warnings


def _sync(
    config: "Config",
    controller: "Controller",
    model: str,
    *,
    deep: bool,
    adopt: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    from mmcicd_jenkins.cli import jobs_telling as telling

    found, warnings = _look(config, controller, model, deep=deep, adopt=adopt)
    results: Sequence[Done] = () if dry_run else _applied(controller, found, as_json=as_json)
    code = _code(found, results)
    if as_json:
        report.emit(
            {
                "jobs": [telling.action_document(a) for a in found.actions],
                "done": [telling.done_document(d) for d in results],
                "warnings": warnings,
                "exit_code": code,
            }
        )
        return code
    doubtful = [a for a in found.actions if a.do in {"keep", "refuse"}]
    _out(telling.plan_table(found.actions if dry_run else doubtful))
    for line in [*warnings, *telling.lost_lines(results)]:
        report.say(line, mark="note")
    report.say(telling.counts(found.actions) if dry_run else _summary(found, results))
    return code


def _applied(controller: "Controller", found: "Look", *, as_json: bool) -> "list[Done]":
    """Do it, and say what was done even when the controller goes away in the middle."""
    from mmcicd_jenkins.cli.jobs_telling import done_line
    from mmcicd_jenkins.cli.progress import make_progress
    from mmcicd_jenkins.render.job_plan import WRITES
    from mmcicd_jenkins.stages import jobs_sync as stage

    writes = sum(action.do in WRITES for action in found.actions)
    results: list[Done] = []
    with make_progress() as progress:
        progress.begin("sync")

        def told(done: "Done") -> None:
            results.append(done)
            progress.update(f"{len(results)} of {writes} jobs", len(results) / writes)

        try:
            stage.apply(controller.items, found, told)
        finally:
            progress.end()
            if not as_json:
                _out("\n".join(done_line(done) for done in results))
    return results


def _code(found: "Look", results: "Sequence[Done]") -> int:
    if any(done.error is not None or done.lost for done in results):
        return OutsideFailed.exit_code
    if any(action.do == "refuse" for action in found.actions):
        return InputError.exit_code
    return 0


def _summary(found: "Look", results: "Sequence[Done]") -> str:
    good = [done.action.do for done in results if done.error is None]
    told = [
        f"{good.count(do)} {word}"
        for do, word in (("create", "created"), ("update", "changed"))
        if do in good
    ]
    failed = len(results) - len(good)
    told += [f"{failed} failed"] if failed else []
    others = [action.do for action in found.actions]
    told += [f"{others.count('unchanged')} unchanged"] if "unchanged" in others else []
    told += [f"{others.count('refuse')} refused"] if "refuse" in others else []
    return ", ".join(told) + "."


def _out(text: str) -> None:
    if text:
        report.out(text)
