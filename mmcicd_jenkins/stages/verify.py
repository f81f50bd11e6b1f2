"""Stage `verify`: the packaged image serves, answers the golden requests alike by REST and gRPC, fast and small enough.

In a container of exactly that image where it has a base and an engine answers, else by the embedded server on the same
layers; the outcome says which. What it saw is stored under the image's digest, so that a verified image is not verified twice and the
release record can be written from what was measured.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mmcicd_jenkins.errors import GateRefused, OutsideFailed
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.image.descriptor import Artifact
from mmcicd_jenkins.ports import Endpoint, GoldenResult
from mmcicd_jenkins.ports.trial import Trial, TrialOrder
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.documents import from_document, to_document
from mmcicd_jenkins.release.gates import extend, judge_measure
from mmcicd_jenkins.release.measures import Measure
from mmcicd_jenkins.release.records import GateOutcome, GateReport
from mmcicd_jenkins.release.rules import MEMORY, Rule
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.stages.context import Job, Outcome, Ports
from mmcicd_jenkins.stages.evaluate import judge_run
from mmcicd_jenkins.stages.identity import identify
from mmcicd_jenkins.stages.numbering import version_of
from mmcicd_jenkins.stages.package import ensure_image, refuse_unless_passed
from mmcicd_jenkins.stages.workspace import fresh_directory

VERIFIED_KIND = "application/vnd.mmcicd.verified.v1+json"
# Latency is judged on this many single requests at least; golden requests are asked again until there are enough.
LATENCY_REQUESTS = 100
# Beside the run's other logs, where a build keeps them.
LOG = "serving.log"


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What `verify` saw: golden answers and the outcomes of the rules that need a server.

    `memory` is the most bytes in use, 0 when not known; `how` what served, in words.
    """

    golden: GoldenResult
    outcomes: tuple[GateOutcome, ...]
    memory: int = 0
    how: str = ""

    @property
    def verdict(self) -> Verdict:
        golden = self.golden
        if golden.differences or {golden.matched_rest, golden.matched_grpc} != {golden.asked}:
            return Verdict.FAILED
        bad = [o.verdict for o in self.outcomes if o.counts and o.verdict is not Verdict.PASSED]
        return (Verdict.FAILED if Verdict.FAILED in bad else bad[0]) if bad else Verdict.PASSED


@dataclass(frozen=True, kw_only=True)
class Facts:
    run: Artifact
    version: int
    image: str
    verified: Verified | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    run_id: str
    version: int
    image: str
    serve: bool


# What a verification measured, the most first: `put_artifact` never replaces a record, so each kind has a name.
# All of it in a container; the time for the latency rules; nothing, because no rule asked.
MEASURED, TIMED, LOADED = "measured", "timed", "verified"


def verified_tag(image: str, kind: str) -> str:
    return f"{kind}-{image.removeprefix('sha256:')}"


def _kinds(rules: Sequence[Rule]) -> tuple[str, ...]:
    """The records that can decide these rules."""
    if any(rule.metric == MEMORY for rule in rules):
        return (MEASURED,)
    # First the one that such rules leave behind.
    return (MEASURED, TIMED) if rules else (LOADED, TIMED, MEASURED)


def look(job: Job, ports: Ports) -> Facts:
    identity = identify(job, ports)
    run = identity.trained(job.model.name)
    version = version_of(identity.run_id, job, ports)
    if version is None or ports.ledger.release(job.model.name, version) is None:
        refuse_unless_passed(job, judge_run(job, ports, run))
    packaged = ensure_image(identity.run_id, job, ports)
    return Facts(
        run=run,
        version=packaged.version,
        image=packaged.digest,
        verified=find_verified(packaged.digest, job, ports),
    )


def plan(job: Job, facts: Facts) -> Plan:  # noqa: ARG001  every stage has the same three functions
    return Plan(
        run_id=str(facts.run.document["run_id"]),
        version=facts.version,
        image=facts.image,
        serve=facts.verified is None,
    )


def apply(plan: Plan, job: Job, ports: Ports) -> Outcome:
    verified = find_verified(plan.image, job, ports)
    found = verified is not None
    if verified is None:
        verified = _verify(plan, job, ports)
        if verified.verdict is Verdict.PASSED:
            failpoint("verify.before-record")
            kind = (
                MEASURED
                if verified.memory and _server_rules(job)
                else TIMED
                if _server_rules(job)
                else LOADED
            )
            ports.store.put_artifact(verified_tag(plan.image, kind), VERIFIED_KIND, to_document(verified))
    return Outcome(
        stage="verify",
        sentence=_sentence(verified, runnable=_can_run(job)),
        found=found,
        verdict=verified.verdict,
        detail={"version": plan.version, "image": plan.image, "verified": to_document(verified)},
    )


def find_verified(image: str, job: Job, ports: Ports) -> Verified | None:
    """What `verify` saw of this image, judged by the rules of today; None when it did not measure what they need."""
    rules = _server_rules(job)
    found = (ports.store.find(verified_tag(image, kind)) for kind in _kinds(rules))
    stored = next((one for one in found if one is not None), None)
    if stored is None:
        return None
    seen = from_document(Verified, dict(stored.document), f"verification of {image}")
    return replace(seen, outcomes=_judge(rules, seen.golden, seen.memory))


def with_outcomes(report: GateReport, verified: Verified) -> GateReport:
    """The gate report of the evaluation and what the running server decided, as one."""
    return extend(report, verified.outcomes) if verified.outcomes else report


def _verify(plan: Plan, job: Job, ports: Ports) -> Verified:
    run = identify(job, ports).trained(job.model.name)
    golden = judge_run(job, ports, run).scored.golden
    packaged = ensure_image(plan.run_id, job, ports)
    folder = job.workspace.verification(plan.image)
    serving = job.model.serving
    order = TrialOrder(
        model=job.model.name,
        version=plan.version,
        image=plan.image,
        layers=packaged.served_layers,
        log=job.workspace.run(plan.run_id) / LOG,
        memory_bytes=serving.memory_bytes,
        cpu=serving.cpu,
        gpus=serving.gpus,
    )
    waiting = f"waiting for another process that verifies version {plan.version}"
    with job.workspace.lock(f"verify-{folder.name}", lambda: ports.progress.line(waiting)):
        trial = ports.throwaway(folder, runnable=_can_run(job))
        # The server of a verify that was killed here lives on; nobody else knows of it.
        trial.stop()
        fresh_directory(folder)
        try:
            ports.progress.update("loading the packaged model")
            result = _ask_alive(job, ports, golden, trial, order)
            memory, how = trial.memory(), trial.how
        finally:
            trial.stop()
            shutil.rmtree(folder, ignore_errors=True)
    outcomes = _judge(_server_rules(job), result, memory)
    return Verified(golden=result, outcomes=outcomes, memory=memory, how=how)


def _can_run(job: Job) -> bool:
    """Whether a container can be made of the image: the model alone has nothing to start."""
    image = job.config.image
    return bool(image.base_for(job.model.serving)) or image.builder == "docker"


def _ask_alive(
    job: Job, ports: Ports, golden: Mapping[str, object], trial: Trial, order: TrialOrder
) -> GoldenResult:
    """The golden answers of a server that lives to the end.

    Raises:
        GateRefused: it ended under the requests.
    """
    endpoint = trial.start(order)
    try:
        result = _ask(job, ports, golden, endpoint)
    except OutsideFailed as e:
        death = trial.death()
        if not death:
            raise
        raise _died(order, death) from e
    death = trial.death()
    if death:
        raise _died(order, death)
    return result


def _died(order: TrialOrder, death: str) -> GateRefused:
    return GateRefused(
        f"version {order.version} of {order.model} was refused: {death}",
        where=str(order.log),
        why="it ended while it answered the golden requests",
        fix="read the log; more serving.memory, or a smaller model",
    )


def _server_rules(job: Job) -> tuple[Rule, ...]:
    return tuple(rule for rule in job.model.gates if rule.needs_server)


def _ask(job: Job, ports: Ports, golden: Mapping[str, object], endpoint: Endpoint) -> GoldenResult:
    """Ask the golden requests; with a latency rule, ask until the percentiles mean something."""
    if not golden.get("instances"):
        return GoldenResult(asked=0, matched_rest=0, matched_grpc=0, seconds=())
    first = ports.client.ask_golden(endpoint, job.model.name, golden)
    if not _server_rules(job):
        return first
    seconds = list(first.seconds)
    while len(seconds) < LATENCY_REQUESTS and not first.differences and first.seconds:
        seconds += ports.client.ask_golden(endpoint, job.model.name, golden).seconds
    return GoldenResult(
        asked=first.asked,
        matched_rest=first.matched_rest,
        matched_grpc=first.matched_grpc,
        seconds=tuple(seconds),
        differences=first.differences,
    )


def percentile(seconds: Sequence[float], share: float) -> float:
    """Nearest rank: the smallest value that at least `share` of all do not exceed."""
    ordered = sorted(seconds)
    rank = -(-len(ordered) * share // 1)
    return ordered[max(0, int(rank) - 1)]


def _judge(rules: Sequence[Rule], result: GoldenResult, memory: int) -> tuple[GateOutcome, ...]:
    shares = {"latency_p50": 0.50, "latency_p95": 0.95, "latency_p99": 0.99}
    outcomes = []
    for rule in rules:
        measure, least = None, LATENCY_REQUESTS
        if rule.metric in shares and result.seconds:
            value = percentile(result.seconds, shares[rule.metric])
            measure = Measure(value=value, samples=len(result.seconds))
        elif rule.metric == MEMORY and memory:
            # One number of one server: how many requests it answered decides nothing.
            measure, least = Measure(value=float(memory), samples=len(result.seconds)), 0
        outcomes.append(judge_measure(rule, "", measure, None, champion=None, min_samples=least))
    return tuple(outcomes)


def _sentence(verified: Verified, *, runnable: bool) -> str:
    """What was seen; and by which server, where there was a choice."""
    golden = verified.golden
    if golden.differences:
        return f"refused: {golden.differences[0]}"
    if not golden.asked:
        said = "loads; there are no golden requests"
    else:
        p99 = percentile(golden.seconds, 0.99) * 1e3 if golden.seconds else 0.0
        said = f"loads; {golden.matched_rest} of {golden.asked} golden answers; p99 {p99:.0f} ms"
    if verified.memory:
        said += f"; {verified.memory / 2**20:,.0f} MiB"
    if runnable and verified.how:
        said += f", {verified.how}"
    bad = [o.reason for o in verified.outcomes if o.verdict is not Verdict.PASSED]
    word = "refused" if verified.verdict is Verdict.FAILED else "inconclusive"
    return f"{word}: {'; '.join([*bad, said])}" if bad else said
