"""Stage `monitor`: read the server, decide by `release.watch`, and roll back when that cures.

Readings are kept in the workspace (counters only, never rows); only decisions reach the ledger. One call is
one reading; a clock (cron, or `--for`) calls again.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta

from mmcicd_jenkins.config.model import Monitor
from mmcicd_jenkins.errors import Inconclusive, InputError, IntegrityFailed, OutsideFailed, Superseded
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release import history
from mmcicd_jenkins.release.counters import Reading, read_counters, refused_share
from mmcicd_jenkins.release.documents import from_document, to_document
from mmcicd_jenkins.release.ledger import Change, Pointer, Served, Snapshot, pointer_path, read_time
from mmcicd_jenkins.release.rollback import SECOND_PRESS, choose_rollback
from mmcicd_jenkins.release.watch import Action, Alarm, Burn, Decision, Objectives, Situation, decide
from mmcicd_jenkins.stages import rollback
from mmcicd_jenkins.stages.context import Job, Outcome, Ports
from mmcicd_jenkins.stages.moving import require_release
from mmcicd_jenkins.stages.workspace import write_json

# Enough for six hours of the default interval, several times over, and a small file.
READINGS_KEPT = 2000
# With the default interval a failure that lasts half an hour; then somebody should know.
MOST_FAILURES = 6


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What the monitor of one environment remembers between two calls."""

    readings: tuple[Reading, ...] = ()
    alarm: Alarm = field(default_factory=Alarm)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """`epoch` is the decision that stands while we look; `fresh` says that the server answered."""

    epoch: int
    fresh: bool
    memory: Memory
    situation: Situation


@dataclass(frozen=True, kw_only=True)
class Plan:
    environment: str
    version: int
    epoch: int
    decision: Decision
    memory: Memory = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the server said: counters of what serves and of the version before, None when it did not answer."""

    at: float
    ready: bool
    reason: str
    reading: Reading | None = None
    before: Reading | None = None


def look(job: Job, ports: Ports) -> Facts:
    place = job.place
    snapshot = ports.ledger.snapshot(job.model.name)
    pointer = snapshot.pointer(place.name)
    if pointer.serving is None:
        raise InputError(
            f"{place.name} serves no version of {job.model.name}, so there is nothing to watch",
            fix=f"mmcicd-jenkins promote --model {job.model.name} --env {place.name}",
        )
    reference = _reference(require_release(job, ports, pointer.serving).reference)
    before = _healthy_before(snapshot, pointer)
    memory = _remember(job, pointer.serving)
    seen = _read(job, ports, pointer.serving, len(reference), before)
    if seen.reading is not None:
        memory = replace(memory, readings=(*memory.readings, seen.reading)[-READINGS_KEPT:])
    return Facts(
        epoch=pointer.epoch,
        fresh=seen.reading is not None,
        memory=memory,
        situation=Situation(
            version=pointer.serving,
            now=seen.at,
            ready=seen.ready,
            reason=seen.reason,
            reference=reference,
            refused_before=_refused_before(memory.readings, before, seen, pointer_path(place.name)),
            automatic=place.rollback.automatic,
            can_roll_back=_can_roll_back(snapshot, place.name, ports.clock.now()),
            cooling_down=_cooling_down(pointer, place.monitor, ports.clock.now()),
            frozen=pointer.frozen,
            under_way=_under_way(pointer),
            alarm=memory.alarm,
        ),
    )


def _reference(document: Mapping[str, object]) -> tuple[int, ...]:
    counts = document.get("counts", [])
    if not isinstance(counts, list | tuple) or not all(isinstance(n, int) for n in counts):
        raise IntegrityFailed(
            "the reference of a release is not a list of counts", fix="mmcicd-jenkins ledger verify"
        )
    return tuple(counts)


def _remember(job: Job, version: int) -> Memory:
    path = job.workspace.monitor(job.place.name, job.model.name)
    try:
        memory = from_document(Memory, json.loads(path.read_bytes()), str(path))
    except (FileNotFoundError, ValueError, RecursionError, IntegrityFailed):
        # A memory that is lost or unreadable only means fewer readings: the monitor starts to watch anew.
        return Memory()
    if memory.readings and memory.readings[-1].version != version:
        # The alarm was about the predictions of another version.
        return replace(memory, alarm=Alarm())
    return memory


def _read(job: Job, ports: Ports, version: int, bins: int, before: Served | None) -> Seen:
    now = ports.clock.now().timestamp()
    target = ports.target(job.place)
    observed = target.observe(job.model.name)
    ready = observed.version == version
    try:
        text = ports.client.metrics(target.endpoint(job.model.name))
    except OutsideFailed as e:
        # Not a reading of zeros: the next one would count everything since the server started as new.
        return Seen(at=now, ready=False, reason=e.what)
    name = job.model.name
    return Seen(
        at=now,
        ready=ready,
        reason="" if ready else observed.reason or f"{observed.version or 'nothing'} answers",
        reading=read_counters(text, name, version, at=now, ready=ready, bins=bins),
        before=read_counters(text, name, before.version, at=now, ready=False, bins=0) if before else None,
    )


def _healthy_before(snapshot: Snapshot, pointer: Pointer) -> Served | None:
    """The stretch before this one whose version was not taken back; what was is no measure for anything."""
    ended = [s for s in pointer.served if s.until and not snapshot.is_revoked(s.version)]
    return ended[-1] if ended else None


def _refused_before(
    readings: Sequence[Reading], before: Served | None, seen: Seen, where: str
) -> float | None:
    """The share that the healthy version before refused, while it served; None when nobody knows."""
    if before is None or seen.reading is None:
        return None
    since, until = (read_time(text, where).timestamp() for text in (before.since, before.until))
    remembered = refused_share(readings, before.version, since=since, until=until)
    if remembered is not None or before.version == seen.reading.version:
        return remembered
    # Nobody watched it, but the server has counted since it started.
    whole = seen.before
    return whole.refused / whole.requests if whole is not None and whole.requests else None


def _under_way(pointer: Pointer) -> str:
    operation = pointer.operation
    if operation is None or operation.phase != "prepared":
        return ""
    return f"the {operation.action} of {operation.target} that began at {operation.started} has not ended"


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


def plan(job: Job, facts: Facts) -> Plan:
    monitor = job.place.monitor
    objectives = Objectives(
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
    decision = decide(facts.memory.readings, objectives, facts.situation)
    return Plan(
        environment=job.place.name,
        version=facts.situation.version,
        epoch=facts.epoch,
        decision=decision,
        # The same readings judged twice are not two windows.
        memory=replace(facts.memory, alarm=decision.alarm if facts.fresh else facts.memory.alarm),
    )


def apply(plan: Plan, job: Job, ports: Ports) -> Outcome:
    write_json(job.workspace.monitor(plan.environment, job.model.name), to_document(plan.memory))
    decision = plan.decision
    sentence = f"{plan.environment} {plan.version}: {decision.reason}"
    detail: dict[str, object] = {
        "environment": plan.environment,
        "version": plan.version,
        "action": str(decision.action),
        "checks": [to_document(check) for check in decision.checks],
    }
    if decision.action is Action.ROLLBACK:
        taken = _roll_back(plan, job, ports)
        sentence += f"; {taken.sentence}"
        detail |= {"from": taken.detail["from"], "to": taken.detail["to"]}
    elif decision.action is Action.FREEZE:
        _freeze(plan, job, ports)
    return Outcome(
        stage="monitor",
        sentence=sentence,
        found=decision.action in {Action.NONE, Action.WAIT},
        verdict=decision.verdict,
        detail=detail,
    )


def watch(job: Job, ports: Ports, seconds: float, on_outcome: Callable[[Outcome], None]) -> Outcome:
    """Look again and again for `seconds`, or until it acted; the last outcome.

    A look that fails for an outside reason is told and made again: a watch that ends at the first lost answer watches
    nothing when it matters. So is one that a newer decision overtook.

    Raises:
        OutsideFailed, Superseded: so many looks in a row failed, or the last one did.
    """
    end = ports.clock.now().timestamp() + seconds
    failures = 0
    while True:
        error, acted = None, False
        try:
            outcome = apply(plan(job, look(job, ports)), job, ports)
        except (OutsideFailed, Superseded) as e:
            error, failures = e, failures + 1
            ports.progress.line(f"could not look, {failures} of {MOST_FAILURES} in a row: {e.what}")
        else:
            failures = 0
            on_outcome(outcome)
            acted = outcome.detail["action"] in {Action.ROLLBACK, Action.FREEZE}
        left = end - ports.clock.now().timestamp()
        if error is not None and (failures >= MOST_FAILURES or left <= 0):
            raise error
        if acted or left <= 0:
            return outcome
        ports.clock.sleep(min(job.place.monitor.every_seconds, left))


def _roll_back(plan: Plan, job: Job, ports: Ports) -> Outcome:
    """The same rollback as the button's, decided by the monitor and dated as automatic."""
    asked = replace(job, environment=plan.environment, version=None, reason=plan.decision.reason)
    chosen = rollback.plan(asked, rollback.look(asked, ports))
    _require_same(plan, chosen.epoch)
    return rollback.apply(replace(chosen, automatic=True), asked, ports)


def _freeze(plan: Plan, job: Job, ports: Ports) -> None:
    who = job.who(ports.clock, plan.decision.reason)

    def decide(snapshot: Snapshot) -> Change | None:
        _require_same(plan, snapshot.pointer(plan.environment).epoch)
        return history.freeze(snapshot, plan.environment, who)

    ports.ledger.commit(job.model.name, decide)


def _require_same(plan: Plan, epoch: int) -> None:
    """What was judged must still be what serves: a person may have mended it meanwhile."""
    if epoch != plan.epoch:
        raise Superseded(
            f"{plan.environment} has a newer decision than the one that was watched; nothing was changed",
            where=f"epoch {epoch}, watched {plan.epoch}",
            fix="the next monitor watches what serves now",
        )
