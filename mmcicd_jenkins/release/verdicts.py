"""The three verdicts, and how several become one."""

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """What the evidence says. NaN, missing and too few samples are never `PASSED`."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """One verdict for all: failed beats inconclusive beats passed; nothing at all is inconclusive."""
    seen = set(verdicts)
    for verdict in (Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.PASSED):
        if verdict in seen:
            return verdict
    return Verdict.INCONCLUSIVE
