"""The proxy breaks what it is told to break, and nothing else: a client without any repair sees each fault."""

import http.client
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fault_proxy
import faults
import pytest
from certificates import Authority

CONTENT = bytes(range(256)) * 1000


@pytest.fixture(scope="module")
def server():
    """An echo: what is put is kept, what is asked for is CONTENT."""
    kept = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(CONTENT)

        def do_HEAD(self):
            self.do_GET()

        def do_PUT(self):
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if len(body) < int(self.headers["Content-Length"]):
                    return
            kept.append(body)
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.kept = kept
    threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def proxy(server):
    server.kept.clear()
    with fault_proxy.serve(f"127.0.0.1:{server.server_port}") as running:
        yield running


def ask(proxy, method="GET", body=None, **more):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=0.5)
    try:
        connection.request(method, "/some/path", body, **more)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_without_a_rule_all_passes(proxy, server):
    assert ask(proxy)[2] == CONTENT
    assert ask(proxy, "HEAD")[1]["Content-Length"] == str(len(CONTENT))
    assert ask(proxy, "PUT", CONTENT)[0] == 201
    assert ask(proxy, "PUT", iter([CONTENT, b"more"]), encode_chunked=True)[0] == 201
    assert server.kept == [CONTENT, CONTENT + b"more"]
    assert proxy.asked("PUT", "/some") == ["passed", "passed"]


def test_a_rule_is_for_its_method_path_and_count(proxy):
    proxy.on("GET", "^/other", faults.drop())
    proxy.on("GET", "^/some", faults.answer(503), times=2, after=1)
    assert [ask(proxy)[0] for _ in range(4)] == [200, 503, 503, 200]
    assert ask(proxy, "HEAD")[0] == 200
    assert proxy.asked("GET", "/some") == ["passed", "answered_503", "answered_503", "passed"]


@pytest.mark.parametrize(
    ("fault", "error", "reached"),
    [
        (faults.drop(), (http.client.RemoteDisconnected, OSError), False),
        (faults.drop_answer(), http.client.RemoteDisconnected, True),
        (faults.stall(), TimeoutError, False),
        (faults.half_open(1000), TimeoutError, False),
        (faults.half_closed(), http.client.RemoteDisconnected, False),
        (faults.reset_before(), ConnectionResetError, False),
        (faults.reset_before(5000), (ConnectionResetError, BrokenPipeError), False),
        (faults.reset_after(), ConnectionResetError, True),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_request_that_gets_no_answer(proxy, server, fault, error, reached):
    proxy.on("PUT", "/", fault)
    with pytest.raises(error):
        ask(proxy, "PUT", CONTENT)
    assert (server.kept == [CONTENT]) is reached
    assert ask(proxy, "PUT", CONTENT)[0] == 201


def test_an_answer_that_stops_comes_slowly_or_ends_early(proxy):
    proxy.on("GET", "/", faults.stall_answer())
    with pytest.raises(TimeoutError):
        ask(proxy)
    proxy.on("GET", "/", faults.truncate(1000))
    with pytest.raises(http.client.IncompleteRead):
        ask(proxy)
    proxy.on("GET", "/", faults.truncate(1000, honest=False))
    assert ask(proxy)[2] == CONTENT[:1000]
    proxy.on("GET", "/", faults.slow(0.001, 50_000))
    assert ask(proxy)[2] == CONTENT


def test_bytes_that_change_on_the_way(proxy, server):
    proxy.on("*", "/", faults.flip(100_000))
    got = ask(proxy)[2]
    assert [at for at in range(len(CONTENT)) if got[at] != CONTENT[at]] == [100_000]
    proxy.on("PUT", "/", faults.flip_sent(3))
    ask(proxy, "PUT", b"abcdef")
    assert server.kept == [b"abceef"]


def test_answers_that_are_not_the_servers(proxy):
    proxy.on("PUT", "/", faults.answer(429, b"later", Retry_After="3"))
    status, headers, body = ask(proxy, "PUT", CONTENT)
    assert (status, headers["Retry-After"], body) == (429, "3", b"later")
    proxy.on("HEAD", "/", faults.redirect("http://elsewhere.example/x"))
    assert ask(proxy, "HEAD")[1]["Location"] == "http://elsewhere.example/x"
    proxy.on("GET", "/", faults.with_headers(Docker_Content_Digest="sha256:0", Content_Length=None), times=2)
    assert ask(proxy)[1]["Docker-Content-Digest"] == "sha256:0"


def test_an_answer_without_an_end(proxy):
    proxy.on("GET", "/", faults.endless())
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert len(answer.read(5_000_000)) == 5_000_000
    answer.close()
    connection.close()


def test_it_speaks_tls(server, tmp_path):
    import ssl
    import urllib.request

    authority = Authority.make(tmp_path)
    files = authority.issue("proxy", "127.0.0.1")
    trust = ssl.create_default_context(cafile=str(authority.path))
    with fault_proxy.serve(f"127.0.0.1:{server.server_port}", files) as running:
        with urllib.request.urlopen(f"https://{running.host}/", context=trust) as answer:
            assert answer.read() == CONTENT
        running.on("GET", "/", faults.reset_after())
        with pytest.raises(OSError):  # noqa: SIM117
            with urllib.request.urlopen(f"https://{running.host}/", context=trust):
                pass


def test_a_place_where_nobody_answers():
    with fault_proxy.black_hole() as place:
        host, _, port = place.rpartition(":")
        with pytest.raises(TimeoutError):
            socket.create_connection((host, int(port)), timeout=0.3)
