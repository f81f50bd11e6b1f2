"""Where a monitor reads and remembers: ConfigMap and files, pods, a Prometheus; what each does when it is not as hoped.

Aspects of memories: nothing there, back as written, two monitors at once, garbage, bombs, somebody else's object, no
right, too large. Of pods: versions apart, not ready, ending, no counters wanted. Of a Prometheus: windows, silence.
"""

import json
import zlib
from base64 import b64encode
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import pytest
from http_service import serving as http_serving
from kubernetes_standin import serving

from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.connection import connect
from mmcicd_jenkins.adapters.kubernetes.monitor_memory import LARGEST, ConfigMapMemory
from mmcicd_jenkins.adapters.kubernetes.pod_counters import PodCounters
from mmcicd_jenkins.adapters.kubernetes.prometheus_history import PrometheusHistory
from mmcicd_jenkins.adapters.local.monitor_memory import MemoryFiles
from mmcicd_jenkins.adapters.prometheus import Prometheus
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import InputError, OutsideFailed, Superseded

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
CONFIG_MAP = "churn-monitor"


class Clock:
    def now(self):
        return NOW

    def sleep(self, _seconds):
        raise AssertionError("nobody waits here")


@pytest.fixture
def standin():
    with serving() as found:
        yield found


@pytest.fixture
def api(standin, tmp_path):
    place = Environment(name="production", kind="kubernetes", cluster=standin.address, namespace="ml")
    return Api(connect(place, {"KUBECONFIG": str(standin.kubeconfig(tmp_path))}, "mmcicd.yaml:7:5"), "ml")


@pytest.fixture(params=["file", "ConfigMap"])
def memory(request, tmp_path):
    if request.param == "file":
        return MemoryFiles(tmp_path / "monitor" / "production")
    return ConfigMapMemory(request.getfixturevalue("api"), "production", Clock())


def test_what_was_written_comes_back(memory):
    nothing = memory.read("churn")
    assert (nothing.document, nothing.revision) == (None, "")
    memory.write("churn", {"looked": 1.5, "said": "öä"}, nothing.revision, "all is well")
    first = memory.read("churn")
    memory.write("churn", {"looked": 2.5}, first.revision, "all is well")
    assert first.document == {"looked": 1.5, "said": "öä"}
    assert memory.read("churn").document == {"looked": 2.5}
    assert memory.read("fraud").document is None


def test_of_two_monitors_at_once_one_remembers(memory):
    before = memory.read("churn")
    memory.write("churn", {"first": True}, before.revision, "first")
    with pytest.raises(Superseded, match="another monitor looked meanwhile"):
        memory.write("churn", {"second": True}, before.revision, "second")
    again = memory.read("churn")
    memory.write("churn", {"third": True}, again.revision, "third")
    with pytest.raises(Superseded):
        memory.write("churn", {"fourth": True}, again.revision, "fourth")
    assert memory.read("churn").document == {"third": True}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"null", b"\xff", b"[" * 100_000])
def test_a_file_that_cannot_be_read_is_forgotten_and_written_anew(tmp_path, content):
    (tmp_path / "churn.json").write_bytes(content)
    memory = MemoryFiles(tmp_path)
    kept = memory.read("churn")
    assert kept.document is None
    memory.write("churn", {"anew": True}, kept.revision, "")
    assert memory.read("churn").document == {"anew": True}


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutsideFailed, match="cannot write"):
        MemoryFiles(tmp_path / "file").write("churn", {}, "", "")


def the_map(**changed):
    labels = {"app.kubernetes.io/managed-by": "mmcicd-jenkins"}
    metadata = {"name": CONFIG_MAP, "namespace": "ml", "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **changed}


def packed(content):
    return {"binaryData": {"memory.json.zlib": b64encode(content).decode()}}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"data": {"memory.json.zlib": "{}"}},
        {"binaryData": {"memory.json.zlib": "no base64!"}},
        packed(b"no zlib"),
        packed(zlib.compress(b"{}")[:-4]),
        packed(zlib.compress(b"[" * 100_000)),
        packed(zlib.compress(b"[1]")),
        packed(zlib.compress(b" " * (64 * 2**20) + b"{}", 9)),
    ],
)
def test_a_config_map_that_cannot_be_read_is_forgotten_and_written_anew(standin, api, changed):
    """Among them what an administrator applied before anybody looked, and a bomb of 64 MiB."""
    standin.put(the_map(**changed))
    memory = ConfigMapMemory(api, "production", Clock())
    kept = memory.read("churn")
    assert kept.document is None
    memory.write("churn", {"anew": True}, kept.revision, "all is well")
    assert memory.read("churn").document == {"anew": True}


def test_a_config_map_of_somebody_else_is_never_overwritten(standin, api):
    standin.put({**the_map(), "metadata": {"name": CONFIG_MAP, "namespace": "ml"}})
    with pytest.raises(InputError, match="belongs to somebody else"):
        ConfigMapMemory(api, "production", Clock()).read("churn")


def test_people_can_read_when_and_what_was_said(standin, api):
    ConfigMapMemory(api, "production", Clock()).write("churn", {}, "", "errors: 80 bad of 164 requests")
    found = standin.object("ConfigMap", CONFIG_MAP)
    assert found["data"] == {"at": "2026-11-24T12:00:00+00:00", "said": "errors: 80 bad of 164 requests"}
    assert found["metadata"]["labels"]["mmcicd.io/environment"] == "production"


def test_without_the_right_to_make_one_the_error_names_what_an_administrator_does(standin, api):
    standin.forbidden.add(("create", "configmaps"))
    with pytest.raises(OutsideFailed) as told:
        ConfigMapMemory(api, "production", Clock()).write("churn", {}, "", "")
    assert "render rbac" in told.value.fix


def test_one_that_is_there_needs_no_right_to_make_one(standin, api):
    standin.put(the_map())
    standin.forbidden.add(("create", "configmaps"))
    memory = ConfigMapMemory(api, "production", Clock())
    memory.write("churn", {"looked": 1}, memory.read("churn").revision, "")
    assert memory.read("churn").document == {"looked": 1}


def test_a_memory_that_has_grown_too_large_is_refused_before_it_is_sent(standin, api):
    import random

    noise = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=2 * LARGEST))
    with pytest.raises(OutsideFailed, match="grown too large"):
        ConfigMapMemory(api, "production", Clock()).write("churn", {"noise": noise}, "", "")
    assert standin.object("ConfigMap", CONFIG_MAP) is None


def pod(name, version, *, ready=True, restarts=0, ends=False, address="10.0.0.1"):
    labels = {
        "app.kubernetes.io/name": "churn",
        "app.kubernetes.io/version": str(version),
        "mmcicd.io/track": "stable",
        "pod-template-hash": "abc",
    }
    metadata = {"name": name, "labels": labels, "creationTimestamp": "2026-11-24T11:00:00Z"}
    if ends:
        metadata["deletionTimestamp"] = "2026-11-24T11:59:00Z"
    status = {
        "podIP": address,
        "conditions": [{"type": "Ready", "status": str(ready)}],
        "containerStatuses": [{"restartCount": restarts}],
    }
    return {"metadata": metadata, "status": status}


class Pods:
    def __init__(self, *pods):
        self.pods = pods

    def list(self, kind, selector):
        assert kind == "Pod"
        return [p for p in self.pods if selector.items() <= p["metadata"]["labels"].items()]


class Texts:
    """Each copy answered ten requests and failed at one."""

    def __init__(self):
        self.asked = []

    def text(self, copy):
        self.asked.append(copy.name)
        counts = ":tensorflow:serving:request_count"
        return (
            f'{counts}{{model_name="churn",status="OK"}} 10\n'
            f'{counts}{{model_name="churn",status="INTERNAL"}} 1\n'
            f'{counts}{{model_name="churn",status="INVALID_ARGUMENT"}} 2\n'
            f'{counts}{{model_name="other",status="INTERNAL"}} 99\n'
            ':tensorflow:serving:request_latency_bucket{model_name="churn",API="predict",entrypoint="REST",le="18"} 4\n'
            ':tensorflow:serving:request_latency_bucket{model_name="churn",API="predict",entrypoint="GRPC",le="18"} 3\n'
            ':tensorflow:serving:request_latency_bucket{model_name="churn",API="predict",entrypoint="REST",le="+Inf"} 10\n'
        )


def test_each_copy_of_the_asked_versions_is_counted_apart():
    texts = Texts()
    pods = Pods(
        pod("churn-stable-abc-1", 2),
        pod("churn-stable-abc-2", 2, ready=False, restarts=4),
        pod("churn-stable-abc-3", 2, ends=True),
        pod("churn-canary-abc-4", 3),
    )
    seen = {one.copy: one for one in PodCounters(pods, texts, Clock()).read("churn", [2, 1], 0)}
    assert set(seen) == {"churn-stable-abc-1", "churn-stable-abc-2"}
    reading = seen["churn-stable-abc-1"].reading
    assert (reading.answered, reading.refused, reading.failed) == (10, 2, 1)
    assert (reading.bounds[0], reading.latency) == (18e-6, (7, 3))
    assert seen["churn-stable-abc-1"].began == datetime(2026, 11, 24, 11, tzinfo=UTC).timestamp()
    assert (seen["churn-stable-abc-2"].asked, seen["churn-stable-abc-2"].reading.restarts) == (False, 4)
    assert texts.asked == ["churn-stable-abc-1#0"]


def test_where_a_prometheus_counts_pods_are_not_asked():
    seen = PodCounters(Pods(pod("churn-stable-abc-1", 2, restarts=2)), None, Clock()).read("churn", [2], 0)
    assert [(one.asked, one.reading.restarts) for one in seen] == [(False, 2)]


def test_a_copy_that_does_not_answer_is_an_error_and_no_zero():
    class Silent:
        def text(self, _copy):
            raise OutsideFailed("a pod that is ready does not give its metrics")

    with pytest.raises(OutsideFailed):
        PodCounters(Pods(pod("churn-stable-abc-1", 2)), Silent(), Clock()).read("churn", [2], 0)


@contextmanager
def prometheus(answers):
    """`answers`: what a query holds -> series as (labels, value)."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            query = parse_qs(urlsplit(self.path).query)["query"][0]
            asked.append(query)
            series = next((found for part, found in answers.items() if part in query), [])
            result = [{"metric": labels, "value": [0, value]} for labels, value in series]
            body = json.dumps(
                {"status": "success", "data": {"resultType": "vector", "result": result}}
            ).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http_serving(Handler) as url:
        yield Prometheus(url, {}), asked


COUNTS = {
    ":tensorflow:serving:request_count": [
        ({"status": "OK"}, "990.4"),
        ({"status": "UNAVAILABLE"}, "9.6"),
        ({"status": "NOT_FOUND"}, "3"),
        ({"status": "INTERNAL"}, "NaN"),
    ],
    ":tensorflow:serving:request_latency_bucket": [({"le": "1000"}, "500.2"), ({"le": "+Inf"}, "990.4")],
}


def test_a_prometheus_is_asked_for_each_window_by_the_replica_sets_of_the_version():
    pods = Pods(pod("churn-stable-abc-1", 2), pod("churn-stable-abc-2", 2), pod("churn-stable-old-1", 1))
    with prometheus(COUNTS) as (source, asked):
        windows = PrometheusHistory(source, pods, "ml").windows("churn", 2, [300.0, 3600.0], 0)
    assert set(windows) == {300.0, 3600.0}
    seen = windows[300.0]
    assert (seen.answered, seen.refused, seen.failed) == (990, 3, 10)
    assert (seen.bounds[0], seen.latency) == (0.001, (500, 490))
    assert seen.predictions == ()
    assert any("[300s]" in query for query in asked)
    assert any("[3600s]" in query for query in asked)
    assert all('pod=~"churn-stable-abc-[a-z0-9]+"' in query for query in asked)
    assert all('namespace="ml"' in query for query in asked)


def test_our_own_server_has_predictions_there_too():
    answers = {
        "count({__name__": [({}, "2")],
        ":mmcicd:serving:prediction_count": [({"bin": "1"}, "7.6"), ({"bin": "nan"}, "3")],
        **COUNTS,
    }
    with prometheus(answers) as (source, _):
        history = PrometheusHistory(source, Pods(pod("churn-stable-abc-1", 2)), "ml")
        assert history.windows("churn", 2, [300.0], 3)[300.0].predictions == (0, 8, 0)


def test_a_version_without_pods_has_no_windows():
    with prometheus(COUNTS) as (source, asked):
        assert PrometheusHistory(source, Pods(), "ml").windows("churn", 2, [300.0], 0) == {}
    assert asked == []


def test_a_silent_prometheus_is_an_error():
    with pytest.raises(OutsideFailed, match="Prometheus does not answer"):
        PrometheusHistory(
            Prometheus("http://127.0.0.1:9", {}), Pods(pod("churn-stable-abc-1", 2)), "ml"
        ).windows("churn", 2, [300.0], 0)


def test_a_copy_that_went_between_two_calls_is_no_alarm():
    pods = Pods(pod("churn-stable-abc-1", 2), pod("churn-stable-abc-2", 2))

    class Goes(Texts):
        def text(self, copy):
            if copy.name.startswith("churn-stable-abc-2"):
                pods.pods = pods.pods[:1]
                raise OutsideFailed("a pod that is ready does not give its metrics", retryable=True)
            return super().text(copy)

    seen = PodCounters(pods, Goes(), Clock()).read("churn", [2], 0)
    assert [(one.copy, one.asked) for one in seen] == [("churn-stable-abc-1", True)]
