"""Stage `monitor`: read the server, decide by `release.watch`, and roll back when that cures.

Readings are kept in the workspace (counters only, never rows); only decisions reach the ledger. One call is
one reading; a clock (cron, or `--for`) calls again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from mmcicd_jenkins.config.model import Monitor
from mmcicd_jenkins.errors import Inconclusive, InputError, IntegrityFailed, OutsideFailed
from mmcicd_jenkins.release import history
from mmcicd_jenkins.release.counters import Reading, read_counters
from mmcicd_jenkins.release.documents import from_document, to_document
from mmcicd_jenkins.release.ledger import Pointer, Snapshot
from mmcicd_jenkins.release.rollback import choose_rollback
from mmcicd_jenkins.release.watch import Action, Alarm, Burn, Decision, Objectives, Situation, decide
from mmcicd_jenkins.stages import rollback
from mmcicd_jenkins.stages.context import Job, Outcome, Ports
from mmcicd_jenkins.stages.moving import require_release
from mmcicd_jenkins.stages.workspace import write_json

# Enough for six hours of the default interval, several times over, and a small file.
READINGS_KEPT = 2000


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What the monitor of one environment remembers between two calls."""

    readings: tuple[Reading, ...] = ()
    alarm: Alarm = field(default_factory=Alarm)


@dataclass(frozen=True, kw_only=True)
class Facts:
    memory: Memory
    situation: Situation


@dataclass(frozen=True, kw_only=True)
class Plan:
    environment: str
    version: int
    decision: Decision
    memory: Memory = field(repr=False)


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
    memory = _remember(job)
    reading, reason = _read(job, ports, pointer.serving, len(reference))
    memory = Memory(readings=(*memory.readings, reading)[-READINGS_KEPT:], alarm=memory.alarm)
    return Facts(
        memory=memory,
        situation=Situation(
            version=pointer.serving,
            now=reading.at,
            ready=reading.ready,
            reason=reason,
            reference=reference,
            refused_before=_refused_before(memory.readings, pointer),
            automatic=place.rollback.automatic,
            can_roll_back=_can_roll_back(snapshot, place.name, ports.clock.now()),
            cooling_down=_cooling_down(pointer, place.monitor, ports.clock.now()),
            frozen=pointer.frozen,
            alarm=memory.alarm,
        ),
    )


def _reference(document: Mapping[str, object]) -> tuple[int, ...]:
    counts = document.get("counts", [])
    return tuple(int(n) for n in counts) if isinstance(counts, list | tuple) else ()


def _remember(job: Job) -> Memory:
    path = job.workspace.monitor(job.place.name, job.model.name)
    try:
        return from_document(Memory, json.loads(path.read_bytes()), str(path))
    except (FileNotFoundError, ValueError, IntegrityFailed):
        # A memory that is lost or unreadable only means fewer readings: the monitor starts to watch anew.
        return Memory()


def _read(job: Job, ports: Ports, version: int, bins: int) -> tuple[Reading, str]:
    now = ports.clock.now().timestamp()
    target = ports.target(job.place)
    observed = target.observe(job.model.name)
    ready = observed.version == version
    try:
        text = ports.client.metrics(target.endpoint())
    except OutsideFailed as e:
        return Reading(at=now, version=version, ready=False), e.what
    reading = read_counters(text, job.model.name, version, at=now, ready=ready, bins=bins)
    return reading, "" if ready else observed.reason or f"{observed.version or 'nothing'} answers"


def _refused_before(readings: Sequence[Reading], pointer: Pointer) -> float | None:
    """The share that the version before refused, while it served."""
    earlier = [s.version for s in pointer.served if s.until]
    if not earlier:
        return None
    own = [r for r in readings if r.version == earlier[-1]]
    last = own[-1] if own else None
    return last.refused / last.requests if last and last.requests else None


def _can_roll_back(snapshot: Snapshot, environment: str, now: datetime) -> bool:
    try:
        return choose_rollback(snapshot, environment, None, now).target is not None
    except Inconclusive:
        return False


def _cooling_down(pointer: Pointer, monitor: Monitor, now: datetime) -> bool:
    if not pointer.automatic_rollback:
        return False
    since = now - datetime.fromisoformat(pointer.automatic_rollback)
    return since < timedelta(seconds=monitor.cooldown_seconds)


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
        decision=decision,
        memory=Memory(readings=facts.memory.readings, alarm=decision.alarm),
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
        who = job.who(ports.clock, decision.reason)
        ports.ledger.commit(job.model.name, lambda snapshot: history.freeze(snapshot, plan.environment, who))
    return Outcome(
        stage="monitor",
        sentence=sentence,
        found=decision.action in {Action.NONE, Action.WAIT},
        verdict=decision.verdict,
        detail=detail,
    )


def _roll_back(plan: Plan, job: Job, ports: Ports) -> Outcome:
    """The same rollback as the button's, decided by the monitor and dated as automatic."""
    asked = replace(job, environment=plan.environment, version=None, reason=plan.decision.reason)
    chosen = rollback.plan(asked, rollback.look(asked, ports))
    return rollback.apply(replace(chosen, automatic=True), asked, ports)
