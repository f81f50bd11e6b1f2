"""The stated bound of a histogram's areas holds, on real distributions and on those that would break it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from mmcicd_jenkins.reports.metrics import BinaryTally, MulticlassTally, Ranking
from mmcicd_jenkins.reports.metrics.ranking import bins_of, one_score_bins

close_to_each_other = st.floats(0.5, 0.5 + 2**-14, width=32)
tiny = st.floats(0, 2**-27, width=32)
close_to_one = st.floats(1 - 2**-10, 1, width=32)
score = st.one_of(close_to_each_other, tiny, close_to_one, st.floats(0, 1, width=32))


@given(st.lists(st.tuples(st.integers(0, 1), score), min_size=2, max_size=80))
@settings(max_examples=80, deadline=None)
def test_the_exact_areas_lie_within_the_bound(pairs):
    labels = np.array([label for label, _ in pairs])
    if labels.min() == labels.max():
        labels[0] = 1 - labels[0]
    scores = np.array([s for _, s in pairs], np.float32)
    tally = BinaryTally(exact_scores=0)
    tally.add(labels, scores)
    found = tally.measures()
    for name, exact in (
        ("roc_auc", sk.roc_auc_score(labels, scores)),
        ("pr_auc", sk.average_precision_score(labels, scores)),
    ):
        assert abs(found[name].value - exact) <= found[name].bound + 1e-9, name


@pytest.mark.parametrize("shape", [(0.4, 4.0), (5.0, 0.3), (1.0, 1.0), (0.02, 5.0)])
def test_the_bound_is_small_where_models_put_their_scores(shape):
    random = np.random.default_rng(1)
    scores = random.beta(*shape, 200_000).astype(np.float32)
    labels = (random.random(len(scores)) < scores).astype(np.int64)
    tally = BinaryTally(exact_scores=0)
    tally.add(labels, scores)
    found = tally.measures()["roc_auc"]
    assert abs(found.value - sk.roc_auc_score(labels, scores)) <= found.bound < 2e-4


def test_few_scores_are_exact_and_many_are_not():
    random = np.random.default_rng(2)
    scores, labels = random.random(2000).astype(np.float32), random.integers(0, 2, 2000)
    small, large = BinaryTally(exact_scores=2000), BinaryTally(exact_scores=1999)
    small.add(labels, scores)
    large.add(labels, scores)
    assert small.measures()["roc_auc"].bound == 0
    assert large.measures()["roc_auc"].bound > 0


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=50), st.integers(2, 12))
@settings(max_examples=70, deadline=None)
def test_bins_keep_the_order_of_scores(scores, bits):
    ordered = np.sort(np.array(scores, np.float32))
    assert np.all(np.diff(bins_of(ordered, bits)) >= 0)


@given(st.floats(0.5, 1, width=32), st.integers(2, 12))
@settings(max_examples=80, deadline=None)
def test_a_bin_of_one_score_has_no_second(value, bits):
    here = np.float32(value)
    if not one_score_bins(bits)[bins_of(np.array([here]), bits)[0]]:
        return
    around = np.array(
        [np.nextafter(here, np.float32(0)), here, np.nextafter(here, np.float32(2))], np.float32
    )
    around = around[around <= 1]
    assert (bins_of(around, bits) == bins_of(np.array([here]), bits)[0]).sum() == 1


def test_many_groups_and_classes_stay_within_memory():
    random = np.random.default_rng(3)
    tally = MulticlassTally(20, exact_scores=0)
    for start in range(0, 600, 100):
        scores = random.dirichlet(np.ones(20), 100).astype(np.float32)
        tally.add(random.integers(0, 20, 100), scores, np.arange(start, start + 100))
    counts = tally.ranking._counts
    assert counts is None or counts.nbytes <= 64 * 2**20
    assert tally.measures(5)["accuracy"].samples == 1


def test_too_many_groups_and_classes_give_no_area_instead_of_a_wrong_one():
    ranking = Ranking(columns=400, exact_scores=0)
    ranking.add(np.zeros(1, np.int64), np.full((1, 400), 0.1, np.float32), np.array([999]))
    assert ranking.steps(0, 0) is None
    ranking.add(np.zeros(1, np.int64), np.full((1, 400), 0.1, np.float32))
    other = Ranking(columns=400)
    other.merge(ranking)
    assert other.steps(0, 0) is None


def test_histograms_of_different_fineness_merge():
    random = np.random.default_rng(4)
    scores, labels = random.random(4000).astype(np.float32), random.integers(0, 2, 4000)
    fine, coarse = Ranking(1, exact_scores=0), Ranking(1, exact_scores=0)
    fine.add(labels, scores)
    coarse.add(labels[:1], scores[:1], np.array([400]))
    assert coarse._bits < fine._bits
    for one, other in ((fine, coarse), (coarse, fine)):
        both = Ranking(1)
        both.merge(one)
        both.merge(other)
        areas = both.steps(0, 0).areas()
        assert abs(areas.roc - sk.roc_auc_score(labels, scores)) <= areas.roc_bound
        assert both.steps(400, 0).areas().roc is None
