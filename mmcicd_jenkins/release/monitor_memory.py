"""What a monitor remembers between two looks: sums of counters, the alarm, what it said. Pure, and small for ever.

Copies come and go, and each counts from its own start. So what is remembered is the sum of what they counted while
somebody looked, which only rises; a copy that began before it was first seen adds nothing for the time before.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import field

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.alarm import Alarm
from mmcicd_jenkins.release.counters import Reading, Window, window
from mmcicd_jenkins.release.documents import from_document

# Two readings are as good as one where they lie closer together than this share of their age: the edge of a window then
# is less than two percent off, and a month of minutes is some six hundred readings.
CLOSE = 1 / 64


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What one copy has counted of one version since it began (seconds since 1970; 0: nobody knows).

    One that could not be `asked`, because it is not ready, has its restarts alone.
    """

    copy: str
    began: float = 0.0
    asked: bool = True
    reading: Reading


@dataclass(frozen=True, kw_only=True)
class Point:
    """What one look saw of the time since the look before it, for the picture. `p99` is in seconds, -1 when unknown."""

    at: float
    requests: int
    bad: int
    p99: float


@dataclass(frozen=True, kw_only=True)
class Memory:
    """`looked` is when counters were last read; `short_since` since when copies lack, 0 when none does."""

    readings: tuple[Reading, ...] = ()
    alarm: Alarm = field(default_factory=Alarm)
    copies: tuple[Counted, ...] = ()
    points: tuple[Point, ...] = ()
    looked: float = 0.0
    short_since: float = 0.0
    action: str = ""
    said: str = ""


def remembered(document: object, version: int | None) -> Memory:
    """What is remembered of an environment; of another version its readings, and the picture that shows the change."""
    try:
        memory = from_document(Memory, document, "memory of the monitor")
    except IntegrityFailed:
        # A memory that is lost or unreadable only means fewer readings: the monitor starts to watch anew.
        return Memory()
    if memory.readings and memory.readings[-1].version != version:
        # The alarm was about the predictions of another version, and so was everything else.
        return Memory(readings=memory.readings, looked=memory.looked, points=memory.points)
    return memory


@dataclass(frozen=True, kw_only=True)
class Watched:
    """`watch.Past` by the readings of one version that were remembered."""

    readings: tuple[Reading, ...]
    version: int
    now: float

    def last(self, seconds: float, since: float = 0.0) -> Window | None:
        own = self.readings if not since else tuple(r for r in self.readings if r.at >= since)
        return window(own, self.version, now=self.now, seconds=seconds)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """`watch.Past` by what a history told: windows by their length. Restarts are remembered, as it knows of none."""

    windows: Mapping[float, Window]
    watched: Watched

    def last(self, seconds: float, since: float = 0.0) -> Window | None:
        wanted = min(seconds, self.watched.now - since) if since else seconds
        length = max((each for each in self.windows if each <= wanted + 1), default=None)
        if length is None:
            return None
        remembered = self.watched.last(seconds)
        restarts = remembered.restarts if remembered else 0
        return dataclasses.replace(self.windows[length], restarts=restarts)


def lengths(
    longest: float, shortest: float, burns: Sequence[float], age: float, since: float
) -> tuple[float, ...]:
    """Which windows `watch.decide` may look at: those of the burns, and for drift longer and longer ones.

    None is older than the version's `age` here; with `since` also the time from then on.
    """
    wanted = {*burns, longest, *([since] if 0 < since < longest else [])}
    step = shortest
    while step < longest:
        wanted.add(step)
        step *= 2
    return tuple(sorted({max(1.0, min(one, age)) for one in wanted}))


def counted(
    memory: Memory,
    seen: Sequence[Counted],
    version: int,
    now: float,
    *,
    most: float,
    before: int | None = None,
) -> Memory:
    """The memory after a look that read these copies of a version.

    `most` seconds of the past are worth keeping, of this version and of the one `before` it.
    """
    known = {one.copy: one for one in memory.copies if one.reading.version == version}
    own = [
        _complete(one, known.get(one.copy), memory.looked) for one in seen if one.reading.version == version
    ]
    added = _sums(memory, own, known, version, now) if own else []
    kept = [r for r in (*memory.readings, *added) if r.version in {version, before}]
    return dataclasses.replace(memory, readings=thinned(kept, now, most), copies=tuple(own), looked=now)


def _complete(one: Counted, known: Counted | None, looked: float) -> Counted:
    """A copy that was not asked has what it had, or nothing when it began anew, or since somebody looked. What it has is
    not known (`reading.ready` is False) when it is older than that and was never asked.
    """
    if one.asked:
        return one
    if known is None or one.reading.restarts > known.reading.restarts:
        is_known = known is not None or one.began > looked > 0
        return dataclasses.replace(one, reading=dataclasses.replace(one.reading, ready=is_known))
    return dataclasses.replace(one, reading=dataclasses.replace(known.reading, at=one.reading.at))


def _sums(
    memory: Memory, own: Sequence[Counted], known: Mapping[str, Counted], version: int, now: float
) -> list[Reading]:
    """What is new in the sums. Of a version that is seen for the first time it is what its copies counted so far; if
    all of them began since somebody looked, they counted nothing then.
    """
    last = next((r for r in reversed(memory.readings) if r.version == version), None)
    nothing = Reading(at=memory.looked, version=version, ready=True)
    all_new = bool(memory.looked) and all(one.began > memory.looked for one in own)
    total = dataclasses.replace(last or nothing, at=now)
    for one in own:
        if one.copy in known or last is None or one.began > memory.looked:
            before = known.get(one.copy)
            total = _plus(total, before.reading if before else nothing, one.reading)
    return [nothing, total] if last is None and all_new else [total]


def _plus(total: Reading, before: Reading, after: Reading) -> Reading:
    """A counter that fell means that the copy began anew: what it counted since then counts whole."""
    restarts = max(0, after.restarts - before.restarts)
    if restarts or (before.ready and _fell(before, after)):
        before = Reading(at=before.at, version=before.version, ready=True)
    elif not before.ready:
        before = after
    return dataclasses.replace(
        total,
        answered=total.answered + after.answered - before.answered,
        refused=total.refused + after.refused - before.refused,
        failed=total.failed + after.failed - before.failed,
        restarts=total.restarts + restarts,
        bounds=after.bounds or total.bounds,
        latency=_added(total.latency, before.latency, after.latency),
        predictions=_added(total.predictions, before.predictions, after.predictions),
    )


def _fell(before: Reading, after: Reading) -> bool:
    pairs = (
        (before.answered, after.answered),
        (before.refused, after.refused),
        (before.failed, after.failed),
        *zip(before.latency, after.latency, strict=False),
        *zip(before.predictions, after.predictions, strict=False),
    )
    return any(b > a for b, a in pairs)


def _added(total: Sequence[int], before: Sequence[int], after: Sequence[int]) -> tuple[int, ...]:
    width = max(len(total), len(after))
    padded = [[*counts, *([0] * (width - len(counts)))] for counts in (total, before, after)]
    return tuple(t + max(0, a - b) for t, b, a in zip(*padded, strict=False))


def thinned(readings: Sequence[Reading], now: float, most: float) -> tuple[Reading, ...]:
    """Those that are needed to tell windows apart, and one that is older than all of them."""
    kept: list[Reading] = []
    for version in dict.fromkeys(r.version for r in readings):
        own = [r for r in readings if r.version == version]
        old = [r for r in own if now - r.at > most]
        kept += [*old[-1:], *_apart([r for r in own if now - r.at <= most], now)]
    return tuple(sorted(kept, key=lambda r: r.at))


def _apart(own: Sequence[Reading], now: float) -> list[Reading]:
    kept: list[Reading] = []
    for position, reading in enumerate(own):
        is_last = position == len(own) - 1
        if not kept or is_last or own[position + 1].at - kept[-1].at > CLOSE * (now - reading.at):
            kept.append(reading)
    return kept


def pointed(points: Sequence[Point], new: Point | None, now: float, most: float) -> tuple[Point, ...]:
    """The picture's points: of two that lie too close for their age one is made."""
    fresh = [p for p in (*points, *([new] if new else [])) if now - p.at <= most]
    kept: list[Point] = []
    for point in fresh:
        if kept and point.at - kept[-1].at < CLOSE * (now - point.at):
            kept[-1] = _joined(kept[-1], point)
        else:
            kept.append(point)
    return tuple(kept)


def _joined(a: Point, b: Point) -> Point:
    return Point(at=b.at, requests=a.requests + b.requests, bad=a.bad + b.bad, p99=max(a.p99, b.p99))
