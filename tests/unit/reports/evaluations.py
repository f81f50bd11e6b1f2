"""Evaluation records for the pages: made from numbers, as the stage makes them."""

import dataclasses
import json

import numpy as np
from tables import measured

from mmcicd_jenkins.ports import EvaluationRecord
from mmcicd_jenkins.release.gates import judge
from mmcicd_jenkins.release.rules import parse_rule

LINEAGE = {
    "commit": "e81d03a",
    "branch": "main",
    "run": "5d20",
    "data customers": "s3://acme-ml/c.csv sha256:12",
}


def record(found, rules, baseline=None, **changes):
    measures, report, _ = found
    champion = 7 if baseline else None
    gates = judge([parse_rule(r) for r in rules], measures, baseline, champion=champion, min_samples=10)
    made = EvaluationRecord(
        model="churn",
        problem=str(report.get("problem", "")),
        gates=gates,
        measures=measures,
        baseline=baseline,
        report=report,
        curves=None,
        lineage=LINEAGE,
        environment=("keras==3.1", "tensorflow==2.21.0"),
    )
    return dataclasses.replace(made, **changes)


def binary(
    folder, rules=("recall >= 0.5",), countries=("BR", "DE"), classes=("no", "yes"), rows=60, **changes
):
    """Forty scores that follow from arithmetic alone: the same on every machine."""
    index = np.arange(rows)
    scores = ((index * 37) % rows + 0.5) / rows
    labels = [classes[int(score + 0.2 * (i % 3 - 1) > 0.5)] for i, score in zip(index, scores, strict=True)]
    columns = {"y": labels, "country": [countries[i % len(countries)] for i in index]}
    found = measured(
        folder / "table.csv", columns, scores[:, None], "binary", classes=classes, slices=("country",)
    )
    theirs = measured(
        folder / "table.csv",
        columns,
        scores[:, None] * 0.9,
        "binary",
        classes=classes,
        slices=("country",),
    )
    return record(found, rules, theirs[0], **changes)


def curves(folder, epochs=4):
    path = folder / "metrics.jsonl"
    lines = [
        {"epoch": e, "loss": 1 / (e + 1), "val_loss": 1 / (e + 1) + 0.1, "auc": 0.9} for e in range(epochs)
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    return path
