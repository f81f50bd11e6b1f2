"""Stage `evaluate`: the candidate's numbers, the champion's on the same data, the gates, the report."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mmcicd_jenkins.errors import CommandFailed, InputError, IntegrityFailed
from mmcicd_jenkins.image.descriptor import Artifact, descriptor
from mmcicd_jenkins.ports import EvaluationRecord, Scored
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.release.gates import judge
from mmcicd_jenkins.release.measures import Measures
from mmcicd_jenkins.release.records import GateReport, Release
from mmcicd_jenkins.release.runs import short
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.stages.context import Job, Outcome, Ports
from mmcicd_jenkins.stages.identity import Identity, identify, refuse_uncommitted
from mmcicd_jenkins.stages.moving import require_serving
from mmcicd_jenkins.stages.scoring import Subject, ensure_scored, evaluation_id, find_scored
from mmcicd_jenkins.stages.train import CURVES
from mmcicd_jenkins.stages.workspace import make_directory, write_atomically, write_json


@dataclass(frozen=True, kw_only=True)
class Facts:
    identity: Identity
    run: Artifact
    scored: bool
    champion: Release | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`score`: the candidate must be scored; `champion` is compared with, None for a first release."""

    run_id: str
    model_digest: str
    score: bool
    champion: int | None
    gates: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The verdict on a run, with all that led to it."""

    gates: GateReport
    scored: Scored
    baseline: Measures | None
    evaluation: str


def look(job: Job, ports: Ports) -> Facts:
    refuse_uncommitted(job, ports)
    identity = identify(job, ports)
    run = identity.trained(job.model.name)
    return Facts(
        identity=identity,
        run=run,
        scored=find_scored(job, ports, str(run.document["model_digest"])) is not None,
        champion=find_champion(job, ports),
    )


def plan(job: Job, facts: Facts) -> Plan:
    return Plan(
        run_id=facts.identity.run_id,
        model_digest=str(facts.run.document["model_digest"]),
        score=not facts.scored,
        champion=facts.champion.version if facts.champion else None,
        gates=tuple(rule.text for rule in job.model.gates),
    )


def apply(plan: Plan, job: Job, ports: Ports) -> Outcome:
    identity = identify(job, ports)
    run = identity.trained(job.model.name)
    judged = judge_run(job, ports, run)
    folder = make_directory(job.workspace.run(plan.run_id))
    report = _write_report(job, ports, run, judged, folder)
    write_json(folder / "gates.json", to_document(judged.gates), lasting=False)
    _write_golden(job, judged.scored)
    word = {Verdict.PASSED: "passed", Verdict.FAILED: "refused", Verdict.INCONCLUSIVE: "inconclusive"}
    return Outcome(
        stage="evaluate",
        sentence=f"{word[judged.gates.verdict]}: {judged.gates.reason}",
        found=not plan.score,
        verdict=judged.gates.verdict,
        detail={
            "run_id": plan.run_id,
            "gates": to_document(judged.gates),
            "metrics": overall(judged.scored.measures),
            "report": str(report),
        },
    )


def _write_golden(job: Job, scored: Scored) -> None:
    """A request that a person can send with curl, as `promote` says."""
    golden = scored.golden
    if golden.get("instances"):
        signature = golden.get("signature", "serving_default")
        body = {"signature_name": signature, "instances": golden["instances"]}
        write_json(job.workspace.golden(job.model.name), body, lasting=False)


def overall(measures: Measures) -> dict[str, float | None]:
    """The headline numbers; those per class (`recall:3`) stay in the stored evaluation."""
    return {name: measure.value for name, measure in sorted(measures.overall.items()) if ":" not in name}


def find_champion(job: Job, ports: Ports) -> Release | None:
    """What production serves now. A revoked release is no baseline: then the last healthy one that served there is.

    Raises:
        IntegrityFailed: the ledger says that a version serves of which it has no release.
    """
    snapshot = ports.ledger.snapshot(job.model.name)
    pointer = snapshot.pointer(job.config.production.name)
    if pointer.serving is None:
        return None
    served = [pointer.serving, *(stretch.version for stretch in reversed(pointer.served))]
    version = next((v for v in served if not snapshot.is_revoked(v)), None)
    return None if version is None else require_serving(job, ports, pointer.environment, version)


def run_subject(run: Artifact) -> Subject:
    layers = run.document["layers"]
    assert isinstance(layers, list)  # noqa: S101  we wrote this document; the store checked its digest
    return Subject(
        digest=str(run.document["model_digest"]), layers=tuple(descriptor(layer["blob"]) for layer in layers)
    )


def release_subject(release: Release) -> Subject:
    return Subject(digest=release.model_digest, layers=tuple(descriptor(layer) for layer in release.layers))


def judge_run(job: Job, ports: Ports, run: Artifact) -> Judged:
    """Judge the rules that numbers decide; rules about latency and memory wait for `verify`."""
    subject = run_subject(run)
    scored = ensure_scored(job, ports, subject)
    champion = find_champion(job, ports)
    baseline: Measures | None = None
    unscored = ""
    rules = [rule for rule in job.model.gates if not rule.needs_server]
    itself = champion if champion is not None and champion.run_id == run.document["run_id"] else None
    if itself is not None:
        # Comparing it with itself says nothing.
        rules, champion = [rule for rule in rules if rule.is_absolute], None
    elif champion is not None and not all(rule.is_absolute for rule in rules):
        ports.progress.update(f"scoring champion {champion.version} on the same data")
        baseline, unscored = _score_champion(champion, job, ports)
    if itself is not None and not rules:
        report = _serves_already(itself)
    else:
        report = judge(
            rules,
            scored.measures,
            baseline,
            champion=champion.version if champion else None,
            min_samples=job.model.min_samples,
        )
    return Judged(
        gates=replace(report, reason=f"{unscored}; {report.reason}") if unscored else report,
        scored=scored,
        baseline=baseline,
        evaluation=evaluation_id(job, ports, subject.digest),
    )


def _serves_already(champion: Release) -> GateReport:
    """Every rule compares with the champion, which this is: it was judged when it was released."""
    return GateReport(
        verdict=Verdict.PASSED,
        outcomes=(),
        champion=None,
        reason=f"it is {champion.version}, which serves: nothing to compare it with",
    )


def _score_champion(champion: Release, job: Job, ports: Ports) -> tuple[Measures, str]:
    """Its measures on the candidate's data, or none of them and why: then comparisons decide nothing.

    A champion from before a new column, another kind of problem or a stricter evaluation may not be scorable.

    Raises:
        IntegrityFailed: its bytes are damaged or gone.
    """
    try:
        return ensure_scored(job, ports, release_subject(champion)).measures, ""
    except (CommandFailed, InputError) as e:
        why = f"{e.what}: {e.why}" if e.why else e.what
        return Measures(overall={}), f"champion {champion.version} cannot be scored on this data ({why})"
    except IntegrityFailed as e:
        raise IntegrityFailed(
            f"champion {champion.version} cannot be scored: {e.what}",
            where=e.where,
            why=e.why,
            fix="put the store back from a copy; if there is none, leave the gates that name the champion out "
            "for one release",
        ) from e


def _write_report(job: Job, ports: Ports, run: Artifact, judged: Judged, folder: Path) -> Path:
    document = run.document
    blob = run.file(CURVES)
    curves = folder / CURVES
    if blob is not None:
        # What lies there may be of a training that was killed; the stored run has its own.
        write_atomically(curves, ports.store.read(blob), lasting=False)
    packages = document.get("packages", [])
    record = EvaluationRecord(
        model=job.model.name,
        problem=job.model.evaluate.problem or "",
        gates=judged.gates,
        measures=judged.scored.measures,
        baseline=judged.baseline,
        report=judged.scored.report,
        curves=curves if blob is not None else None,
        lineage=_lineage(job, document),
        environment=tuple(map(str, packages)) if isinstance(packages, list) else (),
    )
    return ports.reports.write(folder, record)


def _lineage(job: Job, document: Mapping[str, object]) -> dict[str, str]:
    parameters = document.get("parameters")
    told = ", ".join(f"{k}={v}" for k, v in parameters.items()) if isinstance(parameters, dict) else ""
    lines = {
        "commit": str(document["commit"]),
        "branch": str(document["branch"]),
        "author": str(document["author"]),
        "run": short(str(document["run_id"])),
        "model digest": str(document["model_digest"]),
        "parameters": told,
        "seed": str(document["seed"]),
        "trained": str(document["trained"]),
        "built by": str(document["builder"]),
    }
    for source in job.model.data:
        locked = job.lock.source(job.model.name, source.name)
        if locked is not None:
            lines[f"data {source.name}"] = f"{source.url} {locked.facts.digest}"
    return {label: text for label, text in lines.items() if text}
