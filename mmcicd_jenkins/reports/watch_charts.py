"""The images of a monitor: errors and latency over the watched time, beside what was promised, with what was decided."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from mmcicd_jenkins.release.monitor_memory import Point
from mmcicd_jenkins.reports.charts import Figure
from mmcicd_jenkins.reports.svg import MUTED, PALETTE, Axis, Plot, axis_over

_WIDTH, _HEIGHT = 720, 300
_RED = "#b42318"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_STEPS = (
    _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 10 * _MINUTE, 30 * _MINUTE, _HOUR, 2 * _HOUR, 4 * _HOUR, 8 * _HOUR, 12 * _HOUR,
    _DAY, 2 * _DAY, 7 * _DAY,
)  # fmt: skip


def error_share(points: Sequence[Point], allowed: float, since: float, decided: float) -> Figure:
    """The share of requests that failed, in percent; gaps are times without one."""
    values = [(p.at, 100 * p.bad / p.requests if p.requests else math.nan) for p in points]
    plot = _plot("Errors, % of requests", values, 100 * allowed, points)
    plot.series("failed", values, PALETTE[0])
    requests, bad = sum(p.requests for p in points), sum(p.bad for p in points)
    said = f"{bad:,} of {requests:,} requests failed; {100 * allowed:g} % may"
    return _figure("errors", plot, f"Errors over time: {said}", 100 * allowed, since, decided)


def latency(points: Sequence[Point], promised: float, since: float, decided: float) -> Figure:
    """The 99th percentile, in milliseconds. `promised` is 0 where nothing was."""
    values = [(p.at, 1000 * p.p99 if p.p99 >= 0 else math.nan) for p in points]
    plot = _plot("Latency p99, ms", values, 1000 * promised, points)
    plot.series("p99", values, PALETTE[0])
    seen = [value for _, value in values if math.isfinite(value)]
    said = f"at most {max(seen):,.3g} ms" if seen else "nothing was answered"
    said += f"; {1000 * promised:g} ms are promised" if promised else ""
    return _figure("latency", plot, f"Latency p99 over time: {said}", 1000 * promised, since, decided)


def _plot(title: str, values: Sequence[tuple[float, float]], limit: float, points: Sequence[Point]) -> Plot:
    y = axis_over([0.0, limit * 1.2, *(value for _, value in values)], "")
    return Plot(title, _time_axis([p.at for p in points]), y, width=_WIDTH, height=_HEIGHT)


def _figure(name: str, plot: Plot, alt: str, limit: float, since: float, decided: float) -> Figure:
    if limit:
        start, end = plot.at(plot.x.low, limit), plot.at(plot.x.high, limit)
        plot.drawing.line(start, end, _RED, dash="6 4")
        plot.legend("promised", _RED, dash="6 4")
    for at, word, colour in ((since, "took over", MUTED), (decided, "decided", _RED)):
        if plot.x.low <= at <= plot.x.high:
            plot.drawing.line(plot.at(at, plot.y.low), plot.at(at, plot.y.high), colour, width=1.5)
            plot.legend(word, colour)
    return Figure(
        name=f"{name}.svg",
        alt=alt,
        caption="",
        svg=plot.drawing.to_bytes(),
        width=_WIDTH,
        height=_HEIGHT,
    )


def _time_axis(times: Sequence[float]) -> Axis:
    """Round times of UTC, of which a build page tells no other."""
    low, high = (min(times), max(times)) if times else (0.0, 0.0)
    if high - low < 5 * _MINUTE:
        low = high - 5 * _MINUTE
    step = next((each for each in _STEPS if (high - low) / each <= 6), _STEPS[-1])
    first = math.ceil(low / step) * step
    form = "%d %b" if step >= _DAY else "%H:%M" if high - low < _DAY else "%d %b %H:%M"
    places = [first + n * step for n in range(int((high - first) // step) + 1)]
    ticks = tuple((float(at), datetime.fromtimestamp(at, UTC).strftime(form)) for at in places)
    return Axis(low=low, high=high, label="UTC", ticks=ticks)
