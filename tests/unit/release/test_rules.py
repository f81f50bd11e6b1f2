"""A gate rule in one line: what is read, and where a mistake is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcicd_jenkins.release.rules import RuleSyntaxError, parse_rule


@pytest.mark.parametrize(
    ("text", "number", "baseline", "operator"),
    [
        ("roc_auc >= 0.80", 0.8, "", "+"),
        ("roc_auc >= champion - 0.01", 0.01, "champion", "-"),
        ("latency_p99 <= stable * 1.2", 1.2, "stable", "*"),
        ("latency_p99 <= 40 ms", 0.04, "", "+"),
        ("error_rate <= 2%", 0.02, "", "+"),
        ("memory <= 2Gi", 2 * 2**30, "", "+"),
        ("recall >= champion", 0.0, "champion", "+"),
        ("  bias   >=   -0.5 ", -0.5, "", "+"),
        ("loss <= 1e-3", 0.001, "", "+"),
    ],
)
def test_limits(text, number, baseline, operator):
    limit = parse_rule(text).limit
    assert (limit.number, limit.baseline, limit.operator) == (pytest.approx(number), baseline, operator)


def test_slices():
    assert parse_rule("recall >= 0.75 in each country").each == "country"
    assert parse_rule("recall >= 0.75 where country = New Zealand").where == ("country", "New Zealand")
    assert parse_rule("recall >= 0.75 where digit = 3").columns == ("digit",)


@pytest.mark.parametrize(
    ("text", "column", "what"),
    [
        ("", 0, "expected a metric"),
        ("recall", 6, "expected >= or <="),
        ("recall > 0.8", 7, "expected >= or <="),
        ("recall >= high", 10, "expected a number"),
        ("recall >= 0.8 minutes", 14, "unknown unit"),
        ("recall >= champion - x", 21, "expected a number"),
        ("recall >= 0.8 in each", 14, "unexpected"),
        ("recall >= 0.8 where a", 21, "expected ="),
        ("recall >= 1e999", 10, "not a finite number"),
        ("recall >= 0.8; rm -rf /", 13, "unexpected"),
    ],
)
def test_mistakes_have_a_place(text, column, what):
    with pytest.raises(RuleSyntaxError, match=what) as caught:
        parse_rule(text)
    assert caught.value.column == column
    assert caught.value.fix


@given(st.text(max_size=60))
def test_any_text_is_a_rule_or_a_rule_error(text):
    try:
        rule = parse_rule(text)
    except RuleSyntaxError as e:
        assert 0 <= e.column <= len(text)
    else:
        assert parse_rule(rule.text) == rule
