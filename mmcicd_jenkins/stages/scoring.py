"""Measures of a model on the test data of this checkout: found in the store, or scored once and stored.

The identity of an evaluation is (model digest, test data, how it is evaluated), so the champion is scored
again exactly when the candidate's data or evaluation differ from what it was scored on before.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmcicd_jenkins.config.model import DataSource
from mmcicd_jenkins.errors import CommandFailed, InputError, IntegrityFailed
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.image.descriptor import Artifact, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes, digest_tree
from mmcicd_jenkins.image.tree import scan
from mmcicd_jenkins.ports import Column, Scored, ScoreRequest
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.canonical import digest_of
from mmcicd_jenkins.release.documents import from_document, to_document
from mmcicd_jenkins.release.measures import Measures
from mmcicd_jenkins.stages.context import Job, Ports, how_it_ended, timestamp
from mmcicd_jenkins.stages.data import ready_data
from mmcicd_jenkins.stages.identity import (
    code_files,
    data_key,
    environment_digest,
    environment_of,
    locked_data,
    locked_facts,
    refuse_uncommitted,
)
from mmcicd_jenkins.stages.scanning import refuse_unsafe
from mmcicd_jenkins.stages.sealing import untouched
from mmcicd_jenkins.stages.workspace import fresh_directory, make_directory, write_json
from mmcicd_jenkins.stages.zones import Zone, evaluation_tags, first_kept

EVALUATION_KIND = "application/vnd.mmcicd.evaluation.v1+json"
# Raised when scoring itself changes, so that stored evaluations are not mistaken for new ones.
SCORING_VERSION = 2
# A few requests that every switch asks again; a file larger than this is something else.
LARGEST_GOLDEN = 10_000_000


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model to score: its digest and where its bytes are."""

    digest: str
    layers: tuple[Descriptor, ...]


def evaluation_id(job: Job, ports: Ports, model_digest: str) -> str:
    """`sha256:` over all that decides the numbers."""
    evaluate = job.model.evaluate
    own: Mapping[str, object] = {}
    if evaluate.command:
        # The team's own evaluation is part of the repository; any file of the model may be part of it. It is
        # given the parameters, and its packages compute the numbers.
        own = {
            "code": code_files(job, ports, ()),
            "parameters": dict(job.model.train.params),
            "environment": environment_digest(job, ports),
        }
    return digest_of(
        {
            "scoring": SCORING_VERSION,
            "model": model_digest,
            "data": data_key(job, locked_data(job)),
            "labels": {source.name: source.label for source in job.model.data},
            "evaluate": to_document(evaluate),
            "slices": list(job.model.columns_to_slice),
            "own": own,
        }
    )


def find_scored(job: Job, ports: Ports, model_digest: str) -> Scored | None:
    """The stored evaluation, None when this model was not scored on this data in this way."""
    evaluation = evaluation_id(job, ports, model_digest)
    stored = _find(evaluation, job.zone, ports)
    return None if stored is None else _read(stored, ports)


def _find(evaluation: str, zone: Zone, ports: Ports) -> Artifact | None:
    return first_kept(
        evaluation_tags(evaluation, zone),
        ports.store,
        kind=EVALUATION_KIND,
        named=("evaluation", evaluation),
        what="an evaluation",
        fix="restore the store from a copy",
    )


def ensure_scored(job: Job, ports: Ports, subject: Subject) -> Scored:
    """Find the evaluation, or score the model and store what came out."""
    evaluation = evaluation_id(job, ports, subject.digest)
    tag = evaluation_tags(evaluation, job.zone)[-1]
    waiting = f"waiting for another process that evaluates {job.model.name}"
    with job.workspace.lock(tag[:40], lambda: ports.progress.line(waiting)):
        stored = _find(evaluation, job.zone, ports)
        if stored is None:
            scored = _score(job, ports, subject, job.workspace.evaluation(evaluation))
            failpoint("evaluate.scored")
            stored = ports.store.put_artifact(
                tag,
                EVALUATION_KIND,
                {
                    "evaluation": evaluation,
                    "model": job.model.name,
                    "model_digest": subject.digest,
                    "evaluated": timestamp(ports.clock),
                    "samples": _samples(scored),
                },
                files={
                    "measures.json": _bytes(to_document(scored.measures)),
                    "report.json": _bytes(scored.report),
                    "golden.json": _bytes(scored.golden),
                    "reference.json": _bytes(scored.reference),
                },
            )
        return _read(stored, ports)


def _samples(scored: Scored) -> int:
    return max((m.samples for m in scored.measures.overall.values()), default=0)


def measures_digest(scored: Scored) -> str:
    """The digest of the measures as they are stored, by which anyone can ask a store for them."""
    return digest_bytes(_bytes(to_document(scored.measures)))


def _bytes(document: object) -> bytes:
    # NaN has its own spelling here: a stored measure must come back as what it was.
    return json.dumps(document, sort_keys=True).encode()


def _read(stored: Artifact, ports: Ports) -> Scored:
    def document(name: str) -> dict[str, object]:
        blob = stored.file(name)
        if blob is None:
            raise IntegrityFailed(f"the stored evaluation {stored.digest} lacks {name}")
        loaded: dict[str, object] = json.loads(ports.store.read(blob))
        return loaded

    return Scored(
        measures=from_document(Measures, document("measures.json"), f"evaluation {stored.digest}"),
        report=document("report.json"),
        golden=document("golden.json"),
        reference=document("reference.json"),
    )


def model_files(job: Job, ports: Ports, subject: Subject) -> Path:
    """The model's files in the workspace: extracted once, checked whenever they are used.

    Raises:
        IntegrityFailed: the layers hold another model than the one that was asked for.
    """
    folder = job.workspace.model_files(subject.digest)
    with job.workspace.lock(f"model-{folder.name}", lambda: None):
        if not _is_model(folder, subject.digest):
            shutil.rmtree(folder, ignore_errors=True)
            make_directory(folder.parent)
            ports.store.extract(subject.layers, folder)
            if not _is_model(folder, subject.digest):
                raise IntegrityFailed(
                    "the layers of a model hold other files than were recorded", where=subject.digest
                )
    return folder


def _is_model(folder: Path, digest: str) -> bool:
    try:
        return folder.is_dir() and digest_tree(scan(folder)) == digest
    except InputError:
        return False


def _score(job: Job, ports: Ports, subject: Subject, folder: Path) -> Scored:
    fresh_directory(folder)
    model = model_files(job, ports, subject)
    refuse_unsafe(model, job, ports)
    if job.model.evaluate.command:
        return _score_by_command(job, ports, model, folder)
    source = _judged_source(job)
    facts = locked_facts(job, source.name)
    request = ScoreRequest(
        model=model,
        table=ready_data(job, ports).test_table(source.name),
        columns=fed_columns(
            ports.saved_models.signature(model, job.model.evaluate.signature), source, facts.columns
        ),
        label=source.label,
        slices=job.model.columns_to_slice,
        problem=job.model.evaluate.problem or "",
        signature=job.model.evaluate.signature,
        output=job.model.evaluate.output,
        threshold=job.model.evaluate.threshold,
        batch_size=job.model.evaluate.batch_size,
        classes=_classes(facts.label_counts) if job.model.evaluate.problem != "regression" else (),
    )
    environment = environment_of(job, ports)
    return ports.evaluator.score(request, environment, folder)


def fed_columns(
    signature: Mapping[str, object], source: DataSource, columns: Sequence[Column]
) -> tuple[str, ...]:
    """The columns that the model may be fed with, in the lock's order; never the label.

    Several inputs find their columns by name. One tensor takes a row, so what is no number for it is left out: the
    column that keeps rows together, and text, by which rules slice, unless the tensor itself takes text.
    """
    features = [column for column in columns if column.name != source.label]
    inputs = signature["inputs"]
    if not isinstance(inputs, Mapping) or len(inputs) != 1:
        return tuple(column.name for column in features)
    takes_text = next(iter(inputs.values())).get("dtype") == "string"
    return tuple(
        column.name
        for column in features
        if column.name != source.group_by and (takes_text or column.kind != "text")
    )


def _judged_source(job: Job) -> DataSource:
    """The source whose test part is scored: the one with a label and a test part."""
    held = [s for s in job.model.data if s.label and (s.test_size or s.role == "test")]
    if len(held) != 1:
        raise InputError(
            f"the built-in evaluation of {job.model.name} needs exactly one source with a label and a test part",
            where=job.config.mark(f"models.{job.model.name}.data"),
            why=f"{len(held)} sources have both",
            fix="set label and test_size on one source, or label and role: test, or evaluate: {command: ...}",
        )
    return held[0]


def _classes(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Numbers in their own order, words in theirs."""
    try:
        return tuple(sorted(counts, key=float))
    except ValueError:
        return tuple(sorted(counts))


def _score_by_command(job: Job, ports: Ports, model: Path, folder: Path) -> Scored:
    refuse_uncommitted(job, ports)
    data = ready_data(job, ports)
    environment = environment_of(job, ports)
    write_json(folder / "params.json", dict(job.model.train.params), lasting=False)
    command = job.model.evaluate.command
    where = f"{job.config.mark(f'models.{job.model.name}.evaluate')}, log {folder / 'evaluate.log'}"
    with untouched(data.folder, f"the evaluation of {job.model.name}", where):
        finished = ports.commands.run(
            command,
            directory=job.root / job.model.path,
            variables={
                **environment.variables,
                "MMCICD_MODEL_DIR": str(model),
                "MMCICD_DATA_DIR": str(data.test),
                "MMCICD_PARAMS": str(folder / "params.json"),
                "MMCICD_EVALUATION_DIR": str(folder),
            },
            log=folder / "evaluate.log",
            timeout_seconds=job.model.train.timeout_seconds,
            on_line=ports.progress.update,
        )
    if finished.status != 0:
        raise CommandFailed(
            f"the evaluation of {job.model.name} failed",
            status=finished.status,
            last_lines=finished.last_lines,
            where=where,
            why=how_it_ended(command, finished),
            fix="read the output below, mend, commit, and run again",
        )
    metrics = folder / "metrics.json"
    if not metrics.is_file():
        raise CommandFailed(
            f"the evaluation of {job.model.name} wrote no metrics.json",
            status=0,
            where=where,
            why=f"{command} ended well, but MMCICD_EVALUATION_DIR holds no metrics.json",
            fix='write {"metrics": {"accuracy": 0.9}, "samples": 1000} to $MMCICD_EVALUATION_DIR/metrics.json',
        )
    return Scored(
        measures=ports.reports.read_metrics(metrics),
        report={},
        golden=_own_golden(folder / "golden.json"),
        reference={},
    )


def _own_golden(path: Path) -> Mapping[str, object]:
    """The golden requests that the team's evaluation wrote; they are its choice, so none is fine.

    Raises:
        InputError: the file is there but is not a document of golden requests.
    """
    if not path.is_file():
        return {}
    try:
        if path.stat().st_size > LARGEST_GOLDEN:
            raise ValueError(f"it is larger than {LARGEST_GOLDEN:,} bytes")  # noqa: TRY301  told with the others
        document = json.loads(path.read_bytes())
        if not isinstance(document, dict) or not isinstance(document.get("instances"), list):
            raise ValueError('it is not an object with a list "instances"')  # noqa: TRY301, TRY004
    except (OSError, ValueError, RecursionError) as e:
        raise InputError(
            "golden.json of the evaluate command does not hold golden requests",
            where=str(path),
            why=str(e)[:300],
            fix="write requests and answers as docs/howto/evaluate-your-own-way.md shows, or no golden.json",
        ) from e
    return document


def recorded_golden(evaluation: str, ports: Ports) -> Mapping[str, object]:
    """The golden requests of a stored evaluation; empty when the store no longer has it."""
    scored = recorded(evaluation, ports)
    return {} if scored is None else scored.golden


def recorded(evaluation: str, ports: Ports) -> Scored | None:
    """A stored evaluation; None when the store no longer has it."""
    stored = _find(evaluation, "trusted", ports)
    return None if stored is None else _read(stored, ports)
