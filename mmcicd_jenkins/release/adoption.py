"""Write into the ledger what an environment serves without it knowing: after a lost ledger, or a change made offline. Pure."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from mmcicd_jenkins.errors import Superseded
from mmcicd_jenkins.release.desired import TakenBack
from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.release.history import Who
from mmcicd_jenkins.release.ledger import (
    Change,
    Pointer,
    Served,
    Snapshot,
    pointer_path,
    release_path,
    run_path,
)
from mmcicd_jenkins.release.records import Release

UNKNOWN = "the ledger that knew whether it was healthy was lost"


def is_unplanned(snapshot: Snapshot, environment: str, version: int | None, epoch: int) -> bool:
    """Whether the environment follows a decision that this ledger does not have.

    One that is merely behind has a lower epoch, and is put right by `serve`.
    """
    pointer = snapshot.pointer(environment)
    return version is not None and epoch > pointer.epoch


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
) -> Change | None:
    """The event `unplanned`: what serves is written down, with the releases that the ledger has lost.

    The pointer takes the environment's own epoch, so that the next decision is above the fence. Of `releases`, those that
    serve nowhere (`serving` are those that do) count as taken back: they may have been, and nobody knows any more.
    `taken_back` are the rollbacks that the environment did by itself; what they left is revoked.

    Raises:
        Superseded: a decision was made meanwhile.
    """
    pointer = snapshot.pointer(environment)
    if pointer.epoch >= epoch and pointer.serving == version:
        return None
    if pointer.epoch != decided_on:
        raise Superseded(
            f"{environment} has a newer decision; nothing was changed", where=f"epoch {pointer.epoch}"
        )
    after = _serving(pointer, version, epoch, who)
    files = {pointer_path(environment): to_document(after), **_records(releases)}
    revoked = {str(r.version): UNKNOWN for r in releases if r.version not in {version, *serving}}
    revoked |= {str(t.left): _why(t) for t in taken_back if t.left != version}
    adopted = [release.version for release in releases]
    highest = max(snapshot.head.versions, version, *adopted)
    return Change(
        kind="unplanned",
        at=who.at,
        actor=who.actor,
        detail=_detail(pointer, after, adopted, who.reason),
        head=dataclasses.replace(
            snapshot.head, versions=highest, revoked={**revoked, **snapshot.head.revoked}
        ),
        files=files,
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


def _serving(pointer: Pointer, version: int, epoch: int, who: Who) -> Pointer:
    closed = tuple(s if s.until else dataclasses.replace(s, until=who.at) for s in pointer.served)
    return dataclasses.replace(
        pointer,
        epoch=epoch,
        serving=version,
        operation=None,
        served=(*closed, Served(version=version, since=who.at, manifest=pointer.manifest_of(version))),
    )


def _records(releases: Sequence[Release]) -> dict[str, Mapping[str, object]]:
    files: dict[str, Mapping[str, object]] = {}
    for release in releases:
        files[release_path(release.version)] = to_document(release)
        files[run_path(release.run_id)] = {"run_id": release.run_id, "version": release.version}
    return files
