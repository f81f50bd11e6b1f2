"""The history of each model, as stages see it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from mmcicd_jenkins.release.ledger import Change, Event, Snapshot
from mmcicd_jenkins.release.records import Release


class Ledger(Protocol):
    """The append-only history of each model. A write is one compare-and-swap, decided anew on each head."""

    def snapshot(self, model: str) -> Snapshot: ...

    def release(self, model: str, version: int) -> Release | None: ...

    def version_of_run(self, model: str, run_id: str) -> int | None: ...

    def manifest(self, model: str, digest: str) -> tuple[Mapping[str, object], ...] | None:
        """The documents that an operation applied, by the digest that it names.

        Raises:
            IntegrityFailed: they are not those of the digest.
        """

    def events(self, model: str, limit: int | None = None) -> Iterator[Event]:
        """Newest first."""

    def sealed_by(self, model: str) -> str:
        """The zone of the key that signed the newest event, and by it all before; "" when nobody did.

        Raises:
            IntegrityFailed: its signature does not fit, or its key is unknown.
        """

    def commit(self, model: str, decide: Callable[[Snapshot], Change | None]) -> Snapshot:
        """Write what `decide` answers for the newest head, calling it again whenever the head moved.

        None from `decide` means nothing to write. Returns the snapshot that stands afterwards.

        Raises:
            Superseded: `decide` raised it, because a newer decision stands.
            OutsideFailed: no answer within the budget; nothing was written, or it says what was.
        """
