"""Stage `verify`: the packaged image serves, answers the golden requests alike by REST and gRPC, fast and small enough.

In a container of exactly that image where it has a base and an engine answers, else by the embedded server on the same
layers; the outcome says which. Further serving versions are tried by `verify_with`. What it saw is stored under the image's digest, so that a verified image is not verified twice and the
release record can be written from what was measured.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.image.descriptor import Artifact
from mmcicd_jenkins.ports import GoldenResult
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
from mmcicd_jenkins.stages.package import Packaged, ensure_image, refuse_unless_passed
from mmcicd_jenkins.stages.trying import answers_alike, order, try_serving
from mmcicd_jenkins.stages.verify_with import VERIFIED_KIND, Tried, find_tried, others, try_other

__all__ = ["VERIFIED_KIND", "Verified", "find_verified", "with_outcomes"]

# Latency is judged on this many single requests at least; golden requests are asked again until there are enough.
LATENCY_REQUESTS = 100


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What `verify` saw: golden answers and the outcomes of the rules that need a server.

    `memory` is the most bytes in use, 0 when not known; `how` what served, in words. `tried` is what the model did on
    further serving versions; each is recorded by itself.
    """

    golden: GoldenResult
    outcomes: tuple[GateOutcome, ...]
    memory: int = 0
    how: str = ""
    tried: tuple[Tried, ...] = ()

    @property
    def own_verdict(self) -> Verdict:
        """Of the image itself."""
        if not answers_alike(self.golden):
            return Verdict.FAILED
        return _worst(o.verdict for o in self.outcomes if o.counts)

    @property
    def verdict(self) -> Verdict:
        return _worst((self.own_verdict, *(one.verdict for one in self.tried)))


def _worst(verdicts: Iterable[Verdict]) -> Verdict:
    bad = [verdict for verdict in verdicts if verdict is not Verdict.PASSED]
    return (Verdict.FAILED if Verdict.FAILED in bad else bad[0]) if bad else Verdict.PASSED


@dataclass(frozen=True, kw_only=True)
class Facts:
    run: Artifact
    packaged: Packaged
    verified: Verified | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`serve`: something was not seen yet. `verify_with` are the further serving versions."""

    run_id: str
    version: int
    image: str
    serve: bool
    verify_with: tuple[str, ...] = ()


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
    return Facts(run=run, packaged=packaged, verified=find_verified(packaged, run, job, ports))


def plan(job: Job, facts: Facts) -> Plan:
    return Plan(
        run_id=str(facts.run.document["run_id"]),
        version=facts.packaged.version,
        image=facts.packaged.digest,
        serve=facts.verified is None,
        verify_with=job.config.image.verify_with,
    )


def apply(plan: Plan, job: Job, ports: Ports) -> Outcome:
    run = identify(job, ports).trained(job.model.name)
    packaged = ensure_image(plan.run_id, job, ports)
    verified = find_verified(packaged, run, job, ports)
    found = verified is not None
    if verified is None:
        verified = _verify(packaged, run, job, ports)
    return Outcome(
        stage="verify",
        sentence=_sentence(verified, job),
        found=found,
        verdict=verified.verdict,
        detail={"version": plan.version, "image": plan.image, "verified": to_document(verified)},
    )


def find_verified(packaged: Packaged, run: Artifact, job: Job, ports: Ports) -> Verified | None:
    """What `verify` saw of an image and of its model on further serving versions, judged by the rules of today.

    None when it did not measure what they need, or one of these versions was not tried or did not pass.
    """
    own = _find_own(packaged.digest, job, ports)
    if own is None:
        return None
    tried = [find_tried(other, packaged, ports) for other in others(packaged, run, job, ports)]
    complete = tuple(one for one in tried if one is not None)
    return replace(own, tried=complete) if len(complete) == len(tried) else None


def _find_own(image: str, job: Job, ports: Ports) -> Verified | None:
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


def _verify(packaged: Packaged, run: Artifact, job: Job, ports: Ports) -> Verified:
    """Try what was not seen yet; what passes is recorded at once, so that a killed one goes on behind it."""
    golden = judge_run(job, ports, run).scored.golden
    own = _find_own(packaged.digest, job, ports) or _try_own(packaged, run, golden, job, ports)
    run_id = str(run.document["run_id"])
    tried = [
        find_tried(other, packaged, ports) or try_other(other, packaged, run_id, golden, job, ports)
        for other in others(packaged, run, job, ports)
    ]
    return replace(own, tried=tuple(tried))


def _try_own(
    packaged: Packaged, run: Artifact, golden: Mapping[str, object], job: Job, ports: Ports
) -> Verified:
    rules = _server_rules(job)
    wanted = order(str(run.document["run_id"]), packaged, job)
    requests = LATENCY_REQUESTS if rules else 0
    seen = try_serving(wanted, golden, job, ports, runnable=_can_run(job), requests=requests)
    outcomes = _judge(rules, seen.golden, seen.memory)
    verified = Verified(golden=seen.golden, outcomes=outcomes, memory=seen.memory, how=seen.how)
    if verified.verdict is Verdict.PASSED:
        failpoint("verify.before-record")
        kind = LOADED if not rules else MEASURED if seen.memory else TIMED
        ports.store.put_artifact(verified_tag(packaged.digest, kind), VERIFIED_KIND, to_document(verified))
    return verified


def _can_run(job: Job) -> bool:
    """Whether a container can be made of the image: the model alone has nothing to start."""
    image = job.config.image
    return bool(image.base_for(job.model.serving)) or image.builder == "docker"


def _server_rules(job: Job) -> tuple[Rule, ...]:
    return tuple(rule for rule in job.model.gates if rule.needs_server)


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


def _sentence(verified: Verified, job: Job) -> str:
    """What was seen, the worst first; and by which server, where there was a choice."""
    own = _own_sentence(verified, runnable=_can_run(job))
    passed: list[str] = []
    bad: list[str] = []
    for one in verified.tried:
        (passed if one.verdict is Verdict.PASSED else bad).append(f"{one.base}: {one.reason}")
    if job.config.image.elsewhere:
        passed.append(f"not tried on this machine: {', '.join(job.config.image.elsewhere)}")
    if bad and verified.own_verdict is Verdict.PASSED:
        bad[0] = f"{_word(verified.verdict)}: {bad[0]}"
        return "; ".join([*bad, own, *passed])
    return "; ".join([own, *bad, *passed])


def _own_sentence(verified: Verified, *, runnable: bool) -> str:
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
    return f"{_word(verified.own_verdict)}: {'; '.join([*bad, said])}" if bad else said


def _word(verdict: Verdict) -> str:
    return "refused" if verdict is Verdict.FAILED else "inconclusive"
