"""A few things at once, for what waits for a network. The first failure, a signal included, stops the others.

Threads cannot be killed: whoever works long looks at `Stop` now and then.
"""

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")


class StoppedError(Exception):
    """Raised in a thread whose work nobody waits for any more."""


class Stop:
    """A flag that all threads of one `together` look at."""

    def __init__(self) -> None:
        self._set = threading.Event()

    def now(self) -> None:
        self._set.set()

    def check(self) -> None:
        if self._set.is_set():
            raise StoppedError


def together(
    function: Callable[[_T], _R], items: Sequence[_T], most: int, stop: Stop | None = None
) -> list[_R]:
    """`function` of each item, at most `most` at once; the results in the order of `items`.

    Raises:
        whatever `function` raised first, in the order of `items`.
    """
    if len(items) < 2 or most < 2:
        return [function(item) for item in items]
    # Whoever has one thing to do does not wait for threads.
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(min(most, len(items)), "together")
    futures = [pool.submit(function, item) for item in items]
    try:
        return [future.result() for future in futures]
    except BaseException:
        if stop:
            stop.now()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
