"""Verdicts: what passes, and everything that must never pass."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcicd_jenkins.release.gates import judge
from mmcicd_jenkins.release.measures import Measure, Measures
from mmcicd_jenkins.release.rules import parse_rule
from mmcicd_jenkins.release.verdicts import Verdict


def overall(samples=1000, **values):
    return Measures(overall={k: Measure(value=v, samples=samples) for k, v in values.items()})


def verdict(rule, candidate, baseline=None, champion=None, min_samples=100):
    rules = [parse_rule(rule)] if isinstance(rule, str) else [parse_rule(r) for r in rule]
    return judge(rules, candidate, baseline, champion=champion, min_samples=min_samples)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.9, Verdict.PASSED),
        (0.8, Verdict.PASSED),
        (0.799, Verdict.FAILED),
        (math.nan, Verdict.FAILED),
        (math.inf, Verdict.FAILED),
        (-math.inf, Verdict.FAILED),
        (None, Verdict.INCONCLUSIVE),
    ],
)
def test_absolute(value, expected):
    assert verdict("recall >= 0.8", overall(recall=value)).verdict is expected


def test_missing_metric_is_inconclusive():
    assert verdict("recall >= 0.8", overall(accuracy=1.0)).verdict is Verdict.INCONCLUSIVE


def test_no_gates_never_pass():
    assert verdict([], overall(recall=1.0)).verdict is Verdict.INCONCLUSIVE


def test_too_few_samples_are_inconclusive_even_when_bad():
    report = verdict("recall >= 0.8", overall(samples=99, recall=0.1))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "99 of 100 samples" in report.reason


def test_one_reason_of_several_rules_is_said_once():
    report = verdict(["recall >= 0.8", "recall >= 0.7"], overall(samples=9, recall=0.1))
    assert report.reason == "recall inconclusive, 9 of 100 samples"


def test_against_the_champion():
    rule = "recall >= champion - 0.01"
    assert verdict(rule, overall(recall=0.815), overall(recall=0.824), champion=7).verdict is Verdict.PASSED
    report = verdict(rule, overall(recall=0.801), overall(recall=0.824), champion=7)
    assert report.verdict is Verdict.FAILED
    assert "champion 7 has 0.824" in report.reason


@pytest.mark.parametrize("base", [None, math.nan])
def test_missing_baseline_is_inconclusive(base):
    report = verdict("recall >= champion", overall(recall=1.0), overall(recall=base), champion=7)
    assert report.verdict is Verdict.INCONCLUSIVE


def test_baseline_of_zero_is_an_ordinary_number():
    rule = "error <= champion * 1.1"
    assert verdict(rule, overall(error=0.0), overall(error=0.0), champion=1).verdict is Verdict.PASSED
    assert verdict(rule, overall(error=0.01), overall(error=0.0), champion=1).verdict is Verdict.FAILED


def test_first_release_needs_an_absolute_gate_that_passes():
    rules = ["recall >= 0.8", "recall >= champion - 0.01"]
    report = verdict(rules, overall(recall=0.9))
    assert report.verdict is Verdict.PASSED
    assert "no champion yet" in report.reason
    assert [o.counts for o in report.outcomes] == [True, False]
    only_comparisons = verdict("recall >= champion", overall(recall=0.9))
    assert only_comparisons.verdict is Verdict.INCONCLUSIVE
    assert "absolute gate" in only_comparisons.reason


def test_one_failed_gate_decides_and_is_named_first():
    report = verdict(["recall >= 0.8", "accuracy >= 0.9", "f1 >= 0.5"], overall(recall=0.9, accuracy=0.85))
    assert report.verdict is Verdict.FAILED
    assert report.reason.startswith("accuracy 0.850, needs >= 0.900")


def slices(**values):
    made = {v: {"recall": Measure(value=x, samples=n)} for v, (x, n) in values.items()}
    return Measures(overall={}, slices={"country": made})


def test_every_slice_is_judged():
    report = verdict("recall >= 0.75 in each country", slices(AT=(0.8, 500), BR=(0.7, 500)))
    assert report.verdict is Verdict.FAILED
    assert [(o.slice, o.verdict) for o in report.outcomes] == [
        ("country=AT", Verdict.PASSED),
        ("country=BR", Verdict.FAILED),
    ]


def test_small_slice_is_inconclusive_not_passed():
    report = verdict("recall >= 0.75 in each country", slices(AT=(0.8, 500), BR=(1.0, 12)))
    assert report.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("rule", ["recall >= 0.1 where country = XX", "recall >= 0.1 in each city"])
def test_missing_slice_is_inconclusive(rule):
    assert verdict(rule, slices(AT=(0.8, 500))).verdict is Verdict.INCONCLUSIVE


def test_within_the_bound_of_an_approximation_nothing_is_decided():
    close = Measures(overall={"roc_auc": Measure(value=0.80001, samples=10**7, bound=1e-4)})
    assert verdict("roc_auc >= 0.8", close).verdict is Verdict.INCONCLUSIVE


@given(st.floats(), st.floats(allow_nan=False, allow_infinity=False, width=32), st.sampled_from([">=", "<="]))
def test_passed_implies_finite(value, limit, relation):
    report = verdict(f"metric {relation} {limit:.6f}", overall(metric=value))
    if report.verdict is Verdict.PASSED:
        assert math.isfinite(value)
