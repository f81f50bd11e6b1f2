"""Gates in words and as JUnit XML, as a person reads them in Jenkins."""

import xml.etree.ElementTree as ET

import pytest

from mmcicd_jenkins.release.gates import judge
from mmcicd_jenkins.release.measures import Measure, Measures
from mmcicd_jenkins.release.rules import parse_rule
from mmcicd_jenkins.reports.gate_words import gate_sentences
from mmcicd_jenkins.reports.junit import gates_xml


def measures(slices=None, **values):
    return Measures(
        overall={name: Measure(value=value, samples=9634) for name, value in values.items()},
        slices={
            column: {
                v: {m: Measure(value=x, samples=n) for m, (x, n) in found.items()}
                for v, found in column_values.items()
            }
            for column, column_values in (slices or {}).items()
        },
    )


def judged(rule, candidate, baseline=None, champion=None):
    return judge([parse_rule(rule)], candidate, baseline, champion=champion, min_samples=500)


def sentence(rule, candidate, baseline=None, champion=None):
    return gate_sentences(judged(rule, candidate, baseline, champion), baseline)[0]


def test_a_refused_gate_says_by_how_much_and_what_the_champion_has():
    said = sentence("recall >= 0.82", measures(recall=0.801), measures(recall=0.824), 7)
    assert said == "recall 0.801, champion 7 has 0.824, 9,634 samples, short by 0.019"


@pytest.mark.parametrize(
    ("rule", "candidate", "expected"),
    [
        ("recall >= 0.8", {"recall": 0.85}, "recall 0.850, 9,634 samples, 0.050 to spare"),
        ("recall >= 0.8", {"recall": 0.8}, "recall 0.800, 9,634 samples, exactly at the limit"),
        ("recall >= 0.82", {"recall": 0.8199996}, "recall 0.81999960, 9,634 samples, short by 0.00000040"),
        ("log_loss <= 0.3", {"log_loss": 0.4}, "log_loss 0.400, 9,634 samples, over by 0.100"),
        ("mae <= 30000", {"mae": 24366.25}, "mae 24,366.2, 9,634 samples, 5,633.8 to spare"),
        (
            "latency_p99 <= 40 ms",
            {"latency_p99": 0.0513},
            "latency_p99 51.3 ms, 9,634 samples, over by 11.3 ms",
        ),
    ],
)
def test_sentences(rule, candidate, expected):
    assert sentence(rule, measures(**candidate)) == expected


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_what_has_no_value_is_told_in_the_words_of_the_gate(value):
    report = judged("recall >= 0.8", measures(recall=value))
    assert gate_sentences(report) == (report.outcomes[0].reason,)


def test_a_slice_and_its_champion_stand_in_the_sentence():
    mine = measures({"country": {"BR": {"recall": (0.7, 600)}, "": {"recall": (0.9, 600)}}}, recall=0.8)
    theirs = measures({"country": {"BR": {"recall": (0.72, 600)}}}, recall=0.8)
    report = judge([parse_rule("recall >= 0.75 in each country")], mine, theirs, champion=7, min_samples=500)
    assert gate_sentences(report, theirs) == (
        "recall 0.900 for country=(empty), 600 samples, 0.150 to spare",
        "recall 0.700 for country=BR, champion 7 has 0.720, 600 samples, short by 0.050",
    )


def cases(xml):
    return list(ET.fromstring(xml).iter("testcase"))  # noqa: S314  we wrote it


def test_one_case_for_each_outcome_and_the_counts_agree():
    rules = ["recall >= 0.9", "recall >= 0.5", "recall >= champion - 0.01", "precision >= 0.5"]
    report = judge([parse_rule(r) for r in rules], measures(recall=0.8), None, champion=None, min_samples=500)
    root = ET.fromstring(gates_xml("churn", report))  # noqa: S314  we wrote it
    assert root.attrib == {"tests": "4", "failures": "2", "errors": "0", "skipped": "1"}
    kinds = {case.get("name"): [child.tag for child in case] for case in root.iter("testcase")}
    assert kinds == {
        "recall >= 0.9": ["failure"],
        "recall >= 0.5": ["system-out"],
        "recall >= champion - 0.01": ["skipped"],
        "precision >= 0.5": ["failure"],
    }
    types = [failure.get("type") for failure in root.iter("failure")]
    assert types == ["refused", "inconclusive"]


def test_no_gates_at_all_is_a_failure_too():
    report = judge([], measures(recall=0.8), None, champion=None, min_samples=500)
    (case,) = cases(gates_xml("churn", report))
    assert case[0].tag == "failure"
    assert "no gates" in case[0].get("message")


HOSTILE = ["]]><x/>", "<script>", "\x00\x1b[31m", "\u202eabc", '"&\n\t', "\ud800", "$(id)`;|"]


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_slices_stay_text(value):
    mine = measures({"country": {value: {"recall": (0.7, 600)}}}, recall=0.8)
    report = judge([parse_rule("recall >= 0.75 in each country")], mine, None, champion=None, min_samples=500)
    (case,) = cases(gates_xml("churn", report))
    assert case[0].tag == "failure"
    assert len(case) == 1
