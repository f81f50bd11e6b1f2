"""A test table, scores beside it, and the measures of both."""

import csv

import numpy as np

from mmcicd_jenkins.ports import ScoreRequest
from mmcicd_jenkins.reports.measuring import measure


def write_table(path, columns, delimiter=","):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def request(table, problem, classes=(), slices=(), threshold=0.5, label="y"):
    return ScoreRequest(
        model=table.parent,
        table=table,
        columns=(),
        label=label,
        slices=slices,
        problem=problem,
        signature="serving_default",
        output="",
        threshold=threshold,
        batch_size=8,
        classes=classes,
    )


def measured(path, columns, scores, problem, **options):
    table = write_table(path, columns)
    return measure(request(table, problem, **options), np.array(scores, np.float32))
