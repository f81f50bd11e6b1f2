"""`generate`: scaffold a repository, or bring its generated files up to date without touching a person's edit.

Order makes it safe to kill: a repository's own files, `mmcicd.yaml` last among them; then what follows from
it; the record of what was generated at the very end. The same command again finishes the work.
"""

import contextlib
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import click

from mmcicd_jenkins.adapters import file_lock
from mmcicd_jenkins.adapters import generated_files as disk
from mmcicd_jenkins.cli import generate_telling as telling
from mmcicd_jenkins.cli import report, wrapper_lock
from mmcicd_jenkins.cli.options import json_option
from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.config.lock import FILE as LOCK_FILE
from mmcicd_jenkins.config.lock import LockedSource, load_lock, lock_bytes
from mmcicd_jenkins.config.model import Config
from mmcicd_jenkins.errors import InputError, MmcicdError, UsageError
from mmcicd_jenkins.ports import SourceFacts
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.render import scaffold
from mmcicd_jenkins.render.update import Decision, Generated, Record, UpdatePlan, plan_update
from mmcicd_jenkins.render.wrapper import PROGRAM
from mmcicd_jenkins.wiring import open_sources

SCHEMA = ".mmcicd/schema.json"
LOCKED = ".mmcicd/locks/generate.lock"
WAIT_SECONDS = 60.0


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
@click.option(
    "--evaluate", metavar="HOW", help="binary, multiclass, multilabel, regression, or your own command."
)
@click.option(
    "--extends",
    metavar="URL",
    help="A git repository with the platform file that many share: copy it here and pin it, or take its newer state.",
)
@click.option("--yes", is_flag=True, help="Take what is guessed from the data for every other answer.")
@click.option("--check", is_flag=True, help="Change nothing; exit 3 when a generated file is not up to date.")
@click.option("--diff", is_flag=True, help="Change nothing; print what would change.")
@click.option(
    "--lock-cli",
    is_flag=True,
    help="Also lock what agents install, file by file with sha256, in mmcicdw.lock; asks the package index.",
)
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
    extends: str | None,
    yes: bool,
    check: bool,
    diff: bool,
    lock_cli: bool,
    as_json: bool,
) -> int:
    if lock_cli and (check or diff):
        raise UsageError(
            "--lock-cli writes a file, --check and --diff write none", fix="leave one of them out"
        )
    if extends is not None and (check or diff):
        raise UsageError(
            "--extends fetches and writes, so it cannot only look", fix="leave out --check and --diff"
        )
    root = directory.absolute()
    answers = {"train": train, "data": data, "label": label, "group_by": group_by, "evaluate": evaluate}
    if example:
        _refuse_answers(answers)
        begun = _example(root, example, model)
    else:
        begun = _begin(root, {"model": model, **answers}, yes=yes, only_look=check or diff)
    if check or diff:
        return telling.show(root, _plan(root, begun), check=check, diff=diff, as_json=as_json)
    with file_lock.hold(root / LOCKED, WAIT_SECONDS, lambda: report.say("waiting for another generate here")):
        plan, written = _write(root, begun, extends, lock_cli=lock_cli)
    return telling.tell(
        root, plan, written, begun=bool(begun.files), is_example=bool(begun.example), as_json=as_json
    )


def _begin(root: Path, answers: dict[str, str | None], *, yes: bool, only_look: bool) -> Begun:
    """The first configuration from answers, when there is none yet."""
    if not (root / scaffold.CONFIG).is_file():
        if only_look:
            raise InputError(f"there is no {scaffold.CONFIG} in {root}", fix="mmcicd-jenkins generate")
        return _from_answers(root, answers, yes=yes, terminal=sys.stdin.isatty() and sys.stderr.isatty())
    if all(value is None for value in answers.values()):
        return Begun()
    if scaffold.CONFIG not in disk.read_record(root).once:
        # The same command may not have come to its end: an answer was wrong, or it was killed.
        with contextlib.suppress(MmcicdError):
            begun = _from_answers(root, answers, yes=yes, terminal=False)
            if begun.files[0].content == (root / scaffold.CONFIG).read_bytes():
                return begun
    _refuse_answers(answers)
    return Begun()


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


def _from_answers(root: Path, given: dict[str, str | None], *, yes: bool, terminal: bool) -> Begun:
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
        terminal=terminal,
    )
    return Begun(files=(scaffold.first_config(answered.answers),), facts=answered.facts)


def _address(root: Path, url: str) -> str:
    return url if "://" in url else str(root / url)


def _write(
    root: Path, begun: Begun, extends: str | None, *, lock_cli: bool
) -> tuple[UpdatePlan, tuple[Decision, ...]]:
    """Everything, in the order that makes it safe to kill; what is there already is found."""
    own = _write_once(root, begun.files)
    if extends is not None:
        from mmcicd_jenkins.cli.generate_extends import extend

        extend(root, extends)
    lock = _lock(root, begun) if _is_first(root) else ()
    disk.carry_out(root, lock)
    if lock_cli:
        wrapper_lock.make(root, _config(root))
    plan = _plan(root, begun)
    if plan.announced.joining:
        disk.write_record(root, plan.announced)
    disk.carry_out(root, plan.changing)
    _write_schema(root)
    disk.write_record(root, plan.record)
    return plan, (*own, *lock, *plan.changing)


def _is_first(root: Path) -> bool:
    """Without a record nothing was finished here; afterwards the data's lock is moved by `data update` alone.

    A lock with nothing but a platform is what `--extends` just wrote.
    """
    if disk.read_record(root) != Record():
        return False
    lock = load_lock(root)
    return not (root / LOCK_FILE).exists() or (lock.platform is not None and not lock.data)


def _write_once(root: Path, files: Sequence[Generated]) -> tuple[Decision, ...]:
    present = disk.read_present(root, [file.path for file in files])
    changing = plan_update(files, present, Record(once=disk.read_record(root).once), disk.merge).changing
    disk.carry_out(root, changing)
    return changing


def _config(root: Path) -> Config:
    # The environment's overrides belong to one machine; files belong to all of them.
    return load_config(root / scaffold.CONFIG, environ={})


def planned(root: Path) -> UpdatePlan:
    """What the command would do in a repository that has a configuration."""
    return _plan(root, Begun())


def _plan(root: Path, begun: Begun) -> UpdatePlan:
    """Everything that this repository has of us, decided file by file."""
    record = disk.read_record(root)
    config = _config(root)
    pins = wrapper_lock.pins(root, config)
    managed = scaffold.managed_files(config, version(PROGRAM), lock=pins.lock, wheel=pins.wheel)
    files = [*begun.files, *managed]
    paths = {*(file.path for file in files), *record.managed}
    return plan_update(files, disk.read_present(root, paths), record, disk.merge)


def _lock(root: Path, begun: Begun) -> tuple[Decision, ...]:
    """The first lock. Later ones are written by `data update`, which shows what changed."""
    sources = open_sources(os.environ)
    lock = load_lock(root)
    for model in _config(root).models.values():
        for source in model.data:
            try:
                facts = begun.facts or sources.look(_address(root, source.url), source.label)
            except MmcicdError as e:
                report.say(f"{LOCK_FILE} is not written: {e.what}")
                report.say("  fix    mmcicd-jenkins data update, when the data can be reached")
                return ()
            lock = lock.with_source(model.name, source.name, LockedSource(url=source.url, facts=facts))
    return (Decision(path=LOCK_FILE, step="write", reason="pins the data", content=lock_bytes(lock)),)


def _write_schema(root: Path) -> None:
    """For editors. Not in git: it belongs to the installed version, and nothing but an editor reads it."""
    from mmcicd_jenkins.config.json_schema import schema_bytes

    content = schema_bytes()
    file = root / SCHEMA
    if not file.is_file() or file.read_bytes() != content:
        disk.write_whole(file, content)
