"""What a monitor asks of an environment: counters of its copies, a history where somebody keeps one, its own memory.

Only decisions reach the ledger; what they were decided by is in the memory. A method raises only the errors of
`mmcicd_jenkins.errors`.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.counters import Window
from mmcicd_jenkins.release.monitor_memory import Counted


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A document, None when there is none, and which one it is: a write that names an older one is refused."""

    document: Mapping[str, object] | None = None
    revision: str = ""


class MonitorMemory(Protocol):
    """One document for each model of an environment, kept where the next monitor finds it."""

    def read(self, model: str) -> Kept: ...

    def write(self, model: str, document: Mapping[str, object], revision: str, said: str) -> None:
        """Keep `document` in place of the one that was read; `said` is for people who look there.

        Raises:
            Superseded: another monitor wrote meanwhile.
            OutsideFailed: it cannot be kept.
        """


class Counters(Protocol):
    """What the copies themselves have counted."""

    def read(self, model: str, versions: Sequence[int], bins: int) -> tuple[Counted, ...]:
        """Every copy of these versions that runs.

        Raises:
            OutsideFailed: one of them does not answer: nobody knows what it counted.
        """


class History(Protocol):
    """A server that has kept counters all along: stretches of time can be asked for, and nothing need be remembered."""

    def windows(
        self, model: str, version: int, seconds: Sequence[float], bins: int
    ) -> Mapping[float, Window]:
        """What happened in the last so many seconds, for each.

        Raises:
            OutsideFailed: it does not answer.
        """
