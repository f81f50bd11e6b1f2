"""How many looks of one outcome end a step of a canary. A value of the configuration; `release.canary` reads it."""

from mmcicd_jenkins.records import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Looks of one outcome in a row that end a step; inconclusive ones count from when its time is over."""

    failed: int = 3
    inconclusive: int = 1
    error: int = 5
