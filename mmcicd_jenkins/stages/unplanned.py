"""What an environment did without the ledger: learnt before the next decision, or a reason to make none.

A rollback that the environment notes itself is written into the ledger as `unplanned`, without the store: it went back
to a release that the ledger has. Any other decision that the ledger does not know is nothing to guess about: the ledger
was lost, or is not the one by which this environment is decided about.
"""

from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import Superseded
from mmcicd_jenkins.ports.offline import Remembered
from mmcicd_jenkins.release.adoption import adopt, knows
from mmcicd_jenkins.release.ledger import Change, Snapshot
from mmcicd_jenkins.stages.context import Job, Ports


def learn(place: Environment, job: Job, ports: Ports) -> bool:
    """Write down what the environment did by itself; whether there was anything.

    Raises:
        Superseded: it follows a decision that neither the ledger nor its own notes explain.
    """
    model = job.model.name
    remembered = ports.offline(place).remember(model)
    # Read after the environment: a decision is in the ledger before an environment follows it.
    snapshot = ports.ledger.snapshot(model)
    if is_explained(remembered, snapshot, place.name) and _is_released(remembered, job, ports):
        _write(remembered, place, job, ports, decided_on=snapshot.pointer(place.name).epoch)
        ports.offline(place).forget(model)
        return True
    standing = snapshot.pointer(place.name).epoch
    if remembered.epoch > standing:
        raise Superseded(
            f"{place.name} serves {remembered.serving or 'nothing'} of {model} by a decision that the ledger does not "
            "have; nothing was changed",
            where=f"epoch {remembered.epoch} there, {standing} in the ledger",
            why="the ledger was lost, or ledger.url names another one",
            fix="put it back, or mmcicd-jenkins reconcile writes what serves into this one",
        )
    if remembered.offline:
        # Killed between the ledger and the environment.
        ports.offline(place).forget(model)
    return False


def refuse_unplanned(place: Environment, job: Job, ports: Ports) -> None:
    """Before a decision: what it was decided on must be what stands.

    Raises:
        Superseded: the environment went back by itself meanwhile; the ledger has that now.
    """
    if not learn(place, job, ports):
        return
    pointer = ports.ledger.snapshot(job.model.name).pointer(place.name)
    raise Superseded(
        f"{place.name} was taken back to {pointer.serving} without the ledger, which has it now; nothing was changed",
        where=f"epoch {pointer.epoch}",
        why=f"rolled back at {pointer.served[-1].since}" if pointer.served else "",
        fix="look at mmcicd-jenkins status, and decide again",
    )


def is_explained(remembered: Remembered, snapshot: Snapshot, environment: str) -> bool:
    """Whether the environment's own notes say how it came to serve what it does, and the ledger does not have them."""
    notes = remembered.offline
    if not notes or notes[-1].to != remembered.serving:
        return False
    return not knows(snapshot, environment, notes[-1])


def _is_released(remembered: Remembered, job: Job, ports: Ports) -> bool:
    serving = remembered.serving
    return serving is not None and ports.ledger.release(job.model.name, serving) is not None


def _write(remembered: Remembered, place: Environment, job: Job, ports: Ports, *, decided_on: int) -> None:
    who = job.who(ports.clock, "taken back without the ledger")

    def decide(snapshot: Snapshot) -> Change | None:
        return adopt(
            snapshot,
            place.name,
            remembered.serving or 0,
            remembered.epoch,
            who,
            releases=(),
            serving=(),
            decided_on=decided_on,
            taken_back=remembered.offline,
        )

    ports.ledger.commit(job.model.name, decide)
