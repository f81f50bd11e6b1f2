"""What `status` says of one model in one environment: the ledger's word beside the environment's own. Pure.

The law: what differs has a warning, with the command that mends it; what is merely under way has a note. An environment
that cannot be asked says so in its own row.
"""

from collections.abc import Sequence
from dataclasses import field

from mmcicd_jenkins.ports import Copies, Observed
from mmcicd_jenkins.ports.rollout import CanaryState
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.ledger import Operation, Pointer

UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What an environment said, or why it said nothing (`observed.state` is then `unknown`).

    `options` stand in every command that is named, as whoever asks would have to type them. `monitor` is what its last look
    raised an alarm about.
    """

    observed: Observed
    canary: CanaryState | None = None
    steps: int = 0
    options: str = ""
    monitor: str = ""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row. `state` is the environment's word: who serves which share, where it has several copies."""

    model: str
    environment: str
    recorded: int | None
    observed: int | None
    state: str
    since: str
    why: str
    warning: str
    note: str = ""
    epoch: int = 0
    observed_epoch: int = 0
    copies: tuple[Copies, ...] = field(default=())


def mark_of(line: Line) -> str:
    """What stands before its warning: an environment that did not answer is not one that answers otherwise."""
    return UNKNOWN if line.state == UNKNOWN else "differs"


def make_line(model: str, environment: str, pointer: Pointer, seen: Seen) -> Line:
    observed = seen.observed
    cut_short, note = _operation(model, pointer, seen)
    return Line(
        model=model,
        environment=environment,
        recorded=pointer.serving,
        observed=observed.version,
        state=_state(pointer, seen),
        since=next((s.since for s in reversed(pointer.served) if not s.until), ""),
        why=_why(pointer),
        warning=_unasked(environment, seen) or cut_short or _difference(model, pointer, seen),
        note=note or _alarm(pointer, seen),
        epoch=pointer.epoch,
        observed_epoch=observed.epoch,
        copies=observed.copies,
    )


def _alarm(pointer: Pointer, seen: Seen) -> str:
    """An alarm that is in no ledger, because nothing was decided. Of a decision the ledger has the reason."""
    if not seen.monitor or pointer.frozen or pointer.serving is None:
        return ""
    return f"{pointer.environment}: the monitor says of {pointer.serving}: {seen.monitor}"


def _state(pointer: Pointer, seen: Seen) -> str:
    if pointer.serving is None and seen.observed.state in {"END", "STOPPED"}:
        # A place that nothing was promoted to is not broken, whatever its server says of what it does not have.
        return ""
    return shares(seen.observed.copies, _canary_words(seen)) or seen.observed.state


def _canary_words(seen: Seen) -> str:
    if seen.canary is None or not seen.steps:
        return "canary"
    return f"canary, step {min(seen.canary.notes.step + 1, seen.steps)} of {seen.steps}"


def shares(copies: Sequence[Copies], canary: str = "canary") -> str:
    """`7 90 %, 8 10 % (canary, step 1 of 3)`: of the copies that take requests; alone, `2 of 3 ready`."""
    taking = [each for each in copies if each.role != "preview"]
    ready = sum(each.ready for each in taking)
    beside = [
        f"{each.version} {each.ready} of {each.wanted} ready ({each.role})"
        for each in copies
        if each.role == "preview"
    ]
    if len({each.version for each in taking if each.ready}) < 2:
        wanted = sum(each.wanted for each in taking)
        waiting = [
            f"{each.version} 0 % ({canary})" for each in taking if each.role == "canary" and not each.ready
        ]
        alone = f"{ready} of {wanted} ready" if taking and not waiting else ""
        alone = alone or ", ".join(f"{each.version} 100 %" for each in taking if each.ready)
        return ", ".join(filter(None, [alone, *waiting, *beside]))
    told = []
    for each in sorted(taking, key=lambda one: (one.role == "canary", one.version)):
        if each.ready:
            role = f" ({canary})" if each.role == "canary" else ""
            told.append(f"{each.version} {100 * each.ready / ready:.0f} %{role}")
    return ", ".join([*told, *beside])


def _why(pointer: Pointer) -> str:
    operation = pointer.operation
    if pointer.frozen:
        return f"frozen: {pointer.frozen}"
    if operation is None:
        return ""
    told = operation.action
    if operation.phase != "done":
        told += f" of {operation.target} {operation.phase}"
    return f"{told}: {operation.reason}" if operation.reason else told


def _unasked(environment: str, seen: Seen) -> str:
    if seen.observed.state != UNKNOWN:
        return ""
    return f"{environment} cannot be asked what it serves: {seen.observed.reason}"


def _operation(model: str, pointer: Pointer, seen: Seen) -> tuple[str, str]:
    """A warning when an operation was cut short, or a note when its canary stands: then it is under way, or goes on."""
    operation = pointer.operation
    if operation is None or operation.phase != "prepared":
        return "", ""
    about = f"{pointer.environment}: the {operation.action} of {model} {operation.target}"
    command = finishing(model, pointer.environment, operation, seen.options)
    if (
        seen.canary is not None
        and seen.canary.version == operation.target
        and seen.observed.version == pointer.serving
    ):
        return "", f"{about} is under way since {operation.started}; if nothing runs it any more: {command}"
    return f"{about} was cut short, or still runs; the same command finishes it: {command}", ""


def finishing(model: str, environment: str, operation: Operation, options: str = "") -> str:
    """The command that goes on with an operation."""
    about = f"--model {model} --env {environment}"
    if operation.action == "deploy":
        return f"mmcicd-jenkins stage deploy {about}"
    action = "rollback" if operation.action == "rollback" else "promote"
    version = f" --version {operation.target}" if operation.target is not None else ""
    return f"mmcicd-jenkins {action} {about}{version}{options}"


def _difference(model: str, pointer: Pointer, seen: Seen) -> str:
    place, observed = pointer.environment, seen.observed
    serves = f"serves {observed.version}" if observed.version else "serves nothing"
    says = f"the ledger says {pointer.serving or 'nothing'} of {model}"
    if observed.epoch > pointer.epoch and pointer.serving is not None:
        newer = (
            f"by a decision that the ledger does not have (epoch {observed.epoch}, it is at {pointer.epoch})"
        )
        command = f"mmcicd-jenkins reconcile --model {model} --env {place}{seen.options}"
        return f"{place} {serves} {newer}, {says}; fix: {command}"
    fix = f"mmcicd-jenkins serve --env {place}{seen.options}"
    if pointer.serving == observed.version:
        departs = observed.departure and pointer.serving is not None
        return f"{place} {serves} of {model}, but {observed.departure}; fix: {fix}" if departs else ""
    why = f" ({observed.reason})" if observed.reason else ""
    if pointer.serving is None:
        fix = f"put the ledger back if it was lost, or mmcicd-jenkins reconcile{seen.options}"
    return f"{place} {serves}{why}, {says}; fix: {fix}"
