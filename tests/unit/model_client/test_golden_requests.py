"""Golden requests against servers that answer otherwise than they should: named with numbers, never raised."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mmcicd_jenkins.adapters.models.client import HttpModelClient
from mmcicd_jenkins.errors import InputError, OutsideFailed
from mmcicd_jenkins.ports import Endpoint

NOTHING = "127.0.0.1:9"


def golden(*pairs, tolerance=1e-3):
    return {
        "signature": "serving_default",
        "inputs": {"x": {"dtype": "float32", "shape": [None, 1]}},
        "output": "y",
        "instances": [instance for instance, _ in pairs],
        "outputs": [output for _, output in pairs],
        "tolerance": tolerance,
    }


@contextlib.contextmanager
def answering(status, text):
    """A server that says the same to everyone."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST  # noqa: N815 - the name that http.server looks for

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Endpoint(rest=f"http://127.0.0.1:{server.server_port}", grpc=NOTHING)
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("answer", "expected", "difference"),
    [
        ([1.0], [1.0005], ""),
        ([1.0], [1.01], "expected 1.01, got 1, tolerance 0.001"),
        ([1000.0], [1000.9], ""),
        ([float("nan")], [float("nan")], ""),
        ([float("nan")], [1.0], "expected 1, got nan, tolerance 0.001"),
        ([float("inf")], [float("inf")], ""),
        ([1.0, 2.0], [1.0], "expected a list of 1, got a list of 2"),
        (1.0, [1.0], "expected a list of 1, got one value"),
        ({"y": [1.0], "z": 3}, [1.0], ""),
        ("a", "b", "expected 'b', got 'a'"),
        ({"b64": "AA=="}, {"b64": "AA=="}, ""),
        (True, True, ""),
        (1, True, "expected True, got 1"),
    ],
)
def test_answers_are_compared_with_numbers(answer, expected, difference):
    with answering(200, json.dumps({"predictions": [answer]})) as endpoint:
        result = HttpModelClient(timeout_seconds=5).ask_golden(endpoint, "m", golden(([1.0], expected)))
    assert result.matched_rest == (not difference)
    said = [text for text in result.differences if "REST" in text]
    assert said == ([f"request 0 by REST: {difference}"] if difference else [])
    assert len(result.seconds) == result.asked == 1


@pytest.mark.parametrize(
    ("status", "text", "part"),
    [
        (400, '{"error": "no such input"}', "status 400: no such input"),
        (404, "", "request 0 by REST: status 404"),
        (502, "<html>bad gateway</html>", "status 502: <html>bad gateway</html>"),
        (200, "no json", "no predictions in 'no json'"),
        (200, '{"predictions": []}', "no predictions in"),
        (200, "[]", "no predictions in"),
    ],
)
def test_what_is_no_answer_is_a_difference(status, text, part):
    with answering(status, text) as endpoint:
        result = HttpModelClient(timeout_seconds=5).ask_golden(endpoint, "m", golden(([1.0], [1.0])))
    assert part in result.differences[0]
    assert (result.matched_rest, result.matched_grpc) == (0, 0)


def test_grpc_that_does_not_answer_is_a_difference():
    with answering(200, '{"predictions": [[1.0]]}') as endpoint:
        result = HttpModelClient(timeout_seconds=5).ask_golden(endpoint, "m", golden(([1.0], [1.0])))
    assert (result.matched_rest, result.matched_grpc) == (1, 0)
    assert result.differences[0].startswith("request 0 by gRPC: UNAVAILABLE: ")


def test_nothing_at_the_endpoint_is_outside():
    with pytest.raises(OutsideFailed) as failed:
        HttpModelClient(timeout_seconds=5).ask_golden(
            Endpoint(rest=f"http://{NOTHING}", grpc=NOTHING), "m", golden(([1.0], [1.0]))
        )
    assert failed.value.retryable
    assert failed.value.where == f"http://{NOTHING}/v1/models/m:predict"


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": {}},
        {"inputs": []},
        {"inputs": {"x": {}}},
        {"instances": 3},
        {"outputs": [1, 2]},
        {"tolerance": "much"},
        {"inputs": {"x": {"dtype": "complex64"}}},
        {"inputs": {"z": {"dtype": "float32"}}, "instances": [{"x": [1]}]},
        {"instances": [["a"]]},
    ],
)
def test_what_is_no_golden_document_is_an_input_error(change):
    with answering(200, '{"predictions": [[1.0]]}') as endpoint, pytest.raises(InputError):
        HttpModelClient(timeout_seconds=5).ask_golden(endpoint, "m", golden(([1.0], [1.0])) | change)


def test_metrics_that_are_off_say_how_to_turn_them_on():
    with answering(404, "") as endpoint, pytest.raises(OutsideFailed) as failed:
        HttpModelClient(timeout_seconds=5).metrics(endpoint)
    assert "--monitoring_config_file" in failed.value.fix


def test_who_asks_again_makes_a_connection_anew():
    """A kept one leads to the copy that it was made to, after everybody else is led to another."""
    opened = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self):
            super().setup()
            opened.append(self.client_address)

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            text = b'{"predictions": [[2.0]]}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        client, there = (
            HttpModelClient(),
            Endpoint(rest=f"http://127.0.0.1:{server.server_port}", grpc=NOTHING),
        )
        for _ in range(2):
            assert client.ask_golden(there, "churn", golden(([1.0], [2.0]), ([1.0], [2.0]))).matched_rest == 2
        assert len(opened) == 2
        client._http.clear()
        server.shutdown()
        thread.join()
