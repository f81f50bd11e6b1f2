"""Learning curves from the JSON lines that a training wrote to `MMCICD_METRICS`.

A report must not fail because a training was killed in the middle of a line, so what cannot be read is left out.
"""

import json
import math
from pathlib import Path

from mmcicd_jenkins.records import dataclass

LARGEST_BYTES = 20_000_000
_AXES = ("epoch", "step")
_NOT_CURVES = frozenset({"epoch", "step", "time", "seconds", "timestamp", "batch"})
Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One quantity over epochs, on the training and on the validation data."""

    name: str
    train: tuple[Point, ...]
    validation: tuple[Point, ...]


def read_curves(path: Path | None) -> tuple[str, tuple[Curve, ...]]:
    """The axis (`epoch` or `step`) and the curves, loss first."""
    lines = _lines(path) if path is not None else []
    axis = next((name for name in _AXES if any(name in line for line in lines)), "epoch")
    columns: dict[str, list[Point]] = {}
    for position, line in enumerate(lines, start=1):
        x = _number(line.get(axis, position))
        for name, value in line.items():
            y = _number(value)
            if name not in _NOT_CURVES and x is not None and y is not None:
                columns.setdefault(name, []).append((x, y))
    names = dict.fromkeys(name.removeprefix("val_") for name in columns)
    ordered = sorted(names, key=lambda name: name != "loss")
    curves = (
        Curve(name=n, train=tuple(columns.get(n, ())), validation=tuple(columns.get(f"val_{n}", ())))
        for n in ordered
    )
    return axis, tuple(curves)


def _lines(path: Path) -> list[dict[str, object]]:
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_BYTES).decode("utf-8", "replace")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def _number(value: object) -> float | None:
    """NaN stays: a loss that left the numbers is what its reader must see."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf
