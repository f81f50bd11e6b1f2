"""The report of a monitor: what it says and shows, hostile words, nothing to show, and times from minutes to weeks."""

import re

import pytest

from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.release.monitor_memory import Point
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.reports.watched import WatchedRecord, write_watched_report

NOON = 1_795_521_600.0  # 2026-11-24 12:00 UTC


def record(points, **changed):
    standing = {
        "model": "fraud",
        "environment": "production",
        "version": 8,
        "verdict": Verdict.FAILED,
        "action": "rollback",
        "said": "production 8: errors: 80 bad of 164 requests; production 8 -> 7 in 38.0 s; 8 is revoked",
        "checks": [
            {"name": "ready", "verdict": "passed", "reason": "version 8 is available"},
            {"name": "errors", "verdict": "failed", "reason": "errors: 80 bad of 164 requests"},
        ],
        "points": points,
        "since": NOON - 3600,
        "until": NOON + 23 * 3600,
        "availability": 0.999,
        "latency_p99_seconds": 0.08,
    }
    return WatchedRecord(**(standing | changed))


def points(count, every=300.0):
    return [
        Point(at=NOON - (count - 1 - n) * every, requests=100, bad=n, p99=0.05 + 0.01 * n)
        for n in range(count)
    ]


def test_it_says_why_and_shows_the_watched_time(tmp_path):
    page = write_watched_report(tmp_path, record(points(14))).read_text()
    assert "fraud 8: failed" in page
    assert "8 is revoked" in page
    assert "2026-11-24 11:00 UTC" in page
    assert re.findall(r'<img src="(report/\w+\.svg)"', page) == ["report/errors.svg", "report/latency.svg"]
    errors = (tmp_path / "report" / "errors.svg").read_text()
    assert {"promised", "decided", "took over", "failed"} <= set(re.findall(r">([a-z ]+)<", errors))
    assert "91 of 1,400 requests failed; 0.1 % may" in page


def test_it_shows_alike_under_any_policy(tmp_path):
    page = write_watched_report(tmp_path, record(points(3))).read_text()
    for forbidden in ("style=", "<script", "data:", "http:", "<style"):
        assert forbidden not in page
    assert (tmp_path / "report.css").exists()


def test_words_of_the_world_are_text(tmp_path):
    hostile = "<script>alert(1)</script> \x1b[2J \u202e"
    changed = {"said": hostile, "checks": [{"name": "errors", "verdict": "failed", "reason": hostile}]}
    page = write_watched_report(tmp_path, record(points(2), **changed)).read_text()
    assert "<script>" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_nothing_seen_yet_has_no_picture(tmp_path):
    page = write_watched_report(tmp_path, record([], since=0.0, until=0.0)).read_text()
    assert "<img" not in page
    assert "watched until" not in page


@pytest.mark.parametrize("every", [1.0, 60.0, 300.0, 3600.0, 86400.0])
@pytest.mark.parametrize("count", [1, 2, 50])
def test_times_are_round_and_few(tmp_path, count, every):
    write_watched_report(tmp_path, record(points(count, every)))
    drawn = (tmp_path / "report" / "latency.svg").read_text()
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", drawn)
    ticks = [text for text in texts if re.fullmatch(r"\d\d:\d\d|\d\d \w{3}( \d\d:\d\d)?", text)]
    assert 1 <= len(ticks) <= 8, texts


def test_gaps_are_times_without_an_answer(tmp_path):
    quiet = [Point(at=NOON + 60 * n, requests=0, bad=0, p99=-1.0) for n in range(5)]
    page = write_watched_report(tmp_path, record(quiet)).read_text()
    assert "nothing was answered" in page


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutsideFailed, match="cannot be written"):
        write_watched_report(tmp_path / "file", record([]))
