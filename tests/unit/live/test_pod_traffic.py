"""The pods' own counters: which pods are asked, what their text becomes, and that silence is an error."""

import math
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from mmcicd_jenkins.adapters.kubernetes.pod_metrics import PATH, PodTraffic, ready_copies
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.release.serving_text import counted

TEXT = """# TYPE :tensorflow:serving:request_count counter
:tensorflow:serving:request_count{model_name="churn",status="OK"} 90
:tensorflow:serving:request_count{model_name="churn",status="INVALID_ARGUMENT"} 10
:tensorflow:serving:request_count{model_name="other",status="OK"} 1000
:tensorflow:serving:request_latency_bucket{model_name="churn",API="predict",entrypoint="REST",le="10"} 40
:tensorflow:serving:request_latency_bucket{model_name="churn",API="predict",entrypoint="REST",le="+Inf"} 60
:tensorflow:serving:request_latency_bucket{model_name="churn",API="predict",entrypoint="GRPC",le="10"} 30
:tensorflow:serving:request_latency_bucket{model_name="churn",API="predict",entrypoint="GRPC",le="+Inf"} 30
:tensorflow:serving:request_latency_bucket{model_name="churn",le="much"} 5
"""


def pod(
    name: str, address: str, *, ready: bool = True, restarts: int = 0, going: bool = False
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if going:
        metadata["deletionTimestamp"] = "2026-10-02T00:00:00Z"
    return {
        "metadata": metadata,
        "status": {
            "podIP": address,
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{"restartCount": restarts}],
        },
    }


class Cluster:
    """Lists the pods it was given."""

    def __init__(self, *pods: dict[str, Any]) -> None:
        self.pods = list(pods)
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    def list(self, kind: str, selector: Mapping[str, str]) -> list[dict[str, Any]]:
        self.asked.append((kind, selector))
        return self.pods


def serve(address: str, port: int, status: int = 200, text: str = TEXT) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = status if self.path == PATH else 404
            self.send_response(found)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((address, port), Handler)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


def test_counters_of_the_pods_that_are_ready() -> None:
    first = serve("127.0.0.1", 0)
    port = first.server_port
    second = serve("127.0.0.2", port)
    cluster = Cluster(
        pod("churn-canary-1-a", "127.0.0.1"),
        pod("churn-canary-1-b", "127.0.0.2", restarts=2),
        pod("churn-canary-1-c", "127.0.0.3", ready=False),
        pod("churn-canary-1-d", "127.0.0.4", going=True),
    )
    try:
        seen = PodTraffic(cluster, port=port).read("churn", "canary")
    finally:
        first.shutdown(), second.shutdown()
        first.server_close(), second.server_close()

    assert seen.requests == {"churn-canary-1-a#0": 100.0, "churn-canary-1-b#2": 100.0}
    assert seen.errors == {"churn-canary-1-a#0": 10.0, "churn-canary-1-b#2": 10.0}
    assert seen.latency["churn-canary-1-a#0"] == {1e-5: 70.0, math.inf: 90.0}
    assert cluster.asked == [("Pod", {"app.kubernetes.io/name": "churn", "mmcicd.io/track": "canary"})]


def test_no_ready_pod_counts_nothing() -> None:
    assert PodTraffic(Cluster()).read("churn", "canary").requests == {}


def test_a_ready_pod_that_is_silent_is_an_error() -> None:
    with pytest.raises(OutsideFailed, match="does not give its metrics") as caught:
        PodTraffic(Cluster(pod("churn-canary-1-a", "127.0.0.1")), port=9).read("churn", "canary")
    assert "prometheus" in caught.value.fix


def test_a_server_without_metrics_is_told_how_to_have_them() -> None:
    server = serve("127.0.0.1", 0, status=404)
    try:
        with pytest.raises(OutsideFailed, match="gives no metrics") as caught:
            PodTraffic(Cluster(pod("a", "127.0.0.1")), port=server.server_port).read("churn", "canary")
    finally:
        server.shutdown()
        server.server_close()
    assert "image.monitoring" in caught.value.fix


def test_pods_without_a_state_yet_are_left_out() -> None:
    assert (
        ready_copies(
            [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}, "status": {"podIP": "1.2.3.4"}}]
        )
        == []
    )


def test_a_model_that_the_server_has_not_served_yet() -> None:
    seen = counted(TEXT, "new")
    assert (seen.requests, seen.errors, seen.latency) == (0, 0, {})


def test_our_own_server_speaks_the_same() -> None:
    """The embedded server's text, by which laptops try the road."""
    from mmcicd_jenkins.serving.metrics import Metrics

    metrics = Metrics()
    for status, outcome in (("OK", "ok"), ("INVALID_ARGUMENT", "refused")):
        metrics.record_request(
            model="churn",
            version="1",
            api="predict",
            entrypoint="REST",
            status=status,
            outcome=outcome,
            seconds=0.01,
        )
    seen = counted(metrics.text(), "churn")
    assert (seen.requests, seen.errors) == (2, 1)
    assert seen.latency[math.inf] == 1
