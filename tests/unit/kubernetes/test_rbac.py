"""What `render rbac` gives to an administrator: accounts, Roles with reasons, and nothing wider."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from mmcicd_jenkins.cli.render import command
from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.errors import UsageError
from mmcicd_jenkins.render.rbac import Subject, render_rbac
from mmcicd_jenkins.render.rbac_page import rbac_page
from mmcicd_jenkins.render.rights import dangers, questions, rights

MODEL = "{train: 'true', evaluate: {command: 'true'}, gates: [accuracy >= 0.9]}"
PLACE = "kind: kubernetes, cluster: 'https://k8s.example:6443', namespace: ml, replicas: 3"
STAGING = PLACE.replace("namespace: ml", "namespace: ml-staging")


@pytest.fixture
def repository(tmp_path, monkeypatch):
    def make(*, more="", models=("churn",), staging=STAGING):
        listed = "".join(f"  {name}: {MODEL}\n" for name in models)
        text = f"models:\n{listed}environments:\n  staging: {{{staging}}}\n  production: {{{PLACE}{more}}}\n"
        (tmp_path / "mmcicd.yaml").write_text(text)
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return make


@pytest.fixture
def config(repository):
    return lambda **changed: load_config(Path(repository(**changed)), environ={})


def render(*arguments):
    done = CliRunner().invoke(command, ["rbac", *arguments], standalone_mode=False)
    if done.exception:
        raise done.exception
    return done.output


def roles(documents):
    return {each["metadata"]["name"]: each["rules"] for each in documents if each["kind"] == "Role"}


def granted(rules):
    return {
        (group, resource, verb, name)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", ("",))
    }


def test_each_account_has_a_role_a_binding_and_nothing_else(config):
    documents = render_rbac(loaded := config(), loaded.production)
    accounts = [each["metadata"]["name"] for each in documents if each["kind"] == "ServiceAccount"]
    assert accounts == ["mmcicd-deployer", "mmcicd-monitor"]
    assert {each["kind"] for each in documents} == {"ServiceAccount", "Role", "RoleBinding", "ConfigMap"}
    assert all(each["metadata"]["namespace"] == "ml" for each in documents)
    for each in documents:
        if each["kind"] == "RoleBinding":
            assert each["roleRef"]["name"] == each["metadata"]["name"]
            assert each["subjects"][0]["name"] in accounts


def test_no_role_has_what_no_account_may(config):
    for rules in roles(render_rbac(loaded := config(), loaded.production)).values():
        given = granted(rules)
        assert not any("*" in part for entry in given for part in entry)
        for danger in dangers("ml"):
            asked = danger.question
            if asked.namespace == "ml":
                assert (asked.group, asked.resource, asked.verb, "") not in given
        assert "secrets" not in {resource for _, resource, _, _ in given}


def test_what_doctor_asks_is_what_the_role_gives(config):
    loaded = config(more=", autoscale: {max: 9}")
    documents = render_rbac(loaded, loaded.production)
    for account in ("deployer", "monitor"):
        asked = questions(rights(account, loaded.production, tuple(loaded.models)), "ml")
        given = {
            entry
            for name, rules in roles(documents).items()
            if name.startswith(f"mmcicd-{account}")
            for entry in granted(rules)
        }
        assert given == {(each.group, each.resource, each.verb, each.name) for each in asked}


def test_an_autoscaler_is_made_only_where_there_is_one(config):
    loaded = config(more=", autoscale: {max: 9}, ingress: {host: churn.example}")

    def verbs(place):
        rules = roles(render_rbac(loaded, place))["mmcicd-deployer"]
        return {rule["resources"][0]: rule["verbs"] for rule in rules}

    wide, narrow = verbs(loaded.production), verbs(loaded.environments["staging"])
    assert wide["horizontalpodautoscalers"] == ["get", "create", "patch"]
    assert narrow["horizontalpodautoscalers"] == ["get", "patch"]  # one of before is stopped
    assert "ingresses" in wide
    assert "ingresses" not in narrow


def test_no_account_may_delete_what_serves(config):
    for rules in roles(render_rbac(loaded := config(), loaded.production)).values():
        deleted = {entry for entry in granted(rules) if entry[2] == "delete"}
        assert {name for *_, name in deleted} <= {"churn-canary", "churn-preview"}


def test_the_monitor_writes_one_object_of_each_model_and_may_not_create_any(config):
    loaded = config(models=("churn", "fraud"))
    documents = render_rbac(loaded, loaded.production)
    found = roles(documents)
    assert {verb for _, _, verb, _ in granted(found["mmcicd-monitor"])} <= {"get", "list"}
    for model in ("churn", "fraud"):
        (rule,) = found[f"mmcicd-monitor-{model}"]
        assert rule["resourceNames"] == [f"{model}-monitor"]
        assert "create" not in rule["verbs"]
    memories = [each for each in documents if each["kind"] == "ConfigMap"]
    assert [each["metadata"]["name"] for each in memories] == ["churn-monitor", "fraud-monitor"]
    assert not any("data" in each for each in memories)  # applied again it must not forget anything


def test_two_repositories_in_one_namespace_do_not_take_each_others_rights(config):
    one, other = config(models=("churn",)), config(models=("fraud",))
    first = {
        each["metadata"]["name"]: each for each in render_rbac(one, one.production) if each["kind"] == "Role"
    }
    second = {
        each["metadata"]["name"]: each
        for each in render_rbac(other, other.production)
        if each["kind"] == "Role"
    }
    shared = first.keys() & second.keys()
    assert shared == {"mmcicd-deployer", "mmcicd-monitor"}
    assert all(first[name] == second[name] for name in shared)


def test_somebody_who_is_there_already_is_given_the_role(config):
    loaded = config()
    given = {
        "deployer": Subject(kind="group", name="oidc:ml-ops"),
        "monitor": Subject(kind="account", namespace="jenkins", name="agent"),
    }
    documents = render_rbac(loaded, loaded.production, given)
    subjects = {
        each["metadata"]["name"]: each["subjects"] for each in documents if each["kind"] == "RoleBinding"
    }
    assert "ServiceAccount" not in {each["kind"] for each in documents}
    api = "rbac.authorization.k8s.io"
    assert subjects["mmcicd-deployer"] == [{"kind": "Group", "name": "oidc:ml-ops", "apiGroup": api}]
    agent = {"kind": "ServiceAccount", "name": "agent", "namespace": "jenkins"}
    assert subjects["mmcicd-monitor-churn"] == [agent]


def test_the_page_says_the_same_as_the_documents(config):
    loaded = config(more=", autoscale: {max: 9}", models=("churn", "a1e3"))
    page = rbac_page(loaded, loaded.production)
    assert tuple(each for each in yaml.safe_load_all(page) if each) == render_rbac(loaded, loaded.production)
    assert "mmcicd-jenkins render rbac --env production | kubectl apply --filename=-" in page
    assert "pod-security.kubernetes.io/enforce=restricted" in page
    assert "kubectl create token mmcicd-deployer --namespace=ml" in page


def test_the_command_prints_one_place(repository):
    repository()
    documents = [each for each in yaml.safe_load_all(render("--env", "production")) if each]
    assert json.loads(render("--json", "--env", "production")) == {
        "environments": {"production": documents},
        "training": {},
    }
    both = json.loads(render("--json"))["environments"]
    assert both.keys() == {"staging", "production"}
    bound = json.loads(render("--json", "--env", "staging", "--bind", "deployer=user:ada"))
    assert "ada" in json.dumps(bound)


def test_two_places_are_never_one_page(repository):
    repository()
    with pytest.raises(UsageError) as caught:
        render()
    assert caught.value.fix == "--env staging or --env production"


@pytest.mark.parametrize(
    "words",
    [
        ("--bind", "deployer"),
        ("--bind", "janitor=user:ada"),
        ("--bind", "deployer=robot:ada"),
        ("--bind", "deployer=account:agent"),
        ("--bind", "deployer=user:a\nb"),
        ("--env", "nowhere"),
    ],
)
def test_words_that_mean_nothing(repository, words):
    repository()
    with pytest.raises(UsageError) as caught:
        render(*words)
    assert caught.value.fix


JOB = "{cluster: 'https://g.example:6443', namespace: ml-training, workers: 2}"
TRAINED = MODEL.replace("train: 'true'", f"train: {{command: 'true', image: 'r.example/t:1', job: {JOB}}}")


def test_trainings_have_an_account_of_their_own(repository):
    path = repository() / "mmcicd.yaml"
    path.write_text(path.read_text().replace(MODEL, TRAINED) + "store: {registry: r.example/ml}\n")
    documents = [each for each in yaml.safe_load_all(render("--training")) if each]
    assert json.loads(render("--json"))["training"] == {"ml-training": documents}
    assert {each["metadata"]["namespace"] for each in documents} == {"ml-training"}
    (rules,) = roles(documents).values()
    given = granted(rules)
    assert ("batch", "jobs", "create", "") in given
    assert "services" in {resource for _, resource, _, _ in given}
    assert not {"deployments", "secrets"} & {resource for _, resource, _, _ in given}
    with pytest.raises(UsageError) as caught:
        render()
    assert caught.value.fix == "--env staging or --env production or --training"


def test_a_repository_without_a_cluster(repository):
    repository().joinpath("mmcicd.yaml").write_text(f"models: {{churn: {MODEL}}}\n")
    with pytest.raises(UsageError) as caught:
        render()
    assert "kind kubernetes" in caught.value.what
