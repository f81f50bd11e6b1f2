"""`generate`: scaffold a repository, or bring its generated files up to date without touching a person's edit.

Order makes it safe to kill: a repository's own files, `mmcicd.yaml` last among them; then what follows from
it; the record of what was generated at the very end. The same command again finishes the work.
"""

import difflib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import click

from mmcicd_jenkins.adapters import generated_files as disk
from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.options import json_option
from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.config.lock import FILE as LOCK_FILE
from mmcicd_jenkins.config.lock import Lock, LockedSource, lock_bytes
from mmcicd_jenkins.config.model import Config
from mmcicd_jenkins.errors import InputError, MmcicdError, UsageError
from mmcicd_jenkins.ports import SourceFacts
from mmcicd_jenkins.render import scaffold
from mmcicd_jenkins.render.update import Decision, Generated, Record, UpdatePlan, plan_update
from mmcicd_jenkins.wiring import open_sources

SCHEMA = ".mmcicd/schema.json"


@dataclass(frozen=True, kw_only=True)
class Begun:
    """What this call began: the team's own files, and what it learned of their data."""

    files: tuple[Generated, ...] = ()
    example: str = ""
    facts: SourceFacts | None = None


@click.command(
    epilog="Example: mmcicd-jenkins generate   (in a repository with a train script; it asks a few questions)\n\n"
    "Example: mmcicd-jenkins generate digits --example image",
    help="Scaffold a repository in DIR (here by default), or bring its generated files up to date. Your edits are "
    "merged, never overwritten; what you deleted stays deleted; running it again changes nothing.",
)
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--example",
    type=click.Choice(list(scaffold.EXAMPLES)),
    help="Start from a working example with real data.",
)
@click.option("--model", metavar="NAME", help="The name of the model.")
@click.option("--train", metavar="COMMAND", help="The command that trains it.")
@click.option("--data", metavar="URL", help="Its data: a path, or an https, s3 or gs URL.")
@click.option("--label", metavar="COLUMN", help="The column to predict.")
@click.option("--group-by", metavar="COLUMN", help='Rows with the same value stay together; "" for none.')
@click.option("--evaluate", metavar="PROBLEM", help="binary, multiclass, multilabel or regression.")
@click.option("--yes", is_flag=True, help="Take what is guessed from the data for every other answer.")
@click.option("--check", is_flag=True, help="Change nothing; exit 3 when a generated file is not up to date.")
@click.option("--diff", is_flag=True, help="Change nothing; print what would change.")
@json_option
def command(
    directory: Path,
    example: str | None,
    model: str | None,
    train: str | None,
    data: str | None,
    label: str | None,
    group_by: str | None,
    evaluate: str | None,
    yes: bool,
    check: bool,
    diff: bool,
    as_json: bool,
) -> int:
    root = directory.absolute()
    only_look = check or diff
    answers = {"train": train, "data": data, "label": label, "group_by": group_by, "evaluate": evaluate}
    if (root / scaffold.CONFIG).is_file():
        _refuse_answers({**answers, **({} if example else {"model": model})})
        begun = _example(root, example, model) if example else Begun()
    elif only_look:
        raise InputError(f"there is no {scaffold.CONFIG} in {directory}", fix="mmcicd-jenkins generate")
    elif example:
        _refuse_answers(answers)
        begun = _example(root, example, model)
    else:
        begun = _from_answers(root, {"model": model, **answers}, yes=yes)
    own = () if only_look else _write_own_files(root, begun)
    plan = _plan(root, begun, look_at_data=not only_look)
    if only_look:
        return _show(root, plan, diff=diff, as_json=as_json)
    disk.carry_out(root, plan.changing)
    _write_schema(root)
    disk.write_record(root, plan.record)
    written = (*own, *plan.changing)
    return _tell(root, plan, begun, written, as_json=as_json)


def _refuse_answers(answers: dict[str, str | None]) -> None:
    given = ["--" + name.replace("_", "-") for name, value in answers.items() if value is not None]
    if given:
        raise UsageError(
            f"{', '.join(given)} would change nothing",
            why=f"{scaffold.CONFIG} is there already, or an example brings its own answers",
            fix=f"edit {scaffold.CONFIG}, then mmcicd-jenkins generate",
        )


def _example(root: Path, name: str, model: str | None) -> Begun:
    example = scaffold.EXAMPLES[name]
    files = scaffold.example_files(example, model or example.model)
    record = disk.read_record(root)
    present = disk.read_present(root, [scaffold.CONFIG])
    mine = present.get(scaffold.CONFIG)
    if mine and scaffold.CONFIG not in record.once and mine.content != files[-1].content:
        raise UsageError(
            f"an example needs a folder of its own; here is another {scaffold.CONFIG}",
            fix=f"mmcicd-jenkins generate {example.model} --example {name}",
        )
    return Begun(files=files, example=name)


def _from_answers(root: Path, given: dict[str, str | None], *, yes: bool) -> Begun:
    from mmcicd_jenkins.cli.questions import Given, ask

    if not root.is_dir():
        raise InputError(
            f"there is no folder {root}", fix="mmcicd-jenkins generate DIR --example image starts a new one"
        )
    sources = open_sources(os.environ)
    answered = ask(
        root,
        Given(**given, yes=yes),
        lambda url, label: sources.look(_address(root, url), label),
        terminal=sys.stdin.isatty() and sys.stderr.isatty(),
    )
    return Begun(files=(scaffold.first_config(answered.answers),), facts=answered.facts)


def _address(root: Path, url: str) -> str:
    return url if "://" in url else str(root / url)


def _write_own_files(root: Path, begun: Begun) -> tuple[Decision, ...]:
    present = disk.read_present(root, [file.path for file in begun.files])
    own = plan_update(begun.files, present, Record(once=disk.read_record(root).once), disk.merge).changing
    disk.carry_out(root, own)
    return own


def _plan(root: Path, begun: Begun, *, look_at_data: bool) -> UpdatePlan:
    """Everything that this repository has of us, decided file by file."""
    # The environment's overrides belong to one machine; files belong to all of them.
    config = load_config(root / scaffold.CONFIG, environ={})
    record = disk.read_record(root)
    files = [*begun.files, *scaffold.managed_files(config, version(scaffold.PROGRAM))]
    if look_at_data and record == Record() and not (root / LOCK_FILE).exists():
        files += _lock(config, begun)
    paths = {*(file.path for file in files), *record.managed}
    return plan_update(files, disk.read_present(root, paths), record, disk.merge)


def _lock(config: Config, begun: Begun) -> Sequence[Generated]:
    """The first lock. Later ones are written by `data update`, which shows what changed."""
    sources = open_sources(os.environ)
    lock = Lock()
    for model in config.models.values():
        for source in model.data:
            try:
                facts = begun.facts or sources.look(_address(config.root, source.url), source.label)
            except MmcicdError as e:
                report.say(f"{LOCK_FILE} is not written: {e.what}")
                report.say("  fix    mmcicd-jenkins data update, when the data can be reached")
                return []
            lock = lock.with_source(model.name, source.name, LockedSource(url=source.url, facts=facts))
    return [Generated(path=LOCK_FILE, content=lock_bytes(lock), mode="once")]


def _write_schema(root: Path) -> None:
    """For editors. Not in git: it belongs to the installed version, and nothing but an editor reads it."""
    from mmcicd_jenkins.config.json_schema import schema_bytes

    content = schema_bytes()
    file = root / SCHEMA
    if not file.is_file() or file.read_bytes() != content:
        disk.write_whole(file, content)


def _show(root: Path, plan: UpdatePlan, *, diff: bool, as_json: bool) -> int:
    stale = [*plan.changing, *(d for d in plan.conflicts if not d.changes)]
    if as_json:
        report.emit({"stale": [{"path": d.path, "step": d.step, "reason": d.reason} for d in stale]})
    elif diff:
        for decision in plan.changing:
            report.out(_diff(root, decision))
    if not stale:
        return 0
    if not as_json and not diff:
        raise InputError(
            "generated files are not up to date",
            where=", ".join(d.path for d in stale),
            why="; ".join(f"{d.path}: {d.reason}" for d in stale),
            fix="mmcicd-jenkins generate, then commit what changed",
        )
    return InputError.exit_code if not diff else 0


def _diff(root: Path, decision: Decision) -> str:
    file = root / decision.path
    old = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    new = (decision.content or b"").decode(errors="replace")
    if old == new:
        return f"{decision.path}: {decision.reason}"
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), f"a/{decision.path}", f"b/{decision.path}", lineterm=""
    )
    return "\n".join(lines)


def _tell(root: Path, plan: UpdatePlan, begun: Begun, written: Sequence[Decision], *, as_json: bool) -> int:
    code = InputError.exit_code if plan.conflicts else 0
    if as_json:
        told = {
            d.path: {"path": d.path, "step": d.step, "reason": d.reason} for d in (*plan.decisions, *written)
        }
        conflicts = [d.path for d in plan.conflicts]
        report.emit({"files": list(told.values()), "conflicts": conflicts, "exit_code": code})
        return code
    if plan.conflicts:
        raise InputError(
            "your edit and the newer text touch the same lines",
            where=", ".join(d.path for d in plan.conflicts),
            why="both stand there now, between <<<<<<< and >>>>>>>",
            fix="keep what you want of them, remove the marks, then mmcicd-jenkins generate",
        )
    if begun.files and written:
        _tell_beginning(root, [d.path for d in written], begun)
    else:
        _tell_update(plan)
    return code


def _tell_beginning(root: Path, written: list[str], begun: Begun) -> None:
    first = [
        p
        for p in written
        if p in {scaffold.CONFIG, LOCK_FILE, scaffold.WRAPPER} or p.endswith(".Jenkinsfile")
    ]
    first.sort(key=lambda p: (p.endswith(".Jenkinsfile"), p != scaffold.CONFIG, p))
    more = len(written) - len(first)
    what = ", ".join(first) + (f" and {more} more" if more > 0 else "")
    if begun.example:
        report.say(f"Wrote {what}.")
    else:
        _tell_train_script(root, what)
    place = "" if root == Path.cwd() else f"cd {report.relative(root)} && "
    init = "" if _in_git(root) else "git init -q -b main && "
    report.say(f'Next: {place}{init}git add -A && git commit -m "Add the pipeline" && mmcicd-jenkins run')


def _tell_train_script(root: Path, what: str) -> None:
    model = next(iter(load_config(root / scaffold.CONFIG, environ={}).models.values()))
    words = [word for word in model.train.command.split() if (root / word).is_file()]
    report.say(f"Wrote {what}. {words[0] if words else 'Your code'} is untouched; it should")
    for verb, line in scaffold.what_train_should_do([source.name for source in model.data]):
        report.say(f"  {verb:<7} {line}")


def _in_git(root: Path) -> bool:
    return any((folder / ".git").exists() for folder in (root, *root.parents))


def _tell_update(plan: UpdatePlan) -> None:
    words = {"write": "wrote", "update": "updated", "merge": "merged", "remove": "removed"}
    for decision in plan.changing:
        report.say(f"{words[decision.step]:<8} {decision.path}: {decision.reason}")
    for decision in plan.decisions:
        if decision.step == "keep" and decision.reason != "yours":
            report.say(f"{'kept':<8} {decision.path}: {decision.reason}")
    if not plan.changing:
        report.say("Everything is up to date.")
