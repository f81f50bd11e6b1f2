"""The part of stage `train` for a model that trains as a Job of a cluster: start it or join it, then find the run.

Nothing comes back from the cluster but words: what was trained is found in the store under the identity of the run, as any
other run is, and is judged by whoever releases it.
"""

import re
import secrets

from mmcicd_jenkins.errors import CommandFailed, IntegrityFailed, MmcicdError, OutsideFailed
from mmcicd_jenkins.image.descriptor import Artifact
from mmcicd_jenkins.ports.training import Ended, Order, Trainings
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.render.training_job import Training, render_training
from mmcicd_jenkins.stages.context import Job, Ports
from mmcicd_jenkins.stages.identity import engine_name, find_run, train_image
from mmcicd_jenkins.stages.workspace import make_directory

LOG = "train.log"
# The stage in the pod puts its own name before what it says.
_SAID = re.compile(r"\A  train {5}")
# How the stage in the pod ended, by its exit code: as this stage would have.
_CLASSES = {5: OutsideFailed, 7: IntegrityFailed}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The run that is to be there in the end."""

    run_id: str
    attempt: int
    timeout_seconds: float


def train_elsewhere(wanted: Wanted, job: Job, ports: Ports, trainings: Trainings) -> Artifact:
    """The stored run.

    Raises:
        CommandFailed: the team's own command failed there.
        OutsideFailed: the cluster did not do it.
        IntegrityFailed: it ended well, and the store has no such run.
    """
    order = _order(wanted, job, ports, trainings)
    folder = make_directory(job.workspace.run(wanted.run_id))
    with (folder / LOG).open("w", encoding="utf-8", errors="surrogateescape") as log:

        def tell(line: str) -> None:
            text = _SAID.sub("", line)
            log.write(text + "\n")
            log.flush()
            ports.progress.update(text)

        ended = trainings.run(order, tell)
    if ended.kind not in {"", "gone"}:
        raise _failed(ended, order, job)
    stored = find_run(wanted.run_id, job, ports)
    if stored is None and ended.kind:
        raise _failed(ended, order, job)
    if stored is None:
        raise IntegrityFailed(
            f"the training of {job.model.name} ended well, and the store has no such run",
            where=f"Job {order.name}",
            why="the pod trained something else: another image, lock or store than here",
            fix="its log names the run that it stored; are MMCICD_STORE_REGISTRY and the image the same there",
        )
    trainings.forget(order.name)
    return stored


def _order(wanted: Wanted, job: Job, ports: Ports, trainings: Trainings) -> Order:
    settings = job.model.train.job
    if settings is None:
        raise ValueError("this model trains here")
    commit = ports.checkout.commit().sha
    code, folder = ports.checkout.packed(commit)
    training = Training(
        model=job.model.name,
        settings=settings,
        gpus=job.model.train.gpus,
        timeout_seconds=wanted.timeout_seconds,
        run_id=wanted.run_id,
        commit=commit,
        folder=folder,
        code=code,
        image=engine_name(job, train_image(job)),
        written=job.model.train.image,
        again=wanted.attempt > 0 and job.again,
        variables=trainings.passed,
        nonce=secrets.token_hex(4),
    )
    document, objects = render_training(training)
    return Order(
        name=training.name,
        job=document,
        objects=objects,
        start_seconds=settings.start_timeout_seconds,
        stop_on_abort=settings.stop_on_abort,
    )


def _failed(ended: Ended, order: Order, job: Job) -> MmcicdError:
    what = f"the training of {job.model.name} failed"
    where = (
        f"{job.config.mark(f'models.{job.model.name}.train')} models.{job.model.name}.train, Job {order.name}"
    )
    kind = _CLASSES.get(ended.status)
    if ended.kind == "command" and kind is not None:
        return kind(what, where=where, why=ended.why, fix=ended.fix)
    if ended.kind in {"cluster", "gone"}:
        return OutsideFailed(what, where=where, why=ended.why, fix=ended.fix, retryable=True)
    return CommandFailed(
        what, status=ended.status, last_lines=ended.last_lines, where=where, why=ended.why, fix=ended.fix
    )
