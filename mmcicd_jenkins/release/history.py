"""Decide about environments: reserve, begin, finish, fail, propose, decline, freeze. Each decision is a change to write, with its reason.

A decision looks at one snapshot of the ledger. The adapter asks again on a newer head, so a decision never
writes over one that it has not seen. `epoch` rises with every decision about an environment; whoever finishes
an operation must still find its own epoch there.
"""

import dataclasses
from collections.abc import Mapping

from mmcicd_jenkins.errors import GateRefused, InputError, Superseded
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.canonical import digest_of
from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.release.ledger import (
    Change,
    Head,
    Operation,
    Pointer,
    Served,
    Snapshot,
    manifest_path,
    pointer_path,
    release_path,
    run_path,
)
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.release.seal import Manifest, manifest_file

SERVED_KEPT = 50


@dataclass(frozen=True, kw_only=True)
class Who:
    """Who decides, when (ISO 8601, UTC) and why."""

    actor: str
    at: str
    reason: str = ""


def operation_id(model: str, environment: str, action: str, target: int | None, base_epoch: int) -> str:
    """The same decision on the same epoch is the same operation, whichever build makes it."""
    return digest_of(
        {"model": model, "environment": environment, "action": action, "target": target, "epoch": base_epoch}
    )


def _change(
    kind: str, who: Who, head: Head, detail: Mapping[str, object], files: Mapping[str, Mapping[str, object]]
) -> Change:
    if who.reason:
        detail = {**detail, "reason": who.reason}
    return Change(kind=kind, at=who.at, actor=who.actor, detail=detail, head=head, files=files)


def reserve(snapshot: Snapshot, run_id: str, who: Who) -> tuple[Change, int]:
    """Give the next version to a run that has none. Versions are never used twice."""
    version = snapshot.head.versions + 1
    head = dataclasses.replace(snapshot.head, versions=version)
    files = {run_path(run_id): {"run_id": run_id, "version": version}}
    return _change("reserved", who, head, {"run_id": run_id, "version": version}, files), version


def record(release: Release, snapshot: Snapshot, who: Who) -> Change:
    """Write down a release where no environment comes before production, so that no deployment does."""
    files = {release_path(release.version): to_document(release)}
    return _change("released", who, snapshot.head, {"version": release.version}, files)


def is_begun(
    snapshot: Snapshot, environment: str, action: str, target: int, manifest: str | None = None
) -> bool:
    """Whether the same operation stands already: left prepared by a killed command, or done by another one.

    With other settings it is another one; `manifest` None asks whatever they are.
    """
    pointer = snapshot.pointer(environment)
    operation = pointer.operation
    if operation is None or (operation.action, operation.target) != (action, target):
        return False
    if manifest not in {None, operation.manifest}:
        return False
    return operation.phase == "prepared" or (operation.phase == "done" and pointer.serving == target)


def begin(
    snapshot: Snapshot,
    environment: str,
    action: str,
    target: int,
    who: Who,
    *,
    release: Release | None = None,
    decided_on: int | None = None,
    leaves: int | None = None,
    automatic: bool = False,
    manifest: str = "",
    documents: Manifest = (),
) -> Change | None:
    """Write down what is about to happen. None: the same operation stands already.

    Args:
        release: recorded in the same change when the ledger does not have it yet.
        decided_on: the epoch on which a person or an earlier stage decided.
        leaves: the version that a rollback takes back; what serves when left out.
        automatic: no person decided. A person's decision ends a freeze, an automatic one dates the cool-down.
        manifest, documents: what is applied in a cluster, by its digest; recorded likewise.

    Raises:
        Superseded: the environment has moved on since `decided_on`.
        GateRefused: the version was revoked, and is not what serves.
        InputError: its image is no longer kept.
    """
    pointer = snapshot.pointer(environment)
    if _stands(snapshot, environment, action, target, manifest):
        return None
    _refuse(snapshot, pointer, target, decided_on)
    operation = Operation(
        op_id=operation_id(snapshot.head.model, environment, action, target, pointer.epoch),
        action=action,
        source=leaves if leaves is not None else pointer.serving,
        target=target,
        phase="prepared",
        epoch=pointer.epoch + 1,
        started=who.at,
        ended="",
        actor=who.actor,
        reason=who.reason,
        revokes=_still_to_revoke(pointer, target),
        manifest=manifest,
    )
    after = _decided(pointer, operation, automatic=automatic)
    files = {pointer_path(environment): to_document(after), **_new(release, manifest, documents)}
    kind = "prepared" if release is None else "released"
    return _change(kind, who, snapshot.head, _told(environment, operation), files)


def _stands(snapshot: Snapshot, environment: str, action: str, target: int, manifest: str) -> bool:
    """With the same settings; a version that was revoked on its way is to be undone, whatever they are by now."""
    return is_begun(snapshot, environment, action, target, None if snapshot.is_revoked(target) else manifest)


def _new(release: Release | None, manifest: str, documents: Manifest) -> dict[str, dict[str, object]]:
    """What the ledger does not have yet."""
    files = {release_path(release.version): to_document(release)} if release is not None else {}
    return files | ({manifest_path(manifest): manifest_file(documents)} if documents else {})


def _still_to_revoke(pointer: Pointer, target: int) -> tuple[int, ...]:
    """A rollback that was cut short has said already that what it leaves is bad, whichever version comes next.

    Only going back to that very version takes it back.
    """
    operation = pointer.operation
    if operation is None or operation.phase != "prepared":
        return ()
    leaves = (*operation.revokes, *([operation.source] if operation.action == "rollback" else []))
    return tuple(v for v in leaves if v is not None and v not in {target, operation.target})


def _refuse(snapshot: Snapshot, pointer: Pointer, target: int, decided_on: int | None) -> None:
    _refuse_gone(snapshot, pointer, target)
    _refuse_outdated(pointer, decided_on)


def _refuse_outdated(pointer: Pointer, decided_on: int | None) -> None:
    if decided_on is not None and pointer.epoch != decided_on:
        raise Superseded(
            f"{pointer.environment} has a newer decision; nothing was changed",
            where=f"epoch {pointer.epoch}, decided on {decided_on}",
            why=_last_words(pointer),
            fix="mmcicd-jenkins status",
        )


def refuse_collected(snapshot: Snapshot, version: int) -> None:
    """Before anything is done with the bytes of a version that nothing serves.

    Raises:
        InputError: they are given up.
    """
    if snapshot.is_collected(version):
        raise InputError(
            f"the image of version {version} of {snapshot.head.model} is no longer kept",
            where=f"ledger of {snapshot.head.model}",
            why=f"removed by gc: {snapshot.head.collected[str(version)]}",
            fix=f"mmcicd-jenkins history --model {snapshot.head.model} names those that are; or train its commit anew: "
            "it becomes a new version",
        )


def _refuse_gone(snapshot: Snapshot, pointer: Pointer, target: int) -> None:
    """Whatever the action, a rollback that was decided a moment ago included. What serves may stay."""
    if target == pointer.serving:
        return
    refuse_collected(snapshot, target)
    if snapshot.is_revoked(target):
        raise GateRefused(
            f"version {target} was taken back and cannot be deployed again",
            why=snapshot.head.revoked[str(target)],
            fix="commit what makes it better, or mmcicd-jenkins run --again: a new attempt is a new version",
        )


def refuse_taken_back(snapshot: Snapshot, environment: str) -> None:
    """Before an operation under way goes on, and before it is called done: its version may be revoked since it began.

    Raises:
        Superseded: it is; what serves may stay.
    """
    pointer = snapshot.pointer(environment)
    target = pointer.operation.target if pointer.operation else None
    if target is not None and target != pointer.serving and snapshot.is_revoked(target):
        raise Superseded(
            f"version {target} was taken back while it was on its way to {environment}; what served before serves on",
            where=f"epoch {pointer.epoch}",
            why=snapshot.head.revoked[str(target)],
            fix="commit what makes it better, or mmcicd-jenkins run --again: a new attempt is a new version",
        )


def _decided(pointer: Pointer, operation: Operation, *, automatic: bool) -> Pointer:
    after = dataclasses.replace(pointer, epoch=operation.epoch, operation=operation)
    if automatic:
        return dataclasses.replace(after, automatic_rollback=operation.started)
    if operation.action in {"promote", "rollback"}:
        return dataclasses.replace(after, frozen="")
    return after


def _told(environment: str, operation: Operation) -> dict[str, object]:
    """What an event says of an operation."""
    return {
        "environment": environment,
        "action": operation.action,
        "from": operation.source,
        "to": operation.target,
        "epoch": operation.epoch,
        "op_id": operation.op_id,
        **({"manifest": operation.manifest} if operation.manifest else {}),
    }


def _own(snapshot: Snapshot, environment: str, epoch: int) -> tuple[Pointer, Operation]:
    pointer = snapshot.pointer(environment)
    if pointer.operation is None or pointer.epoch != epoch:
        raise _ended(pointer, epoch)
    return pointer, pointer.operation


def _ended(pointer: Pointer, epoch: int) -> Superseded:
    return Superseded(
        f"another decision about {pointer.environment} was made meanwhile; this one ends without a trace",
        where=f"epoch {pointer.epoch}, ours was {epoch}",
        why=_last_words(pointer),
        fix="mmcicd-jenkins status",
    )


def finish(snapshot: Snapshot, environment: str, epoch: int, who: Who) -> Change | None:
    """The environment serves the operation's target. None: that is written already.

    Raises:
        Superseded: another epoch stands, or the version was revoked meanwhile.
    """
    pointer, operation = _own(snapshot, environment, epoch)
    if operation.phase == "done":
        return None
    refuse_taken_back(snapshot, environment)
    done = dataclasses.replace(operation, phase="done", ended=who.at)
    after = dataclasses.replace(
        pointer, serving=done.target, operation=done, served=_served(pointer, done, who.at)
    )
    left = {operation.source} if operation.action == "rollback" else set()
    why = f"{operation.reason or 'rolled back'} ({environment}, {who.at})"
    revoked = {str(v): why for v in {*left, *operation.revokes} - {None, done.target}}
    head = dataclasses.replace(snapshot.head, revoked={**revoked, **snapshot.head.revoked})
    return _change(
        "done", who, head, _told(environment, done), {pointer_path(environment): to_document(after)}
    )


def _served(pointer: Pointer, done: Operation, at: str) -> tuple[Served, ...]:
    """A version that is applied anew with other settings serves on, and its stretch names those that it has now."""
    last = pointer.served[-1] if pointer.served else None
    if last is not None and not last.until and last.version == done.target:
        return (*pointer.served[:-1], dataclasses.replace(last, manifest=done.manifest))
    closed = [s if s.until else dataclasses.replace(s, until=at) for s in pointer.served]
    if done.target is not None:
        closed.append(Served(version=done.target, since=at, manifest=done.manifest))
    return tuple(closed[-SERVED_KEPT:])


def fail(snapshot: Snapshot, environment: str, epoch: int, who: Who) -> Change | None:
    """The operation did not come about; what served before serves on. `who.reason` says why.

    The epoch rises, so that another process that still works on the same operation cannot bring it about.
    """
    pointer, operation = _own(snapshot, environment, epoch)
    if operation.phase != "prepared":
        return None
    failed = dataclasses.replace(operation, phase="failed", ended=who.at, reason=who.reason)
    after = dataclasses.replace(pointer, operation=failed, epoch=pointer.epoch + 1)
    return _change(
        "failed",
        who,
        snapshot.head,
        _told(environment, failed),
        {pointer_path(environment): to_document(after)},
    )


def propose(snapshot: Snapshot, environment: str, version: int, who: Who) -> Change:
    """Say that a version waits for a person."""
    detail = {"environment": environment, "version": version, "epoch": snapshot.pointer(environment).epoch}
    return _change("proposed", who, snapshot.head, detail, {})


def decline(snapshot: Snapshot, environment: str, version: int | None, who: Who) -> Change:
    """A person keeps what serves and says why."""
    detail = {"environment": environment, "version": version, "kept": snapshot.pointer(environment).serving}
    return _change("declined", who, snapshot.head, detail, {})


def freeze(snapshot: Snapshot, environment: str, who: Who) -> Change | None:
    """Automation stops deciding about this environment until a person promotes or rolls back."""
    pointer = snapshot.pointer(environment)
    if pointer.frozen:
        return None
    after = dataclasses.replace(pointer, frozen=f"{who.reason} ({who.at})")
    detail = {"environment": environment, "epoch": pointer.epoch}
    return _change("frozen", who, snapshot.head, detail, {pointer_path(environment): to_document(after)})


def _last_words(pointer: Pointer) -> str:
    operation = pointer.operation
    if operation is None:
        return ""
    return f"{operation.action} to {operation.target} by {operation.actor} at {operation.started}, {operation.phase}"
