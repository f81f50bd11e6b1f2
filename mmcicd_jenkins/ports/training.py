"""Trainings that run elsewhere: a Job of a cluster, which outlives the process that waits for it.

The law: what is in a cluster under the name of a run is never started twice; whoever comes later waits for the same one.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from mmcicd_jenkins.records import dataclass

Document = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Order:
    """One training. `job` and `objects` are as `render.training_job` makes them; `objects` belong to the Job and go with
    it. `stop_on_abort`: it ends when we are told to end.
    """

    name: str
    job: Document
    objects: tuple[Document, ...]
    start_seconds: float
    stop_on_abort: bool = False


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How it ended: "" is well. `kind` says whose fault it was, `status` is what the command line in it exited with.

    `gone`: somebody removed it, as the first of several builds does that waited for it.
    """

    kind: str = ""
    status: int = 0
    why: str = ""
    fix: str = ""
    last_lines: tuple[str, ...] = ()


class Trainings(Protocol):
    @property
    def passed(self) -> Mapping[str, str]:
        """What of this build the stage in the pod must know: its branch, its address."""

    def run(self, order: Order, on_line: Callable[[str], None]) -> Ended:
        """Start it, or join the one that runs, and follow it to its end.

        Raises:
            OutsideFailed: the cluster does not answer, or it never started; what runs goes on.
            Terminated, Interrupted: we were told to end.
        """

    def forget(self, name: str) -> None:
        """Remove what is left of one that ended."""
