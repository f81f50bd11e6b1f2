"""The images of a report: each function turns plain numbers into one SVG with a text that says what it shows."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.measures import Measure
from mmcicd_jenkins.reports.curves_file import Curve
from mmcicd_jenkins.reports.svg import (
    GRID,
    INK,
    MUTED,
    PALETTE,
    PAPER,
    Axis,
    Drawing,
    Plot,
    axis_over,
    share_axis,
)
from mmcicd_jenkins.reports.words import short_text, shown

_SHADES = ((239, 246, 252), (8, 81, 156))  # of the confusion matrix, from none to all of a row
_WRITTEN_CLASSES = 14  # up to here the cells are large enough for numbers
SLICES_SHOWN = 24


@dataclass(frozen=True, kw_only=True)
class Figure:
    """An image file. `alt` says in words what the image shows."""

    name: str
    alt: str
    caption: str
    svg: bytes
    width: int
    height: int


def _figure(name: str, drawing: Drawing, alt: str, caption: str = "") -> Figure:
    size = drawing.root.attrib
    return Figure(
        name=f"{name}.svg",
        alt=alt,
        caption=caption,
        svg=drawing.to_bytes(),
        width=int(float(size["width"])),
        height=int(float(size["height"])),
    )


def learning_curve(position: int, axis: str, curve: Curve) -> Figure:
    """Training (solid) and validation (dashed) over epochs."""
    points = [*curve.train, *curve.validation]
    name = short_text(curve.name, 24)
    plot = Plot(
        name,
        axis_over([x for x, _ in points], axis),
        axis_over([y for _, y in points], ""),
        width=400,
        height=280,
    )
    said = []
    for label, series, colour, dash in (
        ("training", curve.train, PALETTE[0], ""),
        ("validation", curve.validation, PALETTE[1], "6 4"),
    ):
        if series:
            plot.series(label, series, colour, dash=dash)
            said.append(f"{label} from {shown('', series[0][1])} to {shown('', series[-1][1])}")
    return _figure(f"curve-{position}", plot.drawing, f"{name} over {axis}: {', '.join(said)}")


def confusion(classes: Sequence[str], matrix: Sequence[Sequence[int]]) -> Figure:
    """Actual classes down, predicted across; a cell's shade is its share of the row."""
    count = len(classes)
    is_wide = count <= 3
    cell = 96 if is_wide else 64 if count <= 6 else 42 if count <= _WRITTEN_CLASSES else 16
    left, top = 118, 96 if is_wide else 124
    names = [short_text(name, 14) for name in classes]
    side = count * cell
    drawing = Drawing(max(left + side + 24, 340), top + side + 24, "Confusion matrix")
    drawing.text((16, 24), "Confusion matrix", size=15, fill=INK, bold=True)
    drawing.text((16, 44), "rows: actual, columns: predicted")
    for j, name in enumerate(names):
        middle = left + j * cell + cell / 2
        at = (middle, top - 10.0) if is_wide else (middle + 3, top - 8.0)
        drawing.text(at, name, size=11, anchor="middle" if is_wide else "start", turn=0 if is_wide else -45)
    for i, row in enumerate(matrix):
        y = top + i * cell
        drawing.text((left - 8, y + cell / 2 + 4), names[i], size=11, anchor="end")
        total = sum(row)
        for j, value in enumerate(row):
            share = value / total if total else 0.0
            drawing.rect(left + j * cell + 1, y + 1, cell - 2, cell - 2, _shade(share), radius=3)
            if count <= _WRITTEN_CLASSES:
                ink = PAPER if share > 0.5 else INK if value else "#98a2b3"
                at = (left + j * cell + cell / 2, y + cell / 2 + 4)
                drawing.text(at, _count(value), size=12 if value < 10_000 else 10, fill=ink, anchor="middle")
    right, rows = sum(matrix[i][i] for i in range(count)), sum(map(sum, matrix))
    return _figure(
        "confusion", drawing, f"Confusion matrix: {right:,} of {rows:,} rows right. {_worst(names, matrix)}"
    )


def _worst(names: Sequence[str], matrix: Sequence[Sequence[int]]) -> str:
    wrong = [(v, i, j) for i, row in enumerate(matrix) for j, v in enumerate(row) if i != j and v]
    if not wrong:
        return "No mistakes."
    value, i, j = max(wrong)
    return f"The most frequent mistake: {value:,} rows of {names[i]} taken for {names[j]}."


def _count(value: int) -> str:
    return f"{value:,}" if value < 100_000 else f"{value / 1000:,.0f}k"


def _shade(share: float) -> str:
    low, high = _SHADES
    mixed = (round(a + (b - a) * math.sqrt(share)) for a, b in zip(low, high, strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed) if share else "#f9fafb"


def _square(title: str, x: Axis, y: Axis, series: int = 1) -> Plot:
    """A plot whose legend has room for so many series."""
    lines = 1 + min(2, (series - 1) // 4)
    return Plot(title, x, y, width=420, height=402 + 18 * lines, legend_lines=lines)


def roc(curves: Sequence[Mapping[str, Any]]) -> Figure:
    plot = _square("ROC", share_axis("false positive rate"), share_axis("true positive rate"), len(curves))
    plot.drawing.line(plot.at(0, 0), plot.at(1, 1), MUTED, dash="3 4")
    _draw(plot, curves, "roc")
    return _figure("roc", plot.drawing, f"ROC curves of {_names(curves)}; the diagonal is guessing")


def precision_recall(curves: Sequence[Mapping[str, Any]]) -> Figure:
    plot = _square("Precision and recall", share_axis("recall"), share_axis("precision"), len(curves))
    _draw(plot, curves, "pr")
    return _figure("pr", plot.drawing, f"Precision over recall of {_names(curves)}")


def _draw(plot: Plot, curves: Sequence[Mapping[str, Any]], kind: str) -> None:
    for curve, colour in zip(curves, PALETTE, strict=False):
        label = short_text(str(curve["class"]), 16)
        plot.series(label, [(x, y) for x, y in curve[kind]], colour)


def _names(curves: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(short_text(str(curve["class"]), 30) for curve in curves)


def calibration(bins: Sequence[Mapping[str, Any]], observed: str) -> Figure:
    """What was announced against what came true; bars below show how many rows stand behind each point."""
    plot = Plot(
        "Calibration", share_axis("announced probability"), share_axis(observed), width=420, height=420
    )
    plot.drawing.line(plot.at(0, 0), plot.at(1, 1), MUTED, dash="3 4")
    most = max((b["rows"] for b in bins), default=0)
    for b in bins:
        if b["rows"]:
            x, y = plot.at(b["low"], 0.18 * b["rows"] / most)
            end, base = plot.at(b["high"], 0)
            plot.drawing.rect(x + 2, y, end - x - 4, base - y, GRID, radius=1)
    filled = [b for b in bins if b["rows"]]
    points = [(b["score"], b["observed"]) for b in filled]
    plot.series("model", points, PALETTE[0])
    plot.legend("rows", GRID)
    for x, y in points:
        plot.drawing.dot(plot.at(x, y), PALETTE[0])
    said = ", ".join(f"{x:.2f} came true in {y:.2f}" for x, y in points)
    return _figure(
        "calibration", plot.drawing, f"Calibration: of scores near {said}" if said else "Calibration: no rows"
    )


def predicted_against_actual(pairs: Sequence[Sequence[float]]) -> Figure:
    values = [value for pair in pairs for value in pair]
    x = axis_over(values, "actual")
    plot = Plot(
        "Predicted and actual",
        x,
        Axis(low=x.low, high=x.high, label="predicted", ticks=x.ticks),
        width=420,
        height=420,
    )
    plot.drawing.line(plot.at(x.low, x.low), plot.at(x.high, x.high), MUTED, dash="3 4")
    for actual, predicted in pairs:
        plot.drawing.dot(plot.at(actual, predicted), PALETTE[0], radius=3, opacity=0.45)
    alt = f"Predicted over actual values of {len(pairs)} rows; on the dashed line they agree"
    return _figure("predicted", plot.drawing, alt)


def slices(
    position: int,
    column: str,
    metric: str,
    values: Mapping[str, Mapping[str, Measure]],
    champion: Mapping[str, Mapping[str, Measure]],
) -> Figure | None:
    """One dot for each value of a column, the champion's as a ring. The largest slices when there are many."""
    found = {v: m[metric] for v, m in values.items() if metric in m and _is_finite(m[metric])}
    largest = sorted(found, key=lambda v: -found[v].samples)[:SLICES_SHOWN]
    if not largest:
        return None
    shown_values = sorted(largest, key=lambda v: found[v].value or 0.0)
    theirs = {v: champion.get(v, {}).get(metric) for v in shown_values}
    rings = {v: m.value for v, m in theirs.items() if m is not None and m.value is not None and _is_finite(m)}
    numbers = [found[v].value or 0.0 for v in shown_values] + list(rings.values())
    height = 112 + 26 * len(shown_values)
    rows = tuple((i + 0.5, short_text(v, 16)) for i, v in enumerate(reversed(shown_values)))
    y = Axis(low=0.0, high=float(len(rows)), label="", ticks=rows)
    plot = Plot(
        f"{short_text(metric, 20)} by {short_text(column, 24)}",
        axis_over(numbers, metric),
        y,
        width=480,
        height=height,
    )
    plot.legend("this model", PALETTE[0])
    if rings:
        plot.legend("champion", MUTED)
    for i, value in enumerate(reversed(shown_values)):
        mine = found[value].value or 0.0
        if value in rings:
            plot.drawing.line(plot.at(rings[value], i + 0.5), plot.at(mine, i + 0.5), MUTED, width=1.5)
            plot.drawing.dot(plot.at(rings[value], i + 0.5), PAPER, radius=5, stroke=MUTED)
        plot.drawing.dot(plot.at(mine, i + 0.5), PALETTE[0], radius=5.5)
    said = ", ".join(f"{short_text(v, 20)} {shown(metric, found[v].value)}" for v in shown_values)
    return _figure(
        f"slices-{position}", plot.drawing, f"{metric} by {short_text(column, 40)}, worst first: {said}"
    )


def _is_finite(measure: Measure) -> bool:
    return measure.value is not None and math.isfinite(measure.value)
