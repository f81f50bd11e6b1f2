"""What doctor makes of a controller: version, account, address, clock, plugins, reports, security."""

import pytest

from mmcicd_jenkins.checks import controller
from mmcicd_jenkins.ports.doctor import ControllerFacts, PluginFacts, SecurityFacts, Served

NEEDED = {"git": "checkout", "junit": "test results"}
DEFAULT_POLICY = "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self';"


def facts(**changed):
    usual = {"version": "2.568.2", "account": "admin", "url": "https://j.example/", "ahead_seconds": 0.2}
    return ControllerFacts(**{**usual, **changed})


def told(findings):
    return [(finding.severity, finding.what) for finding in findings]


def severities(findings):
    return [finding.severity for finding in findings]


def having(**states):
    every = dict.fromkeys(controller.asked(NEEDED), "active")
    every.update({name.replace("_", "-"): state for name, state in states.items()})
    return {name: PluginFacts(state=state, version="1") for name, state in every.items()}


def test_a_good_controller_is_named_with_its_version():
    (found,) = controller.version(facts())
    assert (found.severity, found.title, found.what) == ("ok", "Jenkins 2.568.2", "your token (admin)")


@pytest.mark.parametrize("version", ["2.540.3", "2.99", "1.651"])
def test_a_controller_that_is_too_old_fails_and_says_what_is_new_enough(version):
    found = next(f for f in controller.version(facts(version=version)) if f.severity == "fail")
    assert version in found.what
    assert "2.541" in found.what
    assert "2.541" in found.fix


@pytest.mark.parametrize("version", ["2.541", "2.541.2", "2.579-SNAPSHOT", "3.0"])
def test_newer_controllers_do(version):
    assert severities(controller.version(facts(version=version))) == ["ok"]


def test_a_proxy_that_hides_the_version_is_told_and_not_guessed():
    assert severities(controller.version(facts(version=""))) == ["warn", "ok"]


def test_nobody_in_particular_is_a_failure_with_the_variables_to_set():
    (found,) = controller.version(facts(account=""))
    assert found.severity == "fail"
    assert "MMCICD_JENKINS_TOKEN" in found.fix


def test_a_controller_that_prepares_to_shut_down_builds_nothing():
    assert ("fail", "Jenkins prepares to shut down and starts no build") in told(
        controller.version(facts(quieting_down=True))
    )


@pytest.mark.parametrize(
    ("believes", "written", "severity"),
    [
        ("https://j.example/", "https://j.example", "ok"),
        ("https://J.example:443/", "https://j.example/", "ok"),
        ("https://j.example/jenkins/", "https://j.example", "warn"),
        ("http://j.example/", "https://j.example", "warn"),
        ("http://localhost:8080/", "https://j.example", "warn"),
        ("", "https://j.example", "fail"),
    ],
)
def test_the_address_is_compared_as_an_address(believes, written, severity):
    assert severities(controller.address(facts(url=believes), written, "mmcicd.yaml:1:1")) == [severity]


@pytest.mark.parametrize(("ahead", "word"), [(61.0, "ahead of"), (-400.0, "behind")])
def test_a_wrong_clock_is_told_with_its_direction(ahead, word):
    (found,) = controller.clock(facts(ahead_seconds=ahead))
    assert found.severity == "warn"
    assert word in found.what
    assert f"{abs(ahead):.0f} s" in found.what


def test_a_clock_that_is_not_told_is_not_judged():
    assert list(controller.clock(facts(ahead_seconds=None))) == []
    assert severities(controller.clock(facts(ahead_seconds=-59.0))) == ["ok"]


@pytest.mark.parametrize(
    ("state", "words"),
    [("missing", "is not installed"), ("disabled", "is disabled"), ("failed", "did not start")],
)
def test_a_plugin_that_does_not_run_is_named_with_its_use_and_a_remedy(state, words):
    found = next(f for f in controller.plugins(NEEDED, having(git=state)) if f.severity == "fail")
    assert "git" in found.what
    assert words in found.what
    assert "checkout" in found.what
    assert "git" in found.fix


def test_all_plugins_that_are_missing_are_one_finding_with_one_command():
    found = [
        f for f in controller.plugins(NEEDED, having(git="missing", junit="missing")) if f.severity == "fail"
    ]
    assert len(found) == 1
    assert found[0].fix.startswith("jenkins-plugin-cli --plugins git junit")


def test_a_plugin_that_nobody_told_of_is_missing():
    assert "fail" in severities(controller.plugins(NEEDED, {}))


def test_versions_that_are_not_shown_are_said_to_be_hidden():
    assert told(controller.plugins(NEEDED, having(git="present", junit="present"))) == [
        ("ok", "2 plugins (their versions are not shown to you)")
    ]


def test_a_plugin_that_only_lists_others_is_not_missed_where_the_others_are():
    needed = {"workflow-aggregator": "pipelines"}
    found = {name: PluginFacts(state="active") for name in controller.asked(needed)}
    found["workflow-aggregator"] = PluginFacts(state="missing")
    assert severities(controller.plugins(needed, found)) == ["ok"]
    found["pipeline-input-step"] = PluginFacts(state="missing")
    failed = next(f for f in controller.plugins(needed, found) if f.severity == "fail")
    assert "pipeline-input-step" in failed.what
    assert "workflow-aggregator" not in failed.what


@pytest.mark.parametrize("plugin", ["matrix_auth", "pipeline_rest_api"])
def test_what_is_only_wished_for_is_a_warning_with_what_is_lost(plugin):
    found = list(controller.plugins(NEEDED, having(**{plugin: "missing"})))
    assert severities(found) == ["ok", "warn"]
    assert plugin.replace("_", "-") in found[1].what


def test_reports_are_readable_under_the_default_policy():
    assert told(controller.reports(Served(policy=DEFAULT_POLICY))) == [("ok", "reports are readable")]


@pytest.mark.parametrize(
    ("policy", "blocked"),
    [
        ("default-src 'none'", "style and images"),
        ("default-src 'none'; style-src 'self'", "images"),
        ("default-src 'none'; img-src *; style-src 'unsafe-inline'", "style"),
    ],
)
def test_a_stricter_policy_names_what_it_blocks(policy, blocked):
    (found,) = controller.reports(Served(policy=policy))
    assert found.severity == "warn"
    assert f"blocks {blocked} of" in found.what


def test_no_policy_is_a_danger_and_a_domain_of_its_own_is_none():
    assert severities(controller.reports(Served(policy=""))) == ["warn"]
    assert severities(controller.reports(Served(policy="", own_domain=True))) == ["ok"]


def test_reports_that_nobody_looked_at_are_no_ok():
    (found,) = controller.reports(None)
    assert found.severity == "warn"
    assert "not checked" in found.what


def test_scripts_that_wait_and_secrets_that_are_ignored_are_told():
    found = list(controller.security(SecurityFacts(pending_approvals=True, interpolation="ignore")))
    assert severities(found) == ["warn", "warn"]
    assert "=fail" in found[1].fix
    assert severities(controller.security(SecurityFacts(pending_approvals=False, interpolation="warn"))) == [
        "ok"
    ]


def test_what_only_administrators_see_is_not_claimed():
    assert list(controller.security(SecurityFacts())) == []
