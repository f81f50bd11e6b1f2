"""Which releases must keep their image, and the record that others gave theirs up. Pure.

The record comes before the bytes go, and is written by comparison with the same head on which promotions are: of a
promotion and a collection of one version, whichever is written first wins, and the other one reads so.
"""

import dataclasses
from collections.abc import Collection, Mapping

from mmcicd_jenkins.release.history import Who
from mmcicd_jenkins.release.ledger import Change, Pointer, Snapshot

KIND = "collected"


def needed(snapshot: Snapshot, released: Collection[int], newest: int | None) -> dict[int, str]:
    """Versions whose image must stay -> why. `newest` releases stay whatever they did; None: every release."""
    if newest is None:
        kept = dict.fromkeys(released, "every release keeps its image: retention.releases is not set")
    else:
        chosen = sorted(released, reverse=True)[:newest]
        kept = dict.fromkeys(chosen, f"it is one of the {newest} newest")
    return kept | _served(snapshot, 1 if newest is None else max(1, newest))


def _served(snapshot: Snapshot, ways_back: int) -> dict[int, str]:
    """What environments need: what serves, what is on its way, and to what a rollback may go."""
    kept: dict[int, str] = {}
    for pointer in snapshot.pointers.values():
        kept |= dict.fromkeys(
            _ways_back(snapshot, pointer)[:ways_back],
            f"a rollback of {pointer.environment} may go back to it",
        )
        operation = pointer.operation
        if operation is not None and operation.phase == "prepared":
            moving = [version for version in (operation.source, operation.target) if version is not None]
            kept |= dict.fromkeys(moving, f"a {operation.action} of {pointer.environment} has not ended")
        if pointer.serving is not None:
            kept[pointer.serving] = f"{pointer.environment} serves it"
    return kept


def _ways_back(snapshot: Snapshot, pointer: Pointer) -> list[int]:
    """Healthy versions that served there, the latest first."""
    served = dict.fromkeys(stretch.version for stretch in reversed(pointer.served))
    return [v for v in served if v != pointer.serving and not snapshot.is_revoked(v)]


def collect(snapshot: Snapshot, versions: Mapping[int, str], who: Who) -> Change | None:
    """Write down that the images of `versions` (-> by which rule) are given up; None when that stands already.

    Asked again on every head: a version that an environment needs meanwhile is left out.
    """
    wanted = _served(snapshot, 1)
    given_up = {
        str(version): f"{rule} ({who.at})"
        for version, rule in sorted(versions.items())
        if version not in wanted and not snapshot.is_collected(version)
    }
    if not given_up:
        return None
    head = dataclasses.replace(snapshot.head, collected={**snapshot.head.collected, **given_up})
    detail: dict[str, object] = {"versions": [int(version) for version in given_up], "rules": given_up}
    return Change(kind=KIND, at=who.at, actor=who.actor, detail=detail, head=head, files={})
