"""How good the probabilities themselves are: log loss, Brier score and calibration (bins, ECE).

Log loss clips at the resolution of float32, the type of the scores, as scikit-learn does.
"""

from typing import Self

import numpy as np

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.reports.metrics.tally import (
    Array,
    Floats,
    Ints,
    added,
    count_by,
    group_count,
    ratio,
    sum_by,
)

BINS = 10
_EPSILON = np.finfo(np.float32).eps


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Rows whose score lies in one tenth: their mean score and the share that was right (or positive)."""

    low: float
    high: float
    rows: int
    score: float | None
    observed: float | None


class Probabilities:
    """Sums of loss and squared error, and calibration counts, for each group."""

    def __init__(self) -> None:
        self.rows: Ints = np.zeros(1, np.int64)
        self.loss: Floats = np.zeros(1)
        self.squares: Floats = np.zeros(1)
        self.bin_rows: Ints = np.zeros((1, BINS), np.int64)
        self.bin_hits: Ints = np.zeros((1, BINS), np.int64)
        self.bin_scores: Floats = np.zeros((1, BINS))

    def add_losses(self, chosen: Array, squares: Array, groups: Ints | None) -> None:
        """Count `chosen`, the probability given to what was true, and the squared error of each row."""
        size = group_count(groups)
        gains = np.log(np.clip(chosen, _EPSILON, 1 - _EPSILON))
        self.rows = added(self.rows, count_by(groups, len(chosen), size))
        self.loss = added(self.loss, -sum_by(groups, gains, size))
        self.squares = added(self.squares, sum_by(groups, squares, size))

    def add_calibration(self, hits: Array, scores: Array, groups: Ints | None) -> None:
        """Count scores with a flag each: did what they announced come true?"""
        size = group_count(groups)
        at = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
        at *= 2
        at += hits
        if groups is not None:
            at += groups * (2 * BINS)
        pairs = np.bincount(at, minlength=size * BINS * 2).reshape(size, BINS, 2)
        sums = np.bincount(at, weights=scores, minlength=size * BINS * 2).reshape(size, BINS, 2)
        self.bin_rows = added(self.bin_rows, pairs.sum(axis=2))
        self.bin_hits = added(self.bin_hits, pairs[:, :, 1])
        self.bin_scores = added(self.bin_scores, sums.sum(axis=2))

    def merge(self, other: Self) -> None:
        for name in ("rows", "loss", "squares", "bin_rows", "bin_hits", "bin_scores"):
            setattr(self, name, added(getattr(self, name), getattr(other, name)))

    def values(self, group: int) -> dict[str, float | None]:
        if group >= len(self.rows):
            return {"log_loss": None, "brier": None, "ece": None}
        rows = int(self.rows[group])
        return {
            "log_loss": ratio(float(self.loss[group]), rows),
            "brier": ratio(float(self.squares[group]), rows),
            "ece": self._calibration_error(group),
        }

    def bins(self, group: int = 0) -> tuple[Bin, ...]:
        return tuple(
            Bin(
                low=i / BINS,
                high=(i + 1) / BINS,
                rows=int(self.bin_rows[group, i]),
                score=ratio(float(self.bin_scores[group, i]), int(self.bin_rows[group, i])),
                observed=ratio(int(self.bin_hits[group, i]), int(self.bin_rows[group, i])),
            )
            for i in range(BINS)
        )

    def _calibration_error(self, group: int) -> float | None:
        """The mean distance between announced and observed share, weighted by rows."""
        if group >= len(self.bin_rows):
            return None
        apart = np.abs(self.bin_scores[group] - self.bin_hits[group]).sum()
        return ratio(float(apart), int(self.bin_rows[group].sum()))
