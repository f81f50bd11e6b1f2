"""Stage `train`: the team's own command, once per run; the SavedModel becomes layers as soon as it ends.

The checkpoint folder outlives a killed training; the model folder is empty at every start. The first stored
result of a run is the run.
"""

import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from mmcicd_jenkins.errors import CommandFailed, InputError
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.image.descriptor import Artifact, ModelLayers
from mmcicd_jenkins.image.version_layer import WARMUP
from mmcicd_jenkins.ports import Finished, PythonEnvironment
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.stages.checkpoints import Checkpoints
from mmcicd_jenkins.stages.context import Job, Outcome, Ports, how_it_ended, timestamp
from mmcicd_jenkins.stages.data import PreparedData, ready_data
from mmcicd_jenkins.stages.identity import (
    RUN_KIND,
    Identity,
    environment_of,
    find_run,
    identify,
    refuse_uncommitted,
)
from mmcicd_jenkins.stages.scanning import refuse_unsafe
from mmcicd_jenkins.stages.sealing import untouched
from mmcicd_jenkins.stages.train_elsewhere import Wanted, train_elsewhere
from mmcicd_jenkins.stages.workspace import fresh_directory, make_directory, remove, write_json
from mmcicd_jenkins.stages.zones import run_tags

CURVES = "metrics.jsonl"
SIGNALLED = 128
# Above this nobody wrote curves on purpose; reading and storing them would take longer than they are worth.
LARGEST_CURVES = 20_000_000


@dataclass(frozen=True, kw_only=True)
class Facts:
    identity: Identity


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`train` is False when the run is stored already."""

    run_id: str
    attempt: int
    train: bool
    command: str
    parameters: Mapping[str, object]
    seed: int
    timeout_seconds: float


def look(job: Job, ports: Ports) -> Facts:
    refuse_uncommitted(job, ports)
    return Facts(identity=identify(job, ports))


def plan(job: Job, facts: Facts) -> Plan:
    train = job.model.train
    return Plan(
        run_id=facts.identity.run_id,
        attempt=facts.identity.attempt,
        train=facts.identity.artifact is None,
        command=train.command,
        parameters=dict(train.params),
        seed=train.seed,
        timeout_seconds=train.timeout_seconds,
    )


def apply(plan: Plan, job: Job, ports: Ports) -> Outcome:
    waiting = f"waiting for another process that trains {job.model.name}"
    with job.workspace.lock(
        f"train-{job.workspace.run(plan.run_id).name}", lambda: ports.progress.line(waiting)
    ):
        stored = find_run(plan.run_id, job, ports)
        if stored is not None:
            return _outcome(stored, found=True)
        if (elsewhere := ports.trainings(job.model)) is not None:
            wanted = Wanted(run_id=plan.run_id, attempt=plan.attempt, timeout_seconds=plan.timeout_seconds)
            return _outcome(train_elsewhere(wanted, job, ports, elsewhere), found=False)
        trained = _train(plan, job, ports)
        if trained is None:
            return Outcome(stage="train", sentence=f"trained along as worker {job.worker}")
        return _outcome(trained, found=False)


def _outcome(stored: Artifact, *, found: bool) -> Outcome:
    document = stored.document
    sentence = str(document["summary"]) if document.get("summary") else "trained"
    return Outcome(
        stage="train",
        sentence="found, not trained again" if found else sentence,
        found=found,
        detail={
            "run_id": document["run_id"],
            "model_digest": document["model_digest"],
            "model_size": document["model_size"],
            "run": stored.digest,
            "seconds": document["seconds"],
        },
    )


def _train(plan: Plan, job: Job, ports: Ports) -> Artifact | None:
    """The stored run; None for a worker that is not the first of its training, whose model is thrown away."""
    data = ready_data(job, ports)
    environment = environment_of(job, ports)
    folder = make_directory(job.workspace.run(plan.run_id))
    model = fresh_directory(folder / "model")
    checkpoints = Checkpoints(job.workspace.checkpoints(plan.run_id))
    variables = _variables(plan, folder, data, checkpoints.begin())
    failpoint("train.before-command")
    started = time.time()
    with untouched(data.folder, f"the training of {job.model.name}", _where(job, folder)):
        finished = _run(plan, job, ports, {**environment.variables, **_gpus(job), **variables}, folder)
        if finished.status != 0:
            raise _failed(plan, job, folder, finished, checkpoints)
    failpoint("train.after-command")
    if job.worker:
        return None
    _check_model(job, ports, model, folder, started)
    layers = _store_model(job, ports, model, folder)
    artifact = _store(plan, job, ports, layers, environment, folder, finished)
    # The store has it; the copies here would only cost space.
    shutil.rmtree(model, ignore_errors=True)
    checkpoints.done()
    return artifact


def _variables(plan: Plan, folder: Path, data: PreparedData, checkpoints: Path) -> dict[str, str]:
    """The training contract of DESIGN section 3."""
    write_json(folder / "params.json", plan.parameters, lasting=False)
    remove(folder / CURVES)
    return {
        "MMCICD_MODEL_DIR": str(folder / "model"),
        "MMCICD_DATA_DIR": str(data.train),
        "MMCICD_PARAMS": str(folder / "params.json"),
        "MMCICD_CHECKPOINT_DIR": str(checkpoints),
        "MMCICD_METRICS": str(folder / CURVES),
        "MMCICD_RUN_ID": plan.run_id,
        "MMCICD_SEED": str(plan.seed),
    }


def _gpus(job: Job) -> dict[str, str]:
    """What a container must be given; elsewhere the agent has GPUs or not. No other stage asks for any."""
    train = job.model.train
    return {"MMCICD_GPUS": str(train.gpus)} if train.image and train.gpus else {}


def _run(plan: Plan, job: Job, ports: Ports, variables: Mapping[str, str], folder: Path) -> Finished:
    return ports.commands.run(
        plan.command,
        directory=job.root / job.model.path,
        variables=variables,
        log=folder / "train.log",
        timeout_seconds=plan.timeout_seconds,
        on_line=ports.progress.line if job.in_cluster else ports.progress.update,
    )


def _failed(
    plan: Plan, job: Job, folder: Path, finished: Finished, checkpoints: Checkpoints
) -> CommandFailed:
    # A shell reports a signal that ended its child as 128 and the signal's number.
    killed = finished.timed_out or finished.status < 0 or finished.status > SIGNALLED
    aside = None if killed else checkpoints.failed()
    fix = (
        "read the log; after a commit, or with nothing changed, the same command resumes from the checkpoint"
    )
    if aside is not None:
        fix = (
            f"read the log; it could not go on from what a killed training left, which is now {aside}, "
            "so the same command trains from the beginning"
        )
    return CommandFailed(
        f"the training of {job.model.name} failed",
        status=finished.status,
        last_lines=finished.last_lines,
        where=_where(job, folder),
        why=how_it_ended(plan.command, finished),
        fix=fix,
    )


def _where(job: Job, folder: Path) -> str:
    return f"{job.config.mark(f'models.{job.model.name}.train')} models.{job.model.name}.train, log {folder / 'train.log'}"


def _check_model(job: Job, ports: Ports, model: Path, folder: Path, started: float) -> None:
    if not (model / "saved_model.pb").is_file():
        wrote, line = ports.saved_models.diagnose(model, job.root / job.model.path, started)
        raise CommandFailed(
            "training ended without a SavedModel", status=0, where=_where(job, folder), why=wrote, fix=line
        )
    try:
        ports.saved_models.signature(model, job.model.evaluate.signature)
    except InputError as e:
        raise _unusable(e, job, folder) from e
    refuse_unsafe(model, job, ports)


def _unusable(error: InputError, job: Job, folder: Path) -> CommandFailed:
    return CommandFailed(
        f"the model that training exported cannot be used: {error.what}",
        status=0,
        where=_where(job, folder),
        why=error.why,
        fix=error.fix,
    )


def _store_model(job: Job, ports: Ports, model: Path, folder: Path) -> ModelLayers:
    def progress(done: int, total: int) -> None:
        ports.progress.update("storing the model", done / total if total else None)

    try:
        return ports.store.put_model(model, progress)
    except InputError as e:
        raise _unusable(e, job, folder) from e


def _store(
    plan: Plan,
    job: Job,
    ports: Ports,
    layers: ModelLayers,
    environment: PythonEnvironment,
    folder: Path,
    finished: Finished,
) -> Artifact:
    curves = folder / CURVES
    commit = ports.checkout.commit()
    document = {
        "run_id": plan.run_id,
        "attempt": plan.attempt,
        "model": job.model.name,
        "model_digest": layers.digest,
        "model_size": layers.size,
        # Whoever packages the model sees no byte of it, and must not put other requests in the place of its own.
        "own_warmup": (folder / "model" / WARMUP).is_file(),
        "layers": [{"blob": layer.blob.to_json(), "diff_id": layer.diff_id} for layer in layers.layers],
        "commit": commit.sha,
        "committed": commit.time,
        "branch": commit.branch,
        "author": commit.author,
        "parameters": dict(plan.parameters),
        "seed": plan.seed,
        "command": plan.command,
        "environment": environment.digest,
        "packages": list(environment.packages),
        "builder": job.builder,
        "trained": timestamp(ports.clock),
        "seconds": round(finished.seconds),
        "summary": _summary(curves),
    }
    return ports.store.put_artifact(
        run_tags(plan.run_id, job.zone)[-1],
        RUN_KIND,
        document,
        layers=[layer.blob for layer in layers.layers],
        files={CURVES: curves} if _are_curves(curves) else {},
    )


def _summary(curves: Path) -> str:
    """`20 epochs, val_auc 0.868` from the curves, when the training wrote any that can be read."""
    points = _points(curves)
    if not points:
        return ""
    last = {k: v for k, v in points[-1].items() if isinstance(v, int | float) and k not in {"epoch", "loss"}}
    shown = next((k for k in last if k.startswith("val_") and k != "val_loss"), next(iter(last), ""))
    epochs = f"{len(points)} epoch" + ("s" if len(points) != 1 else "")
    try:
        return f"{epochs}, {shown} {last[shown]:.3f}" if shown else epochs
    except OverflowError:
        return epochs


def _are_curves(curves: Path) -> bool:
    return curves.is_file() and curves.stat().st_size <= LARGEST_CURVES


def _points(curves: Path) -> list[dict[str, object]]:
    """The lines that are objects. A training writes what it likes there, so nothing of it is an error."""
    try:
        if not _are_curves(curves):
            return []
        lines = curves.read_text(encoding="utf-8").splitlines()
        points = [json.loads(line) for line in lines if line.strip()]
    except (OSError, ValueError, RecursionError):
        return []
    return [point for point in points if isinstance(point, dict)]
