"""The accounts of `render rbac` on a real API server: with them every step works, without any verb a call is refused, and
the calls that no account of ours may make are refused to both.
"""

import json
import time

import pytest
from cluster import cluster, namespace, serving  # noqa: F401 - fixtures
from cluster_accounts import Accounts
from cluster_steps import Steps, of_the_deployer, of_the_monitor

from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.calls import MERGE, Calls
from mmcicd_jenkins.adapters.kubernetes.connection import connect
from mmcicd_jenkins.adapters.kubernetes.kinds import KINDS
from mmcicd_jenkins.adapters.kubernetes.look import Look
from mmcicd_jenkins.adapters.kubernetes.tries import Patience
from mmcicd_jenkins.checks.cluster import RESTRICTED
from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.release.rollout import Limits
from mmcicd_jenkins.release.tracks import as_track
from mmcicd_jenkins.render.rbac import ACCOUNTS, account_name, render_rbac
from mmcicd_jenkins.render.rights import dangers, rights
from mmcicd_jenkins.stages.doctor import examine
from mmcicd_jenkins.stages.doctor_cluster import Clusters, checks

pytestmark = pytest.mark.real

CONFIG = """\
models:
  churn:
    train: 'true'
    evaluate: {{command: 'true'}}
    gates: [accuracy >= 0.9]
    serving: {{cpu: 0.01, memory: 32Mi}}
environments:
  production:
    kind: kubernetes
    cluster: {server}
    namespace: {namespace}
    replicas: 1
    autoscale: {{max: 2}}
    ingress: {{host: churn.example}}
    pods: {{min_ready: 1s, drain: 1s, longest_request: 1s, start_timeout: 30s}}
"""
PATIENCE = Patience(budget=20, tries=2)


class Site:
    """A namespace with the accounts in it, and a repository that serves there."""

    def __init__(self, cluster, name, folder):  # noqa: F811
        self.accounts = Accounts(cluster, name)
        self.cluster, self.name, self.folder = cluster, name, folder
        (folder / "mmcicd.yaml").write_text(CONFIG.format(server=self.accounts.server, namespace=name))
        self.config = load_config(folder, environ={})
        self.place = self.config.production
        cluster.apply(name, *render_rbac(self.config, self.place))

    def connection(self, account):
        """As an account, or as whoever made the cluster where it is ""."""
        path = self.accounts.kubeconfig(account, self.folder) if account else self.cluster.kubeconfig
        return connect(self.place, {"KUBECONFIG": str(path)}, "")

    def steps(self, account, **changed):
        connection = self.connection(account)
        return Steps(
            config=self.config,
            place=self.place,
            api=Api(connection, self.name, patience=PATIENCE),
            look=Look(connection, self.name, PATIENCE),
            limits=Limits(stall_seconds=40.0, patience_seconds=10.0),
            **changed,
        )

    def doctor(self, account):
        connection = self.connection(account)
        clusters = Clusters(
            config=self.config, open=lambda place, _key: Look(connection, place.namespace, PATIENCE)
        )
        return examine(tuple(checks(clusters)))


@pytest.fixture
def site(cluster, namespace, tmp_path):  # noqa: F811
    return Site(cluster, namespace(), tmp_path)


def test_every_step_works_with_the_accounts(site, serving):  # noqa: F811
    images = {version: serving.put("churn", version) for version in (1, 2, 3)}
    deployer = site.steps(
        "mmcicd-deployer", image=images.__getitem__, bad=f"{serving.root}/churn@sha256:{'bad'.rjust(64, '0')}"
    )
    monitor = of_the_monitor(site.steps("mmcicd-monitor"))
    for name, step in of_the_deployer(deployer).items():
        step()
        if name == "deploy":
            assert deployer.target.endpoint("churn").rest
            for look in monitor.values():
                look()
    deployer.doctor()


def test_doctor_says_enough_and_no_more(site):
    for account in ACCOUNTS:
        found = site.doctor(account_name(account))
        assert {each.severity for each in found} == {"ok"}, [each.to_json() for each in found]
        told = [each.what for each in found]
        assert "no more than these" in told
        assert any(account_name(account) in each for each in told)
    assert f"pods held to {RESTRICTED}" in [each.what for each in site.doctor("mmcicd-deployer")]


def test_doctor_names_what_an_account_lacks_and_what_is_too_much(site):
    bare = [each for each in site.doctor("default") if each.severity == "fail"]
    assert "may not get, list, create or patch deployments.apps" in bare[0].what
    assert f"--bind deployer=account:{site.name}/default" in bare[0].fix
    rule = {"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["get"]}
    site.cluster("patch", "role", "mmcicd-deployer", f"--namespace={site.name}", "--type=json",
                 f"--patch={json.dumps([{'op': 'add', 'path': '/rules/-', 'value': rule}])}")  # fmt: skip
    site.cluster("apply", "--filename=-", stdin=json.dumps(quota(site.name)))
    much = {each.severity: each for each in until(lambda: site.doctor("mmcicd-deployer"), "warn")}
    assert "could read every password of the namespace (get secrets)" in much["warn"].what or (
        "get configmaps" in much["warn"].what
    )
    assert "quota small" in much["fail"].what
    admin = [each.what for each in site.doctor("") if each.severity == "warn"]
    assert any("everything in the whole cluster" in each for each in admin)


def quota(name):
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small", "namespace": name},
        "spec": {"hard": {"requests.memory": "64Mi", "pods": "20"}},
    }


def until(look, severity):
    """A change of rights reaches the authorizer, and a quota its controller, a moment later."""
    end = time.monotonic() + 10
    while True:
        found = look()
        if {severity, "fail"} <= {each.severity for each in found} or time.monotonic() > end:
            return found
        time.sleep(0.2)


@pytest.mark.parametrize("account", ["mmcicd-deployer", "mmcicd-monitor"])
def test_the_forbidden_calls_are_refused(site, account):
    token = site.accounts.token(account)
    answers = {danger.question: site.accounts.status(danger.question, token) for danger in dangers(site.name)}
    assert len(answers) >= 11
    assert set(answers.values()) == {403}, answers


def calls(site, api):
    """Each right as the call of ours that needs it: (resource, verb) -> call. Objects stand, and nothing runs."""
    steps = site.steps("")
    documents = {each["kind"]: dict(each) for each in steps.order(1, 1, replicas=2).manifest}
    deployment = documents["Deployment"]
    deployment["spec"] = {**deployment["spec"], "replicas": 0}
    canary = as_track((deployment,), "canary", 0)
    for document in (*documents.values(), canary):
        steps.api.create(document)
    found = {
        ("deployments", "list"): lambda: api.list("Deployment", {}),
        ("deployments", "delete"): lambda: remove(steps.api, api, canary),
        ("pods", "list"): lambda: api.list("Pod", {}),
        ("pods/log", "get"): lambda: api.logs("churn"),
        ("events", "list"): lambda: api.events("churn"),
        ("configmaps", "get"): lambda: api.get("ConfigMap", "churn-monitor"),
        ("configmaps", "patch"): lambda: patched(steps.api, api, "ConfigMap", "churn-monitor"),
        ("resourcequotas", "list"): lambda: required(site, "resourcequotas"),
        ("namespaces", "get"): lambda: api.get("Namespace", site.name),
    }
    for kind, document in documents.items():
        plural, name = KINDS[kind].plural, document["metadata"]["name"]
        other = {**document, "metadata": {**document["metadata"], "name": f"{name}-2"}}
        found |= {
            (plural, "get"): lambda kind=kind, name=name: api.get(kind, name),
            (plural, "create"): lambda other=other: api.create(other, dry_run=True),
            (plural, "patch"): lambda kind=kind, name=name: patched(steps.api, api, kind, name),
        }
    return found


def patched(admin, api, kind, name):
    metadata = admin.get(kind, name)["metadata"]
    seen = {"uid": metadata["uid"], "resource_version": metadata["resourceVersion"]}
    api.patch(kind, name, {"metadata": {"annotations": {"at": str(time.monotonic_ns())}}}, **seen)


def remove(admin, api, document):
    name = document["metadata"]["name"]
    live = admin.get("Deployment", name) or admin.create(document)
    api.delete("Deployment", name, uid=live["metadata"]["uid"])


def required(site, resource):
    if site.steps("mmcicd-deployer").look.quotas() is None:
        raise OutsideFailed(f"this account may not list {resource}")


def test_without_any_verb_the_call_that_needs_it_is_refused(site):
    api = site.steps("mmcicd-deployer").api
    made = calls(site, api)
    needed = {
        (right.resource, verb) for right in rights("deployer", site.place, ["churn"]) for verb in right.verbs
    }
    assert set(made) == needed
    admin = Calls(site.connection(""), PATIENCE)
    roles = {
        each["metadata"]["name"]: each["rules"]
        for each in render_rbac(site.config, site.place)
        if each["kind"] == "Role"
    }
    for (resource, verb), call in made.items():
        call()
        role, rules = next(
            (name, rules)
            for name, rules in roles.items()
            for rule in rules
            if name.startswith("mmcicd-deployer")
            and rule["resources"] == [resource]
            and verb in rule["verbs"]
        )
        narrow(site, admin, role, [without(rule, resource, verb) for rule in rules])
        with pytest.raises(OutsideFailed, match=f"may not {verb} {resource.partition('/')[0]}"):
            refused(call)
        narrow(site, admin, role, rules)
        allowed(call)


def without(rule, resource, verb):
    if rule["resources"] != [resource]:
        return rule
    # A rule without verbs is refused, so one that gives nothing of use takes its place.
    return {**rule, "verbs": [each for each in rule["verbs"] if each != verb] or ["watch"]}


def narrow(site, admin, role, rules):
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{site.name}/roles/{role}"
    admin.ask("PATCH", path, {}, admin.doing("patch", role), body={"rules": rules}, kind=MERGE)


def refused(call):
    """Until the authorizer has heard of it."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        call()
        time.sleep(0.02)


def allowed(call):
    end = time.monotonic() + 5
    while True:
        try:
            return call()
        except OutsideFailed:
            if time.monotonic() > end:
                raise
        time.sleep(0.02)
