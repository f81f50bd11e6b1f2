"""ROC AUC and PR AUC: exact while the scores are few, then from a histogram with a stated bound.

The bins are those of float32 itself: an exponent and the first bits of the mantissa, mirrored at
one half (`1 - score` is exact above it). So they are fine near 0 and near 1, where models that look
for rare events put their scores, and coarser histograms are exact sums of finer ones.
Curves and areas are computed from steps: positives and negatives at each score, highest score first.
"""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.reports.metrics.tally import Array, Ints, group_count, grown

EXACT_SCORES = 1_000_000  # 4 MB of scores; sorting them takes a tenth of a second

_FINEST, _COARSEST = 12, 2  # mantissa bits kept in a bin
_OCTAVES = 27  # from 2**-28 up to one half; smaller scores share the lowest bin
_LOWEST_EXPONENT = 127 - 28
_BUDGET = 64 * 2**20  # bytes of counts, whatever the number of groups and columns


@dataclass(frozen=True, kw_only=True)
class Areas:
    """Areas under the two curves; None when the rows are of one class only."""

    roc: float | None = None
    roc_bound: float = 0.0
    pr: float | None = None
    pr_bound: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Positives and negatives at each score, highest first. A blurred step joins several scores."""

    positives: Ints
    negatives: Ints
    blurred: NDArray[np.bool_]

    def areas(self) -> Areas:
        above, below = int(self.positives.sum()), int(self.negatives.sum())
        if not above or not below:
            return Areas()
        p, n = self.positives.astype(np.float64), self.negatives.astype(np.float64)
        tp, fp = np.cumsum(p), np.cumsum(n)
        area = float(np.sum(n * (tp - p / 2)) / above / below)
        # Average precision, the step-wise area: each positive counts with the precision at its score.
        precision = float(np.sum(p * tp / np.maximum(tp + fp, 1)) / above)
        # Inside a blurred step any order is possible: all positives first at best, all negatives first at worst.
        p, n, tp, fp = (a[self.blurred] for a in (p, n, tp, fp))
        given = p * tp / np.maximum(tp + fp, 1)
        first = tp - p + 1
        better = float(np.sum(p * tp / np.maximum(tp + fp - n, 1) - given) / above)
        worse = float(np.sum(given - p * first / (first + fp)) / above)
        return Areas(
            roc=area,
            roc_bound=float(np.sum(p * n) / 2 / above / below),
            pr=precision,
            pr_bound=max(better, worse),
        )


class Ranking:
    """How positives and negatives are ordered by score, for each group and score column.

    Args:
        columns: score columns. With one, labels are 0 or 1; with more, labels are the index of the
            positive column, or one flag per column.
        exact_scores: rows times columns up to which every score is kept.
    """

    def __init__(self, columns: int, exact_scores: int = EXACT_SCORES) -> None:
        self.columns = columns
        self._limit = exact_scores
        self._kept: list[tuple[Array, Array, Ints]] = []
        self._kept_scores = 0
        self._is_sorted = False  # by group, in one piece
        self._counts: NDArray[np.int64] | None = None  # group, column, label, bin
        self._bits = _FINEST
        self._is_too_wide = False

    def add(self, labels: Array, scores: Array, groups: Ints | None = None) -> None:
        """Count scores between 0 and 1, of shape rows x columns (or rows, for one column)."""
        scores = scores.reshape(len(scores), self.columns).astype(np.float32, copy=False)
        if self._counts is not None:
            self._count(labels, scores, groups)
        elif not self._is_too_wide:
            codes = np.zeros(len(scores), np.int64) if groups is None else groups
            self._kept.append((labels.copy(), scores.copy(), codes.copy()))
            self._is_sorted = False
            self._kept_scores += scores.size
            if self._kept_scores > self._limit:
                self._spill()

    def merge(self, other: Self) -> None:
        if other._is_too_wide:
            self._give_up()
        for labels, scores, groups in other._kept:
            self.add(labels, scores, groups)
        if other._counts is not None and not self._is_too_wide:
            self._spill()
            self._join(other._counts, other._bits)

    def steps(self, group: int = 0, column: int = 0) -> Steps | None:
        """None when there were too many groups and columns to keep a histogram of each."""
        if self._is_too_wide:
            return None
        if self._counts is not None:
            if group >= len(self._counts):
                return _distinct(np.zeros(0, np.int64), np.zeros(0, np.float32))
            below, above = self._counts[group, column, :, ::-1]
            filled = (below + above) > 0
            blurred = ~one_score_bins(self._bits)[::-1]
            return Steps(positives=above[filled], negatives=below[filled], blurred=blurred[filled])
        labels, scores = self._rows_of(group)
        return _distinct(_positives(labels, column, self.columns), scores[:, column])

    def _rows_of(self, group: int) -> tuple[Array, Array]:
        if not self._kept:
            return np.zeros(0, np.int64), np.zeros((0, self.columns), np.float32)
        if not self._is_sorted:
            labels, scores, groups = (np.concatenate(part) for part in zip(*self._kept, strict=True))
            order = np.argsort(groups, kind="stable")
            self._kept, self._is_sorted = [(labels[order], scores[order], groups[order])], True
        labels, scores, groups = self._kept[0]
        start, end = np.searchsorted(groups, [group, group + 1])
        return labels[start:end], scores[start:end]

    def _spill(self) -> None:
        """Turn the kept scores into a histogram."""
        if self._counts is not None:
            return
        kept, self._kept, self._kept_scores = self._kept, [], 0
        self._fit(max((group_count(groups) for _, _, groups in kept), default=1))
        for labels, scores, groups in kept:
            self._count(labels, scores, groups)

    def _fit(self, groups: int) -> None:
        """Make room for `groups` groups, with coarser bins where the budget asks for it."""
        counts = self._counts
        groups = max(groups, 0 if counts is None else len(counts))
        while self._bits >= _COARSEST and groups * self.columns * 2 * _bin_count(self._bits) * 8 > _BUDGET:
            self._bits -= 1
            counts = None if counts is None else _halved(counts)
        if self._bits < _COARSEST:
            self._give_up()
        elif counts is None:
            self._counts = np.zeros((groups, self.columns, 2, _bin_count(self._bits)), np.int64)
        else:
            self._counts = grown(counts, groups)

    def _give_up(self) -> None:
        self._is_too_wide, self._counts, self._kept = True, None, []

    def _count(self, labels: Array, scores: Array, groups: Ints | None) -> None:
        self._fit(group_count(groups))
        if self._counts is None:
            return
        bins = _bin_count(self._bits)
        flat = self._counts.reshape(-1)
        for column in range(self.columns):
            at = bins_of(scores[:, column], self._bits)
            at += _positives(labels, column, self.columns).astype(np.int32) * np.int32(bins)
            if self.columns > 1:
                at += np.int32(column * 2 * bins)
            if groups is not None:
                at = at + groups * (self.columns * 2 * bins)
            if at.size < flat.size:  # a small batch must not cost a pass over all bins
                np.add.at(flat, at, 1)
            else:
                flat += np.bincount(at, minlength=flat.size)

    def _join(self, counts: NDArray[np.int64], bits: int) -> None:
        self._fit(len(counts))
        while self._counts is not None and self._bits > bits:
            self._counts, self._bits = _halved(self._counts), self._bits - 1
        while bits > self._bits:
            counts, bits = _halved(counts), bits - 1
        if self._counts is not None:
            self._counts = self._counts + grown(counts, len(self._counts))


def bins_of(scores: Array, bits: int) -> NDArray[np.int32]:
    """The bin of each float32 score between 0 and 1, keeping `bits` bits of its mantissa."""
    side = _OCTAVES << bits
    near = np.minimum(scores, 1 - scores)
    at: NDArray[np.int32] = near.view(np.int32) >> (23 - bits)
    at -= _LOWEST_EXPONENT << bits
    np.clip(at, 0, side - 1, out=at)
    # Mirrored without a branch: -1 where the score is high, and ~at is -1 - at.
    high = -(scores >= np.float32(0.5)).astype(np.int32)
    at ^= high
    high &= 2 * side
    at += high
    return at


def one_score_bins(bits: int) -> NDArray[np.bool_]:
    """Bins that hold one float32 score at most: close below 1, where scores lie 2**-24 apart, and 1 itself."""
    side = _OCTAVES << bits
    octave = np.arange(side) >> bits  # near scores from 2**(octave - 28) up hold 2**(octave - 4) scores
    return np.concatenate([np.zeros(side, bool), (octave <= bits + 4)[::-1]])


def _bin_count(bits: int) -> int:
    return 2 * (_OCTAVES << bits)


def _halved(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    pairs = counts.reshape(*counts.shape[:-1], -1, 2)
    halved: NDArray[np.int64] = np.sum(pairs, axis=-1, dtype=np.int64)
    return halved


def _positives(labels: Array, column: int, columns: int) -> Array:
    if labels.ndim == 2:
        return labels[:, column]
    return labels if columns == 1 else labels == column


def _distinct(positives: Array, scores: Array) -> Steps:
    order = np.argsort(-scores, kind="stable")
    ordered, flags = scores[order], positives[order].astype(np.int64)
    if not len(ordered):
        return Steps(positives=flags, negatives=flags, blurred=np.zeros(0, bool))
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sizes = np.diff(np.append(starts, len(ordered)))
    above = np.add.reduceat(flags, starts)
    negatives = sizes.astype(np.int64) - above
    return Steps(positives=above, negatives=negatives, blurred=np.zeros(len(above), bool))
