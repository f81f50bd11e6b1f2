"""A small report, byte by byte: page, images, Markdown and JUnit. Read README.md before `--update-golden`."""

import difflib
from pathlib import Path

from mmcicd_jenkins.ports import EvaluationRecord
from mmcicd_jenkins.release.gates import judge
from mmcicd_jenkins.release.measures import Measure, Measures
from mmcicd_jenkins.release.rules import parse_rule
from mmcicd_jenkins.reports.writing import write_report

EXPECTED = Path(__file__).parent / "report" / "expected"
GATES = ("recall >= 0.82", "recall >= champion - 0.005", "recall >= 0.75 in each country", "log_loss <= 0.4")
CURVES = '{"epoch": 1, "loss": 0.9, "val_loss": 1.0}\n{"epoch": 2, "loss": 0.5, "val_loss": 0.7}\n'


def measures(recall: float, brazil: float) -> Measures:
    def found(value: float, samples: int) -> dict[str, Measure]:
        numbers = {"recall": value, "precision": 0.75, "roc_auc": 0.9, "log_loss": 0.31}
        return {name: Measure(value=number, samples=samples) for name, number in numbers.items()}

    slices = {"country": {"BR": found(brazil, 212), "DE": found(recall, 9422)}}
    overall = found(recall, 9634)
    overall["roc_auc"] = Measure(value=0.9, samples=9634, bound=0.00004)
    return Measures(overall=overall, slices=slices)


def report(folder: Path) -> EvaluationRecord:
    candidate, champion = measures(0.801, 0.7), measures(0.824, 0.72)
    curves = folder / "metrics.jsonl"
    curves.write_text(CURVES)
    points = [[0.0, 0.0], [0.1, 0.7], [1.0, 1.0]]
    bins = [
        {"low": i / 10, "high": (i + 1) / 10, "rows": 0, "score": None, "observed": None} for i in range(10)
    ]
    bins[2] |= {"rows": 8000, "score": 0.24, "observed": 0.1}
    bins[8] |= {"rows": 1634, "score": 0.85, "observed": 0.9}
    row = {"rows": 1000, "precision": 0.75, "recall": 0.801, "f1": 0.774, "roc_auc": 0.9}
    return EvaluationRecord(
        model="fraud",
        problem="binary",
        gates=judge([parse_rule(g) for g in GATES], candidate, champion, champion=7, min_samples=500),
        measures=candidate,
        baseline=champion,
        report={
            "problem": "binary",
            "label": "is_fraud",
            "rows": 9634,
            "threshold": 0.5,
            "unusable": 0,
            "classes": ["no", "yes"],
            "per_class": [{"class": "no", **row}, {"class": "yes", **row}],
            "confusion": [[8000, 303], [265, 1066]],
            "curves": [{"class": "yes", "roc": points, "pr": [[0.7, 0.9], [1.0, 0.14]]}],
            "calibration": bins,
        },
        curves=curves,
        lineage={
            "commit": "4be19c2",
            "branch": "main",
            "parameters": "epochs=2",
            "data transactions": "sha256:77aa",
        },
        environment=("keras==3.11.0", "tensorflow==2.21.0"),
    )


def texts(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text("utf-8") for p in folder.rglob("*") if p.is_file()}


def test_report(tmp_path: Path, update_golden: bool) -> None:
    made = report(tmp_path)
    folder = EXPECTED if update_golden else tmp_path / "out"
    write_report(folder, made)
    # The stylesheet is a template's copy; its bytes are no result.
    expected, found = texts(EXPECTED), texts(folder)
    lines = [
        line
        for name in sorted({*expected, *found})
        if name != "report.css"
        for line in difflib.unified_diff(
            expected.get(name, "").splitlines(),
            found.get(name, "").splitlines(),
            f"expected/{name}",
            f"made/{name}",
        )
    ]
    assert not lines, "\n".join(lines)
    assert set(expected) | {"report.css"} == set(found) | {"report.css"}
