"""Decide where a rollback goes. Pure; `release.history` writes the decision down."""

from datetime import datetime, timedelta

from mmcicd_jenkins.errors import Inconclusive, InputError
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.history import refuse_collected
from mmcicd_jenkins.release.ledger import Operation, Pointer, Snapshot, pointer_path, read_time

# A second press of the button within this time does nothing: it is the same person, nervous.
SECOND_PRESS = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True)
class RollbackChoice:
    """Where a rollback goes and what it takes back. `target` None: there is nothing to do, and `reason` says why."""

    target: int | None
    leaves: int | None
    reason: str


def choose_rollback(
    snapshot: Snapshot, environment: str, version: int | None, now: datetime
) -> RollbackChoice:
    """The release to put back.

    Without `version`: the last one that served before what serves now and was not revoked; during a
    promotion, what serves (that ends the promotion). A second press within ten minutes does nothing.

    Raises:
        InputError: `version` never served here or was revoked.
        Inconclusive: nothing healthy to go back to, or a rollback from `version` is half done; a person decides.
    """
    pointer = snapshot.pointer(environment)
    operation = pointer.operation
    if operation and operation.action == "rollback":
        again = _second_press(pointer, operation, version, now)
        if again:
            return again
    if version is not None:
        return _named(snapshot, pointer, version)
    if operation and pointer.serving is not None and _is_on_its_way(pointer, operation):
        reason = f"ends the {operation.action} of {operation.target}"
        return RollbackChoice(target=pointer.serving, leaves=operation.target, reason=reason)
    if operation and pointer.serving is not None and _is_resettled(pointer, operation):
        reason = f"ends the change of settings of {operation.target}"
        return RollbackChoice(target=pointer.serving, leaves=pointer.serving, reason=reason)
    for served in reversed(pointer.served):
        if served.version != pointer.serving and _is_there(snapshot, served.version):
            reason = f"the last healthy release before {pointer.serving}"
            return RollbackChoice(target=served.version, leaves=pointer.serving, reason=reason)
    others = {served.version for served in pointer.served} - {pointer.serving}
    taken = (
        "every other release that served here was taken back, or its image is no longer kept"
        if others
        else "no other release served here"
    )
    raise Inconclusive(
        f"{environment} has no earlier healthy release to go back to",
        why=f"{pointer.serving or 'nothing'} serves; {taken}",
        fix="train and promote a better version, or stop serving: mmcicd-jenkins stop",
    )


def _is_there(snapshot: Snapshot, version: int) -> bool:
    """Whether a version may be gone back to: nobody took it back, and its image is kept."""
    return not (snapshot.is_revoked(version) or snapshot.is_collected(version))


def _second_press(
    pointer: Pointer, operation: Operation, version: int | None, now: datetime
) -> RollbackChoice | None:
    if operation.phase == "prepared" and version in {None, operation.target}:
        reason = "finishes a rollback that was cut short"
        return RollbackChoice(target=operation.target, leaves=operation.source, reason=reason)
    if operation.phase != "done" or version is not None:
        return None
    ended = read_time(operation.ended, pointer_path(pointer.environment))
    # Clocks of two machines differ a little; one that is far off must not block the button.
    if abs(now - ended) >= SECOND_PRESS:
        return None
    reason = (
        f"already rolled back at {operation.ended} by {operation.actor}, {pointer.serving} serves; "
        "to go further, name a version"
    )
    return RollbackChoice(target=None, leaves=None, reason=reason)


def _is_on_its_way(pointer: Pointer, operation: Operation) -> bool:
    """Another version may be in the environment already, although the ledger does not say so yet."""
    return operation.phase == "prepared" and operation.target != pointer.serving


def _is_resettled(pointer: Pointer, operation: Operation) -> bool:
    """The version that serves is about to serve otherwise."""
    under_way = operation.phase == "prepared" and operation.target == pointer.serving
    return under_way and operation.manifest != pointer.manifest_of(pointer.serving or 0)


def _named(snapshot: Snapshot, pointer: Pointer, version: int) -> RollbackChoice:
    operation = pointer.operation
    if version == pointer.serving and operation and _is_on_its_way(pointer, operation):
        if operation.action == "rollback":
            raise Inconclusive(
                f"a rollback from {version} to {operation.target} was cut short",
                why=f"the ledger says that {version} serves, {pointer.environment} may serve {operation.target}",
                fix=f"mmcicd-jenkins rollback finishes it; mmcicd-jenkins promote --version {version} ends it",
            )
        reason = f"ends the {operation.action} of {operation.target}"
        return RollbackChoice(target=version, leaves=operation.target, reason=reason)
    if version == pointer.serving:
        return RollbackChoice(target=None, leaves=None, reason=f"{version} serves already")
    if snapshot.is_revoked(version):
        why = snapshot.head.revoked[str(version)]
        raise InputError(f"version {version} was taken back itself", why=why, fix="name another version")
    refuse_collected(snapshot, version)
    healthy = sorted({s.version for s in pointer.served if _is_there(snapshot, s.version)})
    if version not in healthy:
        raise InputError(
            f"version {version} never served in {pointer.environment}",
            why=f"a rollback goes back to what was healthy there: {', '.join(map(str, healthy)) or 'nothing yet'}",
            fix="name one of those, or promote the version",
        )
    return RollbackChoice(target=version, leaves=pointer.serving, reason=f"version {version} was named")
