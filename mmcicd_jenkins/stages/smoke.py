"""Stage `smoke`: ask the serving environment the golden requests, by REST and by gRPC."""

from mmcicd_jenkins.errors import InputError, OutsideFailed
from mmcicd_jenkins.ports import GoldenResult
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.stages.answers import ask_settled, is_right
from mmcicd_jenkins.stages.context import Job, Outcome, Ports
from mmcicd_jenkins.stages.moving import require_release
from mmcicd_jenkins.stages.scoring import recorded_golden


@dataclass(frozen=True, kw_only=True)
class Facts:
    environment: str
    version: int | None
    observed: int | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`version` is None when no environment comes before production: there is nothing to ask yet."""

    environment: str
    version: int | None


def look(job: Job, ports: Ports) -> Facts:
    name = job.environment or _default(job)
    pointer = ports.ledger.snapshot(job.model.name).pointer(name)
    observed = ports.target(job.config.environments[name]).observe(job.model.name)
    return Facts(environment=name, version=pointer.serving, observed=observed.version, reason=observed.reason)


def _default(job: Job) -> str:
    """The last environment before production, which is where `deploy` ended."""
    before = job.config.before_production
    return before[-1].name if before else job.config.production.name


def plan(job: Job, facts: Facts) -> Plan:
    if facts.version is None and not (job.environment or job.config.before_production):
        return Plan(environment=facts.environment, version=None)
    if facts.version is None:
        raise InputError(
            f"{facts.environment} serves no version of {job.model.name}",
            fix=f"mmcicd-jenkins stage deploy --model {job.model.name}",
        )
    if facts.observed != facts.version:
        raise OutsideFailed(
            f"{facts.environment} should serve {facts.version} and serves {facts.observed or 'nothing'}",
            why=facts.reason,
            fix=f"mmcicd-jenkins serve --env {facts.environment}, or mmcicd-jenkins status",
        )
    return Plan(environment=facts.environment, version=facts.version)


def apply(plan: Plan, job: Job, ports: Ports) -> Outcome:
    if plan.version is None:
        return Outcome(stage="smoke", sentence="there is no environment before production", found=True)
    release = require_release(job, ports, plan.version)
    place = job.config.environments[plan.environment]
    target = ports.target(place)
    result = ask_settled(
        lambda: target.endpoint(job.model.name),
        place,
        job,
        ports,
        recorded_golden(release.evaluation, ports),
    )
    return Outcome(
        stage="smoke",
        sentence=_sentence(result),
        verdict=Verdict.PASSED if is_right(result) else Verdict.FAILED,
        detail={"environment": plan.environment, "version": plan.version, "asked": result.asked},
    )


def _sentence(result: GoldenResult) -> str:
    if not result.asked:
        return "no golden requests to ask"
    told = f"{result.matched_rest} of {result.asked} by REST, {result.matched_grpc} of {result.asked} by gRPC"
    return "; ".join([told, *result.differences[:1]])
