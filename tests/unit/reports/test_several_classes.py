"""Multi-class and multi-label against scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from mmcicd_jenkins.reports.metrics import MulticlassTally, MultilabelTally

COLUMNS = 4


def multiclass(seed, rows, classes=COLUMNS, present=COLUMNS):
    random = np.random.default_rng(seed)
    # Rounded, so that there are ties between rows and between classes.
    scores = random.dirichlet(np.ones(classes), rows).round(1).astype(np.float32) + 1e-3
    return random.integers(0, present, rows), (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)


@given(st.integers(0, 10**6), st.integers(1, 50), st.integers(1, COLUMNS))
@settings(max_examples=40, deadline=None)
def test_multiclass_is_scikit_learns(seed, rows, present):
    labels, scores = multiclass(seed, rows, present=present)
    tally = MulticlassTally(COLUMNS)
    tally.add(labels, scores)
    found = {name: measure.value for name, measure in tally.measures().items()}
    predicted = scores.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(labels, predicted))
    assert found["log_loss"] == pytest.approx(sk.log_loss(labels, scores, labels=range(COLUMNS)), rel=1e-5)
    for name, function in (
        ("precision", sk.precision_score),
        ("recall", sk.recall_score),
        ("f1", sk.f1_score),
    ):
        theirs = function(labels, predicted, average="macro", zero_division=0)
        assert found[name] == pytest.approx(theirs), name
    areas = [
        sk.roc_auc_score(labels == k, scores[:, k]) for k in range(COLUMNS) if 0 < (labels == k).sum() < rows
    ]
    assert found["roc_auc"] == (pytest.approx(np.mean(areas)) if areas else None)
    matrix = sk.confusion_matrix(labels, predicted, labels=range(COLUMNS))
    assert tally.counts.matrix.tolist() == matrix.tolist()


@given(st.integers(0, 10**6), st.integers(0, 40), st.integers(0, 40), st.sampled_from([10**6, 20]))
@settings(max_examples=12, deadline=None)
def test_multiclass_merged_parts_are_the_whole(seed, first, second, exact_scores):
    labels, scores = multiclass(seed, first + second)
    groups = np.arange(first + second) % 3
    whole, part, rest = (MulticlassTally(COLUMNS, exact_scores) for _ in range(3))
    whole.add(labels, scores, groups)
    part.add(labels[:first], scores[:first], groups[:first])
    rest.add(labels[first:], scores[first:], groups[first:])
    part.merge(rest)
    for group in range(3):
        for name, measure in whole.measures(group).items():
            other = part.measures(group)[name]
            assert other.samples == measure.samples
            slack = measure.bound + other.bound + 1e-9
            assert other.value == (
                None if measure.value is None else pytest.approx(measure.value, abs=slack, rel=1e-6)
            )


def test_rows_that_do_not_sum_to_one_have_no_log_loss():
    tally = MulticlassTally(3)
    tally.add(np.array([0, 1]), np.array([[0.9, 0.8, 0.7], [0.2, 0.9, 0.1]], np.float32))
    found = {name: measure.value for name, measure in tally.measures().items()}
    assert found["log_loss"] is found["brier"] is found["ece"] is None
    assert found["accuracy"] == 1.0


def test_a_nan_in_one_class_spoils_the_row_only_once():
    tally = MulticlassTally(3)
    tally.add(np.array([0, 1]), np.array([[math.nan, 0.5, math.nan], [0.1, 0.8, 0.1]], np.float32))
    assert tally.unusable() == 1
    assert all(math.isnan(measure.value) for measure in tally.measures().values())


@given(st.integers(0, 10**6), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_multilabel_is_scikit_learns(seed, rows):
    random = np.random.default_rng(seed)
    labels = random.random((rows, COLUMNS)) < 0.4
    scores = random.random((rows, COLUMNS)).round(1).astype(np.float32)
    tally = MultilabelTally(COLUMNS)
    tally.add(labels, scores)
    found = {name: measure.value for name, measure in tally.measures().items()}
    predicted = scores >= 0.5
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(labels, predicted))
    assert found["hamming_loss"] == pytest.approx(sk.hamming_loss(labels, predicted))
    occurring = (labels | predicted).any(axis=0)
    for name, function in (
        ("precision", sk.precision_score),
        ("recall", sk.recall_score),
        ("f1", sk.f1_score),
    ):
        each = function(labels, predicted, average=None, zero_division=0)[occurring]
        assert found[name] == (pytest.approx(each.mean()) if occurring.any() else None), name
        micro = function(labels, predicted, average="micro", zero_division=0)
        assert found[f"{name}_micro"] in (None, pytest.approx(micro)), name
    flat = sk.log_loss(labels.ravel(), scores.ravel(), labels=[0, 1])
    assert found["log_loss"] == pytest.approx(flat, rel=1e-5)


def test_multilabel_groups_and_merge():
    random = np.random.default_rng(5)
    labels, scores = random.random((90, 3)) < 0.5, random.random((90, 3)).astype(np.float32)
    groups = np.arange(90) % 2
    whole, part, rest = MultilabelTally(3), MultilabelTally(3), MultilabelTally(3)
    whole.add(labels, scores, groups)
    part.add(labels[:40], scores[:40], groups[:40])
    rest.add(labels[40:], scores[40:], groups[40:])
    part.merge(rest)
    alone = MultilabelTally(3)
    alone.add(labels[groups == 1], scores[groups == 1])
    for name, measure in alone.measures().items():
        assert whole.measures(1)[name].value == pytest.approx(measure.value)
        assert part.measures(1)[name].value == pytest.approx(measure.value)
