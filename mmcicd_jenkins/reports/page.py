"""What the report says, decided once for HTML and Markdown: texts in order, nothing escaped yet.

Templates hold the layout; which metric comes first, what is compared and what is left out is decided here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from mmcicd_jenkins.ports import EvaluationRecord
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.measures import Measure
from mmcicd_jenkins.release.rules import parse_rule
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.reports import charts
from mmcicd_jenkins.reports.charts import Figure
from mmcicd_jenkins.reports.curves_file import read_curves
from mmcicd_jenkins.reports.gate_words import WORDS, GateLine, gate_lines
from mmcicd_jenkins.reports.words import change, clean, direction, is_lower_better, short_text, shown

MOST_CURVES = 8
MOST_GATES = 200
MOST_CLASSES = 200
MOST_SLICE_ROWS = 100
_TILES = 4
_ORDER = (
    "accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc", "log_loss", "brier", "ece", "hamming_loss",
    "rmse", "mae", "r2", "bias", "mape", "mse", "max_error",
)  # fmt: skip
_IN_SLICES = ("accuracy", "precision", "recall", "f1", "roc_auc", "rmse", "mae", "r2", "bias")


@dataclass(frozen=True, kw_only=True)
class Number:
    """One metric beside the champion's."""

    metric: str
    value: str
    bound: str
    champion: str
    change: str
    direction: str
    samples: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a table: `cells` are texts, or numbers beside the champion's."""

    name: str
    samples: str
    cells: Sequence[Any]


@dataclass(frozen=True, kw_only=True)
class Slice:
    """A column's values with their metrics."""

    column: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    figure: Figure | None
    caption: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """The whole report."""

    model: str
    problem: str
    verdict: str
    reason: str
    compared: str
    has_champion: bool
    tiles: tuple[Number, ...]
    warnings: tuple[str, ...]
    gates: tuple[GateLine, ...]
    numbers: tuple[Number, ...]
    numbers_caption: str
    figures: tuple[Figure, ...]
    per_class: tuple[Row, ...]
    confusion: tuple[Row, ...]
    slices: tuple[Slice, ...]
    curves: tuple[Figure, ...]
    lineage: tuple[tuple[str, str], ...]
    packages: tuple[str, ...] = field(default=())

    @property
    def images(self) -> tuple[Figure, ...]:
        """Every image that the page shows."""
        by_slice = [s.figure for s in self.slices if s.figure is not None]
        return (*self.figures, *by_slice, *self.curves)


def make_page(record: EvaluationRecord) -> Page:
    """The page of one evaluation."""
    baseline = record.baseline.overall if record.baseline else {}
    judged = [parse_rule(outcome.rule).metric for outcome in record.gates.outcomes]
    names = _ordered(record.measures.overall, judged)
    numbers = tuple(_number(name, record.measures.overall[name], baseline.get(name)) for name in names)
    whole = [n for n in numbers if ":" not in n.metric]
    return Page(
        model=clean(record.model),
        problem=record.problem,
        verdict=WORDS[record.gates.verdict],
        reason=clean(record.gates.reason),
        compared=_compared(record),
        has_champion=record.baseline is not None,
        tiles=tuple(whole[:_TILES]),
        warnings=_warnings(record),
        gates=_gates(record),
        numbers=tuple(whole),
        numbers_caption=_numbers_caption(record),
        figures=_figures(record.report),
        per_class=_per_class(record.report),
        confusion=_confusion(record.report),
        slices=_slices(record, judged),
        curves=_curves(record),
        lineage=tuple((clean(label), clean(text)) for label, text in record.lineage.items()),
        packages=tuple(clean(package) for package in record.environment),
    )


def _ordered(measures: Mapping[str, Measure], judged: Sequence[str]) -> list[str]:
    """Judged metrics first, then the usual ones, then the team's own."""
    first = [name for name in dict.fromkeys(judged) if name in measures]
    usual = [name for name in _ORDER if name in measures]
    return list(dict.fromkeys([*first, *usual, *sorted(measures)]))


def _number(name: str, measure: Measure, champion: Measure | None) -> Number:
    theirs = champion.value if champion else None
    return Number(
        metric=short_text(name, 60),
        value=shown(name, measure.value),
        bound=f" ± {measure.bound:.1g}" if measure.bound else "",
        champion=shown(name, theirs),
        change=change(name, measure.value, theirs),
        direction=direction(name, measure.value, theirs),
        samples=f"{measure.samples:,}",
    )


def _gates(record: EvaluationRecord) -> tuple[GateLine, ...]:
    """All of them; of very many those that did not pass, then as many of the others as there is room for."""
    lines = [_clean_line(line) for line in gate_lines(record.gates, record.baseline)]
    if len(lines) > MOST_GATES:
        lines.sort(key=lambda line: line.verdict is Verdict.PASSED)
    return tuple(lines[:MOST_GATES])


def _clean_line(line: GateLine) -> GateLine:
    return GateLine(
        rule=clean(line.rule),
        slice=clean(line.slice),
        verdict=line.verdict,
        word=line.word,
        value=line.value,
        limit=line.limit,
        champion=line.champion,
        samples=line.samples,
        sentence=clean(line.sentence),
        counts=line.counts,
    )


def _compared(record: EvaluationRecord) -> str:
    left_out = len(record.gates.outcomes) - MOST_GATES
    more = f" {left_out:,} more outcomes are in gates.xml." if left_out > 0 else ""
    return _champion(record) + more


def _champion(record: EvaluationRecord) -> str:
    if record.gates.champion is None:
        return "No champion yet: rules that compare with it are shown and do not count."
    if record.baseline is None:
        return f"Champion is version {record.gates.champion}; no rule compares with it."
    return f"Champion is version {record.gates.champion}, scored on the same test data."


def _warnings(record: EvaluationRecord) -> tuple[str, ...]:
    unusable = record.report.get("unusable", 0)
    if not isinstance(unusable, int) or not unusable:
        return ()
    return (
        f"{unusable:,} rows got a score that is not a usable number. Every metric of these rows is NaN, and no gate passes on it.",
    )


def _numbers_caption(record: EvaluationRecord) -> str:
    rows = record.report.get("rows")
    said = f"On {rows:,} test rows" if isinstance(rows, int) else "As the team's own evaluation measured them"
    threshold = record.report.get("threshold")
    if isinstance(threshold, float):
        said += f", positive from {threshold:g}"
    if record.problem in {"multiclass", "multilabel"}:
        said += "; precision, recall, F1 and areas are means over classes"
    return said + "."


def _figures(report: Mapping[str, Any]) -> tuple[Figure, ...]:
    found: list[Figure] = []
    if report.get("confusion"):
        found.append(charts.confusion(report["classes"], report["confusion"]))
    if report.get("curves"):
        found += [charts.roc(report["curves"]), charts.precision_recall(report["curves"])]
    if any(b["rows"] for b in report.get("calibration", ())):
        observed = "share that was right" if report["problem"] == "multiclass" else "share that was positive"
        found.append(charts.calibration(report["calibration"], observed))
    if report.get("pairs"):
        found.append(charts.predicted_against_actual(report["pairs"]))
    return tuple(found)


def _per_class(report: Mapping[str, Any]) -> tuple[Row, ...]:
    classes = report.get("per_class", ())
    worst = sorted(classes, key=lambda row: row["f1"] if row["f1"] is not None else 2.0)
    kept = classes if len(classes) <= MOST_CLASSES else worst[:MOST_CLASSES]
    return tuple(
        Row(
            name=short_text(str(row["class"]), 80),
            samples="",
            cells=[
                f"{row['rows']:,}",
                *(shown(m, row[m]) for m in ("precision", "recall", "f1", "roc_auc")),
            ],
        )
        for row in kept
    )


def _confusion(report: Mapping[str, Any]) -> tuple[Row, ...]:
    """The matrix as a table, for those who cannot see or want to copy it."""
    if not report.get("confusion"):
        return ()
    names = [short_text(str(name), 40) for name in report["classes"]]
    matrix = zip(names, report["confusion"], strict=True)
    head = Row(name="", samples="", cells=names)
    return (head, *(Row(name=n, samples="", cells=[f"{v:,}" for v in row]) for n, row in matrix))


def _slices(record: EvaluationRecord, judged: Sequence[str]) -> tuple[Slice, ...]:
    found = []
    for position, (column, values) in enumerate(record.measures.slices.items(), start=1):
        there = set().union(*values.values()) if values else set()
        wanted = [m for m in dict.fromkeys([*judged, *_IN_SLICES, *sorted(there)]) if m in there][:5]
        if not wanted:
            continue
        theirs = record.baseline.slices.get(column, {}) if record.baseline else {}
        main = wanted[0]
        ordered = sorted(values, key=lambda value: _weakness(main, values[value].get(main)))
        kept = ordered[:MOST_SLICE_ROWS]
        left = f", {len(ordered) - len(kept):,} more are in measures.json" if len(kept) < len(ordered) else ""
        beside = "; in brackets the change against the champion" if theirs else ""
        found.append(
            Slice(
                column=short_text(column, 60),
                metrics=tuple(wanted),
                rows=tuple(_slice_row(v, values[v], theirs.get(v, {}), wanted) for v in kept),
                figure=charts.slices(position, column, main, values, theirs),
                caption=f"{len(ordered):,} values{left}{beside}.",
            )
        )
    return tuple(found)


def _weakness(metric: str, measure: Measure | None) -> float:
    """A key that puts the weakest first; what is unknown comes before everything."""
    if measure is None or measure.value is None or math.isnan(measure.value):
        return float("-inf")
    return -measure.value if is_lower_better(metric) else measure.value


def _slice_row(
    value: str, mine: Mapping[str, Measure], theirs: Mapping[str, Measure], metrics: Sequence[str]
) -> Row:
    cells = []
    for metric in metrics:
        measure = mine.get(metric, Measure(value=None, samples=0))
        cells.append(_number(metric, measure, theirs.get(metric)))
    samples = max((m.samples for m in mine.values()), default=0)
    return Row(name=short_text(value, 80), samples=f"{samples:,}", cells=cells)


def _curves(record: EvaluationRecord) -> tuple[Figure, ...]:
    axis, curves = read_curves(record.curves)
    kept = [c for c in curves if len(c.train) + len(c.validation) > 1][:MOST_CURVES]
    return tuple(charts.learning_curve(i, axis, curve) for i, curve in enumerate(kept, start=1))
