"""The numbers in a gate's sentence: their unit, and enough digits to see why it said no."""

import pytest

from mmcicd_jenkins.release.gates import figures, judge_measure
from mmcicd_jenkins.release.measures import Measure
from mmcicd_jenkins.release.rules import parse_rule


@pytest.mark.parametrize(
    ("rule", "value", "told"),
    [
        ("recall >= 0.9", 0.801, "recall 0.801, needs >= 0.900"),
        ("recall >= 0.9", 0.8999, "recall 0.8999, needs >= 0.9000"),
        ("recall >= 0.9", 0.8999999999999, "recall 0.900000000, needs >= 0.900000000"),
        ("latency_p99 <= 40 ms", 0.0513, "latency_p99 51.3 ms, needs <= 40 ms"),
        ("latency_p99 <= 0.1 ms", 0.005, "latency_p99 5 ms, needs <= 0.1 ms"),
        ("rmse <= 1200", 1234.56, "rmse 1,234.560, needs <= 1,200"),
    ],
)
def test_a_refusal_shows_why(rule, value, told):
    outcome = judge_measure(
        parse_rule(rule), "", Measure(value=value, samples=1000), None, champion=None, min_samples=1
    )
    assert outcome.reason == told


def test_equal_values_need_no_more_digits():
    assert figures("recall", 0.9, 0.9) == ("0.900", "0.900")
