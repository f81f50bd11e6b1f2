"""An environment by what it knows itself: the way back on a day when neither ledger nor store answers."""

from typing import Protocol

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.desired import TakenBack
from mmcicd_jenkins.release.seal import Manifest


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """What an environment knows by itself: what it is told to serve, the healthy version before, and rollbacks
    that were done without a ledger, oldest first. `manifest` is what is applied there for what serves, () where nothing is.
    """

    serving: int | None
    previous: int | None
    epoch: int
    offline: tuple[TakenBack, ...] = ()
    manifest: Manifest = ()


class OfflineTarget(Protocol):
    """An environment that is taken back by what it knows itself, with neither ledger nor store."""

    def remember(self, model: str) -> Remembered: ...

    def take_back(self, model: str, order: TakenBack) -> None:
        """Serve the version before alone again, and keep a note for the ledger. The same order again finishes it.

        Raises:
            Superseded: a newer decision stands.
            OutsideFailed: the version did not become available; what served before serves on.
        """

    def forget(self, model: str) -> None:
        """Drop the notes of rollbacks, which the ledger has now; nothing that serves is touched."""
