"""The images and the client that the tests of a cluster stand on do what those tests take for granted.

We look at: a version that answers by REST and gRPC and gives TF Serving's metrics, one whose port stays closed, one that
is told to fail while it runs, a pod that answers until it is killed, and what the client counts of all that.
"""

import json
import time
import urllib.request

import pytest
from cluster import cluster, namespace, serving  # noqa: F401 - fixtures
from cluster_tool import answers
from load import asking

from mmcicd_jenkins.adapters.models.client import HttpModelClient
from mmcicd_jenkins.ports import Endpoint

pytestmark = pytest.mark.real

GOLDEN = {
    "inputs": {"x": {"dtype": "float32", "shape": [None]}},
    "output": "y",
    "instances": [1.0, 2.5],
    "outputs": [2.0, 5.0],
}


def pod(image, **spec):
    container = {
        "name": "serving",
        "image": image,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "readOnlyRootFilesystem": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "readinessProbe": {"httpGet": {"path": "/v1/models/churn", "port": 8501}, "periodSeconds": 1},
        "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "churn", "labels": {"app": "churn"}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 3, **spec},
    }


def running(cluster, where, image):  # noqa: F811
    cluster.apply(where, pod(image))
    cluster.wait(where, "pod/churn", "condition=Ready")
    return cluster.get("pod", "churn", f"--namespace={where}")["status"]["podIP"]


def told(ip, **double):
    asked = urllib.request.Request(f"http://{ip}:8501/double", json.dumps(double).encode(), method="PUT")
    with urllib.request.urlopen(asked, timeout=10):
        pass


def test_a_version_answers_as_tf_serving_does(cluster, namespace, serving):  # noqa: F811
    ip = running(cluster, namespace(), serving.put("churn", 2))
    there = Endpoint(rest=f"http://{ip}:8501", grpc=f"{ip}:8500")
    found = HttpModelClient().ask_golden(there, "churn", GOLDEN)
    assert (found.matched_rest, found.matched_grpc, found.differences) == (2, 2, ())
    assert ':tensorflow:serving:request_count{model_name="churn",status="OK"} 4' in HttpModelClient().metrics(
        there
    )
    assert (
        json.loads(answers(f"http://{ip}:8501/v1/models/churn"))["model_version_status"][0]["version"] == "2"
    )


def test_the_client_counts_what_it_sees(cluster, namespace, serving):  # noqa: F811
    here = namespace()
    ip = running(cluster, here, serving.put("churn", 3))
    with asking(f"{ip}:8501", "churn", "new:50", "kept:50", "grpc:20", grpc=f"{ip}:8500") as load:
        time.sleep(1)
        told(ip, fault="errors", share=0.5)
        time.sleep(1)
        told(ip, fault="", factor=7)
        time.sleep(0.5)
        seen = load.end()
    for way, failure in (("new", "status 500"), ("kept", "status 500"), ("grpc", "INTERNAL")):
        assert list(seen[way]["failures"]) == [failure]
        assert seen[way]["sent"] == seen[way]["ok"] + seen[way]["failures"][failure]
        assert {"3", "7"} <= set(seen[way]["versions"])
    assert seen["kept"]["connections"] == 4
    assert seen["new"]["connections"] == seen["new"]["sent"]


def test_a_pod_answers_until_it_is_killed(cluster, namespace, serving):  # noqa: F811
    here = namespace()
    ip = running(cluster, here, serving.put("churn", 3))
    with asking(f"{ip}:8501", "churn", "new:50") as load:
        cluster("delete", "pod", "churn", f"--namespace={here}", "--wait=false")
        begun = time.time()
        cluster.wait(here, "pod/churn", "delete")
        seen = load.end()["new"]
    # One second of sleep and two more in which SIGTERM is not heard.
    assert seen["versions"]["3"]["last"] - begun > 2
    assert seen["failures"]


def test_a_model_that_never_loads_opens_no_port(cluster, namespace, serving):  # noqa: F811
    here = namespace()
    cluster.apply(here, pod(serving.put("churn", 4, fault="never")))
    cluster.wait(here, "pod/churn", "jsonpath={.status.phase}=Running")
    ready = cluster.get("pod", "churn", f"--namespace={here}")["status"]["containerStatuses"][0]["ready"]
    assert not ready
