"""What a monitor looks at: the ledger, the environment, counters, and what it remembers. No decision is made here.

Counters come from a history (a Prometheus) where the environment names one, else from the copies themselves, and are
added to what is remembered. Nobody to ask is told as such: zeros would be a lie.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta

from mmcicd_jenkins.config.model import Monitor
from mmcicd_jenkins.errors import Inconclusive, InputError, IntegrityFailed, OutsideFailed
from mmcicd_jenkins.ports import Observed
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.counters import Reading, refused_share
from mmcicd_jenkins.release.ledger import Pointer, Served, Snapshot, pointer_path, read_time
from mmcicd_jenkins.release.monitor_memory import (
    Asked,
    Counted,
    Memory,
    Watched,
    counted,
    lengths,
    remembered,
)
from mmcicd_jenkins.release.rollback import SECOND_PRESS, choose_rollback
from mmcicd_jenkins.release.watch import Burn, Objectives, Past, Situation
from mmcicd_jenkins.stages.context import Job, Ports
from mmcicd_jenkins.stages.moving import require_release

Seen = tuple[Counted, ...]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """`epoch` is the decision that stands while we look; `fresh` says that counters were read. `until` is when the watch
    after a promotion ends, in seconds since 1970; 0 when nothing was promoted.
    """

    epoch: int
    fresh: bool
    memory: Memory
    past: Past
    revision: str
    situation: Situation
    since: float = 0.0
    until: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What should serve: its reference, since when, and the healthy version before it."""

    version: int
    reference: tuple[int, ...]
    since: float
    before: Served | None


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What was read. `blind` says why nothing was; `seen` are copies, those of the version before too."""

    memory: Memory
    past: Past
    seen: Seen = field(default=())
    blind: str = ""


def objectives_of(monitor: Monitor) -> Objectives:
    return Objectives(
        availability=monitor.availability,
        latency_p99_seconds=monitor.latency_p99_seconds,
        windows=tuple(
            Burn(rate=w.rate, long_seconds=w.long_seconds, short_seconds=w.short_seconds)
            for w in monitor.windows
        ),
        min_requests=monitor.min_requests,
        min_errors=monitor.min_errors,
        bad_windows=monitor.bad_windows,
        good_windows=monitor.good_windows,
        drift_min_predictions=monitor.drift_min_predictions,
    )


def look(job: Job, ports: Ports) -> Facts:
    place, now = job.place, ports.clock.now()
    snapshot = ports.ledger.snapshot(job.model.name)
    pointer = snapshot.pointer(place.name)
    serving = _serving(job, ports, snapshot, pointer)
    kept = ports.monitor_memory(place).read(job.model.name)
    observed = ports.target(place).observe(job.model.name)
    traffic = _read(job, ports, remembered(kept.document, serving.version), serving, now)
    memory = _lacking(traffic.memory, observed, now)
    until = _watched_until(pointer, place.monitor)
    ready = observed.version == serving.version
    answers = "" if traffic.blind or ready else observed.reason or f"{observed.version or 'nothing'} answers"
    return Facts(
        epoch=pointer.epoch,
        fresh=not traffic.blind,
        memory=memory,
        past=traffic.past,
        revision=kept.revision,
        since=serving.since,
        until=until,
        situation=Situation(
            version=serving.version,
            now=now.timestamp(),
            ready=ready,
            reason=answers,
            reference=serving.reference,
            refused_before=_refused_before(memory.readings, serving, traffic.seen, pointer_path(place.name)),
            automatic=place.rollback.automatic,
            can_roll_back=_can_roll_back(snapshot, place.name, now),
            cooling_down=_cooling_down(pointer, place.monitor, now),
            frozen=pointer.frozen,
            under_way=_under_way(pointer),
            unfinished=_unfinished(pointer),
            alarm=memory.alarm,
            blind=traffic.blind,
            short=_short(observed),
            short_seconds=now.timestamp() - memory.short_since if memory.short_since else 0.0,
            watched=now.timestamp() < until,
        ),
    )


def _serving(job: Job, ports: Ports, snapshot: Snapshot, pointer: Pointer) -> Serving:
    if pointer.serving is None:
        raise InputError(
            f"{pointer.environment} serves no version of {job.model.name}, so there is nothing to watch",
            fix=f"mmcicd-jenkins promote --model {job.model.name} --env {pointer.environment}",
        )
    ended = [s for s in pointer.served if s.until and not snapshot.is_revoked(s.version)]
    began = next((s.since for s in reversed(pointer.served) if not s.until), "")
    where = pointer_path(pointer.environment)
    return Serving(
        version=pointer.serving,
        reference=_reference(require_release(job, ports, pointer.serving).reference),
        since=read_time(began, where).timestamp() if began else 0.0,
        # What was taken back is no measure for anything.
        before=ended[-1] if ended else None,
    )


def _reference(document: Mapping[str, object]) -> tuple[int, ...]:
    counts = document.get("counts", [])
    if not isinstance(counts, list | tuple) or not all(isinstance(n, int) for n in counts):
        raise IntegrityFailed(
            "the reference of a release is not a list of counts", fix="mmcicd-jenkins ledger verify"
        )
    return tuple(counts)


def _read(job: Job, ports: Ports, memory: Memory, serving: Serving, now: datetime) -> Traffic:
    place, model, bins = job.place, job.model.name, len(serving.reference)
    at, objectives = now.timestamp(), objectives_of(place.monitor)
    versions = [serving.version, *([serving.before.version] if serving.before else [])]
    history = ports.history(place)
    try:
        seen = ports.counters(place).read(model, versions, bins)
        memory = counted(
            memory,
            seen,
            serving.version,
            at,
            most=objectives.longest,
            before=serving.before.version if serving.before else None,
        )
        watched = Watched(readings=memory.readings, version=serving.version, now=at)
        if history is None:
            return Traffic(memory=memory, past=watched, seen=seen)
        wanted = _lengths(objectives, serving, memory, at)
        asked = Asked(windows=history.windows(model, serving.version, wanted, bins), watched=watched)
    except OutsideFailed as e:
        # Not a reading of zeros: the next one would count everything since the server started as new.
        blind = ": ".join(filter(None, [e.what, e.why]))
        past = Watched(readings=memory.readings, version=serving.version, now=at)
        return Traffic(memory=memory, past=past, blind=blind)
    return Traffic(memory=memory, past=asked, seen=seen)


def _lengths(objectives: Objectives, serving: Serving, memory: Memory, at: float) -> tuple[float, ...]:
    burns = [length for burn in objectives.windows for length in (burn.long_seconds, burn.short_seconds)]
    age = at - serving.since if serving.since else objectives.longest
    since = at - memory.alarm.at if memory.alarm.at else 0.0
    # The picture gets a point for the time since the last one.
    burns += [at - memory.points[-1].at] if memory.points else []
    return lengths(objectives.longest, objectives.shortest, burns, age, since)


def _short(observed: Observed) -> str:
    """Which of the copies lack; those of a canary are looked after by whoever makes it."""
    wanted = sum(each.wanted for each in observed.copies if each.role != "canary")
    ready = sum(each.ready for each in observed.copies if each.role != "canary")
    return f"{ready} of {wanted} copies are ready" if ready < wanted else ""


def _lacking(memory: Memory, observed: Observed, now: datetime) -> Memory:
    since = (memory.short_since or now.timestamp()) if _short(observed) else 0.0
    return dataclasses.replace(memory, short_since=since)


def _watched_until(pointer: Pointer, monitor: Monitor) -> float:
    """When the version is trusted: so long after it took over. One that was put back is no new version."""
    operation = pointer.operation
    if operation is None or operation.action == "rollback" or not pointer.served:
        return 0.0
    began = pointer.served[-1]
    if began.until or began.version != pointer.serving:
        return 0.0
    return read_time(began.since, pointer_path(pointer.environment)).timestamp() + monitor.watch_seconds


def _refused_before(readings: Sequence[Reading], serving: Serving, seen: Seen, where: str) -> float | None:
    """The share that the healthy version before refused, while it served; None when nobody knows."""
    before = serving.before
    if before is None or not seen:
        return None
    since, until = (read_time(text, where).timestamp() for text in (before.since, before.until))
    told = refused_share(readings, before.version, since=since, until=until)
    if told is not None or before.version == serving.version:
        return told
    # Nobody watched it, but its copies have counted since they began.
    whole = [one.reading for one in seen if one.reading.version == before.version]
    requests = sum(reading.requests for reading in whole)
    return sum(reading.refused for reading in whole) / requests if requests else None


def _under_way(pointer: Pointer) -> str:
    operation = pointer.operation
    if operation is None or operation.phase != "prepared":
        return ""
    return f"the {operation.action} of {operation.target} that began at {operation.started} has not ended"


def _unfinished(pointer: Pointer) -> str:
    """Why a rollback was begun that no person decided and that has not ended."""
    operation = pointer.operation
    if operation is None or (operation.action, operation.phase) != ("rollback", "prepared"):
        return ""
    return operation.reason if pointer.automatic_rollback == operation.started else ""


def _can_roll_back(snapshot: Snapshot, environment: str, now: datetime) -> bool:
    try:
        return choose_rollback(snapshot, environment, None, now + 2 * SECOND_PRESS).target is not None
    except Inconclusive:
        return False


def _cooling_down(pointer: Pointer, monitor: Monitor, now: datetime) -> bool:
    """A rollback, automatic or by the button, a short while ago: the next one is a person's."""
    place = pointer_path(pointer.environment)
    operation = pointer.operation
    rolled_back = operation is not None and (operation.action, operation.phase) == ("rollback", "done")
    if operation and rolled_back and abs(now - read_time(operation.ended, place)) < SECOND_PRESS:
        return True
    if not pointer.automatic_rollback:
        return False
    since = now - read_time(pointer.automatic_rollback, place)
    return abs(since) < timedelta(seconds=monitor.cooldown_seconds)
