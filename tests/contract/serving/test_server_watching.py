"""What monitoring reads: our own metrics, health, and that an environment's server takes no other orders."""

import json
import subprocess
import time

import grpc
import numpy as np
import pytest
from conftest import eventually, read, serving, want
from google.protobuf import wrappers_pb2
from prometheus_client.parser import text_string_to_metric_families
from tensorflow_serving.apis import model_management_pb2

from mmcicd_jenkins.release.counters import samples

pytestmark = pytest.mark.tensorflow


def metric(ask, name, **labels):
    """As the monitor reads it."""
    found = samples(ask("GET", "/monitoring/prometheus/metrics").text)
    return next((value for n, have, value in found if n == name and labels.items() <= have.items()), 0.0)


def test_the_metrics_are_prometheus_text(ask):
    ask("POST", "/v1/models/scaled:predict", {"instances": [[1, 2]]})
    families = {
        f.name: f for f in text_string_to_metric_families(ask("GET", "/monitoring/prometheus/metrics").text)
    }
    assert families[":tensorflow:serving:request_count"].type == "counter"
    assert families[":mmcicd:serving:request_latency"].type == "histogram"


def test_refused_requests_are_counted_for_the_version_that_refused(ask):
    def counts():
        return [
            metric(ask, ":mmcicd:serving:request_count", model_name="scaled", version="2", **{"class": kind})
            for kind in ("ok", "refused")
        ]

    before = counts()
    ask("POST", "/v1/models/scaled:predict", {"instances": [[1, 2]]})
    ask("POST", "/v1/models/scaled:predict", {"instances": [["x", 2]]})
    ask("POST", "/v1/models/scaled:predict", b" " * (17 * 2**20))
    ask("POST", "/v1/models/scaled/versions/1:predict", {"instances": [["x", 2]]})
    assert counts() == [before[0] + 1, before[1] + 2]


def test_every_answer_of_a_version_names_it(ask):
    for body, status in (({"instances": [[1, 2]]}, 200), ({"instances": [["x", 2]]}, 400)):
        answer = ask("POST", "/v1/models/scaled:predict", body)
        assert (answer.status, answer.headers["X-Model-Version"]) == (status, "2")


def test_what_a_client_makes_up_does_not_become_a_label(ask):
    ask("POST", "/v1/models/made-up-by-a-client:predict", b"{}")
    ask("POST", "/v1/models/scaled/versions/777777:predict", b" " * (17 * 2**20))
    ask("POST", "/v1/models/scaled/versions/777777:predict", b"{}")
    text = ask("GET", "/monitoring/prometheus/metrics").text
    assert "made-up-by-a-client" not in text
    assert "777777" not in text


def test_predictions_are_counted_into_the_bins_of_the_reference(ask, stubs):
    def bins():
        name = ":mmcicd:serving:prediction_count"
        return [metric(ask, name, model_name="scaled", version="2", bin=b) for b in ("0", "1", "2", "nan")]

    before = bins()
    # Version 2 doubles: -2 and -inf below 0, 0 and 2 below 10, 10 and above in the last bin.
    ask("POST", "/v1/models/scaled:predict", b'{"instances": [[-1, 0], [1, 5], [NaN, Infinity]]}')
    stubs.prediction.Predict(stubs.predict("scaled", {"x": np.array([[100, 100]], np.float32)}))
    assert [after - b for after, b in zip(bins(), before, strict=True)] == [1, 2, 3, 2]
    ask("POST", "/v1/models/scaled/versions/1:predict", b'{"instances": [[1, 1]]}')
    assert metric(ask, ":mmcicd:serving:prediction_count", model_name="scaled", version="1", bin="1") == 0


def test_health_for_probes(address):
    with grpc.insecure_channel(address.grpc) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=wrappers_pb2.StringValue.SerializeToString,
            response_deserializer=wrappers_pb2.UInt32Value.FromString,
        )
        assert check(wrappers_pb2.StringValue(value="")).value == 1
        assert check(wrappers_pb2.StringValue(value="scaled")).value == 1
        with pytest.raises(grpc.RpcError) as refused:
            check(wrappers_pb2.StringValue(value="nope"))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def model_version(address, model, version):
    return read(address.state / "actual.json")["models"].get(model, {}).get("versions", {}).get(version, {})


@pytest.fixture(scope="module")
def other(models, tmp_path_factory):
    """A server whose orders the tests change."""
    with serving(tmp_path_factory.mktemp("other") / "state", models={}) as found:
        yield found


def entry(directory, version="1", **more):
    return {"versions": {version: {"directory": str(directory)}}, **more}


def test_versions_that_cannot_be_loaded_end_with_their_error(models, other):
    want(
        other.state,
        models={
            "corrupt": entry(models / "corrupt"),
            "absent": entry(models / "absent"),
            "cold": entry(models / "warm-wrong"),
            "warm": entry(models / "warm"),
        },
    )
    eventually(lambda: model_version(other, "warm", "1").get("state") == "AVAILABLE")
    for name, part in (
        ("corrupt", "Cannot parse file"),
        ("absent", "holds no saved_model.pb"),
        ("cold", "warm-up request 0 failed: input size does not match signature"),
    ):
        eventually(lambda name=name: model_version(other, name, "1").get("state") == "END")
        status = json.loads(subprocess.check_output(["curl", "-sS", f"{other.rest}/v1/models/{name}"]))
        line = status["model_version_status"][0]
        assert (line["state"], line["status"]["error_code"]) == ("END", "UNKNOWN")
        assert part in line["status"]["error_message"]


def test_a_slow_version_loads_while_another_model_answers(models, other):
    want(other.state, models={"slow": entry(models / "slow-load"), "quick": entry(models / "scaled" / "1")})
    eventually(lambda: model_version(other, "slow", "1").get("state") == "LOADING")
    eventually(lambda: model_version(other, "quick", "1").get("state") == "AVAILABLE")
    assert model_version(other, "slow", "1")["state"] == "LOADING"
    curl = ["curl", "-sS", "-d", '{"instances": [[1]]}', f"{other.rest}/v1/models/slow:predict"]
    assert (
        json.loads(subprocess.check_output(curl))["error"] == "Servable not found for request: Latest(slow)"
    )
    eventually(lambda: model_version(other, "slow", "1").get("state") == "AVAILABLE")


def test_a_desired_state_that_cannot_be_read_changes_nothing(models, other):
    want(other.state, models={"kept": entry(models / "scaled" / "3")})
    eventually(lambda: model_version(other, "kept", "1").get("state") == "AVAILABLE")
    for text in (
        "{",
        '{"models": []}',
        '{"models": {"kept": {"versions": {"x": {"directory": ""}}}}}',
        "[" * 9000,
    ):
        (other.state / "part").write_text(text)
        (other.state / "part").replace(other.state / "desired.json")
        eventually(lambda: read(other.state / "actual.json")["problem"])
        assert model_version(other, "kept", "1")["state"] == "AVAILABLE"
        want(other.state, models={"kept": entry(models / "scaled" / "3")})
        eventually(lambda: not read(other.state / "actual.json")["problem"])


def test_a_version_from_another_directory_takes_the_place_of_the_first(models, other):
    curl = ["curl", "-sS", "-d", '{"instances": [[1, 1]]}', f"{other.rest}/v1/models/moved:predict"]

    def answer():
        return json.loads(subprocess.check_output(curl)).get("predictions")

    for directory in ("1", "3"):
        want(other.state, models={"moved": entry(models / "scaled" / directory)})
        eventually(lambda factor=float(directory): answer() == [[factor, factor]])
    eventually(lambda: model_version(other, "moved", "1").get("state") == "AVAILABLE")


def test_an_epoch_below_the_one_taken_up_is_refused(models, other):
    want(other.state, models={"fenced": entry(models / "scaled" / "1", epoch=7)})
    eventually(lambda: model_version(other, "fenced", "1").get("state") == "AVAILABLE")
    want(other.state, models={"fenced": entry(models / "scaled" / "2", "2", epoch=6)})
    problem = eventually(lambda: read(other.state / "actual.json")["problem"])
    assert problem == "fenced: epoch 6 is below 7, which stands"
    assert model_version(other, "fenced", "2") == {}


def reload_request(*configs):
    request = model_management_pb2.ReloadConfigRequest()
    for name, path, labels in configs:
        made = request.config.model_config_list.config.add(
            name=name, base_path=str(path), model_platform="tensorflow"
        )
        made.version_labels.update(labels)
    return request


def test_reload_by_grpc_serves_the_newest_version(models, other):
    from stock_stubs import StockStubs

    stubs = StockStubs(other.grpc)
    want(other.state, models={})
    eventually(lambda: not read(other.state / "actual.json")["problem"])
    time.sleep(0.3)
    assert (
        stubs.models.HandleReloadConfigRequest(
            reload_request(("scaled", models / "scaled", {"best": 3}))
        ).status.error_code
        == 0
    )
    eventually(lambda: model_version(other, "scaled", "3").get("state") == "AVAILABLE")
    curl = [
        "curl",
        "-sS",
        "-d",
        '{"instances": [[1, 1]]}',
        f"{other.rest}/v1/models/scaled/labels/best:predict",
    ]
    assert json.loads(subprocess.check_output(curl)) == {"predictions": [[3.0, 3.0]]}
    for wrong in (("x", models / "nowhere", {}), ("scaled", models / "scaled", {"best": 1})):
        assert stubs.models.HandleReloadConfigRequest(reload_request(wrong)).status.error_code in (3, 9)
    assert "3" in read(other.state / "desired.json")["models"]["scaled"]["versions"]
    request = reload_request(("scaled", models / "scaled", {}))
    request.config.model_config_list.config[0].model_version_policy.specific.versions.extend([1, 2])
    stubs.models.HandleReloadConfigRequest(request)
    eventually(lambda: model_version(other, "scaled", "3").get("state") == "END")
    assert read(other.state / "actual.json")["models"]["scaled"]["serving"] == [1, 2]
    stubs.channel.close()


def test_an_environments_server_takes_no_reload(models, other):
    from stock_stubs import StockStubs

    stubs = StockStubs(other.grpc)
    want(other.state, environment="production", models={})
    answer = stubs.models.HandleReloadConfigRequest(reload_request(("scaled", models / "scaled", {})))
    assert answer.status.error_code == 7
    assert answer.status.error_message == "environment production is changed by promote and rollback only"
    stubs.channel.close()
