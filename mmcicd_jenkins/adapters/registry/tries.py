"""How often and for how long a registry is asked again: full jitter, the server's own wish, an end.

An operation ends when its tries or its budget are used up, whichever comes first; the error then says so.
"""

import random
import time
from collections.abc import Callable

from mmcicd_jenkins.adapters.registry.errors import Trouble
from mmcicd_jenkins.records import dataclass


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    """Seconds to connect to one address, and seconds in which at least something must come or go."""

    connect: float = 10.0
    stall: float = 60.0


@dataclass(frozen=True, kw_only=True)
class Patience:
    """`tries` at most, the pauses between them drawn from 0 to `pause`, doubled each time up to `longest`.

    No try begins later than `budget` seconds after the first failure. With connect and stall deadlines of 10 and 60
    seconds, a registry that answers nothing ends a request within two minutes, one that stalls within six.
    """

    tries: int = 6
    pause: float = 1.0
    longest: float = 20.0
    budget: float = 300.0


class Pace:
    """Notices a stream that moves now and then and never gets anywhere: less than 64 KiB in `seconds`."""

    _LEAST = 2**16

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._moved = 0

    def moved(self, count: int) -> bool:
        """Whether it is fast enough, after `count` bytes more."""
        now = time.monotonic()
        self._moved += count
        if self._moved < self._LEAST:
            return now < self._until
        self._moved, self._until = 0, now + self._seconds
        return True


class Tries:
    """The tries of one operation."""

    def __init__(self, patience: Patience, sleep: Callable[[float], None] = time.sleep) -> None:
        self._patience = patience
        self._sleep = sleep
        self._failed = 0
        self._since = 0.0

    def again(self, trouble: Trouble) -> None:
        """Wait before the next try.

        Raises:
            MmcicdError: there is none; it is the trouble's.
        """
        now = time.monotonic()
        self._since = self._since or now
        self._failed += 1
        patience = self._patience
        ceiling = min(patience.longest, patience.pause * 2 ** (self._failed - 1))
        # What the server asks for is a least; the jitter keeps those it told the same apart.
        wait = trouble.wait + random.uniform(0, ceiling)
        if self._failed >= patience.tries or now + wait - self._since > patience.budget:
            raise self._given_up(trouble, now) from trouble
        self._sleep(wait)

    def _given_up(self, trouble: Trouble, now: float) -> Exception:
        error = trouble.error
        told = []
        if self._failed > 1:
            told.append(f"tried {self._failed} times in {now - self._since:.0f} s")
        if trouble.wait > self._patience.budget:
            told.append(f"it asks us to wait for {trouble.wait:.0f} s")
        error.why = "; ".join(filter(None, [error.why, *told]))
        return error
