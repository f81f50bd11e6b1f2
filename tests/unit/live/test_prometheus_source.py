"""Prometheus as a source: what it is asked, what its answers become, and every way in which it does not answer.

Aspects: queries with their quoting, logins, copies without requests, answers that are refused, cut, endless, dripping,
hanging, no JSON, or not Prometheus', and that no login leaves for elsewhere.
"""

import json
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from certificates import Authority
from http_service import serving

from mmcicd_jenkins.adapters.prometheus import Prometheus, PrometheusTraffic, quoted
from mmcicd_jenkins.errors import InputError, OutsideFailed

EMPTY = {"status": "success", "data": {"resultType": "vector", "result": []}}


@contextmanager
def answering(answer: Callable[[str], tuple[int, bytes]]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A server of `/api/v1/query`; the queries that it was asked, with their logins."""
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = parse_qs(parts.query)["query"][0]
            asked.append((query, self.headers.get("Authorization", "")))
            status, body = answer(query)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as url:
        yield url, asked


def vector(*series: tuple[dict[str, str], str]) -> bytes:
    result = [{"metric": labels, "value": [1700000000, value]} for labels, value in series]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


def of_churn(query: str) -> tuple[int, bytes]:
    if query.startswith("max by (pod) (up{"):
        return 200, vector(({"pod": "a"}, "1"), ({"pod": "b"}, "1"), ({"pod": "down"}, "0"))
    if "request_count" in query:
        return 200, vector(
            ({"pod": "a", "status": "OK"}, "90"),
            ({"pod": "a", "status": "INVALID_ARGUMENT"}, "10"),
            ({"pod": "a", "status": "INTERNAL"}, "NaN"),
        )
    return 200, vector(
        ({"pod": "a", "le": "1000"}, "80"), ({"pod": "a", "le": "+Inf"}, "90"), ({"pod": "a", "le": "x"}, "1")
    )


def test_counters_of_a_role() -> None:
    with answering(of_churn) as (url, asked):
        seen = PrometheusTraffic(Prometheus(url + "/", {}), "ml").read("churn", "canary")

    assert seen.requests == {"a": 100.0, "b": 0.0}
    assert seen.errors == {"a": 10.0}
    assert seen.latency == {"a": {0.001: 80.0, math.inf: 90.0}}
    for query, login in asked:
        assert 'namespace="ml"' in query
        assert 'pod=~"churn-canary-[a-z0-9]+-[a-z0-9]+"' in query
        assert login == ""
    assert all('model_name="churn"' in query for query, _ in asked[1:])


def test_values_are_quoted() -> None:
    assert quoted('a"} or up{x="\\') == '"a\\"} or up{x=\\"\\\\"'


@pytest.mark.parametrize(
    ("variables", "sent"),
    [
        ({"MMCICD_PROMETHEUS_TOKEN": "abc\n"}, "Bearer abc"),
        ({"MMCICD_PROMETHEUS_USER": "ann", "MMCICD_PROMETHEUS_PASSWORD": "pw"}, "Basic YW5uOnB3"),
        ({}, ""),
    ],
)
def test_logins(variables: dict[str, str], sent: str) -> None:
    with answering(lambda _: (200, vector())) as (url, asked):
        assert Prometheus(url, variables).query("up") == []
    assert asked == [("up", sent)]


def test_a_token_with_a_line_break_is_refused() -> None:
    with pytest.raises(InputError, match="MMCICD_PROMETHEUS_TOKEN"):
        Prometheus("http://127.0.0.1:9", {"MMCICD_PROMETHEUS_TOKEN": "a\nb"})


@pytest.mark.parametrize(
    ("status", "body", "said", "again"),
    [
        (401, b"", "does not let us ask", False),
        (403, b"", "does not let us ask", False),
        (400, b'{"status":"error","error":"parse error"}', "parse error", False),
        (503, b"starting", "starting", True),
        (302, b"", "status 302", False),
        (200, b"<html>a login page</html>", "no Prometheus", False),
        (200, b'{"status":"success","data":{"resultType":"matrix","result":[]}}', "no Prometheus", False),
        (200, b'{"status":"success"}', "no Prometheus", False),
        (200, b"[]", "no Prometheus", False),
        (
            200,
            b'{"status":"success","data":{"resultType":"vector","result":[{"metric":1}]}}',
            "no Prometheus",
            False,
        ),
        (200, b"[" * 100_000, "no Prometheus", False),
    ],
)
def test_answers_that_are_none(status: int, body: bytes, said: str, again: bool) -> None:
    with answering(lambda _: (status, body)) as (url, _), pytest.raises(OutsideFailed) as caught:
        Prometheus(url, {"MMCICD_PROMETHEUS_TOKEN": "abc"}).query("up")
    assert said in f"{caught.value.what} {caught.value.why}"
    assert caught.value.retryable is again
    assert "abc" not in str(caught.value.to_json())


@contextmanager
def talking(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that says what `talk` says, on the wire, to one caller after the other."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                talk(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def says_nothing(connection: socket.socket) -> None:
    while connection.recv(1024):
        pass


def drips(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def never_ends(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def is_cut(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")


def hangs_up(connection: socket.socket) -> None:
    connection.recv(4096)


@pytest.mark.parametrize("talk", [says_nothing, drips, never_ends, is_cut, hangs_up])
def test_no_answer_ends_by_its_bounds(talk: Callable[[socket.socket], None]) -> None:
    with talking(talk) as url, pytest.raises(OutsideFailed, match="does not answer") as caught:
        Prometheus(url, {}, seconds=0.5).query("up")
    assert caught.value.why


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:9", "nobody listens there"),
        ("http://prometheus.invalid:9090", "its name is not known"),
        ("nonsense", "this is no address of the web"),
    ],
)
def test_nobody_there(url: str, why: str) -> None:
    with pytest.raises(OutsideFailed, match="does not answer") as caught:
        Prometheus(url, {}).query("up")
    assert caught.value.why == why


def test_an_authority_that_nobody_trusts(tmp_path: Path) -> None:
    """A certificate is always checked; `SSL_CERT_FILE` is how an authority of one's own is named."""
    certificate, key = Authority.make(tmp_path / "ca").issue("prometheus", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            context.wrap_socket(connection, server_side=True).close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with pytest.raises(OutsideFailed) as caught:
        Prometheus(f"https://127.0.0.1:{listener.getsockname()[1]}", {}).query("up")
    thread.join()
    listener.close()
    assert "certificate is not trusted" in caught.value.why
    assert not caught.value.retryable
