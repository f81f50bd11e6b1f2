"""Move an environment from one version to another: intent, switch, golden requests, done.

One road for deploy, promote and rollback. Killed anywhere, the same command finds its own intent in the
ledger and finishes it. When the new version does not come up or does not answer as recorded, what served
before is put back and the ledger says why.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping

from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import (
    GateRefused,
    InputError,
    IntegrityFailed,
    MmcicdError,
    OutsideFailed,
    Superseded,
)
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.image.descriptor import Descriptor, descriptor
from mmcicd_jenkins.ports import Switch, Target
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release import history
from mmcicd_jenkins.release.ledger import Change, Pointer, Snapshot
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.release.seal import Manifest, manifest_digest
from mmcicd_jenkins.stages.answers import ask_settled, require_right
from mmcicd_jenkins.stages.canary_steps import course_of, run_steps
from mmcicd_jenkins.stages.context import Job, Ports
from mmcicd_jenkins.stages.manifests import fresh_manifest, last_manifest, recorded_manifest, seal_of
from mmcicd_jenkins.stages.proving import refuse_unproven
from mmcicd_jenkins.stages.unplanned import refuse_unplanned


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

    @property
    def is_way_back(self) -> bool:
        return self.action == "rollback"


def move(order: Move, job: Job, ports: Ports, golden: Mapping[str, object]) -> int:
    """Perform it; returns the epoch under which the version serves.

    Raises:
        IntegrityFailed: the release is not what was released; nothing was changed.
        Superseded: a newer decision stands; nothing was changed, or the newer one undid it. Or the version was
            revoked meanwhile; what served before serves on.
        GateRefused: the version answers otherwise than recorded, or failed as a canary; what served before serves on.
        Inconclusive: its canary does not decide; both stay, and the same call goes on.
        InputError: its image is no longer kept; nothing was changed.
        OutsideFailed, InputError: it did not come up; what served before serves on, or it says that it does not.
        IntegrityFailed: its bytes are not what was recorded, or gone; what served before serves on.
    """
    place = job.config.environments[order.environment]
    pointer = _started(order, place, job, ports)
    target = ports.target(place)
    with _put_back_when_it_fails(order, pointer, target, job, ports):
        switch = _ordered(order.release, pointer, ports)
        course = course_of(switch, place, pointer.serving, order.action, ports)
        if course is not None:
            run_steps(course, job, ports)
        if order.check_answers and not order.is_way_back:
            _try_beside(switch, place, job, ports, golden)
        failpoint("deploy.before-switch")
        target.switch(switch)
        failpoint("deploy.after-switch")
        if order.check_answers:
            result = ask_settled(lambda: target.endpoint(job.model.name), place, job, ports, golden)
            require_right(result, order.release.version)
    failpoint("deploy.before-done")
    who = job.who(ports.clock)
    with _taken_back_when_revoked(order, pointer, target, job, ports):
        ports.ledger.commit(
            job.model.name, lambda snapshot: history.finish(snapshot, place.name, pointer.epoch, who)
        )
    return pointer.epoch


def _try_beside(
    switch: Switch, place: Environment, job: Job, ports: Ports, golden: Mapping[str, object]
) -> None:
    """Where a version can be asked before requests come to it, it is."""
    preview = ports.preview(place)
    endpoint = preview.prepare(switch) if preview is not None else None
    if endpoint is not None:
        require_right(ask_settled(lambda: endpoint, place, job, ports, golden), switch.version)


def try_out(order: Move, job: Job, ports: Ports, patience_seconds: float | None = None) -> bool:
    """Begin it, and go through the steps of its canary; False when it has none left. `move` does the rest.

    Raises:
        GateRefused: the canary failed and is gone.
        Inconclusive: its evidence does not decide; it stays, and the same call goes on.
        As `move`, besides.
    """
    place = job.config.environments[order.environment]
    pointer = _started(order, place, job, ports)
    with _put_back_when_it_fails(order, pointer, ports.target(place), job, ports):
        switch = _ordered(order.release, pointer, ports)
        course = course_of(switch, place, pointer.serving, order.action, ports)
        if course is not None:
            run_steps(dataclasses.replace(course, patience_seconds=patience_seconds), job, ports)
    return course is not None


def abandon(order: Move, reason: str, job: Job, ports: Ports) -> int | None:
    """End a move that was begun and not finished: what served serves on. Returns that version.

    The version is not revoked; it may come again.

    Raises:
        Superseded: a newer decision stands.
        InputError: nothing of the kind was begun.
    """
    place = job.config.environments[order.environment]
    snapshot = ports.ledger.snapshot(job.model.name)
    pointer = snapshot.pointer(place.name)
    operation = pointer.operation
    begun = history.is_begun(snapshot, place.name, order.action, order.release.version)
    if operation is None or operation.phase != "prepared" or not begun:
        raise InputError(
            f"no {order.action} of {order.release.version} to {place.name} is under way",
            fix="mmcicd-jenkins status",
        )
    canary = ports.canary(place)
    if canary is not None:
        canary.remove(job.model.name, pointer.epoch, operation.op_id)
    error = GateRefused(f"the {order.action} of version {order.release.version} was taken back", why=reason)
    _take_back(order, pointer, error, ports.target(place), job, ports)
    return pointer.serving


def _started(order: Move, place: Environment, job: Job, ports: Ports) -> Pointer:
    """The intent in the ledger, once nothing speaks against it."""
    _refuse_collected(order, job, ports)
    refuse_unproven(order.release, place, job, ports, way_back=order.is_way_back)
    refuse_unplanned(place, job, ports)
    begun = _begin(order, _manifest(order, place, job, ports), job, ports)
    pointer = begun.pointer(order.environment)
    failpoint("deploy.after-intent")
    with _taken_back_when_revoked(order, pointer, ports.target(place), job, ports):
        history.refuse_taken_back(begun, place.name)
    return pointer


@contextlib.contextmanager
def _put_back_when_it_fails(
    order: Move, pointer: Pointer, target: Target, job: Job, ports: Ports
) -> Iterator[None]:
    try:
        yield
    except (GateRefused, InputError, IntegrityFailed, OutsideFailed) as e:
        _take_back(order, pointer, e, target, job, ports)
        raise


def _manifest(order: Move, place: Environment, job: Job, ports: Ports) -> Manifest:
    """What is to be applied. Back means: as it served there last."""
    if not order.is_way_back:
        return fresh_manifest(order.release, place, job, ports)
    pointer = ports.ledger.snapshot(job.model.name).pointer(place.name)
    return last_manifest(order.release, pointer, place, job, ports)


def _refuse_collected(order: Move, job: Job, ports: Ports) -> None:
    """Said before the store is asked, which would only miss the bytes. `history.begin` asks again on the newest head."""
    snapshot = ports.ledger.snapshot(job.model.name)
    if snapshot.pointer(order.environment).serving != order.release.version:
        history.refuse_collected(snapshot, order.release.version)


@contextlib.contextmanager
def _taken_back_when_revoked(
    order: Move, pointer: Pointer, target: Target, job: Job, ports: Ports
) -> Iterator[None]:
    """A newer decision about the environment has an operation of its own there; a version that was revoked elsewhere
    on its way leaves ours, to be undone.
    """
    try:
        yield
    except Superseded as e:
        if ports.ledger.snapshot(job.model.name).pointer(order.environment).epoch == pointer.epoch:
            _take_back(order, pointer, e, target, job, ports)
        raise


def _begin(order: Move, manifest: Manifest, job: Job, ports: Ports) -> Snapshot:
    """The ledger with our operation; what serves before it and the fence are read from this one state."""
    ledger, model, digest = ports.ledger, job.model.name, manifest_digest(manifest)

    def decide(snapshot: Snapshot) -> Change | None:
        # Asked on every head: another process may have written the same release, or applied the same, meanwhile.
        known = not order.new or ledger.release(model, order.release.version) is not None
        applied = not manifest or ledger.manifest(model, digest) is not None
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
            manifest=digest,
            documents=() if applied else manifest,
        )

    return ledger.commit(model, decide)


def _ordered(release: Release, pointer: Pointer, ports: Ports) -> Switch:
    """The order of the operation that stands, with what it says is applied: whoever finishes it applies the same."""
    digest = pointer.operation.manifest if pointer.operation else ""
    return switch_to(release, pointer, recorded_manifest(release.model, digest, ports), ports)


def switch_to(release: Release, pointer: Pointer, manifest: Manifest, ports: Ports) -> Switch:
    """The order to serve `release` under the fence of `pointer`."""
    return Switch(
        model=release.model,
        version=release.version,
        epoch=pointer.epoch,
        op_id=pointer.operation.op_id if pointer.operation else "",
        layers=served_layers(release),
        reference=release.reference,
        takes_back=pointer.operation is not None and pointer.operation.action == "rollback",
        manifest=manifest,
        seal=seal_of(release, pointer.environment, manifest, ports),
    )


def restore_order(release: Release, pointer: Pointer, job: Job, ports: Ports) -> Switch:
    """The order to serve again what the ledger says, as it was applied."""
    place = job.config.environments[pointer.environment]
    return switch_to(release, pointer, last_manifest(release, pointer, place, job, ports), ports)


def served_layers(release: Release) -> tuple[Descriptor, ...]:
    """What a server loads: the model with the warm-up requests that its image has."""
    return tuple(descriptor(layer) for layer in (*release.layers, *filter(None, [release.warmup])))


def _take_back(
    order: Move, pointer: Pointer, error: MmcicdError, target: Target, job: Job, ports: Ports
) -> None:
    """Put back what served, write down the failure, and fence off whoever still works on the same operation.

    Raises:
        Superseded: a newer decision stands; what it wants counts.
        OutsideFailed: what served before could not be put back.
    """
    lost = _put_back(order, pointer, target, job, ports)
    told = f"{error.what}: {error.why}" if error.why else error.what
    who = job.who(ports.clock, f"{told}; {lost}" if lost else told)
    failed = ports.ledger.commit(
        job.model.name, lambda snapshot: history.fail(snapshot, order.environment, pointer.epoch, who)
    )
    if lost:
        raise OutsideFailed(
            lost,
            where=order.environment,
            why=told,
            fix=_serve_again(job.config.environments[order.environment]),
        ) from error
    with contextlib.suppress(MmcicdError):  # the ledger says it already; this only closes the door behind it
        _put_back(order, failed.pointer(order.environment), target, job, ports, fence=True)


def _serve_again(place: Environment) -> str:
    return f"mmcicd-jenkins serve --env {place.name}" + ("" if place.kind == "local" else " --shared")


def _put_back(
    order: Move, pointer: Pointer, target: Target, job: Job, ports: Ports, *, fence: bool = False
) -> str:
    """Serve what the ledger says again, whatever is there now; returns what went wrong, "" when nothing did.

    The version that failed is not always what is there: it may have pushed aside another one that was cut short.
    With `fence` the order is given although it serves, for the sake of its epoch.
    """
    before = pointer.serving
    observed = target.observe(job.model.name).version
    if before == order.release.version:
        if not _other_settings(pointer):
            return ""
    elif observed == before and not fence:
        return ""
    try:
        if before is None:
            target.withdraw(job.model.name, pointer.epoch)
        else:
            target.switch(restore_order(require_release(job, ports, before), pointer, job, ports))
    except Superseded:
        raise
    except MmcicdError as e:
        return f"what served before ({before or 'nothing'}) could not be put back: {e.what}"
    return ""


def _other_settings(pointer: Pointer) -> bool:
    """Whether the operation applies the version that serves otherwise than it was."""
    applied = pointer.operation.manifest if pointer.operation else ""
    return pointer.serving is not None and applied != pointer.manifest_of(pointer.serving)


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


def require_serving(job: Job, ports: Ports, environment: str, version: int) -> Release:
    """The release that an environment serves. Without it a comparison would look like one with nothing.

    Raises:
        IntegrityFailed: the ledger says that it serves, and has no such release.
    """
    release = ports.ledger.release(job.model.name, version)
    if release is None:
        raise IntegrityFailed(
            f"{environment} serves {version} of {job.model.name}, says the ledger, and has no such release",
            why="without it nothing can be compared with the champion",
            fix="mmcicd-jenkins ledger verify shows the first break; restore the branch from a copy",
        )
    return release
