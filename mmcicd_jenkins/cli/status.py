"""`status`: what serves where since when and why; it shouts when the ledger and the environment differ."""

from pathlib import Path

import click

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.options import json_option, shared_option
from mmcicd_jenkins.cli.telling import moment, say_next
from mmcicd_jenkins.config.model import Environment, Model
from mmcicd_jenkins.errors import InputError, MmcicdError, OutsideFailed
from mmcicd_jenkins.ports import Observed
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.release.ledger import Pointer, Snapshot
from mmcicd_jenkins.wiring import Bench, open_bench
from mmcicd_jenkins.wiring.ledger import ledger_address


@dataclass(frozen=True, kw_only=True)
class Line:
    """One model in one environment, as the ledger and as the environment itself say."""

    model: str
    environment: str
    recorded: int | None
    observed: int | None
    state: str
    since: str
    why: str
    warning: str


@click.command(
    epilog="Example: mmcicd-jenkins status",
    help="What serves where, since when and why: the ledger's word beside the environment's own. "
    "Exits 5 when an environment does not serve what the ledger says.",
)
@shared_option
@json_option
def command(shared: bool, as_json: bool) -> int:
    bench = open_bench(Path.cwd(), report.Lines(), shared=shared)
    lines = [
        _line(model, place, bench.ledger.snapshot(model.name), bench)
        for model in bench.config.models.values()
        for place in bench.config.environments.values()
    ]
    code = OutsideFailed.exit_code if any(line.warning for line in lines) else 0
    if as_json:
        ledger = ledger_address(bench.config)
        report.emit({"ledger": ledger, "status": [to_document(line) for line in lines], "exit_code": code})
        return code
    report.out(f"Ledger: {_shown(ledger_address(bench.config))}")
    rows = [
        (line.model, line.environment, _version(line), _state(line), moment(line.since), line.why)
        for line in lines
    ]
    report.out(report.table(rows, head=("MODEL", "ENVIRONMENT", "VERSION", "STATE", "SINCE", "WHY")))
    for line in lines:
        if line.warning:
            report.say(line.warning, mark="differs")
    for model, version in _waiting(bench).items():
        say_next(f"mmcicd-jenkins promote --model {model}   (version {version} waits)")
    return code


def _waiting(bench: Bench) -> dict[str, int]:
    """Models whose version before production is another, healthy one than production's."""
    waiting = {}
    for name in bench.config.models if bench.config.before_production else ():
        snapshot = bench.ledger.snapshot(name)
        staged = snapshot.pointer(bench.config.before_production[-1].name).serving
        serving = snapshot.pointer(bench.config.production.name).serving
        if staged is not None and staged != serving and not snapshot.is_revoked(staged):
            waiting[name] = staged
    return waiting


def _shown(address: str) -> str:
    return address if "://" in address else report.relative(Path(address))


def _version(line: Line) -> str:
    return "-" if line.recorded is None else str(line.recorded)


def _state(line: Line) -> str:
    """A place that nothing was promoted to is not broken, whatever its server says of what it does not have."""
    return "" if line.recorded is None and line.state in {"END", "STOPPED"} else line.state


def _line(model: Model, place: Environment, snapshot: Snapshot, bench: Bench) -> Line:
    pointer = snapshot.pointer(place.name)
    observed = _observe(model, place, bench)
    return Line(
        model=model.name,
        environment=place.name,
        recorded=pointer.serving,
        observed=observed.version,
        state=observed.state,
        since=next((s.since for s in reversed(pointer.served) if not s.until), ""),
        why=_why(pointer),
        warning=_warning(model, place, pointer, observed),
    )


def _observe(model: Model, place: Environment, bench: Bench) -> Observed:
    try:
        return bench.target(place).observe(model.name)
    except (OutsideFailed, InputError) as e:
        return Observed(version=None, state="unknown", reason=_sentence(e))


def _sentence(error: MmcicdError) -> str:
    return f"{error.what}: {error.why}" if error.why else error.what


def _why(pointer: Pointer) -> str:
    operation = pointer.operation
    if pointer.frozen:
        return f"frozen: {pointer.frozen}"
    if operation is None:
        return ""
    told = (
        operation.action
        if operation.phase == "done"
        else f"{operation.action} of {operation.target} {operation.phase}"
    )
    return f"{told}: {operation.reason}" if operation.reason else told


def _warning(model: Model, place: Environment, pointer: Pointer, observed: Observed) -> str:
    if pointer.operation and pointer.operation.phase == "prepared":
        action, target = pointer.operation.action, pointer.operation.target
        return (
            f"{place.name}: the {action} of {model.name} {target} was cut short; the same command finishes it"
        )
    if pointer.serving == observed.version:
        return ""
    serves = f"serves {observed.version}" if observed.version else "serves nothing"
    why = f" ({observed.reason})" if observed.reason else ""
    fix = f"mmcicd-jenkins serve --env {place.name}"
    if pointer.serving is None:
        fix = "put the ledger back if it was lost, or mmcicd-jenkins reconcile"
    return f"{place.name} {serves}{why}, the ledger says {pointer.serving or 'nothing'} of {model.name}; fix: {fix}"
