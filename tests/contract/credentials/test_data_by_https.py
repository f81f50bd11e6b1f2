"""Data from a web server that wants a user and a password: told to nobody who did not ask, never shown."""

import base64
import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mmcicd_jenkins.adapters.credentials import Login
from mmcicd_jenkins.adapters.data.sources import FsspecSources
from mmcicd_jenkins.errors import OutsideFailed

TABLE = b"a,y\n" + b"".join(b"%d,%d\n" % (n, n % 2) for n in range(50))
LOGIN = Login(use="data", user="ada", password="péss'$(id)")


class Server:
    """`/open` is for everybody, `/locked` for ada, `/moved` leads to the other server."""

    def __init__(self, other: str = "") -> None:
        self.heard: list[tuple[str, str]] = []
        self.other = other
        self.address = ""

    def answer(self, path: str, header: str) -> tuple[int, list[tuple[str, str]]]:
        said = base64.b64decode(header.partition(" ")[2]).decode() if header else ""
        self.heard.append((path, said))
        if path.startswith("/moved") and said:
            return 302, [("Location", f"{self.other}/locked.csv")]
        if not path.startswith("/open") and said != f"{LOGIN.user}:{LOGIN.password}":
            return 401, [("WWW-Authenticate", 'Basic realm="data"')]
        return 200, []


@contextlib.contextmanager
def serve(server: Server) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            status, headers = server.answer(self.path, self.headers.get("Authorization", ""))
            self.send_response(status)
            for key, value in headers:
                self.send_header(key, value)
            body = TABLE if status == 200 else b""
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_GET(self) -> None:
            self.do_HEAD()

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    server.address = f"http://127.0.0.1:{web.server_port}"
    try:
        yield server
    finally:
        web.shutdown()
        web.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(Server()) as running:
        yield running


def sources(tmp_path: Path, login: Login | None = LOGIN) -> FsspecSources:
    return FsspecSources(tmp_path / "cache", login=login, sleep=lambda _: None)


def test_a_locked_table_is_looked_at_and_fetched(server: Server, tmp_path: Path) -> None:
    url = f"{server.address}/locked.csv"
    facts = sources(tmp_path).look(url)
    found = FsspecSources(tmp_path / "another", login=LOGIN).fetch(url, facts.digest, lambda *_: None)

    assert facts.rows == 50
    assert found.read_bytes() == TABLE


def test_who_does_not_ask_is_told_nothing(server: Server, tmp_path: Path) -> None:
    assert sources(tmp_path).look(f"{server.address}/open.csv").rows == 50
    assert {said for _, said in server.heard} == {""}


def test_a_redirect_to_another_server_carries_nothing_along(server: Server, tmp_path: Path) -> None:
    with serve(Server(other=server.address)) as first, pytest.raises(OutsideFailed):
        sources(tmp_path).look(f"{first.address}/moved.csv")

    assert server.heard
    assert {said for _, said in server.heard} == {""}


@pytest.mark.parametrize("login", [None, Login(use="data", user="ada", password="wrong-one")])
def test_a_refusal_names_what_to_change_and_no_secret(
    server: Server, tmp_path: Path, login: Login | None
) -> None:
    with pytest.raises(OutsideFailed, match="reading the data source is not allowed") as caught:
        sources(tmp_path, login).look(f"{server.address}/locked.csv")

    assert not caught.value.retryable
    assert "jenkins.credentials.ci.data" in caught.value.fix
    assert "MMCICD_DATA_USER and MMCICD_DATA_PASSWORD" in caught.value.fix
    assert "wrong-one" not in str(caught.value.to_json())
