"""Label cells to numbers: class indices in the lock's order, flags for multi-label, targets for regression.

A label is found by its text; else by its value when it is a number (`1.0` is `1`) or a truth (`True` is
`true`); else, when no class is a number, a whole number is an index. Several labels in one cell are
separated by `|`, and an empty cell has none; their classes are sorted, as scikit-learn's binarizer does.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.reports.table import Batch

SEPARATOR = "|"
Encoder = Callable[[Batch, str], NDArray[Any]]


def class_names(problem: str, classes: tuple[str, ...], columns: int) -> tuple[str, ...]:
    """The names behind the score columns, in order; without a lock they are the indices."""
    if problem == "regression":
        return ()
    if problem == "multilabel" and any(SEPARATOR in name for name in classes):
        return tuple(sorted({part for name in classes for part in _parts(name)}))
    if problem == "multilabel":
        classes = tuple(name for name in classes if name)
    if classes:
        return classes
    return tuple(str(i) for i in range(2 if problem == "binary" else columns))


def encoder(problem: str, classes: tuple[str, ...]) -> Encoder:
    """How this problem's label cells become numbers; raises InputError with the cell's place."""
    if problem == "regression":
        return _targets
    index = _Index(classes)
    return index.flags if problem == "multilabel" else index.indices


class _Index:
    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.places = {name: i for i, name in enumerate(classes)}
        self.values = {_value(name): i for i, name in enumerate(classes) if _value(name) is not None}

    def indices(self, batch: Batch, label: str) -> NDArray[Any]:
        cells = batch.columns[label]
        try:
            return np.fromiter(map(self.places.__getitem__, cells), np.int64, len(cells))
        except KeyError:
            found = [self._place(batch, row, cell, label) for row, cell in enumerate(cells)]
            return np.array(found, np.int64)

    def flags(self, batch: Batch, label: str) -> NDArray[Any]:
        cells = batch.columns[label]
        flags = np.zeros((len(cells), len(self.classes)), bool)
        for row, cell in enumerate(cells):
            for part in _parts(cell):
                flags[row, self._place(batch, row, part, label)] = True
        return flags

    def _place(self, batch: Batch, row: int, cell: str, label: str) -> int:
        place = self.places.get(cell)
        if place is None:
            place = self.values.get(_value(cell))
        if place is None and not self.values and cell.isdecimal() and int(cell) < len(self.classes):
            place = int(cell)
        if place is None:
            known = ", ".join(self.classes[:20]) + (", ..." if len(self.classes) > 20 else "")
            what = (
                f"label {label} is empty"
                if not cell.strip()
                else f"label {label} has an unknown class {cell[:60]!r}"
            )
            fix = "correct the row, or mmcicd-jenkins data update when the class is new"
            raise InputError(what, where=batch.where(row), why=f"classes in the lock: {known}", fix=fix)
        return place


def _parts(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(SEPARATOR) if part.strip()]


def _value(cell: str) -> float | str | None:
    if cell.strip().lower() in {"true", "false"}:
        return cell.strip().lower()
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _targets(batch: Batch, label: str) -> NDArray[Any]:
    cells = batch.columns[label]
    try:
        targets = np.fromiter(map(float, cells), np.float64, len(cells))
    except ValueError:
        targets = np.array([_target(cell) for cell in cells])
    bad = np.flatnonzero(~np.isfinite(targets))
    if len(bad):
        row = int(bad[0])
        what = f"label {label} is not a number: {cells[row][:60]!r}"
        raise InputError(what, where=batch.where(row), fix="correct the row, or leave it out of the data")
    return targets


def _target(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
