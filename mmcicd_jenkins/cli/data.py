"""`data check|update`: do the sources still hold what the lock says, and move the lock to what they hold."""

import os
from pathlib import Path

import click

from mmcicd_jenkins.adapters.credentials import login
from mmcicd_jenkins.adapters.git.lock_push import LockPush
from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.options import dry_run_option, json_option, model_option
from mmcicd_jenkins.cli.summary import Summary
from mmcicd_jenkins.config.data_schema import check_source, load_schema
from mmcicd_jenkins.config.lock import Lock, LockedSource, changes, lock_bytes
from mmcicd_jenkins.config.model import DataSource, Model
from mmcicd_jenkins.errors import InputError, IntegrityFailed, MmcicdError
from mmcicd_jenkins.ports import SourceFacts
from mmcicd_jenkins.stages.workspace import write_atomically
from mmcicd_jenkins.wiring import Bench, open_bench

LOCK_FILE = "mmcicd.lock"


@click.group(help="Check the data against the lock and the schema, or move the lock.")
def command() -> None:
    pass


@command.command(
    "check",
    epilog="Example: mmcicd-jenkins data check --model churn",
    help="Read every source and compare it with mmcicd.lock and with its schema. "
    "Exits 7 when bytes changed without the lock, 3 when the schema is not met.",
)
@model_option()
@json_option
def check(model: str | None, as_json: bool) -> int:
    bench = open_bench(Path.cwd(), report.Lines())
    changed, broken = [], []
    for one, source in _sources(bench, model):
        facts = _look(bench, source)
        locked = bench.lock.source(one.name, source.name)
        if locked is None or locked.facts.digest != facts.digest:
            changed += _differences(f"{one.name}/{source.name}", locked, source, facts)
        broken += [f"{one.name}/{source.name}: {line}" for line in _schema_problems(bench, source, facts)]
    if as_json:
        report.emit({"changed": changed, "schema": broken})
    if changed:
        raise IntegrityFailed(
            "the data changed without the lock" if bench.lock.data else "the data are not locked yet",
            why="\n".join(changed),
            fix="mmcicd-jenkins data update, then commit mmcicd.lock",
        )
    if broken:
        raise InputError(
            "the data do not meet their schema", why="\n".join(broken), fix="mend the data or the schema"
        )
    if not as_json:
        report.say("every source holds what the lock says")
    return 0


@command.command(
    "update",
    epilog="Example: mmcicd-jenkins data update --model churn && git commit -m 'Newer data' mmcicd.lock",
    help="Read every source, show what changed since mmcicd.lock, and write the lock. Nothing is trained; "
    "commit the lock and the next run uses the new data.",
)
@model_option()
@click.option(
    "--push", "branch", default="", metavar="BRANCH", help="Commit the moved lock and push it to this branch."
)
@click.option(
    "--summary", "folder", default="", metavar="FOLDER", help="Write what Jenkins shows into this folder."
)
@dry_run_option
@json_option
def update(model: str | None, branch: str, folder: str, dry_run: bool, as_json: bool) -> int:
    summary = Summary(folder)
    try:
        return _update(model, branch, summary, dry_run=dry_run, as_json=as_json)
    except MmcicdError as e:
        summary.failed(e, model or "data")
        raise


def _update(model: str | None, branch: str, summary: Summary, *, dry_run: bool, as_json: bool) -> int:
    push = _push_to(branch) if branch and not dry_run else None
    if push is not None:
        push.start()
    bench = open_bench(Path.cwd(), report.Lines())
    lock = bench.lock
    for one, source in _sources(bench, model):
        lock = lock.with_source(
            one.name, source.name, LockedSource(url=source.url, facts=_look(bench, source))
        )
    told = changes(bench.lock, lock)
    _refuse_unusable(bench, lock, _sources(bench, model))
    if not dry_run and lock != bench.lock:
        write_atomically(bench.config.root / LOCK_FILE, lock_bytes(lock))
    about = f"Newer data of {model}" if model else "Newer data"
    commit = push.carry(LOCK_FILE, f"{about}\n\n" + "\n".join(told)) if push is not None else ""
    summary.say(f"{about}: {commit[:12]} on {branch}" if commit else f"{model or 'data'}: nothing new")
    if as_json:
        report.emit({"changes": list(told), "written": not dry_run and lock != bench.lock, "commit": commit})
        return 0
    for line in told or ("nothing changed",):
        report.out(line)
    if commit:
        report.say(f"{commit[:12]} is on {branch}; its build trains what changed")
    elif told and not dry_run:
        report.say(f"Next: git commit -m 'Newer data' {LOCK_FILE} && mmcicd-jenkins run")
    return 0


def _push_to(branch: str) -> LockPush:
    return LockPush(Path.cwd(), branch, login("source", os.environ))


def _refuse_unusable(bench: Bench, lock: Lock, sources: list[tuple[Model, DataSource]]) -> None:
    """Nobody wants a lock on data that no run can use: a table that was cut off, a folder where a table was.

    Raises:
        InputError: with every reason; the lock stays as it is.
    """
    wrong = []
    for one, source in sources:
        before, after = bench.lock.source(one.name, source.name), lock.source(one.name, source.name)
        if after is None:
            continue
        name, facts = f"{one.name}/{source.name}", after.facts
        if facts.rows == 0:
            wrong.append(f"{name}: the table has a header and no rows")
        elif (
            before is not None
            and (before.facts.rows is None) != (facts.rows is None)
            and before.url == after.url
        ):
            was, now = (_kind(each) for each in (before.facts, facts))
            wrong.append(f"{name}: {source.url} was {was} and is {now} now")
        wrong += [f"{name}: {line}" for line in _schema_problems(bench, source, facts)]
    if wrong:
        raise InputError(
            f"these data cannot be used, so {LOCK_FILE} stays as it is",
            where=bench.config.file,
            why="\n".join(wrong),
            fix="mend the data or their schema; if it is meant that they are of another kind, give the source another name",
        )


def _kind(facts: SourceFacts) -> str:
    return "no table" if facts.rows is None else f"a table of {facts.rows:,} rows"


def _sources(bench: Bench, model: str | None) -> list[tuple[Model, DataSource]]:
    models = [bench.model(model)] if model else list(bench.config.models.values())
    return [(one, source) for one in models for source in one.data]


def _look(bench: Bench, source: DataSource) -> SourceFacts:
    address = source.url if "://" in source.url else str(bench.config.root / source.url)
    return bench.ports.sources.look(address, source.label)


def _differences(name: str, locked: LockedSource | None, source: DataSource, facts: SourceFacts) -> list[str]:
    old = Lock(data={} if locked is None else {name: locked})
    new = Lock(data={name: LockedSource(url=source.url, facts=facts)})
    return changes(old, new)


def _schema_problems(bench: Bench, source: DataSource, facts: SourceFacts) -> list[str]:
    if not source.schema:
        return []
    return list(check_source(load_schema(bench.config.root / source.schema), facts))
