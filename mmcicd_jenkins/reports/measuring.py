"""From scores and a test table to measures, a report document and a reference for drift, in one pass.

`measure` is what `adapters.evaluator` is given. Scores and rows of the table meet by position; slices are
counted by group beside the whole, so memory depends on classes and slices, not on rows.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.ports import ScoreRequest
from mmcicd_jenkins.release.measures import Measure, Measures
from mmcicd_jenkins.reports.document import Pairs, describe
from mmcicd_jenkins.reports.drift_reference import drift_reference
from mmcicd_jenkins.reports.labels import class_names, encoder
from mmcicd_jenkins.reports.metrics import BinaryTally, MulticlassTally, MultilabelTally, RegressionTally
from mmcicd_jenkins.reports.metrics.classification import ROUNDING
from mmcicd_jenkins.reports.metrics.tally import Array, Ints
from mmcicd_jenkins.reports.table import Batch, read_columns

MOST_SLICES = 1000  # values of one column; more is an identifier, and a sum for each would not be a summary
MOST_NAMED_CLASSES = 100  # beyond, measures of single classes stand in the report only

AnyTally = BinaryTally | MulticlassTally | MultilabelTally | RegressionTally
Scores = NDArray[np.float32]


def measure(
    request: ScoreRequest, scores: Scores
) -> tuple[Measures, Mapping[str, object], Mapping[str, object]]:
    """Measures, the report document and the drift reference of `scores`, one row for each row of the table.

    Raises:
        InputError: labels, classes or slices do not fit the scores; scores are no probabilities.
    """
    classes = class_names(request.problem, request.classes, scores.shape[1])
    _check_width(request.problem, classes, scores.shape[1])
    whole = _tally(request, classes)
    slices = {column: _Slices(column, _tally(request, classes)) for column in dict.fromkeys(request.slices)}
    encode = encoder(request.problem, classes)
    pairs = Pairs()
    done = 0
    for batch in read_columns(request.table, (request.label, *slices)):
        part = _scores_of(request.problem, scores[done : done + len(batch.lines)])
        if len(part) != len(batch.lines):
            break
        if request.problem != "regression":
            _check_probabilities(part, batch)
        labels = encode(batch, request.label)
        whole.add(labels, part)
        pairs.add(labels, part)
        for group in slices.values():
            group.add(batch, labels, part)
        done += len(batch.lines)
    if done != len(scores):
        raise InputError(
            "the test table changed while the model was scored",
            where=str(request.table),
            why=f"{len(scores):,} rows were scored",
            fix="run the evaluation again",
        )
    measures = Measures(
        overall=whole.measures() | _class_measures(whole, classes),
        slices={column: group.measures() for column, group in slices.items()},
    )
    report = describe(request, whole, classes, pairs)
    return measures, report, drift_reference(request.problem, scores, classes)


class _Slices:
    """One tally for all values of a column; a value's group is the order in which it was first seen."""

    def __init__(self, column: str, tally: AnyTally) -> None:
        self.column = column
        self.tally = tally
        self.groups: dict[str, int] = {}

    def add(self, batch: Batch, labels: Array, scores: Array) -> None:
        cells = batch.columns[self.column]
        for value in dict.fromkeys(cells):
            self.groups.setdefault(value, len(self.groups))
        if len(self.groups) > MOST_SLICES:
            raise InputError(
                f"column {self.column} has more than {MOST_SLICES:,} values, too many to slice by",
                where=batch.file,
                fix="slice by a column of categories",
            )
        groups: Ints = np.fromiter(map(self.groups.__getitem__, cells), np.int64, len(cells))
        self.tally.add(labels, scores, groups)

    def measures(self) -> dict[str, dict[str, Measure]]:
        return {value: self.tally.measures(group) for value, group in sorted(self.groups.items())}


def _tally(request: ScoreRequest, classes: tuple[str, ...]) -> AnyTally:
    match request.problem:
        case "binary":
            return BinaryTally(request.threshold)
        case "multiclass":
            return MulticlassTally(len(classes))
        case "multilabel":
            return MultilabelTally(len(classes), request.threshold)
        case "regression":
            return RegressionTally()
    raise InputError(f"no evaluation is built in for problem {request.problem!r}")


def _check_width(problem: str, classes: tuple[str, ...], columns: int) -> None:
    if problem == "binary" and len(classes) != 2:
        raise InputError(
            f"a binary problem has two classes, the lock has {len(classes)}: {', '.join(classes[:20])}",
            fix="evaluate: multiclass, or correct the label",
        )
    fitting = {"binary": (1, 2), "regression": (1,)}.get(problem, (len(classes),))
    if columns not in fitting:
        needed = " or ".join(map(str, fitting))
        raise InputError(
            f"the model gives {columns} numbers for each row, a {problem} problem needs {needed}",
            why=f"classes in the lock: {', '.join(classes[:20])}" if classes else "",
            fix="correct evaluate in mmcicd.yaml, or the last layer of the model",
        )


def _scores_of(problem: str, scores: Array) -> Array:
    """The columns that matter: of a two-column softmax, the positive class."""
    if problem == "binary":
        return scores[:, -1]
    return scores[:, 0] if problem == "regression" else scores


def _check_probabilities(scores: Array, batch: Batch) -> None:
    """Finite scores outside [0, 1] are logits; scores that are not numbers are counted by the tally."""
    flat = scores.reshape(len(scores), -1)
    outside = np.isfinite(flat) & ((flat < -ROUNDING) | (flat > 1 + ROUNDING))
    if outside.any():
        row = int(np.flatnonzero(outside.any(axis=1))[0])
        score = float(flat[row][outside[row]][0])
        raise InputError(
            "the model's scores are not probabilities",
            where=batch.where(row),
            why=f"a score is {score:.6g}, outside 0 to 1; these look like logits",
            fix='end the model with a sigmoid or softmax layer (activation="softmax") and train again',
        )


def _class_measures(tally: AnyTally, classes: tuple[str, ...]) -> dict[str, Measure]:
    """`recall:NAME` and so on, so that a gate can look at one class."""
    if isinstance(tally, RegressionTally | BinaryTally) or len(classes) > MOST_NAMED_CLASSES:
        return {}
    found = {}
    rows = tally.measures()["accuracy"].samples
    for index, name in enumerate(classes):
        scores = tally.counts.of(0, index)
        for metric in ("precision", "recall", "f1"):
            value = float("nan") if tally.unusable() else getattr(scores, metric)
            found[f"{metric}:{name}"] = Measure(value=value, samples=rows)
    return found
