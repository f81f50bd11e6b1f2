"""Two releases side by side."""

import dataclasses

from mmcicd_jenkins.release.records import GateReport, Release
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.reports.diff import compare, diff_markdown, diff_releases

ONE = Release(
    model="churn",
    version=7,
    run_id="sha256:1",
    commit="aaa",
    branch="main",
    author="Ana",
    data={"customers": "sha256:d1"},
    parameters={"epochs": 20, "layers": [64, 32]},
    metrics={"recall": 0.824, "log_loss": 0.3, "gone": 1.0, "none": None},
    gates=GateReport(verdict=Verdict.PASSED, outcomes=(), champion=None, reason="passed"),
    model_digest="sha256:m1",
    model_size=1000,
    layers=(),
    image_digest="sha256:i1",
    evaluation="",
    manifest_digest="",
    builder="here",
    created="2026-01-01T00:00:00+00:00",
)
TWO = dataclasses.replace(
    ONE,
    version=8,
    parameters={"epochs": 40, "layers": [64, 32]},
    metrics={"recall": 0.831, "log_loss": 0.35, "none": 0.5, "new|one": 2.0},
    model_digest="sha256:m2",
    branch="fix/`$(id)`|x",
)


def test_metrics_have_a_change_and_a_direction():
    found = {d.name: (d.left, d.right, d.change, d.direction) for d in diff_releases(ONE, TWO).metrics}
    assert found == {
        "recall": ("0.824", "0.831", "+0.007", "better"),
        "log_loss": ("0.300", "0.350", "+0.050", "worse"),
        "gone": ("1.000", "-", "", ""),
        "none": ("-", "0.500", "", ""),
        "new|one": ("-", "2", "", ""),
    }


def test_only_inputs_that_differ_are_told():
    found = {d.name: (d.left, d.right) for d in diff_releases(ONE, TWO).inputs}
    assert found == {
        "parameter epochs": ("20", "40"),
        "model": ("sha256:m1", "sha256:m2"),
        "branch": ("main", "fix/`$(id)`|x"),
    }


def test_rows_for_a_terminal_and_tables_for_a_pull_request():
    rows = compare(ONE, TWO)
    assert rows[0] == ("recall", "0.824", "0.831", "+0.007")
    markdown = diff_markdown(diff_releases(ONE, TWO))
    assert "| churn&#64;7" in markdown or "churn@\N{ZERO WIDTH SPACE}7" in markdown
    for block in markdown.strip().split("\n\n"):
        assert len({line.count("|") for line in block.splitlines()}) == 1


def test_a_release_differs_from_itself_in_nothing():
    diff = diff_releases(ONE, ONE)
    assert diff.inputs == ()
    assert {d.change for d in diff.metrics} <= {"", "±0"}
    assert "Same commit" in diff_markdown(diff)
    assert diff.to_json()["left"] == "churn@7"
