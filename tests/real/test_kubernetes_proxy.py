"""The nginx before each copy's server, on a real cluster: connections that are kept lose no request in a rollout.

We look at: clients that keep connections (HTTP/1.1 and gRPC) while versions come and go; who is let in by TLS and a
password; and that whoever may read numbers may not ask the model.
"""

import base64
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from cluster import cluster, namespace, serving  # noqa: F401 - fixtures
from cluster_place import QUICK, Place
from cluster_proxy import put_nginx
from cluster_tool import UnavailableError
from load import asking

from mmcicd_jenkins.adapters.models.caller import Caller
from mmcicd_jenkins.adapters.models.client import HttpModelClient
from mmcicd_jenkins.errors import OutsideFailed

pytestmark = pytest.mark.real

BODY = b'{"instances": [1.0]}'


@pytest.fixture
def place(cluster, namespace, serving, tmp_path):  # noqa: F811
    try:
        image = put_nginx(serving)
    except UnavailableError as e:
        pytest.skip(str(e))
    settings = {"proxy": {"image": image, "cpu": 0.01, "memory": "32Mi"}, "pods": {**QUICK, "drain": "6s"}}
    return Place(cluster, namespace(), serving, tmp_path / "place", settings=settings)


def address(place):
    return place.live("service", "churn")["spec"]["clusterIP"]


def test_connections_that_are_kept_lose_nothing_while_versions_come_and_go(place):
    place.switch(1, 1)
    host = address(place)
    with asking(f"{host}:8501", "churn", "kept:30", "grpc:10", "new:10", grpc=f"{host}:8500") as load:
        place.switch(2, 2)
        place.switch(1, 3, takes_back=True)
        lanes = load.end()

    assert load.failures == {}
    for lane in lanes.values():
        assert lane["ok"] == lane["sent"] > 100
        assert set(lane["versions"]) == {"1", "2"}
    # Without the proxy a connection lives as long as its copy.
    assert lanes["kept"]["oldest"] < 6


def ask(host, port, path, *, body=None, password="", context=None):
    """The status, and what was said."""
    secret = base64.b64encode(f"ml:{password}".encode()).decode()
    request = urllib.request.Request(
        f"{'https' if context else 'http'}://{host}:{port}{path}",
        data=body,
        headers={"Authorization": f"Basic {secret}"} if password else {},
    )
    handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)]
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


GOLDEN = {
    "signature": "serving_default",
    "inputs": {"x": {"dtype": "float32", "shape": [None]}},
    "output": "y",
    "instances": [1.0, 2.0],
    "outputs": [2.0, 4.0],
    "tolerance": 0.001,
}


def secrets_of(place, folder, host):
    """A certificate for the address of the Service, and one person with a password."""
    key, certificate = folder / "tls.key", folder / "tls.crt"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    named = ["-subj", "/CN=churn", "-addext", f"subjectAltName=IP:{host}"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    command = ["openssl", "req", "-x509", "-days", "2", *curve, *named, *files]
    subprocess.run(command, check=True, capture_output=True)
    crypted = subprocess.run(
        ["openssl", "passwd", "-apr1", "right"], check=True, capture_output=True, text=True
    )
    of_tls = {"tls.key": key.read_text(), "tls.crt": certificate.read_text()}
    users = {"users": f"ml:{crypted.stdout.strip()}\n"}
    for name, kind, data in (("tls", "kubernetes.io/tls", of_tls), ("users", "Opaque", users)):
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": kind}
        place.cluster.apply(place.namespace, secret | {"stringData": data})
    return str(certificate)


def test_callers_say_who_they_are_and_numbers_are_apart(place, tmp_path):
    place.settings["replicas"] = 1
    place.switch(1, 1)
    host, path = address(place), "/v1/models/churn:predict"
    authority = secrets_of(place, tmp_path, host)
    place.settings["proxy"] |= {"tls_secret": "tls", "users_secret": "users"}
    place.switch(2, 2)
    time.sleep(
        2
    )  # a node leads requests to a copy that ends for up to a second more, and that one has no TLS

    endpoint = place.target().endpoint("churn")
    assert endpoint.rest == f"https://{host}:8501"
    known = Caller(authority=authority, user="ml", password="right")
    for caller, matched in ((known, 2), (Caller(authority=authority, user="ml", password="wrong"), 0)):
        found = HttpModelClient(caller=caller).ask_golden(endpoint, "churn", GOLDEN)
        assert (found.matched_rest, found.matched_grpc) == (matched, matched), found.differences
    with pytest.raises(OutsideFailed, match="does not answer") as told:
        HttpModelClient(caller=Caller()).ask_golden(endpoint, "churn", GOLDEN)
    assert "certificate" in told.value.why.lower()

    context = ssl.create_default_context(cafile=authority)
    assert ask(host, 8501, path, body=BODY, context=context)[0] == 401
    assert ask(host, 8501, path, body=BODY, password="right")[0] == 400  # no TLS
    pods = place.cluster.get("pods", f"--namespace={place.namespace}")["items"]
    pod = pods[0]["status"]["podIP"]
    assert ask(pod, 9502, "/healthy")[0] == 204
    assert ask(pod, 9502, path, body=BODY)[0] == 404
    assert "tensorflow:serving:request_count" in ask(pod, 9502, "/monitoring/prometheus/metrics")[1]
