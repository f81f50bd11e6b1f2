"""Move an environment from one version to another: intent, switch, golden requests, done.

One road for deploy, promote and rollback. Killed anywhere, the same command finds its own intent in the
ledger and finishes it. When the new version does not come up or does not answer as recorded, what served
before is put back and the ledger says why.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import GateRefused, InputError, IntegrityFailed, MmcicdError, OutsideFailed
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.image.descriptor import descriptor
from mmcicd_jenkins.ports import GoldenResult, Switch, Target
from mmcicd_jenkins.release import history
from mmcicd_jenkins.release.ledger import Change, Snapshot
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.stages.context import Job, Ports


@dataclass(frozen=True, kw_only=True)
class Move:
    """What to do. `decided_on` is the epoch that was seen when it was decided; `new` the release is not
    in the ledger yet.
    """

    environment: str
    action: str
    release: Release
    decided_on: int | None = None
    new: bool = False
    leaves: int | None = None
    automatic: bool = False
    check_answers: bool = True


def move(order: Move, job: Job, ports: Ports, golden: Mapping[str, object]) -> int:
    """Perform it; returns the epoch under which the version serves.

    Raises:
        Superseded: a newer decision stands; nothing was changed, or the newer one undid it.
        GateRefused: the version answers otherwise than recorded; what served before serves on.
        OutsideFailed, InputError: it did not come up; what served before serves on.
        IntegrityFailed: its bytes are not what was recorded, or gone; what served before serves on.
    """
    place = job.config.environments[order.environment]
    epoch = _begin(order, job, ports)
    failpoint("deploy.after-intent")
    target = ports.target(place)
    before = ports.ledger.snapshot(job.model.name).pointer(place.name).serving
    try:
        failpoint("deploy.before-switch")
        target.switch(switch_to(order.release, epoch, job, ports, place))
        failpoint("deploy.after-switch")
        if order.check_answers:
            _require_answers(ask(target, job, ports, golden), order.release.version)
    except (GateRefused, InputError, IntegrityFailed, OutsideFailed) as e:
        _take_back(order, job, ports, target, epoch, before, e)
        raise
    failpoint("deploy.before-done")
    ports.ledger.commit(
        job.model.name, lambda snapshot: history.finish(snapshot, place.name, epoch, job.who(ports.clock))
    )
    return epoch


def _begin(order: Move, job: Job, ports: Ports) -> int:
    def decide(snapshot: Snapshot) -> Change | None:
        # Asked on every head: another process may have written the same release meanwhile.
        known = not order.new or ports.ledger.release(job.model.name, order.release.version) is not None
        return history.begin(
            snapshot,
            order.environment,
            order.action,
            order.release.version,
            job.who(ports.clock),
            release=None if known else order.release,
            decided_on=order.decided_on,
            leaves=order.leaves,
            automatic=order.automatic,
        )

    return ports.ledger.commit(job.model.name, decide).pointer(order.environment).epoch


def switch_to(release: Release, epoch: int, job: Job, ports: Ports, place: Environment) -> Switch:
    operation = ports.ledger.snapshot(job.model.name).pointer(place.name).operation
    return Switch(
        model=job.model.name,
        version=release.version,
        epoch=epoch,
        op_id=operation.op_id if operation else "",
        layers=tuple(descriptor(layer) for layer in release.layers),
        reference=release.reference,
    )


def ask(target: Target, job: Job, ports: Ports, golden: Mapping[str, object]) -> GoldenResult:
    if not golden.get("instances"):
        return GoldenResult(asked=0, matched_rest=0, matched_grpc=0, seconds=())
    return ports.client.ask_golden(target.endpoint(), job.model.name, golden)


def _require_answers(result: GoldenResult, version: int) -> None:
    if result.differences or result.matched_rest < result.asked or result.matched_grpc < result.asked:
        raise GateRefused(
            f"version {version} answers otherwise than it did when it was evaluated; what served before serves on",
            why="; ".join(result.differences[:3])
            or f"{result.matched_rest} of {result.asked} by REST, {result.matched_grpc} by gRPC",
        )


def _take_back(
    order: Move, job: Job, ports: Ports, target: Target, epoch: int, before: int | None, error: MmcicdError
) -> None:
    """Put back what served. The switch itself keeps the old version when the new one does not load; after a
    wrong answer it must be switched back, under the same epoch.
    """
    place = job.config.environments[order.environment]
    observed = target.observe(job.model.name)
    if observed.version == order.release.version and before not in {None, order.release.version}:
        assert before is not None  # noqa: S101  for the type checker; the line above says so
        release = require_release(job, ports, before)
        target.switch(switch_to(release, epoch, job, ports, place))
    elif observed.version == order.release.version and before is None:
        target.withdraw(job.model.name, epoch)
    who = job.who(ports.clock, f"{error.what}: {error.why}" if error.why else error.what)
    ports.ledger.commit(
        job.model.name, lambda snapshot: history.fail(snapshot, order.environment, epoch, who)
    )


def require_release(job: Job, ports: Ports, version: int) -> Release:
    """The release of a version.

    Raises:
        InputError: there is none.
    """
    release = ports.ledger.release(job.model.name, version)
    if release is None:
        raise InputError(
            f"{job.model.name} has no release {version}",
            why="a version becomes a release when it passed its gates and verify",
            fix=f"mmcicd-jenkins history --model {job.model.name}",
        )
    return release
