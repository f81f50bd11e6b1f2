"""Checks run at the same time, end in time, and one that cannot look hides no other."""

import threading

import pytest

from mmcicd_jenkins.checks.finding import Finding, Told, exit_code, joined
from mmcicd_jenkins.errors import InputError, OutsideFailed
from mmcicd_jenkins.stages.doctor import Check, examine

OK = Told("git", "source").ok("source")


def check(name, look, **more):
    return Check(topic="jenkins", name=name, look=look, **more)


def failing(error):
    def look():
        raise error

    return look


def test_findings_come_in_the_order_of_the_checks():
    late = threading.Event()

    def slow():
        late.wait(5)
        return [Told("git", "slow").ok("slow")]

    def fast():
        late.set()
        return [Told("git", "fast").ok("fast")]

    found = examine([check("slow", slow), check("fast", fast)], 10)
    assert [finding.what for finding in found] == ["slow", "fast"]


def test_a_system_that_hangs_is_a_finding_and_hides_nothing():
    never = threading.Event()
    found = examine([check("hangs", lambda: [never.wait(60)]), check("source", lambda: [OK])], 0.3)
    never.set()
    assert [finding.severity for finding in found] == ["fail", "ok"]
    assert found[0].what == "Jenkins gave no answer within 0 s"
    assert found[0].code == 5


def test_an_error_becomes_a_finding_with_its_place_and_remedy():
    error = OutsideFailed(
        "it is away", where="https://j.example", why="refused", fix="start it", retryable=True
    )
    (found,) = examine([check("x", failing(error))], 5)
    assert (found.severity, found.what, found.fix, found.where, found.code) == (
        "fail", "it is away: refused", "start it", "https://j.example", 5,
    )  # fmt: skip


def test_a_mistake_of_ours_in_one_check_does_not_hide_the_others():
    found = examine([check("broken", failing(KeyError("nodes"))), check("source", lambda: [OK])], 5)
    assert [finding.severity for finding in found] == ["fail", "ok"]
    assert "bug" in found[0].what
    assert exit_code(found) == 1


def test_a_generator_that_fails_half_way_is_told_too():
    def look():
        yield OK
        raise InputError("half a pair")

    (found,) = examine([check("x", look)], 5)
    assert found.severity == "fail"
    assert found.code == 3


def test_the_same_bad_answer_to_many_checks_is_told_once():
    error = OutsideFailed("Jenkins cannot be reached", why="refused", fix="check jenkins.url")
    (found,) = examine([check(name, failing(error)) for name in ("plugins", "agents", "jobs")], 5)
    assert found.what == "Jenkins cannot be reached: refused; so not checked: plugins, agents, jobs"


def test_what_rests_on_a_check_that_could_not_look_means_nothing():
    error = InputError("there is no Jenkins at this address", fix="jenkins.url")
    missing = Told("jenkins", "plugins").fail("git is not installed", "install it")
    found = examine(
        [check("controller", failing(error)), check("plugins", lambda: [missing], rests_on="controller")], 5
    )
    assert [f.what for f in found] == [
        "there is no Jenkins at this address; so not checked: controller, plugins"
    ]


def test_what_rests_on_a_check_that_failed_after_a_look_stands():
    old = Told("jenkins", "controller").fail("too old", "update it")
    missing = Told("jenkins", "plugins").fail("git is not installed", "install it")
    found = examine(
        [check("controller", lambda: [old]), check("plugins", lambda: [missing], rests_on="controller")], 5
    )
    assert [f.what for f in found] == ["too old", "git is not installed"]


def finding(severity, code=3):
    return Finding(topic="git", check="x", severity=severity, what=f"{severity} {code}", code=code)


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ([], 0),
        ([finding("ok"), finding("warn")], 0),
        ([finding("fail", 5)], 5),
        ([finding("fail", 5), finding("fail", 3)], 3),
        ([finding("fail", 5), finding("fail", 1), finding("fail", 3)], 1),
    ],
)
def test_the_exit_code_says_whether_waiting_could_help(findings, code):
    assert exit_code(findings) == code


def test_different_failures_stay_apart():
    assert len(joined([finding("fail", 5), finding("fail", 3), finding("warn")])) == 3
