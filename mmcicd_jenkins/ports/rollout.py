"""A version that takes over by steps: copies beside the stable ones, and what live traffic says of both.

The stable copies are never touched here; to end a canary is to remove it. The law of `ports.Target` holds: what carries
a newer epoch is never changed.
"""

from collections.abc import Mapping
from typing import Protocol

from mmcicd_jenkins.ports import Switch
from mmcicd_jenkins.records import dataclass


@dataclass(frozen=True, kw_only=True)
class CanaryState:
    """What stands beside the stable copies. `step` counts from 0; `since` is when its copies were all ready, "" before."""

    version: int
    epoch: int
    op_id: str
    step: int
    copies: int
    ready: int
    stable_ready: int
    since: str = ""
    passed: bool = False


class CanaryTarget(Protocol):
    """The part of an environment that holds a canary."""

    def state(self, model: str) -> CanaryState | None: ...

    def advance(self, order: Switch, step: int, copies: int) -> CanaryState:
        """Have so many ready canary copies of the order's version; the same call again goes on where it was cut off.

        Raises:
            Superseded: a newer decision stands.
            OutsideFailed: they did not become ready in time.
        """

    def passed(self, order: Switch) -> None:
        """Note that the last step passed, for whoever goes on after a kill."""

    def remove(self, model: str, epoch: int) -> None:
        """End the canary; the stable copies serve on."""


@dataclass(frozen=True, kw_only=True)
class LiveCounters:
    """Totals since the copies of one role started, by copy: `requests`, `errors`, latency buckets (upper bound in
    seconds -> cumulative count). A copy that began anew has another name.
    """

    requests: Mapping[str, float]
    errors: Mapping[str, float]
    latency: Mapping[str, Mapping[float, float]]


class LiveMetrics(Protocol):
    """What traffic says of the copies of a role (`stable`, `canary`) at this moment.

    Raises:
        OutsideFailed: nobody can be asked.
    """

    def read(self, model: str, role: str) -> LiveCounters: ...
