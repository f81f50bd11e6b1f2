"""Predictions are counted into the bins of the reference, in the same way as the evaluation counted them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcicd_jenkins.serving.metrics import Metrics
from mmcicd_jenkins.serving.reference import Reference, count_into_bins, parse_reference


def counted(kind, edges, output):
    return count_into_bins(Reference(kind=kind, edges=tuple(edges)), np.asarray(output))


@pytest.mark.parametrize(
    ("kind", "edges", "output", "counts", "unusable"),
    [
        ("score", [0.5], [[0.2], [0.5], [0.9]], [1, 2], 0),
        ("score", [0.5], [0.2, 0.5], [1, 1], 0),
        ("score", [0.5], [[0.9, 0.1], [0.2, 0.8]], [1, 1], 0),
        ("score", [0.5], [[0.9, 0.1, 0.7]], [1, 2], 0),
        ("class", [0.5, 1.5], [[0.1, 0.7, 0.2], [0.9, 0.05, 0.05]], [1, 1, 0], 0),
        ("class", [0.5, 1.5], [2, 0, 1], [1, 1, 1], 0),
        ("class", [0.5, 1.5], [[2], [1]], [0, 1, 1], 0),
        ("value", [0.0, 10.0], [[-1.0], [0.0], [10.0], [np.nan], [np.inf]], [1, 1, 1], 2),
    ],
)
def test_bins(kind, edges, output, counts, unusable):
    assert counted(kind, edges, output) == (counts, unusable)


@given(st.lists(st.floats(width=32), max_size=50))
def test_every_value_is_counted_once(values):
    counts, unusable = counted("value", [-1.0, 0.0, 1.0], np.array(values, np.float32))
    assert sum(counts) + unusable == len(values)


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "other", "edges": [1]},
        {"kind": "score"},
        {"kind": "score", "edges": []},
        {"kind": "score", "edges": "123"},
        {"kind": "score", "edges": [1, 1]},
        {"kind": "score", "edges": [1, float("nan")]},
        {"kind": "score", "edges": [2, 1]},
        {"kind": "score", "edges": list(range(5000))},
        {"kind": "score", "edges": [1], "output": 3},
    ],
)
def test_what_is_no_reference_is_refused(document):
    with pytest.raises(ValueError, match=r"edges|kind|output"):
        parse_reference(document)


def test_an_empty_document_means_do_not_count():
    assert parse_reference({}) is None


def test_label_values_are_escaped():
    metrics = Metrics()
    metrics.record_warmup('a"b\\c\nd', "OK", 1.0)
    assert 'model_path="a\\"b\\\\c\\nd"' in metrics.text()
