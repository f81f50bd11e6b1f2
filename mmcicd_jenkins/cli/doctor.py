"""`doctor`: would the first build succeed? Looks at everything that it needs, changes nothing."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from mmcicd_jenkins.adapters.redaction import Redactor
from mmcicd_jenkins.checks.finding import TITLES, Finding, exit_code
from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.options import json_option, model_option
from mmcicd_jenkins.config.load import FILE
from mmcicd_jenkins.config.lock import FILE as LOCK
from mmcicd_jenkins.errors import UsageError
from mmcicd_jenkins.stages.doctor import SECONDS, Check, examine

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command(
    name="doctor",
    epilog="Example: mmcicd-jenkins doctor\n\nExample, on an agent: mmcicd-jenkins doctor --here",
    help="Say before the first build whether it would succeed: Jenkins, git, store, environments, this machine, "
    "models. Nothing is changed, started or pushed. Exits 0 when nothing failed, 3 when something must be "
    "corrected, 5 when the only failures are systems that did not answer.",
)
@model_option()
@click.option(
    "--here", is_flag=True, help="Look at this machine alone, as one that runs stages: an agent, or a laptop."
)
@click.option(
    "--within",
    type=click.FloatRange(min=1),
    default=SECONDS,
    metavar="SECONDS",
    show_default=True,
    help="When what has not answered counts as failed.",
)
@json_option
def command(model: str | None, here: bool, within: float, as_json: bool) -> int:
    # What ends by itself says why, so it is given a little less than the whole time.
    each = within * 0.8
    checks = _machine(each) if here else _everything(model or "", each)
    findings = [_hidden(finding) for finding in examine(checks, within)]
    code = exit_code(findings)
    if as_json:
        report.emit({"findings": [finding.to_json() for finding in findings], "exit_code": code})
        return code
    for severity, line in lines(findings):
        click.echo(_mark(severity) + report.plain(line))
    return code


def _hidden(finding: Finding) -> Finding:
    """Servers and libraries quote what they were sent."""
    hide = Redactor(os.environ).hide
    what, fix, where = (
        hide(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
        for text in (finding.what, finding.fix, finding.where)
    )
    return dataclasses.replace(finding, what=what, fix=fix, where=where)


def _machine(within: float) -> tuple[Check, ...]:
    from mmcicd_jenkins.wiring.doctor import open_machine

    return open_machine(Path.cwd(), os.environ, seconds=within)


def _everything(model: str, within: float) -> tuple[Check, ...]:
    from mmcicd_jenkins.cli.generate import planned
    from mmcicd_jenkins.config.load import load_config
    from mmcicd_jenkins.wiring.doctor import Generated, open_checks

    config = load_config(Path.cwd(), environ=os.environ)
    if model and model not in config.models:
        raise UsageError(f"there is no model {model!r}", fix="--model " + " or --model ".join(config.models))
    root = config.root
    generated = Generated(
        paths=lambda: [FILE, *_kept(root, LOCK), *_generated(root)],
        stale=lambda: [decision.path for decision in planned(root).changing],
    )
    return open_checks(root, os.environ, generated, model=model, seconds=within)


def _generated(root: Path) -> list[str]:
    from mmcicd_jenkins.cli.generate import planned

    return [decision.path for decision in planned(root).decisions if decision.step != "deleted"]


def _kept(root: Path, name: str) -> tuple[str, ...]:
    return (name,) if (root / name).is_file() else ()


def lines(findings: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    """One line for all that is right of a system, then what is not, the worst where a terminal ends."""
    for topic, title in TITLES.items():
        own = [finding for finding in findings if finding.topic == topic]
        good = [finding for finding in own if finding.severity == "ok"]
        if good:
            title = next((finding.title for finding in good if finding.title), title)
            yield "ok", f"{title}: {', '.join(dict.fromkeys(finding.what for finding in good))}"
    for severity in ("warn", "fail"):
        for finding in findings:
            if finding.severity == severity:
                yield from _told(finding)


def _told(finding: Finding) -> Iterator[tuple[str, str]]:
    place = f"{finding.where}: " if finding.where and finding.where not in finding.what else ""
    yield finding.severity, f"{place}{finding.what}"
    if finding.fix:
        yield "", finding.fix


def _mark(severity: str) -> str:
    text = f"{severity:<6}"
    return click.style(text, fg=_COLOURS[severity], bold=True) if severity else text
