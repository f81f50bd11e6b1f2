"""Counters of a serving version, read from Prometheus text, and what happened between two readings. Pure."""

import itertools
import math
import re
from collections.abc import Iterator, Sequence

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.traffic import quantile

# Of our own server, by version; TensorFlow Serving's are in `serving_text`.
OWN_REQUESTS = ":mmcicd:serving:request_count"
OWN_LATENCY = ":mmcicd:serving:request_latency_bucket"
OWN_PREDICTIONS = ":mmcicd:serving:prediction_count"
_LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?\s*")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Counters since the server started, for one version.

    `at` is in seconds since 1970. `latency` is one count per bucket whose upper bounds (seconds) are
    `bounds`, the overflow last. `predictions` is one count per bin of the release's reference. `restarts` is how often
    a copy was started again.
    """

    at: float
    version: int
    ready: bool
    answered: int = 0
    refused: int = 0
    failed: int = 0
    latency: tuple[int, ...] = ()
    bounds: tuple[float, ...] = ()
    predictions: tuple[int, ...] = ()
    restarts: int = 0

    @property
    def requests(self) -> int:
        return self.answered + self.refused + self.failed


def samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Name, labels and value of each line that is a sample; everything else is passed over."""
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if not match or line.startswith("#"):
            continue
        value = _number(match.group(3))
        if not math.isfinite(value):
            continue
        labels = {name: _unescaped(raw) for name, raw in _LABEL.findall(match.group(2) or "")}
        yield match.group(1), labels, value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m.group(1), m.group(1)), text)


def read_counters(text: str, model: str, version: int, *, at: float, ready: bool, bins: int) -> Reading:
    """The counters of one version of a model, from the text of our own server."""
    classes: dict[str, int] = {}
    buckets: dict[float, int] = {}
    predictions = [0] * bins
    for name, labels, value in samples(text):
        if labels.get("model_name") != model or labels.get("version") != str(version):
            continue
        if name == OWN_REQUESTS:
            classes[labels.get("class", "")] = int(value)
        elif name == OWN_LATENCY:
            bound = _number(labels.get("le", ""))
            if not math.isnan(bound):
                buckets[bound / 1e6] = int(value)
        elif name == OWN_PREDICTIONS and labels.get("bin", "").isdigit():
            place = int(labels["bin"])
            if place < bins:
                predictions[place] = int(value)
    bounds = sorted(buckets)
    cumulative = [buckets[bound] for bound in bounds]
    counts = [b - a for a, b in zip([0, *cumulative], cumulative, strict=False)]
    return Reading(
        at=at,
        version=version,
        ready=ready,
        answered=classes.get("ok", 0),
        refused=classes.get("refused", 0),
        failed=sum(n for kind, n in classes.items() if kind not in {"ok", "refused"}),
        latency=tuple(counts),
        bounds=tuple(bounds),
        predictions=tuple(predictions),
    )


@dataclass(frozen=True, kw_only=True)
class Window:
    """What happened in a stretch of time. `seconds` is how much of it the readings cover."""

    seconds: float
    answered: int = 0
    refused: int = 0
    failed: int = 0
    latency: tuple[int, ...] = ()
    bounds: tuple[float, ...] = ()
    predictions: tuple[int, ...] = ()
    restarts: int = 0

    @property
    def requests(self) -> int:
        return self.answered + self.refused + self.failed

    def p99(self) -> float:
        """Seconds within which 99 of 100 requests were answered, inside its bucket by proportion; -1 when unknown."""
        cumulative = dict(zip(self.bounds, itertools.accumulate(self.latency), strict=False))
        found = quantile(0.99, cumulative)
        value = found.low if math.isinf(found.value) else found.value
        return -1.0 if math.isnan(value) else value

    def slower_than(self, limit_seconds: float) -> int:
        """Answers above the limit, counted by whole buckets: a bucket that contains the limit counts as within."""
        lower = [0.0, *self.bounds[:-1]]
        return sum(n for n, low in zip(self.latency, lower, strict=False) if low >= limit_seconds)


def window(readings: Sequence[Reading], version: int, *, now: float, seconds: float) -> Window | None:
    """The last `seconds` of one version; None with fewer than two readings of it.

    A counter that fell means that the server was started again: what it counted since then counts whole.
    """
    own = [r for r in readings if r.version == version and r.at <= now]
    inside = [r for r in own if r.at >= now - seconds]
    before = [r for r in own if r.at < now - seconds]
    chosen = [*before[-1:], *inside]
    if len(chosen) < 2:
        return None
    steps = list(itertools.pairwise(chosen))
    last = chosen[-1]
    return Window(
        seconds=last.at - chosen[0].at,
        answered=sum(_grown(a.answered, b.answered) for a, b in steps),
        refused=sum(_grown(a.refused, b.refused) for a, b in steps),
        failed=sum(_grown(a.failed, b.failed) for a, b in steps),
        latency=_grown_all([r.latency for r in chosen], len(last.latency)),
        bounds=last.bounds,
        predictions=_grown_all([r.predictions for r in chosen], len(last.predictions)),
        restarts=sum(_grown(a.restarts, b.restarts) for a, b in steps),
    )


def _grown(before: int, after: int) -> int:
    return after - before if after >= before else after


def _grown_all(series: Sequence[tuple[int, ...]], width: int) -> tuple[int, ...]:
    padded = [(*counts, *([0] * (width - len(counts)))) for counts in series]
    totals = [0] * width
    for a, b in itertools.pairwise(padded):
        for place in range(width):
            totals[place] += _grown(a[place], b[place])
    return tuple(totals)


def refused_share(readings: Sequence[Reading], version: int, *, since: float, until: float) -> float | None:
    """The share of requests that a version refused while it served; None when no reading of that time tells.

    With a single reading: the share of all that it counted until then.
    """
    own = [r for r in readings if r.version == version and since <= r.at <= until]
    seen = window(own, version, now=until, seconds=until - since)
    if seen is not None and seen.requests:
        return seen.refused / seen.requests
    return own[-1].refused / own[-1].requests if own and own[-1].requests else None
