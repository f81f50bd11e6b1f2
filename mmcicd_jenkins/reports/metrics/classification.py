"""The three kinds of classification, each a tally made of counts, ranking and probabilities.

Scores are probabilities as float32; a little outside [0, 1] is rounding and is clipped, more is
unusable. A binary row is predicted positive when its score is at least the threshold.
"""

from typing import Self

import numpy as np

from mmcicd_jenkins.release.measures import Measure
from mmcicd_jenkins.reports.metrics.counts import ClassCounts
from mmcicd_jenkins.reports.metrics.probabilities import Probabilities
from mmcicd_jenkins.reports.metrics.ranking import EXACT_SCORES, Areas, Ranking
from mmcicd_jenkins.reports.metrics.tally import (
    Array,
    Ints,
    added,
    count_by,
    group_count,
    measured,
    pick,
    ratio,
    sum_by,
)

ROUNDING = 1e-5  # how far a float32 softmax may leave [0, 1], and its sum may leave 1, by rounding alone


class _Classification:
    """What the three have in common: usable rows, merging, areas averaged over columns."""

    def __init__(self, columns: int, classes: int, exact_scores: int) -> None:
        self.rows: Ints = np.zeros(1, np.int64)
        self.bad: Ints = np.zeros(1, np.int64)
        self.counts = ClassCounts(classes)
        self.ranking = Ranking(columns, exact_scores)
        self.probabilities = Probabilities()

    def unusable(self, group: int = 0) -> int:
        return int(self.bad[group]) if group < len(self.bad) else 0

    def merge(self, other: Self) -> None:
        self.rows = added(self.rows, other.rows)
        self.bad = added(self.bad, other.bad)
        self.counts.merge(other.counts)
        self.ranking.merge(other.ranking)
        self.probabilities.merge(other.probabilities)

    def areas(self, group: int, column: int) -> Areas:
        steps = self.ranking.steps(group, column)
        return Areas() if steps is None else steps.areas()

    def _usable(self, labels: Array, scores: Array, groups: Ints | None) -> tuple[Array, Array, Ints | None]:
        """The rows whose scores are probabilities; the others are counted."""
        size = group_count(groups)
        self.rows = added(self.rows, count_by(groups, len(labels), size))
        scores = scores.astype(np.float32, copy=False)
        if not len(scores) or (scores.min() >= 0 and scores.max() <= 1):
            return labels, scores, groups
        fits = (scores >= -ROUNDING) & (scores <= 1 + ROUNDING)
        good = np.all(fits.reshape(len(scores), -1), axis=1)
        self.bad = added(self.bad, count_by(pick(groups, ~good), int((~good).sum()), size))
        return labels[good], np.clip(scores[good], 0, 1), pick(groups, good)

    def _rows(self, group: int) -> int:
        return int(self.rows[group]) if group < len(self.rows) else 0

    def _measured(self, group: int, values: dict[str, float | None], areas: Areas) -> dict[str, Measure]:
        rows, bad = self._rows(group), self.unusable(group)
        found = measured(values, rows, unusable=bad)
        for name, value, bound in (
            ("roc_auc", areas.roc, areas.roc_bound),
            ("pr_auc", areas.pr, areas.pr_bound),
        ):
            plain = measured({name: value}, rows, unusable=bad)[name]
            found[name] = Measure(value=plain.value, samples=rows, bound=0.0 if bad else bound)
        return found

    def _mean_areas(self, group: int) -> Areas:
        """The mean over the columns whose rows are of both kinds; None when there is none."""
        each = [self.areas(group, column) for column in range(self.ranking.columns)]
        each = [areas for areas in each if areas.roc is not None]
        if not each:
            return Areas()
        return Areas(
            roc=sum(areas.roc or 0.0 for areas in each) / len(each),
            roc_bound=sum(areas.roc_bound for areas in each) / len(each),
            pr=sum(areas.pr or 0.0 for areas in each) / len(each),
            pr_bound=sum(areas.pr_bound for areas in each) / len(each),
        )


class BinaryTally(_Classification):
    """Two classes, one score: the probability of class 1. Labels are 0 and 1."""

    def __init__(self, threshold: float = 0.5, exact_scores: int = EXACT_SCORES) -> None:
        super().__init__(1, 2, exact_scores)
        self.threshold = np.float32(threshold)

    def add(self, labels: Array, scores: Array, groups: Ints | None = None) -> None:
        positive, scores, groups = self._usable(labels.astype(bool), scores.reshape(-1), groups)
        self.counts.add_two(positive, scores >= self.threshold, groups)
        self.ranking.add(positive, scores, groups)
        chosen = np.where(positive, scores, 1 - scores)
        apart = 1 - chosen
        self.probabilities.add_losses(chosen, apart * apart, groups)
        self.probabilities.add_calibration(positive, scores, groups)

    def measures(self, group: int = 0) -> dict[str, Measure]:
        hits, _, actual = self.counts.totals(group)
        of = self.counts.of(group, 1)
        values = {
            "accuracy": ratio(hits, actual),
            "precision": of.precision,
            "recall": of.recall,
            "f1": of.f1,
        }
        return self._measured(group, values | self.probabilities.values(group), self.areas(group, 0))


class MulticlassTally(_Classification):
    """One class of several; a row's scores sum to 1. Labels are class indices.

    Precision, recall, F1 and the areas are macro averages (areas: one class against the rest). When
    rows do not sum to 1 the probabilities mean nothing: log loss, Brier score and ECE are None.
    """

    def __init__(self, classes: int, exact_scores: int = EXACT_SCORES) -> None:
        super().__init__(classes, classes, exact_scores)
        self.unnormalised: Ints = np.zeros(1, np.int64)

    def add(self, labels: Array, scores: Array, groups: Ints | None = None) -> None:
        size = group_count(groups)
        labels, scores, groups = self._usable(labels.astype(np.int64), scores, groups)
        predicted = scores.argmax(axis=1) if len(scores) else np.zeros(0, np.int64)
        self.counts.add(labels, predicted, groups)
        self.ranking.add(labels, scores, groups)
        off = np.abs(scores.sum(axis=1, dtype=np.float64) - 1) > ROUNDING * np.sqrt(scores.shape[1]) + 1e-3
        self.unnormalised = added(self.unnormalised, count_by(pick(groups, off), int(off.sum()), size))
        rows = np.arange(len(labels))
        chosen = scores[rows, labels]
        squares = (scores.astype(np.float64) ** 2).sum(axis=1) - 2.0 * chosen + 1.0
        self.probabilities.add_losses(chosen, squares, groups)
        self.probabilities.add_calibration(predicted == labels, scores[rows, predicted], groups)

    def merge(self, other: Self) -> None:
        super().merge(other)
        self.unnormalised = added(self.unnormalised, other.unnormalised)

    def measures(self, group: int = 0) -> dict[str, Measure]:
        hits, _, actual = self.counts.totals(group)
        quality = self.probabilities.values(group)
        if group < len(self.unnormalised) and self.unnormalised[group]:
            quality = dict.fromkeys(quality)
        values = {"accuracy": ratio(hits, actual)} | self.counts.macro(group) | quality
        return self._measured(group, values, self._mean_areas(group))


class MultilabelTally(_Classification):
    """Any number of classes per row; each score is the probability of its class. Labels are flags.

    `accuracy` is the share of rows with every flag right. Plain precision, recall and F1 are macro
    averages, those with `_micro` count all flags together. Log loss and Brier score are means over flags.
    """

    def __init__(self, classes: int, threshold: float = 0.5, exact_scores: int = EXACT_SCORES) -> None:
        super().__init__(classes, classes, exact_scores)
        self.threshold = np.float32(threshold)
        self.all_right: Ints = np.zeros(1, np.int64)
        self.wrong_flags: Ints = np.zeros(1, np.int64)

    def add(self, labels: Array, scores: Array, groups: Ints | None = None) -> None:
        size = group_count(groups)
        labels, scores, groups = self._usable(labels.astype(bool), scores, groups)
        predicted = scores >= self.threshold
        self.counts.add_flags(labels, predicted, groups)
        self.ranking.add(labels, scores, groups)
        wrong = (predicted != labels).sum(axis=1)
        self.all_right = added(
            self.all_right, count_by(pick(groups, wrong == 0), int((wrong == 0).sum()), size)
        )
        self.wrong_flags = added(self.wrong_flags, sum_by(groups, wrong, size).astype(np.int64))
        width = scores.shape[1]
        chosen = np.where(labels, scores, 1 - scores).reshape(-1)
        apart = 1 - chosen
        each = None if groups is None else np.repeat(groups, width)
        self.probabilities.add_losses(chosen, apart * apart, each)
        self.probabilities.add_calibration(labels.reshape(-1), scores.reshape(-1), each)

    def merge(self, other: Self) -> None:
        super().merge(other)
        self.all_right = added(self.all_right, other.all_right)
        self.wrong_flags = added(self.wrong_flags, other.wrong_flags)

    def measures(self, group: int = 0) -> dict[str, Measure]:
        usable = self._rows(group) - self.unusable(group)
        right = int(self.all_right[group]) if group < len(self.all_right) else 0
        wrong = int(self.wrong_flags[group]) if group < len(self.wrong_flags) else 0
        micro = {f"{name}_micro": value for name, value in self.counts.micro(group).items()}
        values = {
            "accuracy": ratio(right, usable),
            "hamming_loss": ratio(wrong, usable * self.counts.classes),
            **self.counts.macro(group),
            **micro,
            **self.probabilities.values(group),
        }
        return self._measured(group, values, self._mean_areas(group))
