"""What a manifest would change is asked of the cluster, which changes nothing."""

import copy

import pytest
from kubeconfigs import api_of, written
from kubernetes_standin import serving

from mmcicd_jenkins.adapters.kubernetes.diff import live_changes
from mmcicd_jenkins.adapters.kubernetes.fenced import write
from mmcicd_jenkins.errors import InputError, OutsideFailed
from mmcicd_jenkins.release.object_changes import change_lines

LABELS = {"app.kubernetes.io/name": "churn", "app.kubernetes.io/managed-by": "mmcicd-jenkins"}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "churn", "labels": LABELS},
    "spec": {"selector": LABELS, "ports": [{"name": "rest", "port": 8501, "protocol": "TCP"}]},
}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "churn-stable", "labels": LABELS},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {"containers": [{"name": "serving", "image": "registry.example/churn@sha256:1"}]},
        },
    },
}


@pytest.fixture
def standin():
    with serving() as found:
        yield found


@pytest.fixture
def api(standin, tmp_path):
    return api_of(written(tmp_path / "c", standin.address), standin.address)


def lines(api, *manifest):
    return change_lines(live_changes(api, manifest))


def with_replicas(count):
    document = copy.deepcopy(DEPLOYMENT)
    document["spec"]["replicas"] = count
    return document


def test_in_an_empty_place_all_is_new_and_nothing_is_made(standin, api):
    assert lines(api, SERVICE, DEPLOYMENT) == ["Service/churn (new)", "Deployment/churn-stable (new)"]
    assert not standin.objects


def test_what_is_applied_already_changes_nothing(api):
    for document in (SERVICE, DEPLOYMENT):
        write(api, document, 1, "operation")
    assert lines(api, SERVICE, DEPLOYMENT) == []


def test_what_changes_is_told_by_field(standin, api):
    write(api, DEPLOYMENT, 1, "operation")
    assert lines(api, with_replicas(5)) == ["Deployment/churn-stable", "  spec.replicas: 2 -> 5"]
    assert standin.object("Deployment", "churn-stable")["spec"]["replicas"] == 2


def test_what_was_changed_by_hand_is_told(standin, api):
    write(api, DEPLOYMENT, 1, "operation")
    standin.change(
        ("deployments", "ml", "churn-stable"),
        lambda live: live["spec"]["template"]["spec"]["containers"][0].update(image="other"),
    )
    told = lines(api, DEPLOYMENT)
    assert told[1] == (
        "  spec.template.spec.containers[serving].image: other -> registry.example/churn@sha256:1"
    )


def test_copies_that_an_autoscaler_counts_are_no_change(standin, api):
    write(api, DEPLOYMENT, 1, "operation")
    document = copy.deepcopy(DEPLOYMENT)
    del document["spec"]["replicas"]
    assert lines(api, document) == []


def test_what_the_cluster_would_not_take_is_told(api):
    document = copy.deepcopy(DEPLOYMENT)
    document["spec"]["template"]["spec"]["containers"] = []
    with pytest.raises(InputError, match="does not take Deployment/churn-stable"):
        lines(api, document)


def test_an_object_that_is_not_ours_is_told(standin, api):
    theirs = copy.deepcopy(SERVICE)
    theirs["metadata"]["labels"] = {}
    standin.put(theirs)
    with pytest.raises(OutsideFailed):
        lines(api, SERVICE)
