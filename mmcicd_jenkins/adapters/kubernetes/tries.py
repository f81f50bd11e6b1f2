"""How long and how often a cluster is asked: full jitter, the server's own wish, and an end that nothing moves."""

import random
import time
from collections.abc import Callable

from mmcicd_jenkins.adapters.kubernetes.errors import Trouble
from mmcicd_jenkins.records import dataclass


@dataclass(frozen=True, kw_only=True)
class Patience:
    """`budget` seconds for a call and all its tries, answer included; `tries` at most, with pauses drawn from 0 to
    `pause`, doubled each time up to `longest`. `connect` and `stall`: seconds to connect, and of silence.
    """

    budget: float = 60.0
    tries: int = 6
    pause: float = 0.5
    longest: float = 8.0
    connect: float = 10.0
    stall: float = 30.0


class Tries:
    """The tries of one call. `doubtful`: one of them may have been carried out though no answer came."""

    def __init__(self, patience: Patience, sleep: Callable[[float], None] = time.sleep) -> None:
        self._patience = patience
        self._sleep = sleep
        self._begun = time.monotonic()
        self._failed = 0
        self.until = self._begun + patience.budget
        self.doubtful = False

    def again(self, trouble: Trouble) -> None:
        """Wait before the next try.

        Raises:
            MmcicdError: there is none; it is the trouble's.
        """
        self.doubtful = self.doubtful or trouble.unknown
        self._failed += 1
        ceiling = min(self._patience.longest, self._patience.pause * 2 ** (self._failed - 1))
        # What the server asks for is a least; the jitter keeps those it told the same apart.
        wait = trouble.wait + random.uniform(0, ceiling)
        now = time.monotonic()
        if self._failed >= self._patience.tries or now + wait >= self.until:
            error = trouble.error
            told = [f"tried {self._failed} times in {now - self._begun:.0f} s"] if self._failed > 1 else []
            told += (
                [f"it asks us to wait for {trouble.wait:.0f} s"]
                if trouble.wait and now + trouble.wait >= self.until
                else []
            )
            error.why = "; ".join(filter(None, [error.why, *told]))
            raise error from trouble
        self._sleep(wait)
