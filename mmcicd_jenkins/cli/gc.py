"""`gc`: take out of the store what nothing needs any more; with `--local`, what this machine can make again."""

from pathlib import Path

import click

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.gc_telling import leftovers_json, outcome_json, plan_json, tell_leftovers, tell_plan
from mmcicd_jenkins.cli.options import json_option, model_option, shared_option
from mmcicd_jenkins.cli.telling import say_next
from mmcicd_jenkins.config.forms import FormError, duration
from mmcicd_jenkins.errors import UsageError
from mmcicd_jenkins.stages import gc as stage
from mmcicd_jenkins.stages.gc_facts import look
from mmcicd_jenkins.wiring import Bench, open_bench
from mmcicd_jenkins.wiring.upkeep import open_keeper, open_leftovers, rules_of

# Of this machine's leftovers, where nothing else is said.
LOCAL_AGE = "30d"


@click.command(
    epilog="Example: mmcicd-jenkins gc --keep 10\n\nExample: mmcicd-jenkins gc --keep 10 --yes",
    help="Remove images, runs, evaluations, verifications, copies of data and bytes that no release, environment or rule "
    "of `retention` needs. Without --yes it prints what it would remove and changes nothing. What serves, what a "
    "rollback goes back to, what is young, and what is not ours is never removed.",
)
@model_option()
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="N",
    help="Releases of a model that keep their image, instead of retention.releases.",
)
@click.option("--older-than", "age", metavar="AGE", help="Only what is older than this, for example 90d.")
@click.option(
    "--local",
    is_flag=True,
    help=f"Of this machine instead: reports, unpacked models, environments, data and versions of this program that "
    f"nobody used for --older-than ({LOCAL_AGE}).",
)
@click.option("--yes", is_flag=True, help="Do it.")
@shared_option
@json_option
def command(
    model: str | None, keep: int | None, age: str | None, local: bool, yes: bool, shared: bool, as_json: bool
) -> int:
    older_than = _seconds(age)
    bench = open_bench(Path.cwd(), report.Lines(), shared=shared)
    if local:
        if keep is not None or model is not None:
            raise UsageError("--local is about this machine, not about releases of a model")
        return _local(bench, older_than or duration(LOCAL_AGE), yes=yes, as_json=as_json)
    only = frozenset([bench.model(model).name] if model else bench.config.models)
    rules = rules_of(bench.config.retention, keep, older_than)
    keeper, clock = open_keeper(bench), bench.ports.clock

    def replan() -> stage.Plan:
        facts = look(bench.config, bench.lock, bench.ledger, keeper, clock)
        return stage.plan(facts, rules, only)

    if not yes:
        made = replan()
        if as_json:
            report.emit({"done": False, **plan_json(made)})
        else:
            tell_plan(made)
            if made.remove:
                say_next("the same command with --yes")
        return 0
    made = stage.settle(replan, bench.ledger, clock, bench.actor)
    outcome = stage.apply(made, keeper)
    if as_json:
        report.emit({"done": True, **plan_json(made), **outcome_json(outcome)})
        return 0
    tell_plan(made, outcome)
    return 0


def _local(bench: Bench, seconds: float, *, yes: bool, as_json: bool) -> int:
    leftovers = open_leftovers(bench)
    found = leftovers.old(bench.ports.clock.now().timestamp() - seconds)
    freed = leftovers.remove(found) if yes else None
    if as_json:
        report.emit({"done": yes, **leftovers_json(found), **({} if freed is None else {"freed": freed})})
        return 0
    tell_leftovers(found, freed)
    if found and not yes:
        say_next("the same command with --yes")
    return 0


def _seconds(age: str | None) -> float | None:
    if age is None:
        return None
    try:
        return duration(age)
    except FormError as e:
        raise UsageError(f"--older-than: {e.what}", fix=e.fix) from e
