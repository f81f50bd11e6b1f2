"""Limits that would let everything pass: a time without a unit, a limit that is no number."""

import pytest

from mmcicd_jenkins.release.gates import judge
from mmcicd_jenkins.release.measures import Measure, Measures
from mmcicd_jenkins.release.rules import RuleSyntaxError, parse_rule
from mmcicd_jenkins.release.verdicts import Verdict


@pytest.mark.parametrize("rule", ["latency_p99 <= 40", "latency_p50 <= 1e1", "latency_p99 <= stable + 5"])
def test_a_time_needs_its_unit(rule):
    with pytest.raises(RuleSyntaxError) as error:
        parse_rule(rule)
    assert "without a unit" in error.value.what
    assert " ms" in error.value.fix
    assert rule[error.value.column :][: error.value.width] == rule.split()[-1]


@pytest.mark.parametrize(
    "rule",
    ["latency_p99 <= 40 ms", "latency_p99 <= 0.04s", "latency_p99 <= stable * 1.2", "latency_p99 <= stable"],
)
def test_a_time_with_a_unit_and_a_factor_are_fine(rule):
    assert parse_rule(rule).metric == "latency_p99"


def test_a_limit_that_overflows_decides_nothing():
    rule = parse_rule("error <= champion * 1e300")
    measured = Measures(overall={"error": Measure(value=1e20, samples=1000)})
    report = judge([rule], measured, measured, champion=1, min_samples=10)
    assert report.verdict is Verdict.INCONCLUSIVE
