"""A real API server keeps the contract of `Api`, refuses in words that we understand, and loses answers without harm.

Refusals: rights, quotas, pod security, an account that nobody knows. Lost answers: through `kubectl proxy` and a proxy
that resets the connection after the server did it.
"""

import contextlib
import json
import re
import subprocess

import pytest
from cluster import cluster, namespace  # noqa: F401 - fixtures
from fault_proxy import serve
from faults import drop_answer, reset_after, reset_before
from kubeconfigs import written
from kubernetes_api_contract import KubernetesApiContract, changed, deployment, read, settings

from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.connection import connect
from mmcicd_jenkins.adapters.kubernetes.errors import Conflict
from mmcicd_jenkins.adapters.kubernetes.tries import Patience
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import InputError, OutsideFailed

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def connection(cluster):  # noqa: F811
    place = Environment(name="production", kind="kubernetes", cluster=cluster.server, namespace="ml")
    return connect(place, {"KUBECONFIG": cluster.kubeconfig}, "mmcicd.yaml:7:14")


class TestRealServer(KubernetesApiContract):
    @pytest.fixture
    def api(self, connection, namespace):  # noqa: F811
        return Api(connection, namespace())

    @pytest.fixture
    def api_of_small_pages(self, connection, namespace):  # noqa: F811
        return Api(connection, namespace(), page=3)

    @pytest.fixture
    def api_elsewhere(self, connection):
        return Api(connection, "mmcicd-nowhere")


def test_a_quota_that_is_used_up_is_told(cluster, connection, namespace):  # noqa: F811
    where = namespace()
    cluster("create", "quota", "few", "--hard=count/deployments.apps=1", f"--namespace={where}")
    api = Api(connection, where)
    api.create(deployment("one"))
    for attempt in (lambda: api.create(deployment("two")), lambda: api.validate([deployment("two")])):
        with pytest.raises(OutsideFailed) as caught:
            attempt()
        assert "quota is used up" in caught.value.what
        assert "limited: count/deployments.apps=1" in caught.value.why


def test_pods_that_are_not_restricted_are_warned_of_and_refused(connection, namespace):  # noqa: F811
    told = []
    api = Api(connection, namespace(), warn=told.append)
    api.create(deployment())
    assert any('would violate PodSecurity "restricted' in text for text in told)
    spec = deployment()["spec"]["template"]["spec"]
    with pytest.raises(InputError) as caught:
        api.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": spec})
    assert "takes only pods that are restricted" in caught.value.what
    assert "runAsNonRoot" in caught.value.why


@pytest.fixture
def account(cluster, namespace, tmp_path):  # noqa: F811
    """A namespace, and a kubeconfig of an account that may do nothing there."""
    where = namespace()
    cluster("create", "serviceaccount", "nobody", f"--namespace={where}")
    token = cluster("create", "token", "nobody", f"--namespace={where}").strip()
    cluster_of = json.loads(cluster("config", "view", "--minify", "--raw", "--output=json"))["clusters"][0][
        "cluster"
    ]
    authority = {"certificate_authority_data": cluster_of["certificate-authority-data"]}
    return where, written(tmp_path / "nobody", cluster.server, {"token": token}, **authority)


def as_account(cluster, account, **variables):  # noqa: F811
    where, path = account
    place = Environment(name="production", kind="kubernetes", cluster=cluster.server, namespace=where)
    return Api(connect(place, {"KUBECONFIG": str(path), **variables}, "mmcicd.yaml:7:14"), where)


def test_a_missing_right_is_told(cluster, account):  # noqa: F811
    api = as_account(cluster, account)
    assert api.account() == f"system:serviceaccount:{account[0]}:nobody"
    assert not api.may("create", "apps", "deployments")
    with pytest.raises(OutsideFailed) as caught:
        api.create(deployment())
    assert caught.value.what == f"this account may not create deployments of apps in namespace {account[0]}"
    assert f"system:serviceaccount:{account[0]}:nobody" in caught.value.why
    assert "render rbac" in caught.value.fix


def test_a_login_that_nobody_knows_is_told(cluster, account):  # noqa: F811
    where, path = account
    document = json.loads(path.read_text())
    document["users"][0]["user"]["token"] += "x"
    path.write_text(json.dumps(document))
    with pytest.raises(OutsideFailed, match="does not know this login") as caught:
        as_account(cluster, (where, path)).list("Service", {})
    assert document["users"][0]["user"]["token"] not in str(caught.value.to_json())


@pytest.fixture
def lossy(cluster, namespace, tmp_path):  # noqa: F811
    """A proxy with faults before a real API server, and an `Api` that goes through it."""
    command = [cluster.kubectl, "proxy", "--port=0"]
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(
                command, stdout=subprocess.PIPE, text=True, env={"KUBECONFIG": cluster.kubeconfig}
            )
        )
        stack.callback(process.terminate)
        assert process.stdout is not None
        found = re.search(r"127.0.0.1:\d+", process.stdout.readline())
        assert found
        proxy = stack.enter_context(serve(found[0]))
        server = f"http://{proxy.host}"
        connection = connect(
            Environment(name="production", kind="kubernetes", cluster=server, namespace="ml"),
            {"KUBECONFIG": str(written(tmp_path / "c", server, {}))},
            "mmcicd.yaml:7:14",
        )
        yield proxy, Api(connection, namespace(), patience=Patience(budget=20, pause=0.01))


@pytest.mark.parametrize(
    "fault", [drop_answer(), reset_after(), reset_before()], ids=lambda one: one.__name__
)
def test_an_answer_that_is_lost_is_read_back(lossy, fault):
    proxy, api = lossy
    proxy.on("POST", "/configmaps", fault)
    made = api.create(settings(one="1"))
    proxy.on("PATCH", "/configmaps", fault, times=2)
    same = read(api, settings())
    assert api.apply(settings(one="2"), **same)["data"] == {"one": "2"}
    assert api.get("ConfigMap", "settings")["metadata"]["uid"] == made["metadata"]["uid"]
    with pytest.raises(Conflict):
        api.apply(settings(one="3"), **same)
    proxy.on("POST", "/deployments", fault)
    api.create(deployment(env={"A": "1"}))
    proxy.on("PATCH", "/deployments", fault)
    changed(api, deployment(env={"A": "2"}))
    proxy.on("DELETE", "/configmaps", fault)
    assert api.delete("ConfigMap", "settings", uid=made["metadata"]["uid"])
    assert api.get("ConfigMap", "settings") is None
