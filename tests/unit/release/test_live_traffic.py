"""Traffic between readings of counters: growth, copies that begin anew, quantiles of histograms.

Aspects: what is counted twice or never, histograms that lie, and that what is unknown is never a number.
"""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcicd_jenkins.release.traffic import LiveCounters, between, quantile


def counters(**copies: tuple[float, float]) -> LiveCounters:
    return LiveCounters(
        requests={name: pair[0] for name, pair in copies.items()},
        errors={name: pair[1] for name, pair in copies.items()},
        latency={name: {0.1: pair[0], math.inf: pair[0]} for name, pair in copies.items()},
    )


def test_one_reading_tells_nothing_happened() -> None:
    seen = between([counters(a=(1000, 50))])
    assert (seen.requests, seen.errors) == (0, 0)
    assert math.isnan(seen.error_rate)


def test_growth_is_counted_by_copy() -> None:
    seen = between([counters(a=(100, 1), b=(50, 0)), counters(a=(110, 3), b=(90, 0))])
    assert (seen.requests, seen.errors) == (50, 2)
    assert seen.latency == {0.1: 50, math.inf: 50}


def test_a_counter_that_fell_began_anew() -> None:
    seen = between([counters(a=(100, 10)), counters(a=(7, 2))])
    assert (seen.requests, seen.errors) == (7, 2)
    assert seen.latency[math.inf] == 7


def test_a_copy_that_comes_later_counts_from_when_it_was_first_seen() -> None:
    """It may have served for weeks before it was seen, and that is not this step's traffic."""
    seen = between(
        [counters(a=(1, 0)), counters(a=(2, 0), b=(5000, 4000)), counters(a=(3, 0), b=(5001, 4000))]
    )
    assert (seen.requests, seen.errors) == (3, 0)


def test_a_copy_that_is_missed_once_is_not_counted_twice() -> None:
    seen = between([counters(a=(10, 0)), counters(b=(1, 0)), counters(a=(15, 1), b=(1, 0))])
    assert (seen.requests, seen.errors) == (5, 1)


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=20))
def test_steps_between_add_up_to_the_whole(growth: list[int]) -> None:
    totals = list(itertools.accumulate(growth))
    readings = [counters(a=(total, total // 2)) for total in totals]
    assert between(readings).requests == totals[-1] - totals[0]
    assert between(readings) == between([readings[0], readings[-1]])


def test_the_quantile_is_prometheus() -> None:
    """The example of Prometheus' own tests: linear inside the bucket, the first one from zero."""
    histogram = {0.1: 10.0, 0.2: 30.0, 0.4: 40.0, math.inf: 40.0}
    assert quantile(0.5, histogram).value == pytest.approx(0.15)
    assert quantile(0.25, histogram).value == pytest.approx(0.1)
    assert quantile(0.1, histogram).value == pytest.approx(0.04)
    found = quantile(0.99, histogram)
    assert found.value == pytest.approx(0.2 + 0.2 * (39.6 - 30) / 10)
    assert (found.low, found.high) == (0.2, 0.4)


def test_what_lies_beyond_every_bound_is_infinitely_slow() -> None:
    found = quantile(0.99, {0.1: 10.0, math.inf: 20.0})
    assert (found.value, found.low, found.high) == (math.inf, 0.1, math.inf)


@pytest.mark.parametrize(
    "histogram", [{}, {0.1: 0.0, math.inf: 0.0}, {0.1: math.nan}, {0.1: math.inf}, {math.nan: 5.0}]
)
def test_no_observation_is_no_number(histogram: dict[float, float]) -> None:
    assert math.isnan(quantile(0.99, histogram).value)


@given(
    st.lists(
        st.tuples(st.floats(0.0001, 100), st.integers(0, 50)),
        min_size=1,
        max_size=12,
        unique_by=lambda p: p[0],
    ),
    st.floats(0.01, 1),
)
def test_a_quantile_lies_in_its_bucket(pairs: list[tuple[float, int]], share: float) -> None:
    pairs = sorted(pairs)
    cumulative = dict(
        zip((p[0] for p in pairs), itertools.accumulate(float(p[1]) for p in pairs), strict=True)
    )
    found = quantile(share, cumulative)
    if sum(p[1] for p in pairs) == 0:
        assert math.isnan(found.value)
    else:
        assert found.low <= found.value <= found.high or math.isclose(found.value, found.high)
        assert found.high in cumulative
