"""What doctor makes of a cluster: rights that are missing, rights that are too many, a namespace that holds no rollout."""

import math

import pytest

from mmcicd_jenkins.checks import cluster
from mmcicd_jenkins.checks.cluster import Asked, Pods
from mmcicd_jenkins.checks.finding import exit_code
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.ports.doctor import ClusterFacts, NamespaceFacts, Quota
from mmcicd_jenkins.ports.rights import Question
from mmcicd_jenkins.render.rights import dangers, questions, rights

PLACE = Environment(name="production", kind="kubernetes", namespace="ml", replicas=3)
DEPLOYER = "system:serviceaccount:ml:mmcicd-deployer"
ASKED = Asked(
    name="production",
    namespace="ml",
    who="ml/mmcicd-deployer",
    send="SEND",
    instead="INSTEAD",
    where="mmcicd.yaml:9:5",
)
NEEDED = rights("deployer", PLACE, ("churn",))
WANTED = questions(NEEDED, "ml")
NEVER = dangers("ml")


def severities(findings):
    return [finding.severity for finding in findings]


def facts(**changed):
    return ClusterFacts(**{"version": "v1.34.4", "account": DEPLOYER, "ahead_seconds": 0.4, **changed})


def server(**changed):
    return list(cluster.server(ASKED, facts(**changed)))


def test_a_cluster_that_is_as_it_should_be_is_one_line():
    (found,) = server(login_seconds=3 * 86400)
    assert found.severity == "ok"
    assert found.what == "production (Kubernetes 1.34.4, as ml/mmcicd-deployer, for 3 days)"


@pytest.mark.parametrize(
    ("changed", "severity", "word"),
    [
        ({"version": "v1.29.8"}, "fail", "1.30 or newer"),
        ({"login_seconds": math.inf}, "warn", "never ends"),
        ({"ahead_seconds": -300.0}, "warn", "300 s behind"),
    ],
)
def test_what_is_wrong_with_a_cluster(changed, severity, word):
    found = [finding for finding in server(**changed) if finding.severity != "ok"]
    assert [finding.severity for finding in found] == [severity]
    assert word in found[0].what
    assert found[0].fix


@pytest.mark.parametrize("version", ["", "v1.34.4-eks-1234", "v2.0.0", "garbage"])
def test_versions_that_are_new_enough_or_unknown_do_not_fail(version):
    assert severities(server(version=version)) == ["ok"]


def enough(*, without=()):
    may = {question: question.words not in without for question in WANTED}
    return list(cluster.enough(ASKED, NEEDED, may))


def test_every_verb_that_is_missing_is_named_with_what_to_send():
    assert severities(enough()) == ["ok"]
    (found,) = enough(without={"patch services", "create services", "delete deployments.apps/churn-canary"})
    assert found.severity == "fail"
    assert "may not create or patch services; delete deployments.apps/churn-canary in ml" in found.what
    assert found.fix == "send this to the administrator of ml: SEND"
    assert exit_code([found]) == 3


@pytest.mark.parametrize("question", WANTED, ids=lambda question: question.words)
def test_no_verb_can_be_missing_unnoticed(question):
    found = enough(without={question.words})
    (told,) = [finding for finding in found if finding.severity != "ok"]
    right = next(each for each in NEEDED if each.resource == question.resource)
    assert told.severity == ("warn" if right.optional else "fail")
    assert question.verb in told.what
    assert question.resource in told.what


def no_more(*, allowed=(), rules=WANTED, without=()):
    may = {danger.question: danger.question in allowed for danger in NEVER}
    may |= {question: question not in without for question in WANTED}
    return list(cluster.no_more(ASKED, NEVER, may, NEEDED, rules))


def test_an_account_that_may_no_more():
    assert [finding.what for finding in no_more()] == ["no more than these"]
    reviews = Question(
        namespace="ml", group="authorization.k8s.io", resource="selfsubjectaccessreviews", verb="create"
    )
    assert severities(no_more(rules=(*WANTED, reviews))) == ["ok"]


def test_what_the_cluster_cannot_list_is_not_said_to_be_right():
    assert no_more(rules=None) == []
    assert no_more(without={WANTED[0]}) == []


@pytest.mark.parametrize(
    "danger", NEVER, ids=lambda danger: f"{danger.question.words} in {danger.question.namespace}"
)
def test_each_forbidden_call_is_told_with_what_it_could_do(danger):
    (found,) = no_more(allowed={danger.question})
    assert found.severity == "warn"
    assert danger.could in found.what
    assert found.fix.endswith("INSTEAD")


def test_an_administrator_is_told_once():
    (found,) = no_more(allowed={danger.question for danger in NEVER})
    assert "everything in the whole cluster" in found.what


def test_rights_that_nothing_here_uses():
    rules = (
        *WANTED,
        Question(namespace="ml", group="", resource="configmaps", verb="*"),
        Question(namespace="ml", group="apps", resource="deployments", verb="update"),
        Question(namespace="ml", group="", resource="namespaces", verb="get", name="other"),
    )
    (found,) = no_more(rules=rules)
    assert "* configmaps, update deployments.apps, get namespaces" in found.what


def test_the_eleven_calls_are_all_asked_for():
    asked = {(danger.question.resource, danger.question.verb) for danger in NEVER}
    assert {
        ("secrets", "get"),
        ("pods/exec", "create"),
        ("pods/portforward", "create"),
        ("pods/proxy", "get"),
        ("services/proxy", "get"),
        ("nodes/proxy", "get"),
        ("serviceaccounts/token", "create"),
        ("roles", "create"),
        ("rolebindings", "create"),
        ("namespaces", "patch"),
        ("deployments", "deletecollection"),
    } <= asked
    assert {danger.question.namespace for danger in NEVER} == {"ml", "", "kube-system", "default"}


@pytest.mark.parametrize(
    ("account", "option"),
    [
        (DEPLOYER, ""),
        ("system:serviceaccount:jenkins:agent", " --bind deployer=account:jenkins/agent"),
        ("ada@example", " --bind 'deployer=user:ada@example'"),
        ("system:serviceaccount:staging:mmcicd-deployer", " --bind deployer=account:staging/mmcicd-deployer"),
        ("", ""),
    ],
)
def test_the_role_is_given_to_whoever_came(account, option):
    assert cluster.bound("deployer", account, "ml") == option


@pytest.mark.parametrize(
    ("facts", "severity", "word"),
    [
        (NamespaceFacts(exists=True, enforced="restricted"), "ok", "restricted"),
        (NamespaceFacts(exists=True, enforced="baseline"), "warn", "only to baseline"),
        (NamespaceFacts(exists=True), "warn", "to nothing"),
        (NamespaceFacts(exists=False), "fail", "is not there"),
        (NamespaceFacts(exists=True, ending=True), "fail", "is being deleted"),
    ],
)
def test_a_namespace(facts, severity, word):
    (found,) = cluster.security(ASKED, facts)
    assert found.severity == severity
    assert word in found.what


def test_a_namespace_that_cannot_be_seen_is_not_said_to_be_right():
    assert list(cluster.security(ASKED, None)) == []


def pods(name="churn", steady=3, most=4, **each):
    key = "environments.production.pods.cpu_limit"
    return Pods(
        name=name, steady=steady, most=most, each={"requests.cpu": 1.0, "limits.cpu": 2.0, **each}, key=key
    )


def quota(*listed, **hard):
    named = {name.replace("_", "."): amount for name, amount in hard.items()}
    return list(cluster.quotas(ASKED, [Quota(name="all", hard=named)], listed))


def test_a_quota_holds_one_copy_more_than_serve():
    assert quota(pods(), requests_cpu=4.0) == []
    (found,) = quota(pods(), requests_cpu=3.5)
    assert found.severity == "fail"
    assert "requests.cpu 4 of 3.5" in found.what
    assert "kubectl describe quota all" in found.fix


def test_several_models_change_one_after_the_other():
    assert quota(pods(), pods("fraud", steady=1, most=2), pods=5.0) == []
    assert severities(quota(pods(), pods("fraud", steady=1, most=2), pods=4.0)) == ["fail"]


def test_memory_is_told_in_its_own_unit():
    (found,) = quota(pods(**{"limits.memory": 2.0 * 2**30}), limits_memory=4.0 * 2**30)
    assert "limits.memory 8Gi of 4Gi" in found.what


def test_a_quota_that_wants_a_limit_of_cpu():
    (found,) = quota(pods(**{"limits.cpu": 0.0}), limits_cpu=100.0)
    assert found.severity == "warn"
    assert "cpu_limit" in found.fix


def test_quotas_that_cannot_be_seen():
    assert list(cluster.quotas(ASKED, None, [pods()])) == []


def test_the_login_of_another_environment_is_told_as_that():
    assert cluster.is_stranger(NEEDED, "ml", dict.fromkeys(WANTED, False))
    assert not cluster.is_stranger(NEEDED, "ml", {**dict.fromkeys(WANTED, False), WANTED[0]: True})
    found = cluster.elsewhere(ASKED, "staging")
    assert found.severity == "warn"
    assert "the login is ml/mmcicd-deployer, the account of staging" in found.what
    assert "KUBECONFIG=production.kubeconfig" in found.fix
    assert "SEND" in found.fix
