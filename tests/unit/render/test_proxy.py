"""The nginx before each copy's server: whose ports are whose, who ends when, what it is told, what a team may change.

That connections end gently by it is shown on a real cluster: tests/real/test_kubernetes_proxy.py.
"""

import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.release.tracks import as_track
from mmcicd_jenkins.render.files import OWN_TEMPLATES
from mmcicd_jenkins.render.kubernetes import render_manifest

OURS = Path(str(resources.files("mmcicd_jenkins.templates"))) / "kubernetes"
NGINX = f"registry.example/nginx@sha256:{'9' * 64}"
FILE = """\
models: {{m: {{train: ./t, evaluate: {{command: ./e}}, gates: [accuracy >= 0.5]}}}}
environments:
  live:
    kind: kubernetes
    cluster: https://k:6443
    namespace: ml
    pods: {{drain: 12s, longest_request: 30s}}
    proxy: {proxy}
"""
PLAIN = f'{{image: "{NGINX}"}}'
FULL = f'{{image: "{NGINX}", tls_secret: tls, users_secret: users, callers_secret: callers}}'


def manifest(folder: Path, proxy: str = PLAIN) -> Any:
    (folder / "mmcicd.yaml").write_text(FILE.format(proxy=proxy))
    config = load_config(folder, environ={})
    image = f"registry.example/m@sha256:{'a' * 64}"
    return render_manifest(config, config.models["m"], config.production, 1, image)


def pod(documents: Any) -> Any:
    (deployment,) = [document for document in documents if document["kind"] == "Deployment"]
    return deployment["spec"]["template"]


def told(documents: Any) -> str:
    (text,) = pod(documents)["metadata"]["annotations"].values()
    return str(text)


def test_requests_come_to_the_proxy_and_probes_to_the_server(tmp_path: Path) -> None:
    documents = manifest(tmp_path)
    server, proxy = pod(documents)["spec"]["containers"]
    names = {port["name"]: port["containerPort"] for port in proxy["ports"]}
    service, policy = (
        next(d for d in documents if d["kind"] == kind) for kind in ("Service", "NetworkPolicy")
    )

    assert names == {"rest": 9501, "grpc": 9500, "metrics": 9502}
    assert [port["targetPort"] for port in service["spec"]["ports"]] == ["rest", "grpc"]
    assert [port["port"] for port in service["spec"]["ports"]] == [8501, 8500]
    assert {port["port"] for port in policy["spec"]["ingress"][0]["ports"]} == {9501, 9500, 9502}
    assert server["readinessProbe"]["httpGet"]["port"] == 8501


def test_nothing_in_a_copy_ends_before_the_last_answer(tmp_path: Path) -> None:
    spec = pod(manifest(tmp_path))["spec"]

    for container in spec["containers"]:
        assert container["lifecycle"]["preStop"]["sleep"]["seconds"] == 12 + 30
    assert spec["terminationGracePeriodSeconds"] > 12 + 30


def test_a_connection_is_renewed_well_within_the_drain(tmp_path: Path) -> None:
    text = told(manifest(tmp_path))

    assert "keepalive_time 6s;" in text
    assert "proxy_read_timeout 30s;" in text


@pytest.mark.parametrize(("proxy", "over_tls"), [(PLAIN, ""), (FULL, " ssl")])
def test_it_is_told_what_is_mounted(tmp_path: Path, proxy: str, over_tls: str) -> None:
    documents = manifest(tmp_path, proxy)
    text, spec = told(documents), pod(documents)["spec"]
    mounted = {mount["mountPath"] for mount in spec["containers"][1]["volumeMounts"]}
    volumes = {volume["name"] for volume in spec["volumes"]}

    assert f"listen 9501{over_tls};" in text
    assert f"listen 9500{over_tls} http2;" in text
    assert "listen 9502;" in text
    assert {str(Path(file).parent) for file in re.findall(r"/etc/\S+[^;\s]", text)} | {
        "/tmp",
        "/etc/proxy",
    } == mounted
    assert {mount["name"] for mount in spec["containers"][1]["volumeMounts"]} <= volumes
    assert text.count("auth_basic models;") == (2 if over_tls else 0)


def test_copies_of_another_track_have_it_too(tmp_path: Path) -> None:
    documents = manifest(tmp_path)

    assert told([as_track(documents, "canary", 1)]) == told(documents)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("image: {{ proxy_image | yaml }}", "image: nginx:latest", "containers[proxy].image"),
        (
            "seconds: {{ stop_seconds | yaml }}",
            "seconds: 1",
            "containers[proxy].lifecycle.preStop.sleep.seconds",
        ),
        ("drop: [ALL]", "drop: []", "containers[1].securityContext.capabilities.drop"),
        (
            "containerPort: {{ rest_listen | yaml }}",
            "containerPort: 80",
            "containers[proxy].ports[rest].containerPort",
        ),
    ],
)
def test_a_teams_own_proxy_is_judged_in_its_pod(tmp_path: Path, old: str, new: str, field: str) -> None:
    own = tmp_path / OWN_TEMPLATES / "kubernetes/proxy-container.j2"
    own.parent.mkdir(parents=True)
    text = (OURS / "proxy-container.j2").read_text()
    own.write_text(text.replace("periodSeconds: 5", "periodSeconds: 3"))
    assert pod(manifest(tmp_path))["spec"]["containers"][1]["readinessProbe"]["periodSeconds"] == 3

    assert old in text
    own.write_text(text.replace(old, new))
    with pytest.raises(InputError) as refused:
        manifest(tmp_path)
    assert f"spec.template.spec.{field}" in refused.value.what
    assert refused.value.where == f"{OWN_TEMPLATES}/kubernetes/proxy-container.j2"


def test_a_team_may_configure_nginx_itself(tmp_path: Path) -> None:
    own = tmp_path / OWN_TEMPLATES / "kubernetes/proxy.j2"
    own.parent.mkdir(parents=True)
    own.write_text((OURS / "proxy.j2").read_text().replace("keepalive 32;", "keepalive 64;"))

    assert "keepalive 64;" in told(manifest(tmp_path))
