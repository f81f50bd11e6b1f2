"""What gc must know: what the store holds, what the ledgers of all models say, what the lock names.

The store is listed before the ledgers are read: a promotion that came in between is seen.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from mmcicd_jenkins.config.lock import Lock
from mmcicd_jenkins.config.model import Config
from mmcicd_jenkins.ports import Clock
from mmcicd_jenkins.ports.ledger import Ledger
from mmcicd_jenkins.ports.upkeep import Held, StoreKeeper
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.ledger import Snapshot
from mmcicd_jenkins.release.records import Release


@dataclass(frozen=True, kw_only=True)
class Reserved:
    """A version that was given to a run and is no release: not yet, or it never became one."""

    run_id: str
    at: float


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    name: str
    snapshot: Snapshot
    releases: Mapping[int, Release]
    reserved: Mapping[int, Reserved]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """`models` are all of the configuration; `locked` the digests of data that the lock names; `now` in seconds."""

    now: float
    models: Mapping[str, ModelFacts]
    held: tuple[Held, ...]
    locked: frozenset[str]


def look(config: Config, lock: Lock, ledger: Ledger, keeper: StoreKeeper, clock: Clock) -> Facts:
    held = tuple(keeper.holdings())
    return Facts(
        now=clock.now().timestamp(),
        held=held,
        models={name: _model(name, ledger) for name in config.models},
        locked=frozenset(_locked(config, lock)),
    )


def seconds_of(moment: object) -> float | None:
    """A time of a record; None for what is none."""
    try:
        read = datetime.fromisoformat(str(moment))
    except ValueError:
        return None
    return read.timestamp() if read.tzinfo is not None else None


def _model(name: str, ledger: Ledger) -> ModelFacts:
    snapshot = ledger.snapshot(name)
    versions = range(1, snapshot.head.versions + 1)
    found = {version: ledger.release(name, version) for version in versions}
    releases = {version: release for version, release in found.items() if release is not None}
    lacking = set(versions) - releases.keys()
    return ModelFacts(
        name=name,
        snapshot=snapshot,
        releases=releases,
        reserved=dict(_reserved(name, ledger, lacking)) if lacking else {},
    )


def _reserved(name: str, ledger: Ledger, lacking: set[int]) -> Iterator[tuple[int, Reserved]]:
    for event in ledger.events(name):
        version = event.detail.get("version")
        if event.kind == "reserved" and isinstance(version, int) and version in lacking:
            at = seconds_of(event.at)
            yield (
                version,
                Reserved(run_id=str(event.detail.get("run_id")), at=float("inf") if at is None else at),
            )
            lacking.remove(version)
            if not lacking:
                return


def _locked(config: Config, lock: Lock) -> Iterator[str]:
    for model in config.models.values():
        for source in model.data:
            locked = lock.source(model.name, source.name)
            if locked is not None:
                yield locked.facts.digest
