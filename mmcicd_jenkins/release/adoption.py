"""Write into the ledger what an environment serves without it knowing: after a lost ledger, or a change made offline. Pure."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from mmcicd_jenkins.errors import Superseded
from mmcicd_jenkins.release.desired import TakenBack
from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.release.history import Who, operation_id
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
from mmcicd_jenkins.release.seal import Manifest, manifest_digest, manifest_file

UNKNOWN = "the ledger that knew whether it was healthy was lost"


def is_unplanned(snapshot: Snapshot, environment: str, version: int | None, epoch: int) -> bool:
    """Whether the environment follows a decision that this ledger does not have.

    One that is merely behind has a lower epoch, and is put right by `serve`.
    """
    pointer = snapshot.pointer(environment)
    return version is not None and epoch > pointer.epoch


def knows(snapshot: Snapshot, environment: str, order: TakenBack) -> bool:
    """Whether the ledger has a rollback that an environment did by itself."""
    if order.left != order.to and not snapshot.is_revoked(order.left):
        return False
    pointer = snapshot.pointer(environment)
    # Above it: an operation that was under way when it happened does not stand any more.
    return pointer.serving == order.to and pointer.epoch > order.epoch


def adopt(
    snapshot: Snapshot,
    environment: str,
    version: int,
    epoch: int,
    who: Who,
    *,
    releases: Sequence[Release],
    serving: Collection[int],
    decided_on: int,
    taken_back: Sequence[TakenBack] = (),
    documents: Manifest = (),
) -> Change | None:
    """The event `unplanned`: what serves is written down, with the releases that the ledger has lost.

    The pointer's epoch rises above the environment's own, so that what the ledger says passes its fence. Of `releases`,
    those that serve nowhere (`serving` are those that do) count as taken back: they may have been, and nobody knows any
    more. `taken_back` are the rollbacks that the environment did by itself; what they left is revoked. `documents` are what
    a cluster says is applied there, when the ledger does not have them.

    Raises:
        Superseded: a decision was made meanwhile.
    """
    pointer = snapshot.pointer(environment)
    learnt = all(knows(snapshot, environment, order) for order in taken_back[-1:])
    if pointer.epoch >= epoch and pointer.serving == version and learnt:
        return None
    if pointer.epoch != decided_on:
        raise Superseded(
            f"{environment} has a newer decision; nothing was changed", where=f"epoch {pointer.epoch}"
        )
    applied = manifest_digest(documents) or pointer.manifest_of(version)
    operation = _operation(snapshot, pointer, version, epoch, who, taken_back, applied)
    after = _serving(pointer, operation, who)
    files = {pointer_path(environment): to_document(after), **_records(releases)}
    if documents:
        files[manifest_path(applied)] = manifest_file(documents)
    adopted = [release.version for release in releases]
    revoked = {str(v): UNKNOWN for v in adopted if v not in {version, *serving}}
    revoked |= {str(t.left): _why(t) for t in taken_back if t.left != version}
    return Change(
        kind="unplanned",
        at=who.at,
        actor=who.actor,
        detail=_detail(pointer, after, adopted, who.reason),
        head=_head(snapshot.head, max(version, *adopted, 0), revoked),
        files=files,
    )


def _head(head: Head, highest: int, revoked: Mapping[str, str]) -> Head:
    return dataclasses.replace(
        head, versions=max(head.versions, highest), revoked={**revoked, **head.revoked}
    )


def _why(order: TakenBack) -> str:
    return f"rolled back without a ledger by {order.actor}" + (f": {order.reason}" if order.reason else "")


def _detail(before: Pointer, after: Pointer, adopted: list[int], reason: str) -> dict[str, object]:
    known: dict[str, object] = {
        "environment": after.environment,
        "action": "unplanned",
        "from": before.serving,
        "to": after.serving,
        "epoch": after.epoch,
        "adopted": adopted,
    }
    return known | ({"reason": reason} if reason else {})


def _operation(
    snapshot: Snapshot,
    pointer: Pointer,
    version: int,
    epoch: int,
    who: Who,
    taken_back: Sequence[TakenBack],
    applied: str,
) -> Operation:
    """What was done there, as an operation that is done: a second press of the rollback finds the first one."""
    last = taken_back[-1] if taken_back and taken_back[-1].to == version else None
    action = "rollback" if last else "unplanned"
    base = max(epoch, pointer.epoch)
    return Operation(
        op_id=operation_id(snapshot.head.model, pointer.environment, action, version, base),
        action=action,
        source=last.left if last else pointer.serving,
        target=version,
        phase="done",
        epoch=base + 1,
        started=last.at if last else who.at,
        ended=last.at if last else who.at,
        actor=last.actor if last else who.actor,
        reason=last.reason if last else who.reason,
        manifest=applied,
    )


def _serving(pointer: Pointer, done: Operation, who: Who) -> Pointer:
    version = done.target or 0
    closed = tuple(s if s.until else dataclasses.replace(s, until=who.at) for s in pointer.served)
    return dataclasses.replace(
        pointer,
        epoch=done.epoch,
        serving=version,
        operation=done,
        served=(*closed, Served(version=version, since=done.ended, manifest=done.manifest)),
    )


def _records(releases: Sequence[Release]) -> dict[str, Mapping[str, object]]:
    files: dict[str, Mapping[str, object]] = {}
    for release in releases:
        files[release_path(release.version)] = to_document(release)
        files[run_path(release.run_id)] = {"run_id": release.run_id, "version": release.version}
    return files
