"""How a registry is reached. We test these aspects:

Authorities of the system, of a file, of none; plain text only with this machine or when asked; proxies with and
without a login, and what goes past them; where a registry may send us and our account.
"""

import base64
import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager

import certificates
import pytest
import registry_standin

from mmcicd_jenkins.adapters.proxies import Proxies
from mmcicd_jenkins.adapters.registry.addresses import Addresses
from mmcicd_jenkins.adapters.registry.client import Access, Repository
from mmcicd_jenkins.adapters.registry.errors import Doing
from mmcicd_jenkins.errors import InputError, OutsideFailed

DOING = Doing(registry="registry.example", repository="ml/churn")
ABSENT = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return certificates.Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secure(authority):
    with registry_standin.serve(authority.issue("registry", "127.0.0.1", "localhost")) as running:
        yield running


def test_an_authority_of_a_file(secure, authority, opened, blob):
    content, named, write = blob(3_000_000, piece=500_000)
    repository = opened(secure.host, ca=str(authority.path))
    repository.upload(write)
    repository.upload(write, len(content))
    assert b"".join(repository.chunks(named)) == content


def test_an_authority_that_nobody_trusts(secure, opened):
    with pytest.raises(OutsideFailed, match="cannot be reached") as error:
        opened(secure.host).blob_size(ABSENT)
    assert "not trusted" in error.value.why
    assert "store.ca" in error.value.fix
    assert not error.value.retryable
    assert not secure.seen


def test_a_certificate_of_another_host(authority, opened):
    with registry_standin.serve(authority.issue("other", "registry.example")) as running:
        with pytest.raises(OutsideFailed) as error:
            opened(running.host, ca=str(authority.path)).blob_size(ABSENT)
        assert "not trusted" in error.value.why
        assert not running.seen


def test_a_certificate_that_ended(authority, opened):
    with registry_standin.serve(authority.issue("ended", "127.0.0.1", days=-1)) as running:
        with pytest.raises(OutsideFailed) as error:
            opened(running.host, ca=str(authority.path)).blob_size(ABSENT)
        assert "expired" in error.value.why


def test_ssl_cert_file_is_heard(secure, authority, tmp_path):
    code = (
        "import os, sys\n"
        "from mmcicd_jenkins.adapters.registry.client import Access, Repository\n"
        "from mmcicd_jenkins.image.reference import parse_reference\n"
        "place = parse_reference(sys.argv[1] + '/ml/churn')\n"
        "print(Repository(place, Access(sys.argv[1], dict(os.environ))).blob_size('sha256:' + '0' * 64))\n"
    )
    variables = {"PATH": os.defpath, "HOME": str(tmp_path), "SSL_CERT_FILE": str(authority.path)}
    done = subprocess.run(
        [sys.executable, "-c", code, secure.host], env=variables, capture_output=True, text=True, check=False
    )
    assert done.stdout == "None\n", done.stderr


def test_any_certificate_when_that_was_asked_for(secure, opened, blob):
    content, named, write = blob()
    repository = opened(secure.host, insecure=True)
    repository.upload(write)
    assert b"".join(repository.chunks(named)) == content


def test_what_was_asked_for_one_registry_is_not_for_another(secure, standin, reached):
    from mmcicd_jenkins.image.reference import parse_reference

    access = reached(standin.host, insecure=True)
    with pytest.raises(OutsideFailed) as error:
        Repository(parse_reference(f"{secure.host}/ml/base"), access).blob_size(ABSENT)
    assert "not trusted" in error.value.why


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_that_holds_no_authority(tmp_path, content):
    path = tmp_path / "ca.pem"
    if content:
        path.write_text(content)
    with pytest.raises(InputError, match="certificates to trust") as error:
        Access("registry.example", {}, ca=str(path))
    assert error.value.where == str(path)


@contextmanager
def named(host, port, address="127.0.0.1"):
    """This process finds `host` at `address`: a name that is not of this machine."""
    real = socket.getaddrinfo

    def look_up(name, *rest, **more):
        return real(address if name == host else name, *rest, **more)

    socket.getaddrinfo = look_up
    try:
        yield f"{host}:{port}"
    finally:
        socket.getaddrinfo = real


def test_plain_text_with_another_machine_is_refused(standin, opened):
    variables = {"MMCICD_REGISTRY_USER": "ci", "MMCICD_REGISTRY_PASSWORD": "secret-word"}
    with named("registry.test", standin.port) as host:
        with pytest.raises(OutsideFailed) as error:
            opened(host, variables=variables).blob_size(ABSENT)
        assert "does not speak TLS" in error.value.why
        assert "store.insecure" in error.value.fix
        assert not error.value.retryable
        assert not standin.seen
        assert opened(host, insecure=True).blob_size(ABSENT) is None


@pytest.mark.parametrize("insecure", [False, True])
def test_tls_with_another_machine(secure, authority, opened, insecure):
    with named("registry.test", secure.port) as host, pytest.raises(OutsideFailed) as error:
        opened(host, ca=str(authority.path)).blob_size(ABSENT)
    assert "registry.test" in error.value.why
    with named("localhost.test", secure.port) as host:
        assert opened(host, insecure=True).blob_size(ABSENT) is None


class Proxy:
    """A proxy on this machine: `seen` are request lines and logins; tunnels and forwards to `target` alone."""

    def __init__(self, target, login=""):
        self.target, self.login = target, login
        self.seen = []

    def converse(self, client):
        with client:
            head = b""
            while b"\r\n\r\n" not in head:
                more = client.recv(65536)
                if not more:
                    return
                head += more
            first, _, rest = head.partition(b"\r\n")
            given = next(
                (
                    line.split(b": ", 1)[1]
                    for line in rest.split(b"\r\n")
                    if line.lower().startswith(b"proxy-auth")
                ),
                b"",
            ).decode()
            self.seen.append((first.decode(), given))
            if self.login and given != self.login:
                client.sendall(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection(self.target) as server:
                if first.startswith(b"CONNECT"):
                    client.sendall(b"HTTP/1.1 200 Go\r\n\r\n")
                else:
                    method, address, version = first.split(b" ")
                    path = b"/" + address.split(b"/", 3)[3]
                    server.sendall(b" ".join((method, path, version)) + b"\r\n" + rest)
                back = threading.Thread(target=self.pump, args=(server, client), daemon=True)
                back.start()
                self.pump(client, server)
                back.join()

    @staticmethod
    def pump(source, to):
        try:
            while data := source.recv(65536):
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@contextmanager
def proxied(port, login=""):
    proxy = Proxy(("127.0.0.1", port), login)
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=proxy.converse, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    proxy.address = f"127.0.0.1:{listener.getsockname()[1]}"
    try:
        yield proxy
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.mark.parametrize("login", ["", "ci:p%40ss"])
def test_through_a_tunnel(authority, opened, blob, login):
    """By a name that only the proxy can look up."""
    expected = "Basic " + base64.b64encode(b"ci:p@ss").decode() if login else ""
    with (
        registry_standin.serve(authority.issue("tunnelled", "registry.invalid")) as running,
        proxied(running.port, expected) as proxy,
    ):
        variables = {"HTTPS_PROXY": f"http://{login}@{proxy.address}" if login else f"http://{proxy.address}"}
        repository = opened("registry.invalid", variables=variables, ca=str(authority.path))
        content, named_blob, write = blob()
        repository.upload(write)
        assert b"".join(repository.chunks(named_blob)) == content
        assert running.blobs["ml/churn"]
        assert {line for line, _ in proxy.seen} == {"CONNECT registry.invalid:443 HTTP/1.1"} or all(
            line.startswith("CONNECT registry.invalid:443") for line, _ in proxy.seen
        )
        assert {given for _, given in proxy.seen} == {expected}
        assert not any("Proxy-Authorization" in asked.headers for asked in running.seen)


def test_through_a_proxy_in_plain_text(standin, opened, blob):
    with proxied(standin.port) as proxy:
        variables = {"http_proxy": proxy.address, "https_proxy": "http://127.0.0.1:1"}
        repository = opened("registry.invalid:80", variables=variables, insecure=True)
        with pytest.raises(OutsideFailed, match="cannot be reached") as error:
            repository.upload(blob()[2])
        assert "proxy" in error.value.why, "TLS comes first, and its proxy is away"
        repository = opened("registry.invalid", variables={"http_proxy": proxy.address}, insecure=True)
        content, named_blob, write = blob()
        repository.upload(write)
        assert standin.blobs["ml/churn"] == {named_blob.digest: content}
        assert any(line.startswith("PATCH http://registry.invalid/v2/") for line, _ in proxy.seen)


def test_a_proxy_that_wants_another_login(authority, opened):
    with registry_standin.serve(authority.issue("behind", "registry.invalid")) as running:
        with proxied(running.port, "Basic x") as proxy:
            variables = {"HTTPS_PROXY": f"http://ci:wrong-word@{proxy.address}"}
            with pytest.raises(OutsideFailed) as error:
                opened("registry.invalid", variables=variables, ca=str(authority.path)).blob_size(ABSENT)
        assert "proxy wants a login" in error.value.why
        assert "HTTPS_PROXY" in error.value.fix
        assert "wrong-word" not in str(error.value.to_json())
        assert not error.value.retryable


def test_a_proxy_that_is_away(opened):
    with pytest.raises(OutsideFailed) as error:
        opened(
            "registry.invalid", variables={"HTTPS_PROXY": "http://ci:secret-word@127.0.0.1:1"}
        ).tags().__next__()
    assert error.value.retryable
    assert "HTTPS_PROXY" in error.value.fix
    assert "secret-word" not in str(error.value.to_json())


@pytest.mark.parametrize("value", ["socks5://p:1", "ftp://p", "http://", "http://[", "http://p:x"])
def test_a_proxy_that_is_none(value):
    with pytest.raises(InputError, match="proxy"):
        Proxies({"HTTPS_PROXY": value})


@pytest.mark.parametrize(
    ("without", "url", "is_past"),
    [
        ("", "https://registry.example/", False),
        ("*", "https://registry.example/", True),
        ("registry.example", "https://registry.example/", True),
        ("REGISTRY.example", "https://registry.example/", True),
        ("example", "https://registry.example/", True),
        (".example", "https://registry.example/", True),
        ("*.example", "https://registry.example/", True),
        ("istry.example", "https://registry.example/", False),
        ("a, registry.example:5000 ,b", "https://registry.example:5000/", True),
        ("registry.example:5000", "https://registry.example/", False),
        ("registry.example:443", "https://registry.example/", True),
        ("10.0.0.0/8", "https://10.1.2.3/", True),
        ("10.0.0.0/8", "https://11.1.2.3/", False),
        ("fd00::/8", "https://[fd00::1]:5000/", True),
        ("[fd00::1]", "https://[fd00::1]/", True),
        ("", "https://127.0.0.1/", True),
        ("", "https://localhost:5000/", True),
        (",,", "https://registry.example/", False),
    ],
)
def test_past_the_proxy(without, url, is_past):
    proxies = Proxies({"HTTPS_PROXY": "proxy.example:3128", "NO_PROXY": without})
    assert proxies.to(url) == ("" if is_past else "http://proxy.example:3128")


PUBLIC, PRIVATE = "https://93.184.216.34", "https://10.0.0.5:5000"


@pytest.mark.parametrize(
    ("base", "target", "expected"),
    [
        (PUBLIC, "/v2/x", f"{PUBLIC}/v2/x"),
        (PUBLIC, "https://8.8.8.8/x", "https://8.8.8.8/x"),
        (PUBLIC, "http://93.184.216.34:5000/x", f"{PUBLIC}/x"),
        (PRIVATE, "https://192.168.0.1/x", "https://192.168.0.1/x"),
        (PRIVATE, "https://10.0.0.5:9000/x", "https://10.0.0.5:9000/x"),
        (PRIVATE, "https://8.8.8.8/x", "https://8.8.8.8/x"),
    ],
)
def test_where_a_registry_may_send_us(base, target, expected):
    assert Addresses(base, trusted=True).onward(f"{base}/v2/", target, DOING) == expected


@pytest.mark.parametrize(
    ("base", "target"),
    [
        (PUBLIC, "https://169.254.169.254/latest/meta-data"),
        (PUBLIC, "https://10.0.0.5/x"),
        (PUBLIC, "https://127.0.0.1:8080/x"),
        (PUBLIC, "https://localhost/x"),
        (PUBLIC, "https://[::1]/x"),
        (PUBLIC, "https://[::ffff:10.0.0.5]/x"),
        (PUBLIC, "http://8.8.8.8/x"),
        (PUBLIC, "file:///etc/passwd"),
        (PRIVATE, "http://10.0.0.6/x"),
    ],
)
def test_where_it_may_not(base, target):
    with pytest.raises(OutsideFailed, match="not trusted") as error:
        Addresses(base, trusted=True).onward(f"{base}/v2/", target, DOING)
    assert not error.value.retryable


@pytest.mark.parametrize(
    "realm",
    ["http://8.8.8.8/token", "https://169.254.169.254/token", "http://127.0.0.1/token", "ftp://x", ""],
)
def test_a_token_service_that_gets_no_account(realm):
    with pytest.raises(OutsideFailed, match="not trusted"):
        Addresses(PUBLIC, trusted=True).token_service(realm or "http://[", DOING)


@pytest.mark.parametrize(
    ("base", "trusted", "realm"),
    [
        (PUBLIC, True, "https://8.8.8.8/token"),
        (PUBLIC, False, "http://8.8.8.8/token"),
        ("http://127.0.0.1:5000", True, "http://127.0.0.1:5001/token"),
        ("http://127.0.0.1:5000", True, "https://8.8.8.8/token"),
    ],
)
def test_a_token_service_that_gets_it(base, trusted, realm):
    assert Addresses(base, trusted=trusted).token_service(realm, DOING) == realm
