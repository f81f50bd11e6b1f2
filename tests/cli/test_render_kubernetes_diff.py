"""`render kubernetes --diff`: what the cluster says that a deployment would change; it changes nothing."""

import json
import subprocess

import pytest
from click.testing import CliRunner
from fault_proxy import serve
from faults import answer
from kubernetes_standin import serving

from mmcicd_jenkins.adapters.kubernetes.fenced import write
from mmcicd_jenkins.cli.render import command
from mmcicd_jenkins.errors import OutsideFailed, UsageError
from mmcicd_jenkins.wiring import open_bench

IMAGE = f"registry.example/ml/churn@sha256:{'a' * 64}"
OTHER = f"registry.example/ml/churn@sha256:{'b' * 64}"


@pytest.fixture
def standin():
    with serving() as found:
        yield found


@pytest.fixture
def repository(standin, tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q"], check=True, cwd=tmp_path)
    configure(tmp_path, standin.address)
    monkeypatch.setenv("KUBECONFIG", str(standin.kubeconfig(tmp_path)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configure(folder, server):
    live = {"kind": "kubernetes", "cluster": server, "namespace": "ml"}
    model = {"train": "./t", "evaluate": {"command": "./e"}, "gates": ["accuracy >= 0.5"]}
    document = {
        "models": {"churn": model},
        "environments": {"lab": {"kind": "local"}, "live": live},
        "store": {"registry": "registry.example/ml"},
        "ledger": {"url": "ledger.git"},
    }
    (folder / "mmcicd.yaml").write_text(json.dumps(document))


def render(*arguments):
    done = CliRunner().invoke(command, ["kubernetes", *arguments], standalone_mode=False)
    if done.exception:
        raise done.exception
    return done.stdout


def applied(folder, *arguments):
    """As a deployment leaves it."""
    bench = open_bench(folder, shared=True)
    api = bench.clusters.api(bench.config.environments["live"])
    for document in json.loads(render(*arguments, "--json"))["documents"]:
        write(api, document, 1, "operation")


def test_in_an_empty_namespace_all_is_new(repository, standin):
    told = render("--diff", "--image", IMAGE)
    assert "Deployment/churn-stable (new)" in told
    assert "Service/churn (new)" in told
    assert not standin.objects


def test_what_stands_already_stays(repository):
    applied(repository, "--image", IMAGE)
    assert render("--diff", "--image", IMAGE) == "live would stay as it is\n"


def test_another_version_is_told_by_its_fields(repository):
    applied(repository, "--image", IMAGE)
    told = render("--diff", "--image", OTHER, "--version", "2")
    assert "Deployment/churn-stable\n" in told
    assert f"containers[serving].image: {IMAGE} -> {OTHER}" in told
    assert "Service" not in told
    found = json.loads(render("--diff", "--image", OTHER, "--json"))
    assert [one["object"] for one in found["changes"]] == ["Deployment/churn-stable"]
    assert {"path", "before", "after"} == set(found["changes"][0]["changes"][0])


def test_a_cluster_that_refuses_is_told(repository, standin, tmp_path):
    with serve(standin.host) as proxy:
        server = f"http://{proxy.host}"
        configure(repository, server)
        standin.kubeconfig(tmp_path, server=server)
        proxy.on("GET", "/", answer(401), times=9)
        with pytest.raises(OutsideFailed, match="does not know this login"):
            render("--diff", "--image", IMAGE)


def test_words_that_do_not_go_together(repository):
    with pytest.raises(UsageError, match="do not go together"):
        render("--diff", "--eject")
