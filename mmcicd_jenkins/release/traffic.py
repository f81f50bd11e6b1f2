"""What live traffic did between two readings of counters: errors, and how fast answers came. Pure.

Counters only rise while a copy lives; one that fell began anew, and what it counted since counts whole. A copy is
counted from the first reading that has it, because nobody knows what happened to it before.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import field

from mmcicd_jenkins.records import dataclass


@dataclass(frozen=True, kw_only=True)
class LiveCounters:
    """Totals since the copies of one role started, by copy: `requests`, `errors`, latency buckets (upper bound in
    seconds -> cumulative count). A copy that began anew has another name.
    """

    requests: Mapping[str, float]
    errors: Mapping[str, float]
    latency: Mapping[str, Mapping[float, float]]


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What happened in a stretch of time. `latency` is cumulative by upper bound, the overflow at infinity."""

    requests: float = 0.0
    errors: float = 0.0
    latency: Mapping[float, float] = field(default_factory=dict)

    @property
    def error_rate(self) -> float:
        """NaN without a request: no news is not good news."""
        return self.errors / self.requests if self.requests > 0 else math.nan


@dataclass(frozen=True, kw_only=True)
class Quantile:
    """A quantile of a histogram: as Prometheus would say it, and the bounds of the bucket that holds it."""

    value: float
    low: float
    high: float


NOWHERE = Quantile(value=math.nan, low=math.nan, high=math.nan)


def between(readings: Sequence[LiveCounters]) -> Traffic:
    """What happened from the first reading to the last one."""
    requests = errors = 0.0
    latency: dict[float, float] = {}
    last_seen: dict[str, LiveCounters] = {}
    for now in readings:
        for copy in now.requests:
            before = last_seen.get(copy)
            if before is not None:
                requests += _grown(before.requests[copy], now.requests[copy])
                errors += _grown(before.errors.get(copy, 0.0), now.errors.get(copy, 0.0))
                _add(latency, before.latency.get(copy, {}), now.latency.get(copy, {}))
            last_seen[copy] = now
    return Traffic(requests=requests, errors=errors, latency=latency)


def _grown(before: float, after: float) -> float:
    return after - before if after >= before else after


def _add(total: dict[float, float], before: Mapping[float, float], after: Mapping[float, float]) -> None:
    """A histogram that fell anywhere began anew as a whole: its buckets are counters of one process."""
    began_anew = any(after.get(bound, 0.0) < count for bound, count in before.items())
    for bound, count in after.items():
        grown = count if began_anew else count - before.get(bound, 0.0)
        total[bound] = total.get(bound, 0.0) + grown


def quantile(share: float, cumulative: Mapping[float, float]) -> Quantile:
    """The value below which `share` of all observations lie, from a cumulative histogram.

    As Prometheus' `histogram_quantile` (https://prometheus.io/docs/prometheus/latest/querying/functions/): linear inside the
    bucket, the first of which begins at zero; counts that fall from one bound to the next are taken for even. In one
    thing it differs: what lies beyond the last bound is infinitely slow here, and as slow as the last bound there.
    """
    bounds = sorted(bound for bound in cumulative if not math.isnan(bound))
    counts = list(itertools.accumulate((cumulative[bound] for bound in bounds), max))
    if not counts or not math.isfinite(counts[-1]) or counts[-1] <= 0:
        return NOWHERE
    rank = share * counts[-1]
    place = next(i for i, count in enumerate(counts) if count >= rank and count > 0)
    low, below = (bounds[place - 1], counts[place - 1]) if place else (min(0.0, bounds[0]), 0.0)
    high = bounds[place]
    if math.isinf(high):
        return Quantile(value=math.inf, low=low, high=high)
    inside = counts[place] - below
    value = low + (high - low) * (rank - below) / inside if inside > 0 else high
    return Quantile(value=value, low=low, high=high)
