"""The table of rights against the steps themselves: nothing is granted that no step uses, nothing is used that is not granted.

The cluster is a stand-in that keeps a list of requests and refuses as RBAC does; tests/real/test_kubernetes_rights.py
does the same with accounts of a real one.
"""

import re
from urllib.parse import urlsplit

import cluster_steps
import pytest
from cluster_steps import Steps
from kubernetes_standin import serving

from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.connection import connect
from mmcicd_jenkins.adapters.kubernetes.look import Look
from mmcicd_jenkins.adapters.kubernetes.tries import Patience
from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.release.rollout import Limits
from mmcicd_jenkins.render.rights import rights

CONFIG = """\
models:
  churn: {{train: 'true', evaluate: {{command: 'true'}}, gates: [accuracy >= 0.9]}}
environments:
  production:
    kind: kubernetes
    cluster: {address}
    namespace: ml
    replicas: 2
    autoscale: {{max: 4}}
    ingress: {{host: churn.example}}
    pods: {{min_ready: 1s}}
"""
VERBS = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}
# doctor asks for these alone, and the stand-in has neither.
OF_DOCTOR = {"resourcequotas", "namespaces"}


@pytest.fixture
def standin():
    with serving() as found:
        found.broken["000bad"] = "CrashLoopBackOff"
        yield found


@pytest.fixture
def steps(standin, tmp_path):
    (tmp_path / "mmcicd.yaml").write_text(CONFIG.format(address=standin.address))
    config = load_config(tmp_path, environ={})
    place = config.production
    connection = connect(place, {"KUBECONFIG": str(standin.kubeconfig(tmp_path))}, "")
    patience = Patience(budget=10, tries=1)
    return Steps(
        config=config,
        place=place,
        api=Api(connection, "ml", patience=patience),
        look=Look(connection, "ml", patience),
        limits=Limits(stall_seconds=5.0, patience_seconds=0.0),
    )


def used(standin):
    """(resource, verb, name) of every request; the name only where it matters to a Role."""
    for method, target in standin.requests:
        found = re.fullmatch(r".*/namespaces/ml/([a-z]+)(?:/([^/]+))?(?:/(log))?", urlsplit(target).path)
        if found:
            plural, name, part = found.groups()
            verb = VERBS.get(method, "get" if name else "list")
            is_named = plural == "configmaps" or verb == "delete"
            yield f"{plural}/{part}" if part else plural, verb, name if is_named else ""


def granted(account, steps):
    return {
        (right.resource, verb, name)
        for right in rights(account, steps.place, ("churn",))
        for verb in right.verbs
        for name in right.names or ("",)
        if right.resource not in OF_DOCTOR and name != "churn-preview"
    }


def walk(steps, account):
    listed = {"deployer": cluster_steps.of_the_deployer, "monitor": cluster_steps.of_the_monitor}[account]
    for step in listed(steps).values():
        step()


def memory(standin):
    """As the administrator made it."""
    labels = {"app.kubernetes.io/managed-by": "mmcicd-jenkins"}
    metadata = {"name": "churn-monitor", "namespace": "ml", "labels": labels}
    standin.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


@pytest.mark.parametrize("account", ["deployer", "monitor"])
def test_what_is_granted_is_what_is_used(standin, steps, account):
    memory(standin)
    if account == "monitor":
        # Something serves: of an empty namespace it is asked less.
        walk(steps, "deployer")
        standin.requests.clear()
    walk(steps, account)
    assert set(used(standin)) == granted(account, steps)


RIGHTS = [
    ("deployments", "get"), ("deployments", "list"), ("deployments", "create"), ("deployments", "patch"),
    ("deployments", "delete"), ("services", "get"), ("services", "create"), ("services", "patch"),
    ("poddisruptionbudgets", "get"), ("poddisruptionbudgets", "create"), ("poddisruptionbudgets", "patch"),
    ("networkpolicies", "get"), ("networkpolicies", "create"), ("networkpolicies", "patch"),
    ("horizontalpodautoscalers", "get"), ("horizontalpodautoscalers", "create"), ("horizontalpodautoscalers", "patch"),
    ("ingresses", "get"), ("ingresses", "create"), ("ingresses", "patch"), ("pods", "list"),
    ("configmaps", "get"), ("configmaps", "patch"),
]  # fmt: skip


def test_the_list_of_this_file_is_complete(steps):
    optional = {right.resource for right in rights("deployer", steps.place, ()) if right.optional}
    every = {(resource, verb) for resource, verb, _ in granted("deployer", steps) if resource not in optional}
    assert every == set(RIGHTS)


@pytest.mark.parametrize(("resource", "verb"), RIGHTS, ids=lambda word: word)
def test_without_any_of_them_a_step_fails_and_says_which(standin, steps, resource, verb):
    memory(standin)
    standin.forbidden.add((verb, resource))
    with pytest.raises(OutsideFailed) as caught:
        walk(steps, "deployer")
    assert f"may not {verb} {resource}" in caught.value.what


@pytest.mark.parametrize(("verb", "resource"), [("get", "pods/log"), ("list", "events")])
def test_without_an_optional_one_every_step_works(standin, steps, verb, resource):
    memory(standin)
    standin.forbidden.add((verb, resource))
    walk(steps, "deployer")
