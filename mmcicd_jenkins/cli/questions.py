"""What `generate` must know about a repository: asked on a terminal, taken from flags elsewhere.

The answers are looked up in the data as far as possible, so that a person mostly presses Enter. Without a
terminal every missing answer is named at once.
"""

import dataclasses
import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TypeVar, cast, get_args

import click

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.config import guess
from mmcicd_jenkins.config.model import Problem
from mmcicd_jenkins.errors import InputError, MmcicdError, UsageError
from mmcicd_jenkins.ports import SourceFacts
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.names import check_name
from mmcicd_jenkins.render.scaffold import Answers, model_name, source_name

PROBLEMS: tuple[str, ...] = get_args(Problem)
Look = Callable[[str, str], SourceFacts]
T = TypeVar("T")


def flag(name: str) -> str:
    """The flag that answers a question."""
    return "--" + name.replace("_", "-")


@dataclass(frozen=True, kw_only=True)
class Given:
    """What the flags say; None where they are silent. `yes` takes what was guessed for the rest."""

    model: str | None = None
    train: str | None = None
    data: str | None = None
    label: str | None = None
    group_by: str | None = None
    evaluate: str | None = None
    yes: bool = False

    def missing(self, name: str) -> bool:
        return getattr(self, name) is None


@dataclass(frozen=True, kw_only=True)
class Answered:
    answers: Answers
    facts: SourceFacts


@dataclasses.dataclass
class _Talk:
    """One conversation. Off a terminal it collects what is missing instead of asking."""

    given: Given
    terminal: bool
    missing: dict[str, str] = field(default_factory=dict)

    def answer(self, name: str, question: str, default: str, read: Callable[[str], T]) -> T:
        """What `read` makes of the flag, the person's word, or the guess. "" is an answer where there is no guess.

        A person may have mistyped it: asking again beats starting again.
        """
        value: str | None = getattr(self.given, name)
        if value is not None:
            return read(value)
        if self.terminal and not self.given.yes:
            while True:
                asked: str = click.prompt(question, default=default, err=True, show_default=bool(default))
                try:
                    return read(asked.strip())
                except MmcicdError as e:
                    told = f"{e.what}: {e.why}" if e.why else e.what
                    report.say(f"  {told}" + (f"; {e.fix}" if e.fix and not e.why else ""))
        if not self.given.yes and default:
            self.missing[name] = default
        return read(default)


def ask(root: Path, given: Given, look: Look, *, terminal: bool) -> Answered:
    """Everything about the one model that the first `mmcicd.yaml` describes.

    Raises:
        UsageError: off a terminal, with every flag that is missing.
        InputError: the data cannot be read, or an answer does not fit them.
    """
    talk = _Talk(given=given, terminal=terminal)
    model = talk.answer("model", "Model", model_name(root.name), lambda name: check_name(name, "model"))
    train = talk.answer("train", "Train command", _guess_train(root), str)
    url, facts = _ask_data(talk, root, look)
    label = _ask_label(talk, facts, model)
    facts = look(url, label) if label else facts
    problem, own = _ask_evaluation(talk, facts, label)
    group_by = _ask_group(talk, facts, label)
    _refuse_missing(talk)
    answers = Answers(
        model=model,
        train=train,
        source=source_name(url),
        url=url,
        label=label,
        group_by=group_by,
        problem=problem,
        command=own,
    )
    return Answered(answers=answers, facts=facts)


def _guess_train(root: Path) -> str:
    """The script that a repository most likely trains with: `train.*` in the root, else one below it."""
    for path in [*sorted(root.glob("train.*")), *sorted(root.glob("[!.]*/train.*"))]:
        if path.suffix not in {".py", ".sh"} or not path.is_file():
            continue
        # The command is run by a shell, and a folder may be called anything.
        script = path.relative_to(root).as_posix()
        if path.suffix == ".sh" and os.access(path, os.X_OK):
            return shlex.quote(f"./{script}")
        interpreter = "python" if path.suffix == ".py" else "sh"
        return f"{interpreter} {shlex.quote(f'./{script}' if script.startswith('-') else script)}"
    return "python train.py"


def _ask_data(talk: _Talk, root: Path, look: Look) -> tuple[str, SourceFacts]:
    def read(url: str) -> tuple[str, SourceFacts]:
        if not url:
            raise UsageError("where is the data?", fix="--data PATH or URL")
        return url, look(url, "")

    url, facts = talk.answer("data", "Data", _only_table(root), read)
    report.say("  " + _described(facts))
    return url, facts


def _only_table(root: Path) -> str:
    """The data file, when there is exactly one candidate."""
    found = [
        p for folder in (root, root / "data") for p in folder.glob("*") if p.suffix in {".csv", ".parquet"}
    ]
    return found[0].relative_to(root).as_posix() if len(found) == 1 else ""


def _described(facts: SourceFacts) -> str:
    size = f"{facts.size / 1e6:,.1f} MB" if facts.size >= 1e5 else f"{facts.size / 1e3:,.1f} kB"
    if facts.rows is None:
        return f"{facts.files:,} files, {size}"
    return f"{facts.rows:,} rows, {len(facts.columns)} columns, {size}"


def _ask_label(talk: _Talk, facts: SourceFacts, model: str) -> str:
    if not facts.columns:
        return talk.given.label or ""
    return talk.answer(
        "label",
        "Label",
        guess.label(facts.columns, model),
        lambda name: _require_column(name, facts, "label"),
    )


def _ask_group(talk: _Talk, facts: SourceFacts, label: str) -> str:
    if not facts.columns:
        return ""

    def read(name: str) -> str:
        if name in {"", "-", "none"}:
            return ""
        return _require_column(name, facts, "column to keep rows together by")

    return talk.answer("group_by", "Keep rows together by", guess.group_by(facts.columns, label), read)


def _require_column(name: str, facts: SourceFacts, role: str) -> str:
    names = [column.name for column in facts.columns]
    if name not in names:
        shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        raise InputError(
            f"the data have no column {name!r} to be the {role}", why=f"the columns are: {shown}"
        )
    return name


def _ask_evaluation(talk: _Talk, facts: SourceFacts, label: str) -> tuple[Problem | None, str]:
    """The kind of problem, or the command of an evaluation of the team's own."""
    guessed, sentence = guess.problem(facts, label) if label else ("./evaluate.sh", "")
    if talk.given.missing("evaluate") and sentence:
        report.say(f"  {label}: {sentence}")
    if label and guessed and talk.given.missing("evaluate"):
        return cast("Problem", guessed), ""

    def read(value: str) -> tuple[Problem | None, str]:
        if not value:
            raise UsageError("what kind of problem is it?", fix="--evaluate " + "|".join(PROBLEMS))
        if value in PROBLEMS and not label:
            raise InputError(
                f"{value} is evaluated by a label, and the data are no table", fix="--evaluate COMMAND"
            )
        return (cast("Problem", value), "") if value in PROBLEMS else (None, value)

    question = "Evaluate as (" + ", ".join(PROBLEMS) + ") or by command"
    return talk.answer("evaluate", question, guessed or "", read)


def _refuse_missing(talk: _Talk) -> None:
    if talk.missing:
        flags: Mapping[str, str] = {flag(name): guessed for name, guessed in talk.missing.items()}
        raise UsageError(
            "this is no terminal, so flags must answer: " + ", ".join(flags),
            why="; ".join(f"{flag} would be {guessed!r}" for flag, guessed in flags.items()),
            fix="give them, or --yes to take these",
        )
