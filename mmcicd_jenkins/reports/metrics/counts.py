"""Right and wrong by class: accuracy, precision, recall and F1, and the confusion matrix of all rows.

Of one class a zero denominator is None. A macro average goes over the classes that occur among labels
or predictions and counts a zero denominator as 0, as scikit-learn does: a model that never predicts a
class must not look better for it.
"""

from typing import Self

import numpy as np

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.reports.metrics.tally import Array, Ints, added, group_count, grown, ratio

LARGEST_MATRIX = 2000  # classes; 32 MB of counts


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """One class in one group. `support` is the number of rows that carry it."""

    precision: float | None
    recall: float | None
    f1: float | None
    support: int


class ClassCounts:
    """For each group and class: rows predicted so, rows that are so, and rows where both agree."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.hits: Ints = np.zeros((1, classes), np.int64)
        self.predicted: Ints = np.zeros((1, classes), np.int64)
        self.actual: Ints = np.zeros((1, classes), np.int64)
        side = classes if classes <= LARGEST_MATRIX else 0
        self.matrix: Ints = np.zeros((side, side), np.int64)  # actual x predicted, ungrouped rows only

    def add(self, labels: Array, predicted: Array, groups: Ints | None = None) -> None:
        """Count class indices."""
        if groups is None and self.matrix.size:
            size = self.classes
            new = np.bincount(labels * size + predicted, minlength=size * size).reshape(size, size)
            self._add_matrix(new)
            return
        at = np.zeros(len(labels), np.int64) if groups is None else groups
        count = group_count(groups)
        right = labels == predicted
        self._add(
            self._by(at[right], labels[right], count),
            self._by(at, predicted, count),
            self._by(at, labels, count),
        )

    def add_two(self, labels: Array, predicted: Array, groups: Ints | None = None) -> None:
        """Count two classes given as flags; counting bytes is several times faster than sorting into four bins."""
        if groups is not None:
            self.add(labels.astype(np.int64), predicted.astype(np.int64), groups)
            return
        actual, guessed = np.count_nonzero(labels), np.count_nonzero(predicted)
        both = np.count_nonzero(labels & predicted)
        new = np.array(
            [[len(labels) - actual - guessed + both, guessed - both], [actual - both, both]], np.int64
        )
        self._add_matrix(new)

    def add_flags(self, labels: Array, predicted: Array, groups: Ints | None = None) -> None:
        """Count one flag per class, for rows that may have several classes."""
        count = group_count(groups)
        at = np.zeros(len(labels), np.int64) if groups is None else groups
        state = np.zeros((3, count, self.classes), np.int64)
        for column in range(self.classes):
            for place, flags in enumerate((labels & predicted, predicted, labels)):
                state[place, :, column] = np.bincount(at[flags[:, column]], minlength=count)
        self._add(*state)

    def merge(self, other: Self) -> None:
        self._add(other.hits, other.predicted, other.actual)
        self.matrix = self.matrix + other.matrix

    def of(self, group: int, index: int) -> ClassScores:
        if group >= len(self.hits):
            return ClassScores(precision=None, recall=None, f1=None, support=0)
        hits, predicted, actual = (int(a[group, index]) for a in (self.hits, self.predicted, self.actual))
        return ClassScores(
            precision=ratio(hits, predicted),
            recall=ratio(hits, actual),
            f1=ratio(2 * hits, predicted + actual),
            support=actual,
        )

    def macro(self, group: int) -> dict[str, float | None]:
        """The mean over the classes that occur."""
        scores = [self.of(group, index) for index in self._occurring(group)]
        return {
            name: ratio(sum(getattr(score, name) or 0.0 for score in scores), len(scores))
            for name in ("precision", "recall", "f1")
        }

    def micro(self, group: int) -> dict[str, float | None]:
        """Over all classes' rows together."""
        hits, predicted, actual = self.totals(group)
        return {
            "precision": ratio(hits, predicted),
            "recall": ratio(hits, actual),
            "f1": ratio(2 * hits, predicted + actual),
        }

    def totals(self, group: int) -> tuple[int, int, int]:
        """Hits, predictions and labels of all classes."""
        if group >= len(self.hits):
            return 0, 0, 0
        return int(self.hits[group].sum()), int(self.predicted[group].sum()), int(self.actual[group].sum())

    def _occurring(self, group: int) -> list[int]:
        if group >= len(self.hits):
            return []
        return [int(i) for i in np.flatnonzero(self.predicted[group] + self.actual[group])]

    def _by(self, groups: Ints, classes: Array, count: int) -> Ints:
        size = count * self.classes
        return np.bincount(groups * self.classes + classes, minlength=size).reshape(count, self.classes)

    def _add_matrix(self, new: Ints) -> None:
        self.matrix += new
        self._add(new.diagonal()[None], new.sum(axis=0)[None], new.sum(axis=1)[None])

    def _add(self, hits: Ints, predicted: Ints, actual: Ints) -> None:
        size = max(len(hits), len(self.hits))
        self.hits = added(grown(self.hits, size), hits)
        self.predicted = added(grown(self.predicted, size), predicted)
        self.actual = added(grown(self.actual, size), actual)
