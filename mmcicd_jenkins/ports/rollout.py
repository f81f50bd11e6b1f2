"""A version that takes over by steps: copies beside the stable ones, and what live traffic says of both.

The stable copies are never touched here; to end a canary is to remove it. The law of `ports.Target` holds: what carries
a newer epoch is never changed.
"""

from typing import Protocol

from mmcicd_jenkins.ports import Endpoint, Switch
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.canary_notes import Notes
from mmcicd_jenkins.release.traffic import LiveCounters


@dataclass(frozen=True, kw_only=True)
class CanaryState:
    """What stands beside the stable copies. `restarts` counts how often a copy of it was started again."""

    version: int
    epoch: int
    op_id: str
    copies: int
    ready: int
    stable_ready: int
    restarts: int
    notes: Notes


class CanaryTarget(Protocol):
    """The part of an environment that holds a canary."""

    def state(self, model: str) -> CanaryState | None: ...

    def advance(self, order: Switch, step: int, copies: int) -> CanaryState:
        """Have so many ready canary copies of the order's version; the same call again goes on where it was cut off.

        The notes of another step are forgotten.

        Raises:
            Superseded: a newer decision stands.
            OutsideFailed: they did not become ready in time.
        """

    def note(self, order: Switch, notes: Notes) -> None:
        """Keep these notes beside the canary, for whoever goes on after a kill.

        Raises:
            Superseded: a newer decision stands, or there is no canary of this order.
        """

    def remove(self, model: str, epoch: int, op_id: str) -> None:
        """End the canary; the stable copies serve on. Nothing there is well. No older operation brings one again.

        Raises:
            Superseded: a newer decision stands.
            OutsideFailed: no stable copy is ready, so that the canary may be all that serves.
        """


class PreviewTarget(Protocol):
    """An environment in which a version can be tried before requests come to it."""

    def prepare(self, order: Switch) -> Endpoint | None:
        """Have the order's version ready beside what serves, and say where it answers; None where nobody here reaches it.
        `ports.Target.switch` leads requests to it.

        Raises:
            As `ports.Target.switch`.
        """


class LiveMetrics(Protocol):
    """What traffic says of the copies of a role (`stable`, `canary`) at this moment.

    Raises:
        OutsideFailed: nobody can be asked.
    """

    def read(self, model: str, role: str) -> LiveCounters: ...


__all__ = ["CanaryState", "CanaryTarget", "LiveCounters", "LiveMetrics", "Notes", "PreviewTarget"]
