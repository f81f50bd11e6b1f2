"""What a person is asked before a promotion: which versions wait, how they compare, since when. Changes nothing.

The answer is one line of `choices`; it begins with a version or with `none`. `promote` decides again when it
comes, so what is written here may be days old.
"""

import dataclasses
from datetime import datetime
from pathlib import Path

from mmcicd_jenkins.errors import GateRefused, InputError, UsageError
from mmcicd_jenkins.ports import EvaluationRecord
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release import history
from mmcicd_jenkins.release.ledger import Pointer, pointer_path, read_time
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.stages import promote
from mmcicd_jenkins.stages.context import Job, Outcome, Ports
from mmcicd_jenkins.stages.manifests import settings_differ
from mmcicd_jenkins.stages.moving import require_release
from mmcicd_jenkins.stages.scoring import recorded

NONE = "none"
# A page of choices; who wants an older one names it.
MOST_CHOICES = 10
# A choice is one line of a form.
LONGEST = 120


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A version that may be promoted, and since when it serves before production ("" when no place is before)."""

    release: Release
    place: str
    since: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    environment: str
    champion: Release | None
    since: str
    waiting: tuple[Waiting, ...]
    now: datetime


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`choices` is empty when nothing waits. `versions` are those of the choices, in their order."""

    environment: str
    serving: int | None
    versions: tuple[int, ...]
    choices: tuple[str, ...]
    message: str


def look(job: Job, ports: Ports) -> Facts:
    """Raises what `promote` would, when the version that was named may not be promoted."""
    snapshot = ports.ledger.snapshot(job.model.name)
    pointer = snapshot.pointer(job.place.name)
    before = snapshot.pointer(job.config.before_production[-1].name) if job.config.before_production else None
    champion = None if pointer.serving is None else ports.ledger.release(job.model.name, pointer.serving)
    versions = _candidates(job, before, pointer, snapshot.head.versions)
    if champion is not None and job.version == champion.version:
        # Who names what serves means its settings.
        versions = (
            [champion.version] if settings_differ(champion, pointer, job.place, job, ports) else versions
        )
    waiting = [
        _waiting(v, job, ports, before) for v in versions if not snapshot.is_revoked(v) or v == job.version
    ]
    return Facts(
        environment=job.place.name,
        champion=champion,
        since=pointer.served[-1].since if pointer.served and champion else "",
        waiting=tuple(w for w in waiting if w is not None)[:MOST_CHOICES],
        now=ports.clock.now(),
    )  # fmt: skip


def _candidates(job: Job, before: Pointer | None, pointer: Pointer, versions: int) -> list[int]:
    """The named one first, then newer ones than what serves: those that served before production."""
    served = {s.version for s in before.served} if before is not None else set(range(versions, 0, -1))
    newer = sorted((v for v in served if v > (pointer.serving or 0)), reverse=True)
    named = [job.version] if job.version is not None else []
    return [v for v in dict.fromkeys([*named, *newer]) if v != pointer.serving]


def _waiting(version: int, job: Job, ports: Ports, before: Pointer | None) -> Waiting | None:
    asked = dataclasses.replace(job, version=version)
    try:
        assessed = promote.assess(asked, promote.look(asked, ports))
    except (GateRefused, InputError):
        # Nobody asked for this one, so that it cannot be promoted is no news.
        if version == job.version:
            raise
        return None
    stretches = [s for s in before.served if s.version == version] if before is not None else []
    return Waiting(
        release=require_release(job, ports, assessed.version),
        place=before.environment if before is not None else "",
        since=stretches[-1].since if stretches else "",
    )


def plan(job: Job, facts: Facts) -> Plan:
    serving = facts.champion.version if facts.champion else None
    kept = f"{NONE} | keep {serving or 'nothing'} and record why"
    choices = [_choice(waiting, facts) for waiting in facts.waiting]
    return Plan(
        environment=facts.environment,
        serving=serving,
        versions=tuple(waiting.release.version for waiting in facts.waiting),
        choices=(*choices, kept) if choices else (),
        message=f"{job.model.name} to {facts.environment}. Serving now: {_serving(facts)}. "
        "Report and diff: Artifacts.",
    )


def _choice(waiting: Waiting, facts: Facts) -> str:
    """`8 | recall 0.831 (+0.007) | commit e81d03a | 1 h in staging`."""
    release, champion = waiting.release, facts.champion
    same = champion is not None and champion.version == release.version
    told = ["the same with other settings"] if same else _number(release, champion)
    parts = [str(release.version), *told, f"commit {release.commit[:7]}"]
    if waiting.since:
        since = read_time(waiting.since, pointer_path(waiting.place))
        parts.append(f"{_age((facts.now - since).total_seconds())} in {waiting.place}")
    return " | ".join(parts)[:LONGEST]


def _number(release: Release, champion: Release | None) -> list[str]:
    """The first number that a gate judged, with its distance from what serves."""
    for outcome in release.gates.outcomes:
        metric = outcome.rule.split()[0]
        value = release.metrics.get(metric)
        if value is not None:
            old = champion.metrics.get(metric) if champion else None
            return [f"{metric} {value:.3f}" + (f" ({value - old:+.3f})" if old is not None else "")]
    return []


def _serving(facts: Facts) -> str:
    champion = facts.champion
    if champion is None:
        return "nothing yet"
    day = read_time(facts.since, pointer_path(facts.environment)) if facts.since else None
    since = f" since {day.day} {day:%B}" if day else ""
    return ", ".join([f"{champion.version}{since}", *_number(champion, None)])


def _age(seconds: float) -> str:
    """`12 m`, `1 h`, `3 d`."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return "moments"


def write_report(folder: Path, version: int, job: Job, ports: Ports) -> Path | None:
    """The report of a version, from what was stored when it was judged; None when the store no longer has it."""
    release = require_release(job, ports, version)
    scored = recorded(release.evaluation, ports)
    if scored is None:
        return None
    return ports.reports.write(
        folder,
        EvaluationRecord(
            model=job.model.name,
            problem=job.model.evaluate.problem or "",
            gates=release.gates,
            measures=scored.measures,
            baseline=None,
            report=scored.report,
            curves=None,
            lineage={
                "version": str(release.version),
                "commit": release.commit,
                "author": release.author,
                "built by": release.builder,
            },
            environment=(),
        ),
    )


def chosen(line: str) -> int | None:
    """The version of a chosen line; None for `none`.

    Raises:
        UsageError: it is no line of ours.
    """
    word = line.partition("|")[0].strip()
    if word == NONE:
        return None
    if not (word.isascii() and word.isdigit()):
        raise UsageError(f"{line[:60]!r} is no choice", fix="a version, or none")
    return int(word)


def keep(job: Job, ports: Ports) -> Outcome:
    """A person keeps what serves; the reason stands in the ledger.

    Raises:
        UsageError: without a reason.
    """
    if not job.reason.strip():
        raise UsageError("a decision needs a reason; it stands in the audit record", fix="--reason 'why'")
    who = job.who(ports.clock)
    place = job.place.name
    snapshot = ports.ledger.commit(
        job.model.name, lambda standing: history.decline(standing, place, job.version, who)
    )
    serving = snapshot.pointer(place).serving
    return Outcome(
        stage="promote",
        sentence=f"{place} keeps {serving or 'serving nothing'}, decided by {job.actor}: {job.reason}",
        found=True,
        detail={"environment": place, "version": serving, "kept": True},
    )
