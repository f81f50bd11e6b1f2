"""The cluster that tests stand on does what those tests take for granted.

We look at: a pod under `restricted` that answers on loopback, what pod security and RBAC refuse, a pod that goes on
answering before it ends, images by digest from registries on loopback, pods that speak with each other and with the
API server, and a node whose parts were killed.
"""

import contextlib
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from cluster import cluster, namespace  # noqa: F401 - fixtures
from cluster_tool import TOOL, answers, tool
from registry import serve

pytestmark = pytest.mark.real

IMAGE = "docker.io/mmcicd-test/web:1"
PORT = 8080


@pytest.fixture(scope="module")
def web(cluster, tmp_path_factory):  # noqa: F811
    """The folder of an image that serves /word by http; the node has it under the name IMAGE."""
    busybox = shutil.which("busybox")
    if not busybox:
        pytest.skip("busybox is not installed: apt-get install busybox-static")
    files = tmp_path_factory.mktemp("web")
    (files / "bin").mkdir()
    shutil.copy(busybox, files / "bin" / "busybox")
    (files / "bin" / "sh").symlink_to("busybox")
    (files / "www").mkdir()
    (files / "www" / "word").write_text("served")
    files.chmod(0o755)
    cluster.image(IMAGE, files, CONFIG)
    return files


CONFIG = {
    "Entrypoint": ["/bin/busybox", "httpd", "-f", "-p", str(PORT), "-h", "/www"],
    "User": "10001:10001",
}


def pod(name, *, image=IMAGE, security=None, **spec):
    allowed = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {
        "name": "web",
        "image": image,
        "securityContext": allowed if security is None else security,
        "readinessProbe": {"httpGet": {"path": "/word", "port": PORT}, "periodSeconds": 1},
        "resources": {"limits": {"cpu": "1", "memory": "64Mi"}},
        **spec.pop("container", {}),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1, **spec},
    }


def service(name, kind="NodePort"):
    spec = {"type": kind, "selector": {"app": name}, "ports": [{"port": 80, "targetPort": PORT}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def served(cluster, where, name):  # noqa: F811
    cluster.wait(where, f"pod/{name}", "condition=Ready")
    return answers(f"http://{cluster.node_port(where, name)}/word")


def test_the_node_is_ready_and_of_the_version_that_was_built(cluster):  # noqa: F811
    nodes = cluster.get("nodes")["items"]
    ready = [c["status"] for c in nodes[0]["status"]["conditions"] if c["type"] == "Ready"]
    assert ready == ["True"]
    if cluster.is_own:
        versions = json.loads(cluster("version", "--output=json"))
        assert {v["gitVersion"] for v in (versions["clientVersion"], versions["serverVersion"])} == {
            nodes[0]["status"]["nodeInfo"]["kubeletVersion"]
        }
        assert versions["serverVersion"]["minor"] == "34"


def test_a_restricted_pod_answers_on_its_node_port(cluster, namespace, web):  # noqa: F811
    here = namespace()
    cluster.apply(here, pod("web"), service("web"))
    assert served(cluster, here, "web") == "served"
    assert "10001" in cluster("exec", f"--namespace={here}", "web", "--", "/bin/busybox", "id")
    cluster("logs", f"--namespace={here}", "web")


def test_pods_reach_each_other_and_the_api_server_by_service(cluster, namespace, web):  # noqa: F811
    here = namespace()
    cluster.apply(here, pod("one"), service("one", "ClusterIP"), pod("two"))
    for name in ("one", "two"):
        cluster.wait(here, f"pod/{name}", "condition=Ready")
    ip = cluster.get("service", "one", f"--namespace={here}")["spec"]["clusterIP"]
    get = ["/bin/busybox", "timeout", "20", "/bin/busybox", "wget", "-q", "-O", "-", f"http://{ip}/word"]
    for name in ("two", "one"):  # the second one speaks with itself
        assert cluster("exec", f"--namespace={here}", name, "--", *get) == "served"
    api = '/bin/busybox nc -w 5 "$KUBERNETES_SERVICE_HOST" "$KUBERNETES_SERVICE_PORT" </dev/null && echo open'
    assert "open" in cluster("exec", f"--namespace={here}", "two", "--", "/bin/sh", "-c", api)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"security": {}}, "runAsNonRoot"),
        ({"security": {"privileged": True}}, "privileged"),
        ({"hostNetwork": True}, "hostNetwork"),
        ({"volumes": [{"name": "root", "hostPath": {"path": "/"}}]}, "hostPath"),
    ],
)
def test_pod_security_refuses(cluster, namespace, spec, why):  # noqa: F811
    here = namespace()
    refused = cluster.run(
        "create", f"--namespace={here}", "--filename=-", stdin=json.dumps(pod("bad", **spec))
    )
    assert refused.returncode != 0
    assert "violates PodSecurity" in refused.stderr
    assert why in refused.stderr


def test_rbac_refuses_what_no_role_grants(cluster, namespace):  # noqa: F811
    here = namespace()
    token = cluster("create", "token", "default", f"--namespace={here}").strip()
    seen = json.loads(cluster("config", "view", "--raw", "--minify", "--output=json"))["clusters"][0]
    path = f"/api/v1/namespaces/{here}/configmaps"
    assert status(cluster, seen["cluster"]["server"] + path, token) == 403
    cluster("create", "role", "reader", f"--namespace={here}", "--verb=list", "--resource=configmaps")
    account = f"--serviceaccount={here}:default"
    cluster("create", "rolebinding", "reader", f"--namespace={here}", "--role=reader", account)
    assert status(cluster, seen["cluster"]["server"] + path, token) == 200
    assert status(cluster, seen["cluster"]["server"] + "/api/v1/secrets", token) == 403


def status(cluster, url, token):  # noqa: F811
    authority = cluster("get", "configmap", "kube-root-ca.crt", "--output=jsonpath={.data.ca\\.crt}")
    trust = ssl.create_default_context(cadata=authority)
    asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(asked, context=trust, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as e:
        e.close()
        return e.code


def test_a_pod_that_sleeps_before_it_stops_goes_on_answering(cluster, namespace, web):  # noqa: F811
    if not cluster.is_own:
        pytest.skip("the address of a pod is reached from here on a node of our own only")
    here = namespace()
    lifecycle = {"preStop": {"sleep": {"seconds": 4}}}
    cluster.apply(
        here, pod("web", container={"lifecycle": lifecycle}, terminationGracePeriodSeconds=6), service("web")
    )
    assert served(cluster, here, "web") == "served"
    ip = cluster.get("pod", "web", f"--namespace={here}")["status"]["podIP"]
    cluster("delete", "pod", "web", f"--namespace={here}", "--wait=false")
    assert cluster.get("pod", "web", f"--namespace={here}")["metadata"]["deletionTimestamp"]
    assert answers(f"http://{ip}:{PORT}/word", seconds=0) == "served"
    cluster.wait(here, "pod/web", "delete")
    left = cluster.get("endpointslices", f"--namespace={here}", "--selector=kubernetes.io/service-name=web")
    assert not [e for each in left["items"] for e in each["endpoints"] or []]


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_an_image_is_pulled_by_digest_from_a_registry_on_loopback(cluster, namespace, web, tmp_path, tls):  # noqa: F811
    if not cluster.is_own:
        pytest.skip("a registry on loopback is reached by a node of our own only")
    here = namespace()
    with serve(tmp_path / "registry", tls=tls) as registry:
        if tls:
            cluster.trust(registry.host, registry.ca)
        digest = pushed(web, registry, tmp_path)
        image = f"{registry.host}/ml/web@{digest}"
        cluster.apply(here, pod("web", image=image, container={"imagePullPolicy": "Always"}))
        cluster.wait(here, "pod/web", "condition=Ready")
        state = cluster.get("pod", "web", f"--namespace={here}")["status"]["containerStatuses"][0]
        assert state["imageID"] == image
        assert "GET /v2/ml/web/blobs/sha256:" in registry.log
        absent = f"{registry.host}/ml/web@sha256:{'0' * 64}"
        cluster.apply(here, pod("absent", image=absent))
        reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}=ErrImagePull"
        cluster.wait(here, "pod/absent", reason)


def packed(files, folder):
    """The image of `web` as a file, in the form of `docker save`."""
    code = (
        "import json, sys; from pathlib import Path; from images import pack; "
        "pack(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3]), Path(sys.argv[4]))"
    )
    words = [IMAGE, str(files), json.dumps(CONFIG), str(folder / "image.tar")]
    subprocess.run([sys.executable, "-c", code, *words], check=True, env=os.environ | {"PYTHONPATH": TOOL})
    return folder / "image.tar"


def skopeo(*words):
    if not shutil.which("skopeo"):
        pytest.skip("skopeo is not installed: apt-get install skopeo")
    command = ["skopeo", "--insecure-policy", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def pushed(files, registry, folder):
    """The image of `web` on the registry, as other bytes than the node has; its digest there."""
    (files / "www" / "more").write_text(registry.host)
    place = f"docker://{registry.host}/ml/web:1"
    skopeo("copy", "--dest-tls-verify=false", f"docker-archive:{packed(files, folder)}", place)
    return skopeo("inspect", "--tls-verify=false", "--format={{.Digest}}", place)


def test_an_oci_layout_is_brought_under_a_name(cluster, namespace, web, tmp_path):  # noqa: F811
    if not cluster.is_own:
        pytest.skip("a node of our own only")
    here = namespace()
    skopeo("copy", f"docker-archive:{packed(web, tmp_path)}", f"oci-archive:{tmp_path}/layout.tar:web-7")
    assert cluster.bring(tmp_path / "layout.tar", "docker.io/ml/web") == ["docker.io/ml/web:web-7"]
    cluster.apply(here, pod("web", image="ml/web:web-7", container={"imagePullPolicy": "Never"}))
    cluster.wait(here, "pod/web", "condition=Ready")


def test_parts_that_were_killed_are_started_again_and_pods_live_on(cluster, namespace, web):  # noqa: F811
    if not cluster.is_own:
        pytest.skip("parts of a node of our own only")
    here = namespace()
    cluster.apply(here, pod("web"), service("web"))
    assert served(cluster, here, "web") == "served"
    before = cluster.get("pod", "web", f"--namespace={here}")["status"]["containerStatuses"][0]
    for part, pid in parts().items():
        os.kill(pid, signal.SIGKILL)
        done = tool("up")
        assert done.returncode == 0, f"after {part}: {done.stderr}"
        assert parts()[part] != pid
    after = cluster.get("pod", "web", f"--namespace={here}")["status"]["containerStatuses"][0]
    assert (after["containerID"], after["restartCount"]) == (before["containerID"], 0)
    assert served(cluster, here, "web") == "served"


def parts():
    """Daemon -> pid, as the tool tells it."""
    found = {}
    for line in tool("status").stderr.splitlines():
        with contextlib.suppress(ValueError):
            name, word, pid = line.split()
            if word == "pid":
                found[name] = int(pid)
    assert len(found) == 7, found
    return found
