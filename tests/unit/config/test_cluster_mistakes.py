"""What is wrong with an environment of kind kubernetes is said where it stands, before a cluster is asked."""

import json
from pathlib import Path
from typing import Any

import pytest

from mmcicd_jenkins.config.load import Loaded, load
from mmcicd_jenkins.errors import ConfigInvalid

BASE: dict[str, Any] = {"kind": "kubernetes", "cluster": "https://k:6443", "namespace": "ml"}
ENTRY = {"train": "./t", "evaluate": {"command": "./e"}, "gates": ["accuracy >= 0.5"]}


def loaded(folder: Path, *places: dict[str, Any], models: tuple[str, ...] = ("churn",)) -> Loaded:
    environments = {f"e{index}": BASE | place for index, place in enumerate(places)}
    file = {"models": dict.fromkeys(models, ENTRY), "environments": environments}
    (folder / "mmcicd.yaml").write_text(json.dumps(file))  # JSON is YAML, without anchors
    return load(folder, environ={})


def problems(folder: Path, *places: dict[str, Any], models: tuple[str, ...] = ("churn",)) -> list[str]:
    with pytest.raises(ConfigInvalid) as told:
        loaded(folder, *places, models=models)
    assert all(problem.fix for problem in told.value.problems)
    return [problem.what for problem in told.value.problems]


@pytest.mark.parametrize(
    ("place", "what"),
    [
        (
            {"cluster": "k8s.acme.example"},
            "e0.cluster: 'k8s.acme.example' is not the address of an API server",
        ),
        ({"namespace": "Ml_1"}, "e0.namespace: 'Ml_1' cannot be the name of a namespace"),
        (
            {"service": {"node_ports": {"rest": 30501}}},
            "e0.service.node_ports.rest: type ClusterIP has no ports",
        ),
        (
            {"service": {"type": "NodePort", "node_ports": {"rest": 30501, "grpc": 30501}}},
            "node_ports.grpc: the same port as `rest`",
        ),
        ({"service": {"annotations": {"mmcicd.io/epoch": "9"}}}, "only a deployment writes annotations"),
        (
            {"ingress": {"host": "http://churn.example"}},
            "e0.ingress.host: 'http://churn.example' is not the name",
        ),
        ({"ingress": {"host": "h", "annotations": {"mmcicd.io/seal": "x"}}}, "only a deployment writes"),
        ({"address": {"rest": "churn.example"}}, "e0.address.rest: 'churn.example' is not an address"),
        ({"address": {"grpc": "http://churn.example:1"}}, "e0.address.grpc: 'http://churn.example:1' is not"),
        ({"address": {"grpc": "churn.example"}}, "e0.address.grpc: 'churn.example' is not an address"),
        ({"proxy": {"image": "nginx:1.27"}}, "proxy.image: what a tag names can change"),
        (
            {"proxy": {"image": f"nginx@sha256:{'1' * 64}", "users_secret": "u"}},
            "proxy.users_secret: passwords would travel in the clear",
        ),
        (
            {"proxy": {"image": f"nginx@sha256:{'1' * 64}", "callers_secret": "c"}},
            "proxy.callers_secret: a caller shows a certificate only where TLS ends",
        ),
        ({"allow_from": ["10.0.0.0/99"]}, "allow_from.0: '10.0.0.0/99' is neither a namespace nor a block"),
        ({"allow_from": ["10.0.0.1/8"]}, "allow_from.0: '10.0.0.1/8' is neither"),
        ({"allow_from": ["ok", "No"]}, "allow_from.1: 'No' is neither"),
        ({"pods": {"gpu_resource": "gpu"}}, "pods.gpu_resource: 'gpu' is not the name of a resource"),
        ({"pods": {"tolerations": [{"value": "a"}]}}, "tolerations.0: a value needs the key of its taint"),
        (
            {"pods": {"tolerations": [{"key": "k", "value": "a", "operator": "Exists"}]}},
            "tolerations.0.value: operator Exists takes no value",
        ),
        (
            {"pods": {"tolerations": [{"key": "k", "seconds": 3}]}},
            "seconds: only effect NoExecute has a time",
        ),
        ({"progress_timeout": "5m"}, "progress_timeout: a copy may take 310 s to start and count"),
        ({"pods": {"start_timeout": "1h"}, "progress_timeout": "30m"}, "a copy may take 3610 s"),
    ],
    ids=str,
)
def test_a_mistake_is_told(tmp_path: Path, place: dict[str, Any], what: str) -> None:
    (told,) = problems(tmp_path, place)
    assert what in told


@pytest.mark.parametrize("cluster", ["https://k:6443", "https://K:6443/", "HTTPS://k:6443"])
def test_two_environments_are_not_in_one_namespace(tmp_path: Path, cluster: str) -> None:
    (told,) = problems(tmp_path, {}, {"cluster": cluster})
    assert told == "environments.e1.namespace: the same namespace of the same cluster as environments.e0"


def test_two_environments_may_share_a_cluster_or_the_name_of_a_namespace(tmp_path: Path) -> None:
    assert loaded(tmp_path, {}, {"namespace": "other"}, {"cluster": "https://another:6443"})


@pytest.mark.parametrize(
    ("place", "what"),
    [
        (
            {"ingress": {"host": "ml.example"}, "allow_from": ["a"]},
            "ingress.host: 2 models would share this host",
        ),
        (
            {"service": {"type": "NodePort", "node_ports": {"rest": 30501}}, "allow_from": ["a"]},
            "node_ports.rest: 2 models would share this port",
        ),
    ],
)
def test_models_share_no_address(tmp_path: Path, place: dict[str, Any], what: str) -> None:
    (told,) = problems(tmp_path, place, models=("churn", "fraud"))
    assert what in told


def test_a_host_with_the_models_name_is_one_for_each(tmp_path: Path) -> None:
    config = loaded(tmp_path, {"ingress": {"host": "MODEL.ml.example"}}, models=("churn", "fraud")).config

    assert config.production.address.of("fraud") == ("http://fraud.ml.example", "")


def test_a_model_must_be_able_to_name_a_service(tmp_path: Path) -> None:
    (told,) = problems(tmp_path, {}, models=("2nd",))
    assert told == "models.2nd: a Service is named as the model, and its name begins with a letter"


def test_a_model_is_not_called_as_another_ones_preview(tmp_path: Path) -> None:
    models = ("churn", "churn-preview")

    assert loaded(tmp_path, {}, models=models)
    (told,) = problems(tmp_path, {"strategy": "blue-green"}, models=models)
    assert "e0 tries new versions of churn by this name" in told


@pytest.mark.parametrize("place", [{"service": {"type": "NodePort"}}, {"ingress": {"host": "h.example"}}])
def test_who_opens_a_way_in_lets_somebody_in(tmp_path: Path, place: dict[str, Any]) -> None:
    warned = [warning.what for warning in loaded(tmp_path, place).warnings]
    assert any("nobody there is let in" in what for what in warned)
    allowed = [warning.what for warning in loaded(tmp_path, place | {"allow_from": ["10.0.0.0/8"]}).warnings]
    assert not any("nobody there is let in" in what for what in allowed)


def test_the_time_of_a_rollout_follows_that_of_a_start(tmp_path: Path) -> None:
    config = loaded(tmp_path, {"pods": {"start_timeout": "20m", "min_ready": "30s"}}).config

    assert config.production.progress_timeout_seconds == 1200 + 30 + 300


def test_a_toleration_with_a_value_compares_it(tmp_path: Path) -> None:
    tolerations = [{"key": "k", "value": "v"}, {"key": "k"}, {}]
    config = loaded(tmp_path, {"pods": {"tolerations": tolerations}}).config

    assert [one.operator for one in config.production.pods.tolerations] == ["Equal", "Exists", "Exists"]


def test_keys_of_a_cluster_belong_to_no_other_kind(tmp_path: Path) -> None:
    text = "models: {m: {train: ./t, evaluate: {command: ./e}}}\nenvironments: {e: {pods: {}, service: {}}}\n"
    (tmp_path / "mmcicd.yaml").write_text(text)
    with pytest.raises(ConfigInvalid) as told:
        load(tmp_path, environ={})
    assert {p.what for p in told.value.problems} == {
        "environments.e.pods: belongs to kind kubernetes",
        "environments.e.service: belongs to kind kubernetes",
    }


@pytest.mark.parametrize(("key", "least"), [("drain", "10s"), ("min_ready", "2s")])
def test_times_by_which_requests_may_fail_are_warned_of(key: str, least: str, tmp_path: Path) -> None:
    short = loaded(tmp_path, {"pods": {key: "1s"}}).warnings
    assert [w.what for w in short if w.what.startswith(f"environments.e0.pods.{key}")], short
    assert not any(
        "nodes may still send" in w.what for w in loaded(tmp_path, {"pods": {key: least}}).warnings
    )
