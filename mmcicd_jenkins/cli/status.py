"""`status`: what serves where since when and why; it shouts when the ledger and the environment differ."""

import dataclasses
import sys
from pathlib import Path
from typing import NoReturn

import click

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.options import json_option, shared_option
from mmcicd_jenkins.cli.status_lines import Line, mark_of
from mmcicd_jenkins.cli.status_look import CALL_SECONDS, Look
from mmcicd_jenkins.cli.telling import say_next
from mmcicd_jenkins.errors import Interrupted, MmcicdError, OutsideFailed, Terminated, UsageError
from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.release.ledger import Snapshot
from mmcicd_jenkins.wiring import Bench, open_bench
from mmcicd_jenkins.wiring.ledger import ledger_address

EVERY = "2s"
LEAST, MOST = 0.5, 86400.0


@click.command(
    epilog="Example: mmcicd-jenkins status --watch --every 5s",
    help="What serves where, since when and why: the ledger's word beside the environment's own; of an environment "
    "with several copies, which version serves which share. Exits 5 when an environment does not serve what the "
    "ledger says, or cannot be asked. With --watch it goes on until Ctrl-C: redrawn on a terminal, one line for each "
    "change in a log, one JSON object for each change with --json.",
)
@click.option("--watch", is_flag=True, help="Look again and again, and show what changes.")
@click.option(
    "--every", default=EVERY, show_default=True, metavar="DURATION", help="With --watch: how often."
)
@shared_option
@json_option
def command(watch: bool, every: str, shared: bool, as_json: bool) -> int:
    seconds = _seconds(every)
    if every != EVERY and not watch:
        raise UsageError("--every belongs to --watch")
    opened = open_bench(Path.cwd(), report.Lines(), shared=shared)
    bench = dataclasses.replace(opened, cluster_seconds=CALL_SECONDS)
    options = " --shared" if shared else ""
    look = Look(bench, options=options)
    if watch and as_json:
        return _watch_as_json(look, seconds, _ledger_seconds(bench))
    if watch:
        return _watch(look, bench, seconds)
    look.read_ledger()
    lines = look.lines()
    code = OutsideFailed.exit_code if any(line.warning for line in lines) else 0
    if as_json:
        ledger = ledger_address(bench.config)
        report.emit({"ledger": ledger, "status": [to_document(line) for line in lines], "exit_code": code})
        return code
    _tell(lines, bench)
    if bench.replaced:
        report.say(
            f"These are this machine's own; {' and '.join(bench.replaced)} of mmcicd.yaml: mmcicd-jenkins status --shared"
        )
    for model, version in _waiting(bench, look.snapshots).items():
        say_next(f"mmcicd-jenkins promote --model {model}{options}   (version {version} waits)")
    return code


def _seconds(every: str) -> float:
    from mmcicd_jenkins.config.forms import FormError, duration

    try:
        seconds = duration(every)
    except FormError as e:
        raise UsageError(f"--every {every}: {e}", fix=f"--every {EVERY}") from e
    if not LEAST <= seconds <= MOST:
        raise UsageError(f"--every {every}: from half a second to a day", fix=f"--every {EVERY}")
    return seconds


def _tell(lines: list[Line], bench: Bench) -> None:
    from mmcicd_jenkins.cli.status_table import table

    report.out(_head(bench))
    report.out(table(lines, report.stdout_columns()))
    for line in lines:
        if line.warning:
            report.say(line.warning, mark=mark_of(line))
        if line.note:
            report.say(line.note)


def _head(bench: Bench) -> str:
    address = ledger_address(bench.config)
    return f"Ledger: {address if '://' in address else report.relative(Path(address))}"


def _ledger_seconds(bench: Bench) -> float:
    from mmcicd_jenkins.cli.status_watch import LEDGER_SECONDS

    return LEDGER_SECONDS if "://" in ledger_address(bench.config) else 0.0


def _watch(look: Look, bench: Bench, seconds: float) -> int:
    """Ctrl-C is its usual end, so it is no error; the exit code is that of every command that is interrupted."""
    try:
        _watch_in_words(look, bench, seconds)
    except KeyboardInterrupt:
        return Interrupted.exit_code


def _watch_in_words(look: Look, bench: Bench, seconds: float) -> NoReturn:
    from mmcicd_jenkins.cli import status_watch

    ledger_seconds = _ledger_seconds(bench)
    if not sys.stdout.isatty():
        screen = status_watch.Changes(status_watch.tell_words)
        status_watch.watch(look, screen, seconds, ledger_seconds=ledger_seconds)
    with status_watch.Redrawn(_head(bench), seconds) as drawn:
        status_watch.watch(look, drawn, seconds, ledger_seconds=ledger_seconds)


def _watch_as_json(look: Look, seconds: float, ledger_seconds: float) -> int:
    """Its end is an object on one line like everything before it."""
    from mmcicd_jenkins.cli import status_watch

    screen = status_watch.Changes(status_watch.tell_json)
    try:
        status_watch.watch(look, screen, seconds, ledger_seconds=ledger_seconds)
    except KeyboardInterrupt:
        ended: MmcicdError = Interrupted("interrupted; nothing is lost", fix="run the same command again")
    except Terminated as e:
        ended = e
    report.emit_line(ended.to_json())
    return ended.exit_code


def _waiting(bench: Bench, snapshots: dict[str, Snapshot]) -> dict[str, int]:
    """Models whose version before production is another, healthy one than production's."""
    waiting = {}
    for name in bench.config.models if bench.config.before_production else ():
        snapshot = snapshots[name]
        staged = snapshot.pointer(bench.config.before_production[-1].name).serving
        serving = snapshot.pointer(bench.config.production.name).serving
        if staged is not None and staged != serving and not snapshot.is_revoked(staged):
            waiting[name] = staged
    return waiting
