"""What must hold in every generated pipeline, whatever the configuration: a file that breaks one is not approved.

We test these aspects: shells are literals; approvals name who; nothing waits while it holds an agent or a lock;
who has no rights is given no credentials; a plan cannot sign; a rollback needs nothing; the top of a file tells
its plugins.
"""

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.config.model import Config, Pod
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.render.agents import pod_yaml
from mmcicd_jenkins.render.coordinates import coordinates
from mmcicd_jenkins.render.jenkinsfile import render_jenkinsfiles
from mmcicd_jenkins.render.plugins import plugins_of

GOLDEN = Path(__file__).parents[2] / "golden"
STORIES = sorted(GOLDEN.glob("*/mmcicd.yaml"))
LITERAL = r"'(?:[^'\\]|\\.)*'"
SHELL = re.compile(rf"sh\(label: {LITERAL}, returnStatus: true, script: {LITERAL}\)$")


def config(story: str) -> Config:
    return load_config(GOLDEN / story / "mmcicd.yaml", environ={})


def files(kind: str = "") -> list[tuple[str, str]]:
    """Every generated file, or those of one pipeline; CI files end in the name of a model."""
    rendered = [
        (f"{story.parent.name}/{path}", text)
        for story in STORIES
        for path, text in render_jenkinsfiles(load_config(story, environ={})).items()
    ]
    return [(name, text) for name, text in rendered if name.endswith(f"{kind}.Jenkinsfile")]


def stages(text: str) -> dict[str, str]:
    """Title -> text of each top-level stage."""
    parts = re.split(rf"^    stage\(({LITERAL})\) \{{$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(("name", "text"), files())
def test_a_shell_is_one_literal_with_a_label(name: str, text: str) -> None:
    shells = [line.strip() for line in text.splitlines() if re.search(r"\bsh\b *\(|\bsh [\"'l]", line)]
    assert shells, name
    for line in shells:
        assert SHELL.search(line), line
    assert len(shells) <= len(stages(text))


@pytest.mark.parametrize(("name", "text"), files())
def test_no_text_leaves_room_for_values(name: str, text: str) -> None:
    """Double quotes are where Groovy fills values in; outside literals there are none."""
    code = "\n".join(line for line in text.splitlines() if not line.startswith("//"))
    bare = re.sub(LITERAL, "''", re.sub(r"'''\\\n(?:[^'\\]|\\.)*'''", "''", code))
    assert '"' not in bare, name
    assert "$" not in bare, name
    assert "/*" not in bare, name


@pytest.mark.parametrize(("name", "text"), files())
def test_every_stage_ends_and_no_command_is_tried_blindly(name: str, text: str) -> None:
    for title, stage in stages(text).items():
        assert "timeout(time: " in stage or title == "'Release'", (name, title)
    assert "retry(" not in text
    assert text.count("retries 2") == len(re.findall(r"^      agent \{", text, re.MULTILINE))


@pytest.mark.parametrize(("name", "text"), files())
def test_conditions_come_before_agents_and_locks(name: str, text: str) -> None:
    for title, stage in stages(text).items():
        if "      when {" in stage and "      agent {" in stage:
            assert "beforeAgent true" in stage, (name, title)
            assert "beforeOptions true" in stage, (name, title)
        for match in re.finditer(r"^( *)lock\(", stage, re.MULTILINE):
            assert len(match[1]) == 8, "a lock is an option: as a step it would hold the agent"


@pytest.mark.parametrize(("name", "text"), files())
def test_parameters_and_clocks_are_in_the_jobs(name: str, text: str) -> None:
    assert not re.search(r"^ *(parameters|triggers) \{", text, re.MULTILINE), name


@pytest.mark.parametrize(("name", "text"), files())
def test_exit_codes_mean_the_same_everywhere(name: str, text: str) -> None:
    ours = {title: stage for title, stage in stages(text).items() if "--summary=" in stage}
    for title, stage in ours.items():
        asks = "if (code == 6) { env.MMCICD_UNDECIDED = said }" in stage
        assert asks == (title == "'Canary'")
        refused = (
            "if (code == 4) { unstable(said) }" if asks else "if (code == 4 || code == 6) { unstable(said) }"
        )
        assert refused in stage
        assert "if (code == 75) { currentBuild.result = 'NOT_BUILT'; error(said) }" in stage
        assert "if (code == 130 || code == 143) { currentBuild.result = 'ABORTED'; error(said) }" in stage
        assert "else if (code != 0) { error(said) }" in stage
        assert "currentBuild.description = said" in stage


def test_a_question_about_a_canary_holds_nothing_and_silence_takes_it_back() -> None:
    text = dict(files("-promote"))["platform/jenkins/fraud-promote.Jenkinsfile"]
    asked = stages(text)["'Inconclusive'"]
    assert "agent" not in asked
    assert "lock(" not in asked
    assert "submitter: 'ml-approvers'" in asked
    assert asked.count("take back (nobody answered in time, or the question was stopped)") == 2
    assert "expression { env.MMCICD_UNDECIDED != null }" in asked
    again = stages(text)["'Canary again'"]
    assert "expression { env.MMCICD_ANSWER != null }" in again
    assert '${MMCICD_ANSWER:+--answer="$MMCICD_ANSWER"}' in again
    assert "if (code == 4 || code == 6) { unstable(said) }" in again


@pytest.mark.parametrize(("name", "text"), files("-promote"))
def test_an_approval_holds_nothing_names_who_and_ends(name: str, text: str) -> None:
    if name.endswith("a-promote.Jenkinsfile"):  # the CI of a model with an unfortunate name
        return
    approve = stages(text)["'Approve'"]
    assert "agent" not in approve
    assert "lock(" not in approve
    assert re.search(r"submitter: '[^']", approve)
    assert "submitterParameter: 'APPROVER'" in approve
    assert "id: 'Promote'" in approve
    assert re.search(r"timeout\(time: [1-9][0-9]*, unit: 'MINUTES'\)", approve)
    assert approve.index("milestone 10") < approve.index("input(") < approve.index("milestone 20")
    assert "choices: env.MMCICD_CHOICES" in approve
    assert "disableRestartFromStage()" in text
    assert "lock(resource: " in stages(text)["'Promote'"]


@pytest.mark.parametrize("four_eyes", [True, False])
def test_four_eyes_is_a_setting(four_eyes: bool) -> None:
    given = config("platform")
    approval = dataclasses.replace(given.production.approval, four_eyes=four_eyes)
    place = dataclasses.replace(given.production, approval=approval)
    changed = dataclasses.replace(given, environments={**given.environments, place.name: place})
    text = render_jenkinsfiles(changed, "fraud")["jenkins/fraud-promote.Jenkinsfile"]
    assert ("You started this promotion; another member of ml-approvers must approve." in text) == four_eyes


@pytest.mark.parametrize(("name", "text"), files("-rollback"))
def test_a_rollback_needs_no_git_no_index_and_no_lock(name: str, text: str) -> None:
    rollback = stages(text)["'Rollback'"]
    for word in ("checkout", "mmcicdw ", "lock(", "input(", "milestone", "unstash"):
        assert word not in rollback, (name, word)
    assert "writeFile file: 'mmcicd.yaml'" in rollback
    assert rollback.index("deleteDir()") < rollback.index("writeFile")
    assert next(iter(stages(text))) == "'Rollback'"
    assert "disableRestartFromStage()" in text


def test_nothing_of_a_team_stands_before_a_rollback() -> None:
    given = config("platform")
    with pytest.raises(InputError, match="before a rollback"):
        render_jenkinsfiles(dataclasses.replace(given, hooks={"before_rollback": "./ask.sh"}))


def test_the_coordinates_are_a_configuration_that_loads(tmp_path: Path) -> None:
    for story in ("platform", "pods-and-places", "hooks-and-two-stagings"):
        given = config(story)
        model = next(iter(given.models.values()))
        (tmp_path / "mmcicd.yaml").write_text(coordinates(given, model, given.production))
        found = load_config(tmp_path, environ={})
        assert list(found.models) == [model.name]
        for key in ("name", "kind", "folder", "host", "rest_port", "grpc_port", "cluster", "namespace"):
            assert getattr(found.production, key) == getattr(given.production, key)
        assert found.store.registry == given.store.registry
        if story != "hooks-and-two-stagings":
            assert found.ledger == given.ledger


def test_public_keys_ride_along_where_there_is_no_checkout(tmp_path: Path) -> None:
    given = dataclasses.replace(config("platform"), root=tmp_path)
    (tmp_path / "mmcicd.keys").write_text('{"keys": ["it\'s \\\\u0027"]}\n')
    text = render_jenkinsfiles(given, "fraud")["jenkins/fraud-rollback.Jenkinsfile"]
    assert "writeFile file: 'mmcicd.keys'" in text


def test_forks_are_given_nothing() -> None:
    for name, text in files():
        if not re.search(r"expected|-(release|promote|rollback|monitor)\.|retrain-all", name):
            for title, stage in stages(text).items():
                guarded = "env.CHANGE_FORK == null" in stage or "not { changeRequest() }" in stage
                if not guarded and title != "'Release'":
                    assert "withCredentials" not in stage, (name, title)
                    assert title in {"'Prepare'", "'Test'"}, (name, title)


def test_branches_and_pull_requests_are_settings() -> None:
    given = config("platform")
    assert given.jenkins
    for settings, words in (
        ({"pull_requests": {"train": "none"}}, "not { changeRequest() }"),
        ({"branches": {"train": "main"}}, "env.CHANGE_ID != null || env.BRANCH_NAME == 'main'"),
    ):
        jenkins = dataclasses.replace(given.jenkins, **settings)
        text = render_jenkinsfiles(dataclasses.replace(given, jenkins=jenkins), "fraud")
        for title in ("'Data'", "'Train'", "'Evaluate'"):
            assert words in stages(text["jenkins/fraud.Jenkinsfile"])[title]


def test_training_is_ended_by_itself_before_jenkins_ends_it() -> None:
    given = config("platform")
    text = render_jenkinsfiles(given, "fraud")["jenkins/fraud.Jenkinsfile"]
    found = re.search(r"timeout\(time: (\d+)", stages(text)["'Train'"])
    assert found
    assert int(found[1]) * 60 > given.models["fraud"].train.timeout_seconds


def test_a_pod_is_asked_for_what_the_model_needs() -> None:
    pod = Pod(
        image="i:1", cpu=1.5, memory_bytes=3 * 2**30, shared_memory_bytes=2**20 + 1, checkpoints="claim"
    )
    document = yaml.safe_load(pod_yaml(pod, 2))
    container = document["spec"]["containers"][0]
    assert container["resources"]["limits"] == {"cpu": "1500m", "memory": "3Gi", "nvidia.com/gpu": 2}
    assert container["resources"]["limits"] == container["resources"]["requests"]
    assert {v["name"] for v in document["spec"]["volumes"]} == {m["name"] for m in container["volumeMounts"]}
    assert document["spec"]["volumes"][0]["emptyDir"]["sizeLimit"] == str(2**20 + 1)
    assert document["spec"]["automountServiceAccountToken"] is False
    assert document["spec"]["restartPolicy"] == "Never"


@pytest.mark.parametrize("value", ["a: b", "'; evil()\n- x", "\\u000a", "${env.X}", "yes", "{{ 7 }}", "'''"])
def test_hostile_words_stay_what_they_are_in_a_pod(value: str) -> None:
    pod = Pod(image=value, node_selector={value: value}, service_account=value, namespace=value)
    document = yaml.safe_load(pod_yaml(pod, 0))
    assert document["spec"]["containers"][0]["image"] == value
    assert document["spec"]["nodeSelector"] == {value: value}
    assert document["metadata"]["namespace"] == value


@pytest.mark.parametrize(("name", "text"), files())
def test_the_top_of_a_file_tells_its_plugins_and_how_to_change_it(name: str, text: str) -> None:
    top = text.partition("pipeline {")[0]
    for step, plugin in (
        ("lock(", "lockable-resources"),
        ("withCredentials(", "credentials-binding"),
        ("junit ", "junit"),
        ("kubernetes {", "kubernetes"),
        ("checkout", "git"),
    ):
        body = text.partition("pipeline {")[2]
        assert (f"//   {plugin}: " in top) == (step in body), (name, plugin)
    assert "mmcicd-jenkins generate" in top
    assert all(line.startswith("//") for line in top.splitlines())


def test_the_plugins_of_a_configuration() -> None:
    found = plugins_of(config("platform"))
    assert {"workflow-aggregator", "git", "junit", "lockable-resources", "github-branch-source"} <= set(found)
    assert "kubernetes" not in found
    assert "kubernetes" in plugins_of(config("pods-and-places"))


def test_a_model_may_not_take_the_name_of_a_file_of_ours() -> None:
    given = config("platform")
    model = dataclasses.replace(given.models["fraud"], name="retrain-all")
    with pytest.raises(InputError, match="share"):
        render_jenkinsfiles(dataclasses.replace(given, models={"retrain-all": model}))


@pytest.mark.parametrize(("name", "text"), [f for f in files("-promote") if "stage('Approve')" in f[1]])
def test_a_plan_that_nobody_approved_cannot_sign(name: str, text: str) -> None:
    assert "MMCICD_SIGNING_KEY" not in stages(text)["'Plan'"], name


def test_who_looks_every_few_minutes_cannot_deploy_where_two_logins_are_named() -> None:
    """The second stage decides again, by the login that may; nothing is handed to it but that it is needed."""
    looks, acts = stages(
        render_jenkinsfiles(config("platform"))["jenkins/fraud-monitor.Jenkinsfile"]
    ).values()
    assert "credentialsId: 'kubeconfig-production-monitor', variable: 'KUBECONFIG'" in looks
    assert "'kubeconfig-production'" not in looks
    assert "--look-only" in looks
    assert "credentialsId: 'kubeconfig-production', variable: 'KUBECONFIG'" in acts
    assert "'kubeconfig-production-monitor'" not in acts
    assert "--look-only" not in acts
    assert "expression { env.MMCICD_LEAVE == 'no' }" in acts


def test_with_one_login_one_stage_looks_and_acts() -> None:
    story = config("platform")
    assert story.jenkins
    ops = {use: one for use, one in story.jenkins.credentials["ops"].items() if use != "production-monitor"}
    jenkins = dataclasses.replace(story.jenkins, credentials={**story.jenkins.credentials, "ops": ops})
    rendered = render_jenkinsfiles(dataclasses.replace(story, jenkins=jenkins))
    (only,) = stages(rendered["jenkins/fraud-monitor.Jenkinsfile"]).values()
    assert "credentialsId: 'kubeconfig-production', variable: 'KUBECONFIG'" in only
    assert "--look-only" not in only
