"""Regression against scikit-learn, and where plain sums would lose their digits."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from mmcicd_jenkins.reports.metrics import RegressionTally

number = st.one_of(st.sampled_from([0.0, 1.0, -1.0]), st.floats(-1e6, 1e6, allow_subnormal=False))
rows = st.lists(st.tuples(number, number), max_size=50)


def tally(pairs, groups=None):
    made = RegressionTally()
    made.add(np.array([y for y, _ in pairs]), np.array([p for _, p in pairs]), groups)
    return made


@given(rows)
@settings(max_examples=70, deadline=None)
def test_every_number_is_scikit_learns(pairs):
    found = {name: measure.value for name, measure in tally(pairs).measures().items()}
    if not pairs:
        assert set(found.values()) == {None}
        return
    truth, guess = (np.array(column) for column in zip(*pairs, strict=True))
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(truth, guess))
    assert found["mse"] == pytest.approx(sk.mean_squared_error(truth, guess))
    assert found["rmse"] == pytest.approx(sk.root_mean_squared_error(truth, guess))
    assert found["max_error"] == pytest.approx(sk.max_error(truth, guess))
    assert found["bias"] == pytest.approx(float(np.mean(guess - truth)), abs=1e-6)
    if np.ptp(truth) > 1e-3:
        assert found["r2"] == pytest.approx(sk.r2_score(truth, guess), rel=1e-6, abs=1e-9)
    elif np.ptp(truth) == 0:
        assert found["r2"] is None


@given(rows, rows)
@settings(max_examples=100, deadline=None)
def test_merged_parts_are_the_whole(first, second):
    part = tally(first)
    part.merge(tally(second))
    for name, measure in tally(first + second).measures().items():
        other = part.measures()[name]
        assert other.samples == measure.samples
        if name == "r2":
            continue
        assert other.value == (
            None if measure.value is None else pytest.approx(measure.value, rel=1e-9, abs=1e-6)
        )


def test_mape_leaves_out_zero_targets_and_says_how_many_rows_remain():
    found = tally([(0.0, 5.0), (10.0, 11.0), (20.0, 18.0)]).measures()["mape"]
    assert found.value == pytest.approx(0.1)
    assert found.samples == 2
    only_zeros = tally([(0.0, 5.0)]).measures()["mape"]
    assert (only_zeros.value, only_zeros.samples) == (None, 0)


def test_r2_of_large_values_close_together_keeps_its_digits():
    random = np.random.default_rng(0)
    truth = 1.7e9 + random.normal(0, 1, 1000)
    guess = truth + random.normal(0, 0.5, 1000)
    whole, part, rest = RegressionTally(), RegressionTally(), RegressionTally()
    whole.add(truth, guess)
    part.add(truth[:300], guess[:300])
    rest.add(truth[300:], guess[300:])
    part.merge(rest)
    exact = sk.r2_score(truth - 1.7e9, guess - 1.7e9)
    assert whole.measures()["r2"].value == pytest.approx(exact, rel=1e-6)
    assert part.measures()["r2"].value == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_prediction_that_is_no_number_makes_its_group_nan(bad):
    found = tally([(1.0, 1.0), (2.0, bad)], np.array([0, 1]))
    assert found.unusable(1) == 1
    assert all(math.isnan(measure.value) for measure in found.measures(1).values())
    assert found.measures(0)["mae"].value == 0.0


def test_groups_are_kept_apart():
    found = tally([(1.0, 2.0), (5.0, 2.0), (1.0, 4.0)], np.array([2, 0, 2]))
    assert found.measures(0)["mae"].value == 3.0
    assert found.measures(2)["mae"].value == 2.0
    assert found.measures(1)["mae"].value is None
    assert found.measures(2)["max_error"].value == 3.0
