"""Who asks a model server: a password goes over TLS or nowhere; a certificate that does not fit is told."""

import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Authority

from mmcicd_jenkins.adapters.models.caller import Caller, caller_from
from mmcicd_jenkins.adapters.models.client import HttpModelClient
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.ports import Endpoint

KNOWN = Caller(user="ml", password="right")


class Numbers(http.server.BaseHTTPRequestHandler):
    """Metrics for whoever is known."""

    def do_GET(self) -> None:
        status = 200 if self.headers["authorization"] == "Basic bWw6cmlnaHQ=" else 401
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"requests 1\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.make(tmp_path / "authority")


@pytest.fixture
def endpoint(authority: Authority) -> Iterator[Endpoint]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server", "127.0.0.1"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Numbers)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Endpoint(rest=f"https://127.0.0.1:{server.server_port}", grpc="")
    server.shutdown()
    thread.join()
    server.server_close()


def test_who_is_known_is_answered(authority: Authority, endpoint: Endpoint) -> None:
    known = Caller(authority=str(authority.path), user="ml", password="right")

    assert HttpModelClient(caller=known).metrics(endpoint) == "requests 1\n"
    with pytest.raises(OutsideFailed, match="gives no metrics") as told:
        HttpModelClient(caller=Caller(authority=str(authority.path))).metrics(endpoint)
    assert told.value.why == "status 401"


def test_a_server_whose_certificate_nobody_signed_is_not_asked(endpoint: Endpoint) -> None:
    with pytest.raises(OutsideFailed, match="does not answer") as told:
        HttpModelClient(caller=KNOWN).metrics(endpoint)
    assert "certificate verify failed" in told.value.why


@pytest.mark.parametrize("address", ["http://h/v1", "h:8500", "grpc://h:1", "httpsx://h"])
def test_a_password_goes_over_tls_or_nowhere(address: str) -> None:
    assert KNOWN.headers(address) == {}
    assert set(KNOWN.headers("https://h")) == set(KNOWN.headers("grpcs://h:1")) == {"authorization"}


def test_a_password_is_not_shown() -> None:
    assert "right" not in repr(KNOWN)


def test_the_environment_says_who_asks() -> None:
    variables = {
        "MMCICD_SERVING_CA": "/a", "MMCICD_SERVING_USER": "u", "MMCICD_SERVING_PASSWORD": "p",
        "MMCICD_SERVING_CERT_FILE": "/c", "MMCICD_SERVING_KEY_FILE": "/k",
    }  # fmt: skip
    assert caller_from(variables) == Caller(
        authority="/a", user="u", password="p", certificate="/c", key="/k"
    )
    assert caller_from({}) == Caller()
