"""The report document: what the pages show beyond the measures, as JSON values, a few hundred numbers at most."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmcicd_jenkins.ports import ScoreRequest
from mmcicd_jenkins.reports.metrics import BinaryTally, MulticlassTally, MultilabelTally, RegressionTally
from mmcicd_jenkins.reports.metrics.ranking import Steps

CURVE_POINTS = 120
CURVES = 10  # classes with a curve of their own; more cannot be told apart
MATRIX_CLASSES = 40
PAIRS = 400

AnyTally = BinaryTally | MulticlassTally | MultilabelTally | RegressionTally


class Pairs:
    """A few hundred rows' actual and predicted values, evenly spread: every second one goes when it is full."""

    def __init__(self) -> None:
        self._kept: list[tuple[float, float]] = []
        self._step = 1
        self._seen = 0

    def add(self, labels: NDArray[Any], scores: NDArray[Any]) -> None:
        if labels.ndim > 1 or scores.ndim > 1:
            return
        for i in range(-self._seen % self._step, len(labels), self._step):
            self._kept.append((float(labels[i]), float(scores[i])))
        self._seen += len(labels)
        while len(self._kept) > PAIRS:
            self._kept, self._step = self._kept[::2], self._step * 2

    def document(self) -> list[list[float]]:
        return [[x, y] for x, y in self._kept if math.isfinite(x) and math.isfinite(y)]


def describe(
    request: ScoreRequest, tally: AnyTally, classes: tuple[str, ...], pairs: Pairs
) -> dict[str, object]:
    """`problem`, `rows`, `label`, `unusable`; for classification `classes`, `per_class`, `confusion`, `curves` and
    `calibration`; for regression `pairs` of actual and predicted values.
    """
    document: dict[str, object] = {
        "problem": request.problem,
        "label": request.label,
        "rows": int(tally.rows[0]),
        "threshold": request.threshold if request.problem in {"binary", "multilabel"} else None,
        "unusable": tally.unusable(),
    }
    if isinstance(tally, RegressionTally):
        return document | {"pairs": pairs.document()}
    return document | {
        "classes": list(classes),
        "per_class": _per_class(tally, classes),
        "confusion": _confusion(tally, classes),
        "curves": _curves(tally, classes),
        "calibration": [
            {"low": b.low, "high": b.high, "rows": b.rows, "score": b.score, "observed": b.observed}
            for b in tally.probabilities.bins()
        ],
    }


def _per_class(
    tally: BinaryTally | MulticlassTally | MultilabelTally, classes: tuple[str, ...]
) -> list[Mapping[str, object]]:
    rows: list[Mapping[str, object]] = []
    for index, name in enumerate(classes):
        of = tally.counts.of(0, index)
        column = None if isinstance(tally, BinaryTally) else index
        areas = tally.areas(0, column or 0)
        rows.append(
            {
                "class": name,
                "rows": of.support,
                "precision": of.precision,
                "recall": of.recall,
                "f1": of.f1,
                "roc_auc": areas.roc,
            }
        )
    return rows


def _confusion(
    tally: BinaryTally | MulticlassTally | MultilabelTally, classes: tuple[str, ...]
) -> list[list[int]]:
    """Actual by predicted; [] when rows have several classes or there are too many to show."""
    if isinstance(tally, MultilabelTally) or len(classes) > MATRIX_CLASSES:
        return []
    matrix: list[list[int]] = tally.counts.matrix.tolist()
    return matrix


def _curves(
    tally: BinaryTally | MulticlassTally | MultilabelTally, classes: tuple[str, ...]
) -> list[Mapping[str, object]]:
    """ROC and precision-recall points of the positive class, or of the most frequent classes."""
    if isinstance(tally, BinaryTally):
        wanted = [(0, classes[1])]
    else:
        frequent = np.argsort(-tally.counts.actual[0], kind="stable")[:CURVES]
        wanted = [(int(i), classes[i]) for i in sorted(frequent)]
    curves: list[Mapping[str, object]] = []
    for column, name in wanted:
        steps = tally.ranking.steps(0, column)
        if steps is not None and steps.areas().roc is not None:
            curves.append({"class": name, **_points(steps)})
    return curves


def _points(steps: Steps) -> dict[str, object]:
    tp = np.concatenate([[0], np.cumsum(steps.positives)])
    fp = np.concatenate([[0], np.cumsum(steps.negatives)])
    recall, fall_out = tp / tp[-1], fp / fp[-1]
    # Points evenly along the curve, not along the scores, so that steep parts keep their shape.
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(recall)) + np.abs(np.diff(fall_out)))])
    kept = np.unique(np.searchsorted(length, np.linspace(0, length[-1], CURVE_POINTS)).clip(0, len(tp) - 1))
    filled = kept[kept > 0]
    precision = tp[filled] / (tp + fp)[filled]
    # Before the highest score precision has no value; the curve begins with that of the highest score.
    start = [[0.0, _round(precision[0])]]
    return {
        "roc": [[_round(x), _round(y)] for x, y in zip(fall_out[kept], recall[kept], strict=True)],
        "pr": start + [[_round(x), _round(y)] for x, y in zip(recall[filled], precision, strict=True)],
    }


def _round(value: float) -> float:
    return round(float(value), 5)
