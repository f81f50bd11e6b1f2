"""Binary classification against scikit-learn, on what hypothesis finds: ties, one class, NaN, infinity, nothing."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from mmcicd_jenkins.reports.metrics import BinaryTally

# Few distinct values make ties; the ends and one half are where bins and thresholds meet.
probability = st.one_of(
    st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, 1e-30, 1 - 2**-24]), st.floats(0, 1, width=32)
)
rows = st.lists(st.tuples(st.integers(0, 1), probability), max_size=60)


def arrays(pairs):
    labels = np.array([label for label, _ in pairs], np.int64)
    return labels, np.array([score for _, score in pairs], np.float32)


def tally(labels, scores, groups=None, **options):
    made = BinaryTally(**options)
    made.add(labels, scores, groups)
    return made


def values(measures):
    return {name: measure.value for name, measure in measures.items()}


def agrees(mine, theirs):
    assert mine == pytest.approx(theirs, rel=1e-5, abs=1e-6)


@given(rows, st.sampled_from([0.5, 0.3, 0.0, 1.0]))
@settings(max_examples=70, deadline=None)
def test_every_number_is_scikit_learns(pairs, threshold):
    labels, scores = arrays(pairs)
    found = values(tally(labels, scores, threshold=threshold).measures())
    if not pairs:
        assert set(found.values()) == {None}
        return
    predicted = scores >= np.float32(threshold)
    agrees(found["accuracy"], sk.accuracy_score(labels, predicted))
    agrees(found["log_loss"], sk.log_loss(labels, scores, labels=[0, 1]))
    agrees(found["brier"], float(np.mean((labels - scores.astype(float)) ** 2)))
    for name, function, denominator in (
        ("precision", sk.precision_score, predicted.sum()),
        ("recall", sk.recall_score, labels.sum()),
        ("f1", sk.f1_score, predicted.sum() + labels.sum()),
    ):
        if denominator:
            agrees(found[name], function(labels, predicted, zero_division=0))
        else:
            assert found[name] is None
    if 0 < labels.sum() < len(labels):
        agrees(found["roc_auc"], sk.roc_auc_score(labels, scores))
        agrees(found["pr_auc"], sk.average_precision_score(labels, scores))
    else:
        assert found["roc_auc"] is found["pr_auc"] is None


@given(rows, rows, st.sampled_from([1_000_000, 10]))
@settings(max_examples=100, deadline=None)
def test_merged_parts_are_the_whole(first, second, exact_scores):
    whole = tally(*arrays(first + second), exact_scores=exact_scores)
    part = tally(*arrays(first), exact_scores=exact_scores)
    part.merge(tally(*arrays(second), exact_scores=exact_scores))
    for name, measure in whole.measures().items():
        other = part.measures()[name]
        assert other.samples == measure.samples
        if measure.value is None:
            assert other.value is None
        else:
            # Part by part a few scores may still be exact where the whole has a histogram, and the reverse.
            slack = measure.bound + other.bound + 1e-6
            assert other.value == pytest.approx(measure.value, rel=1e-6, abs=slack), name


@given(
    st.lists(st.tuples(st.integers(0, 1), probability, st.integers(0, 3)), max_size=60),
    st.sampled_from([10**6, 5]),
)
@settings(max_examples=100, deadline=None)
def test_a_group_is_as_if_it_stood_alone(triples, exact_scores):
    labels, scores = arrays([(label, score) for label, score, _ in triples])
    groups = np.array([group for _, _, group in triples], np.int64)
    together = tally(labels, scores, groups, exact_scores=exact_scores)
    for group in range(4):
        alone = tally(labels[groups == group], scores[groups == group]).measures()
        for name, measure in together.measures(group).items():
            assert measure.samples == alone[name].samples
            if alone[name].value is None:
                assert measure.value is None
            else:
                slack = measure.bound + 1e-6
                assert measure.value == pytest.approx(alone[name].value, rel=1e-6, abs=slack), name


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1.5, -0.5])
def test_one_unusable_score_makes_every_number_of_its_group_nan(bad):
    labels, scores = np.array([0, 1, 1, 0]), np.array([0.1, 0.9, bad, 0.4], np.float32)
    spoiled = tally(labels, scores, np.array([0, 0, 1, 1]))
    assert spoiled.unusable(1) == 1
    assert all(math.isnan(measure.value) for measure in spoiled.measures(1).values())
    assert values(spoiled.measures(0))["roc_auc"] == 1.0


def test_rounding_beyond_one_is_not_unusable():
    found = tally(np.array([1, 0]), np.array([1.000001, -1e-7], np.float32))
    assert found.unusable() == 0
    assert values(found.measures())["accuracy"] == 1.0


def test_an_unknown_group_has_no_rows():
    found = tally(np.array([1, 0]), np.array([0.9, 0.1], np.float32)).measures(7)
    assert all(measure.value is None and measure.samples == 0 for measure in found.values())


def test_a_score_at_the_threshold_is_positive():
    found = tally(np.array([1]), np.array([0.7], np.float32), threshold=0.7)
    assert values(found.measures())["recall"] == 1.0


def test_calibration_bins_are_the_observed_shares():
    scores = np.array([0.05, 0.15, 0.15, 0.95, 1.0], np.float32)
    bins = tally(np.array([0, 1, 0, 1, 1]), scores).probabilities.bins()
    assert [b.rows for b in bins] == [1, 2, 0, 0, 0, 0, 0, 0, 0, 2]
    assert (bins[1].observed, bins[9].observed, bins[2].observed) == (0.5, 1.0, None)


def test_nothing_warns_on_empty_batches():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = tally(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64)).measures()
    assert {measure.value for measure in found.values()} == {None}
