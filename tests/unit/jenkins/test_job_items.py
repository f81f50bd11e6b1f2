"""The XML of jobs: what stands in it for each kind and source, and that hostile words are data or are refused.

Layout; parameters and cron in the job; rollback inline and sandboxed, the others from main; source ids that never
change; pull requests that are trusted only when their author may push; permissions; characters.
"""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.render.job_items import PERMISSIONS_TAG, Access, access_of, desired_items, plugins_of_jobs
from mmcicd_jenkins.render.job_sources import plugin_of
from mmcicd_jenkins.render.job_xml import (
    canonical,
    class_of,
    digest,
    leaf,
    legal,
    parse,
    read_mark,
    tag_of,
    written,
)
from mmcicd_jenkins.render.jobs import cron_of

SYNC = Access(configure=("robot",))


def items_of(config, **options):
    return {item.path: item for item in desired_items(config, **options)}


def test_a_repository_has_two_folders_and_five_jobs_per_model_and_one_more(make_config) -> None:
    assert list(items_of(make_config("churn"))) == [
        "ml", "ml/ci", "ml/ops", "ml/ci/churn", "ml/ops/churn-release", "ml/ops/churn-promote",
        "ml/ops/churn-rollback", "ml/ops/churn-monitor", "ml/ci/retrain-all",
    ]  # fmt: skip


def test_one_model_brings_its_own_jobs_and_the_folders_above_them(make_config) -> None:
    paths = items_of(make_config("a", "b"), model="b")
    assert "ml/ci/b" in paths
    assert "ml/ci/a" not in paths
    assert "ml/ci/retrain-all" not in paths


def test_the_folder_may_be_deep_or_the_top(make_config) -> None:
    source = "source: {git: x}"
    deep = items_of(make_config(jenkins=f"folder: /a/b/, {source}"))
    assert list(deep)[:4] == ["a", "a/b", "a/b/ci", "a/b/ops"]
    assert [deep[path].shared for path in list(deep)[:4]] == [True, True, False, False]
    assert list(items_of(make_config(jenkins=source)))[:3] == ["ci", "ops", "ci/churn"]


def test_models_whose_jobs_would_share_a_name_are_refused(make_config) -> None:
    with pytest.raises(InputError, match="retrain-all"):
        desired_items(make_config("retrain-all"))


def test_parameters_and_the_clock_stand_in_the_job(make_config) -> None:
    items = items_of(make_config())

    def parameters(name: str) -> list[str]:
        return [e.text for e in items[f"ml/ops/churn-{name}"].tree.iterfind("properties/*/*/*/name")]

    assert parameters("release") == ["COMMIT"]
    assert parameters("promote") == ["VERSION", "REASON"]
    assert parameters("rollback") == ["VERSION", "REASON"]
    assert parameters("monitor") == []
    assert (
        items["ml/ops/churn-monitor"].tree.findtext(".//hudson.triggers.TimerTrigger/spec") == "H/5 * * * *"
    )
    assert items["ml/ops/churn-promote"].tree.find(".//hudson.triggers.TimerTrigger") is None


def test_rollback_needs_no_git_and_runs_in_the_sandbox(make_config) -> None:
    definition = items_of(make_config())["ml/ops/churn-rollback"].tree.find("definition")
    assert definition.get("class") == "org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition"
    assert definition.findtext("sandbox") == "true"
    assert "stage rollback" in definition.findtext("script")


def test_the_other_ops_jobs_come_from_the_protected_branch_alone(make_config) -> None:
    config = make_config(jenkins="folder: ml, main: trunk, source: {git: 'https://git.example/a.git'}")
    items = items_of(config)
    for name in ("release", "promote", "monitor"):
        definition = items[f"ml/ops/churn-{name}"].tree.find("definition")
        assert definition.findtext(".//hudson.plugins.git.BranchSpec/name") == "refs/heads/trunk"
        assert definition.findtext("scriptPath") == f"jenkins/churn-{name}.Jenkinsfile"


def test_a_source_keeps_its_id_whatever_else_changes(make_config) -> None:
    one = items_of(make_config("churn"))["ml/ci/churn"]
    other = items_of(make_config("churn", "fraud"))["ml/ci/churn"]
    identifier = one.tree.findtext(".//source/id")
    assert uuid.UUID(identifier).version == 5
    assert other.tree.findtext(".//source/id") == identifier
    assert items_of(make_config("churn", "fraud"))["ml/ci/fraud"].tree.findtext(".//source/id") != identifier


def test_a_multibranch_project_keeps_its_branches_for_a_while_and_scans_by_itself(make_config) -> None:
    tree = items_of(make_config())["ml/ci/churn"].tree
    assert tree.findtext("orphanedItemStrategy/daysToKeep") == "14"
    trigger = tree.find("triggers/com.cloudbees.hudson.plugins.folder.computed.PeriodicFolderTrigger")
    assert trigger.findtext("spec") == "H H/4 * * *"
    assert int(trigger.findtext("interval")) == 24 * 3600 * 1000
    assert tree.findtext("factory/scriptPath") == "jenkins/churn.Jenkinsfile"
    assert "MAX_SURVIVABILITY" in written(tree)


@pytest.mark.parametrize(
    ("source", "kind", "trust"),
    [
        ("github: acme/models", "github_branch_source.GitHubSCMSource", "ForkPullRequestDiscoveryTrait$TrustPermission"),
        ("gitlab: acme/deep/models", "GitLabSCMSource", "ForkMergeRequestDiscoveryTrait$TrustPermission"),
        ("bitbucket: acme/models", "BitbucketSCMSource", "ForkPullRequestDiscoveryTrait$TrustTeamForks"),
    ],
)  # fmt: skip
def test_a_fork_is_trusted_only_when_its_author_may_push(make_config, source, kind, trust) -> None:
    tree = items_of(make_config(jenkins=f"folder: ml, source: {{{source}}}"))["ml/ci/churn"].tree
    found = tree.find(".//source")
    assert found.get("class").endswith(kind)
    assert [e.get("class").rpartition(".")[2] for e in found.iterfind(".//trust")] == [trust]
    assert "TrustEveryone" not in written(tree)


def test_models_of_one_repository_do_not_overwrite_each_others_status(make_config) -> None:
    github = "folder: ml, source: {github: acme/models}"
    label = ".//contextLabel"
    both = items_of(make_config("a", "b", jenkins=github))
    assert [both[f"ml/ci/{m}"].tree.findtext(label) for m in "ab"] == ["jenkins/a", "jenkins/b"]
    assert items_of(make_config("a", jenkins=github))["ml/ci/a"].tree.find(label) is None
    gitlab = items_of(make_config("a", "b", jenkins="folder: ml, source: {gitlab: acme/models}"))
    assert gitlab["ml/ci/b"].tree.findtext(".//buildStatusNameCustomPart") == "jenkins/b"


def test_the_plugins_of_the_jobs_are_known_beforehand(make_config) -> None:
    needed = plugins_of_jobs(make_config("a", "b", jenkins="folder: ml, source: {github: acme/models}"))
    assert {"matrix-auth", "cloudbees-folder", "github-branch-source", "github-scm-trait-notification-context",
            "workflow-multibranch", "workflow-cps", "branch-api", "git"} <= set(needed)  # fmt: skip
    assert "github-branch-source" not in plugins_of_jobs(make_config())


def test_each_zone_reads_with_its_own_credentials(make_config) -> None:
    jenkins = "folder: ml, source: {github: a/b}, credentials: {ci: {source: app}, ops: {source: deploy-key}}"
    items = items_of(make_config(jenkins=jenkins))
    assert items["ml/ci/churn"].tree.findtext(".//credentialsId") == "app"
    assert items["ml/ops/churn-release"].tree.findtext(".//credentialsId") == "deploy-key"
    assert items["ml/ops/churn-release"].tree.findtext(".//url") == "https://github.com/a/b.git"


@pytest.mark.parametrize("source", ["", "source: {github: nobody}", "source: {github: a/b, git: c}"])
def test_a_source_that_is_none_is_refused(make_config, source) -> None:
    with pytest.raises(InputError):
        desired_items(make_config(jenkins=f"folder: ml, {source}".rstrip(", ")))


# --- permissions


def grants(item) -> set[str]:
    return {e.text.removeprefix("hudson.model.Item.") for e in item.tree.iter("permission")}


def test_in_ops_people_press_and_only_who_synchronises_configures(make_config) -> None:
    items = items_of(make_config(), access=SYNC)
    assert {"Build:ml-approvers", "Read:ml-approvers", "Build:ml-oncall", "Configure:robot"} <= grants(
        items["ml/ops"]
    )
    assert {g for g in grants(items["ml/ops"]) if g.startswith(("Configure", "Create", "Delete"))} == {
        "Configure:robot", "Create:robot", "Delete:robot",
    }  # fmt: skip
    closed = items["ml/ops"].tree.find(f"properties/{PERMISSIONS_TAG}/inheritanceStrategy").get("class")
    assert closed.endswith("NonInheritingStrategy")
    assert grants(items["ml/ci"]) == set()


def test_who_builds_in_ci_is_told_by_the_file(make_config) -> None:
    config = make_config(jenkins="folder: ml, source: {git: x}, permissions: {ci: [ml], sync: [robot]}")
    items = items_of(config, access=access_of(config, "somebody-else"))
    assert {"Build:ml", "Read:ml", "Configure:robot"} <= grants(items["ml/ci"])
    assert "Configure:ml" not in grants(items["ml/ci"])
    assert "Read:ml" in grants(items["ml/ops"])
    assert "Build:ml" not in grants(items["ml/ops"])


def test_without_an_account_no_permission_is_written(make_config) -> None:
    assert not any(grants(item) for item in desired_items(make_config(), access=Access()))


# --- characters


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=40))
def test_any_text_comes_back_from_the_xml_or_is_refused(text: str) -> None:
    try:
        xml = written(leaf("x", text))
    except InputError as e:
        assert "U+" in e.what
        return
    assert (parse(xml).text or "") == legal(text, "x")


@pytest.mark.parametrize("character", ["\x00", "\x07", "\x1b", "\ufffe", "\ud800"])
def test_what_no_xml_can_hold_is_refused_with_a_sentence(character: str) -> None:
    with pytest.raises(InputError, match=f"U\\+{ord(character):04X}"):
        leaf("x", f"before{character}after")


def test_markup_in_a_value_stays_a_value(make_config) -> None:
    hostile = "]]></script><x/>&lt;"
    config = make_config(jenkins=f"folder: ml, source: {{git: '{hostile}'}}")
    tree = parse(items_of(config)["ml/ci/churn"].xml)
    assert tree.findtext(".//remote") == hostile
    assert tree.find(".//x") is None


def test_names_of_classes_are_escaped_as_xstream_does() -> None:
    name = "org.jenkinsci.plugins.github_branch_source.Fork$Trust"
    assert tag_of(name) == "org.jenkinsci.plugins.github__branch__source.Fork_-Trust"
    assert class_of(tag_of(name)) == name
    assert plugin_of(name) == "github-branch-source"


# --- the mark


def test_the_mark_is_the_digest_of_everything_but_itself(make_config) -> None:
    item = items_of(make_config())["ml/ops/churn-promote"]
    mark = read_mark(item.tree.findtext("description"))
    assert mark.digest == item.digest
    assert item.digest == digest(item.tree)
    item.tree.find("definition/scriptPath").text = "other"
    assert item.digest != digest(item.tree)
    assert read_mark("somebody's words") is None
    assert read_mark(None) is None


def test_white_space_and_plugin_versions_are_no_difference() -> None:
    one = parse("<a plugin='git@1'><b>x</b></a>")
    other = parse("<?xml version='1.1' encoding='UTF-8'?>\n<a plugin='git@2'>\n  <b> x\n</b>\n</a>\n")
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("seconds", "cron"),
    [(10, "* * * * *"), (60, "* * * * *"), (300, "H/5 * * * *"), (420, "H/6 * * * *"), (1800, "H/30 * * * *"),
     (3600, "H * * * *"), (2400, "H * * * *"), (18000, "H H/4 * * *"), (86400, "H H * * *"), (9e5, "H H * * *")],
)  # fmt: skip
def test_a_clock_that_cron_can_express(seconds: float, cron: str) -> None:
    assert cron_of(seconds) == cron
