"""How `generate` tells what it wrote, what it would write, and what comes next."""

import difflib
import shlex
from collections.abc import Sequence
from pathlib import Path

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.config.lock import FILE as LOCK_FILE
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.render import scaffold
from mmcicd_jenkins.render.update import Decision, UpdatePlan
from mmcicd_jenkins.render.wrapper import WRAPPER


def show(root: Path, plan: UpdatePlan, *, check: bool, diff: bool, as_json: bool) -> int:
    """What would change. With `--check` anything stale is an error, so that a build can refuse it."""
    stale = [*plan.changing, *(d for d in plan.conflicts if not d.changes)]
    code = InputError.exit_code if stale and check else 0
    if as_json:
        steps = [{"path": d.path, "step": d.step, "reason": d.reason} for d in stale]
        report.emit({"stale": steps, "exit_code": code})
        return code
    if diff:
        for decision in plan.changing:
            report.out(_diff(root, decision))
    if code:
        raise InputError(
            "generated files are not up to date",
            where=", ".join(d.path for d in stale),
            why="\n".join(f"{d.path}: {d.reason}" for d in stale),
            fix="mmcicd-jenkins generate, then commit what changed",
        )
    return 0


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


def tell(
    root: Path,
    plan: UpdatePlan,
    written: Sequence[Decision],
    *,
    begun: bool,
    is_example: bool,
    as_json: bool,
) -> int:
    """Tell what was done; conflicts are an error, because a person must end them."""
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
    if begun and written:
        _tell_beginning(root, [d.path for d in written], is_example=is_example)
    else:
        _tell_update(root, plan, written)
    return code


def _tell_beginning(root: Path, written: list[str], *, is_example: bool) -> None:
    first = [p for p in written if p in {scaffold.CONFIG, LOCK_FILE, WRAPPER} or p.endswith(".Jenkinsfile")]
    first.sort(key=lambda p: (p.endswith(".Jenkinsfile"), p != scaffold.CONFIG, p))
    more = len(written) - len(first)
    what = ", ".join(first) + (f" and {more} more" if more > 0 else "")
    if is_example:
        report.say(f"Wrote {what}.")
    else:
        _tell_train_script(root, what)
    _say_next(root)


def _say_next(root: Path) -> None:
    place = "" if root == Path.cwd() else f"cd {shlex.quote(report.relative(root))} && "
    init = "" if _in_git(root) else "git init -q -b main && "
    report.say(f'Next: {place}{init}git add -A && git commit -m "Add the pipeline" && mmcicd-jenkins run')


def _tell_train_script(root: Path, what: str) -> None:
    model = next(iter(load_config(root / scaffold.CONFIG, environ={}).models.values()))
    words = [word for word in model.train.command.split() if (root / word).is_file()]
    report.say(f"Wrote {what}.")
    report.say(f"{words[0] if words else 'Your code'} is untouched; it should")
    for verb, line in scaffold.what_train_should_do(model):
        report.say(f"  {verb:<7} {line}")


def _in_git(root: Path) -> bool:
    return any((folder / ".git").exists() for folder in (root, *root.parents))


def _tell_update(root: Path, plan: UpdatePlan, written: Sequence[Decision]) -> None:
    words = {"write": "wrote", "update": "updated", "merge": "merged", "remove": "removed"}
    for decision in written:
        report.say(f"{words[decision.step]:<8} {decision.path}: {decision.reason}")
    for decision in plan.decisions:
        if decision.step == "keep" and decision.reason != "yours":
            report.say(f"{'kept':<8} {decision.path}: {decision.reason}")
    if not written:
        report.say("Everything is up to date.")
    elif any(decision.path == LOCK_FILE for decision in written):
        _say_next(root)
