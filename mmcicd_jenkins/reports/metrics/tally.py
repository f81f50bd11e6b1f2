"""What every tally is, and the few array operations that all of them share.

State is int64 and float64 arrays whose first axis is the group; it grows when a new group appears.
"""

import math
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mmcicd_jenkins.release.measures import Measure

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Array = NDArray[Any]


class Tally(Protocol):
    """Sums over rows, kept apart by group."""

    def add(self, labels: Array, scores: Array, groups: Ints | None = None) -> None:
        """Count a batch; without `groups` every row belongs to group 0."""

    def merge(self, other: Self) -> None:
        """Count what `other` has counted."""

    def measures(self, group: int = 0) -> dict[str, Measure]: ...


def group_count(groups: Ints | None) -> int:
    return 1 if groups is None else int(groups.max(initial=-1)) + 1


def grown(array: Array, groups: int) -> Array:
    """`array` with at least `groups` entries on its first axis, new ones zero."""
    missing = groups - len(array)
    if missing <= 0:
        return array
    return np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)])


def added(mine: Array, other: Array) -> Array:
    """The sum of two states, the shorter one padded."""
    size = max(len(mine), len(other))
    total: Array = grown(mine, size) + grown(other, size)
    return total


def count_by(groups: Ints | None, rows: int, size: int) -> Ints:
    """How many of `rows` rows fall in each of `size` groups."""
    if groups is None:
        return grown(np.array([rows], np.int64), size)
    return np.bincount(groups, minlength=size)


def sum_by(groups: Ints | None, values: Array, size: int) -> Floats:
    """The sum of `values` in each of `size` groups, in float64."""
    if groups is None:
        return grown(np.array([values.sum(dtype=np.float64)]), size)
    return np.bincount(groups, weights=values, minlength=size).astype(np.float64, copy=False)


def pick(groups: Ints | None, rows: Array) -> Ints | None:
    """The groups of those rows only."""
    return None if groups is None else groups[rows]


def ratio(above: float, below: float) -> float | None:
    return float(above) / float(below) if below else None


def measured(values: dict[str, float | None], samples: int, *, unusable: int) -> dict[str, Measure]:
    """Values as measures; with unusable scores among the rows all of them are NaN."""
    if unusable:
        return {name: Measure(value=math.nan, samples=samples) for name in values}
    return {name: Measure(value=value, samples=samples) for name, value in values.items()}
