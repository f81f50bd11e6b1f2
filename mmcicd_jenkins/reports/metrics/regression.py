"""Errors of predicted numbers: mae, mse, rmse, r2, bias, mape, max_error.

`bias` is the mean of prediction minus truth. `mape` leaves out rows whose true value is 0 and says
in `samples` how many rows remain. `r2` is None when the true values do not vary. The spread of the
true values is kept as mean and squared deviations (Chan's update), because plain sums of squares
lose every digit when the values are large and close together.
"""

from typing import Self

import numpy as np

from mmcicd_jenkins.release.measures import Measure
from mmcicd_jenkins.reports.metrics.tally import (
    Array,
    Floats,
    Ints,
    added,
    count_by,
    group_count,
    grown,
    measured,
    pick,
    ratio,
    sum_by,
)

_SUMS = ("absolute", "squared", "signed", "relative")


class RegressionTally:
    """Sums of errors for each group."""

    def __init__(self) -> None:
        self.rows: Ints = np.zeros(1, np.int64)
        self.usable: Ints = np.zeros(1, np.int64)
        self.non_zero: Ints = np.zeros(1, np.int64)
        self.sums: dict[str, Floats] = {name: np.zeros(1) for name in _SUMS}
        self.largest: Floats = np.zeros(1)
        self.mean: Floats = np.zeros(1)
        self.spread: Floats = np.zeros(1)

    def add(self, labels: Array, scores: Array, groups: Ints | None = None) -> None:
        size = group_count(groups)
        self.rows = added(self.rows, count_by(groups, len(labels), size))
        truth, guess = labels.astype(np.float64), scores.reshape(-1).astype(np.float64)
        usable = np.isfinite(guess) & np.isfinite(truth)
        if not usable.all():
            truth, guess, groups = truth[usable], guess[usable], pick(groups, usable)
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # an error of 1e200 has an infinite square: so be it
            self._add_errors(truth, guess - truth, groups, size)

    def merge(self, other: Self) -> None:
        self.rows = added(self.rows, other.rows)
        self.non_zero = added(self.non_zero, other.non_zero)
        for name in _SUMS:
            self.sums[name] = added(self.sums[name], other.sums[name])
        self._keep_largest(other.largest)
        self._add_spread(other.usable, other.mean, other.spread)

    def measures(self, group: int = 0) -> dict[str, Measure]:
        if group >= len(self.rows):
            return measured(
                dict.fromkeys(("mae", "mse", "rmse", "r2", "bias", "mape", "max_error")), 0, unusable=0
            )
        rows, usable, non_zero = (int(a[group]) for a in (self.rows, self.usable, self.non_zero))
        total = {name: float(self.sums[name][group]) for name in _SUMS}
        mse = ratio(total["squared"], usable)
        # Equal values leave a spread that is rounding of their mean alone.
        rounding = usable * (8 * np.finfo(float).eps * float(self.mean[group])) ** 2
        spread = float(self.spread[group])
        explained = ratio(total["squared"], spread) if spread > rounding else None
        values = {
            "mae": ratio(total["absolute"], usable),
            "mse": mse,
            "rmse": None if mse is None else float(np.sqrt(mse)),
            "r2": None if explained is None else 1 - explained,
            "bias": ratio(total["signed"], usable),
            "max_error": float(self.largest[group]) if usable else None,
        }
        relative = {"mape": ratio(total["relative"], non_zero)}
        return measured(values, rows, unusable=rows - usable) | measured(
            relative, non_zero, unusable=rows - usable
        )

    def unusable(self, group: int = 0) -> int:
        return int(self.rows[group] - self.usable[group]) if group < len(self.rows) else 0

    def _add_errors(self, truth: Array, errors: Array, groups: Ints | None, size: int) -> None:
        counted = count_by(groups, len(truth), size)
        new = {"absolute": np.abs(errors), "squared": errors**2, "signed": errors}
        for name, values in new.items():
            self.sums[name] = added(self.sums[name], sum_by(groups, values, size))
        has_ratio = truth != 0
        shares = np.abs(errors[has_ratio] / truth[has_ratio])
        within = pick(groups, has_ratio)
        self.sums["relative"] = added(self.sums["relative"], sum_by(within, shares, size))
        self.non_zero = added(self.non_zero, count_by(within, len(shares), size))
        largest = np.zeros(size)
        np.maximum.at(largest, np.zeros(len(errors), np.int64) if groups is None else groups, np.abs(errors))
        self._keep_largest(largest)
        mean = sum_by(groups, truth, size) / np.maximum(counted, 1)
        apart = truth - (mean[0] if groups is None else mean[groups])
        self._add_spread(counted, mean, sum_by(groups, apart**2, size))

    def _keep_largest(self, other: Floats) -> None:
        size = max(len(self.largest), len(other))
        self.largest = np.maximum(grown(self.largest, size), grown(other, size))

    def _add_spread(self, count: Ints, mean: Floats, spread: Floats) -> None:
        size = max(len(self.usable), len(count))
        mine, theirs = grown(self.usable, size), grown(count, size)
        both = np.maximum(mine + theirs, 1)
        apart = grown(mean, size) - grown(self.mean, size)
        self.spread = added(grown(self.spread, size), spread) + apart**2 * mine * theirs / both
        self.mean = grown(self.mean, size) + apart * theirs / both
        self.usable = mine + theirs
