"""Whom we trust and through whom we go: a login is sent to nobody whose certificate was not checked."""

import contextlib
import socket
import ssl
import threading
from base64 import b64encode

import pytest
from certificates import Authority
from cryptography.hazmat.primitives import serialization
from fault_proxy import serve
from kubeconfigs import MARK, QUICK, api_of, place, written
from kubernetes_standin import serving

from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.connection import connect
from mmcicd_jenkins.errors import InputError, OutsideFailed


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return Authority.make(tmp_path_factory.mktemp("other"), "another authority")


@pytest.fixture
def standin():
    with serving() as found:
        yield found


def data(path):
    return b64encode(path.read_bytes()).decode()


@contextlib.contextmanager
def secured(standin, authority, *hosts):
    with serve(standin.host, authority.issue("server", *(hosts or ("127.0.0.1",)))) as proxy:
        yield f"https://{proxy.host}"


def test_the_authority_of_the_kubeconfig_is_trusted(standin, authority, tmp_path):
    with secured(standin, authority) as server:
        path = written(tmp_path / "c", server, certificate_authority_data=data(authority.path))
        assert api_of(path, server).version() == "v1.34.4"
        path = written(tmp_path / "d", server, certificate_authority=str(authority.path))
        assert api_of(path, server).version() == "v1.34.4"


@pytest.mark.parametrize("settings", [{}, {"certificate_authority_data": "other"}])
def test_another_authority_gets_no_login(standin, authority, other, tmp_path, settings):
    settings = {key: data(other.path) for key in settings}
    with secured(standin, authority) as server:
        api = api_of(written(tmp_path / "c", server, **settings), server)
        with pytest.raises(OutsideFailed) as caught:
            api.version()
    assert "its certificate is not trusted" in caught.value.why
    assert "certificate-authority-data" in caught.value.fix
    assert not caught.value.retryable
    assert standin.requests == []


def test_a_certificate_for_another_name_gets_no_login(standin, authority, tmp_path):
    with secured(standin, authority, "k8s.acme.example") as server:
        settings = {"certificate_authority_data": data(authority.path)}
        with pytest.raises(OutsideFailed, match="cannot be reached"):
            api_of(written(tmp_path / "c", server, **settings), server).version()
        assert standin.requests == []
        settings["tls_server_name"] = "k8s.acme.example"
        assert api_of(written(tmp_path / "c", server, **settings), server).version() == "v1.34.4"


def test_an_expired_certificate_is_told(standin, authority, tmp_path):
    with serve(standin.host, authority.issue("old", "127.0.0.1", days=-1)) as proxy:
        server = f"https://{proxy.host}"
        path = written(tmp_path / "c", server, certificate_authority_data=data(authority.path))
        with pytest.raises(OutsideFailed) as caught:
            api_of(path, server).version()
    assert "expired" in caught.value.why


def test_a_server_without_tls_is_told(standin, tmp_path):
    server = f"https://{standin.host}"
    with pytest.raises(OutsideFailed) as caught:
        api_of(written(tmp_path / "c", server), server).version()
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("content", [b"", b"no certificate", b"\xff\xfe"])
def test_an_authority_that_is_none_is_told(tmp_path, content):
    (tmp_path / "ca").write_bytes(content)
    path = written(tmp_path / "c", "https://127.0.0.1:1", certificate_authority=str(tmp_path / "ca"))
    with pytest.raises((InputError, OutsideFailed)) as caught:
        api_of(path, "https://127.0.0.1:1").version()
    assert "Traceback" not in str(caught.value.to_json())


def test_a_pods_account_goes_to_its_own_cluster_only(standin, authority, other, tmp_path):
    (tmp_path / "token").write_text("standin-token")
    with secured(standin, authority) as server:
        (tmp_path / "ca.crt").write_bytes(other.path.read_bytes())
        with pytest.raises(OutsideFailed):
            Api(connect(place(server), {}, MARK, tmp_path), "ml", patience=QUICK).version()
        assert standin.requests == []
        (tmp_path / "ca.crt").write_bytes(authority.path.read_bytes())
        assert Api(connect(place(server), {}, MARK, tmp_path), "ml", patience=QUICK).version() == "v1.34.4"


@contextlib.contextmanager
def asking_for_a_certificate(authority):
    """A server that answers with the name in the client's certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server", "127.0.0.1"))
    context.load_verify_locations(authority.path)
    context.verify_mode = ssl.CERT_REQUIRED

    def answering(listener):
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                with contextlib.suppress(OSError), context.wrap_socket(client, server_side=True) as secure:
                    secure.recv(65536)
                    subject = dict(pair[0] for pair in secure.getpeercert()["subject"])
                    body = f'{{"gitVersion": "{subject["commonName"]}"}}'
                    secure.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
                client.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answering, args=(listener,), daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_client_certificate_is_shown(authority, tmp_path):
    certificate, key = authority.issue("deployer")
    user = {"client-certificate-data": data(certificate), "client-key-data": data(key)}
    with asking_for_a_certificate(authority) as server:
        path = written(tmp_path / "c", server, user, certificate_authority_data=data(authority.path))
        assert api_of(path, server).version() == "deployer"


def test_a_client_certificate_that_is_not_taken_is_told(authority, other, tmp_path):
    certificate, key = other.issue("deployer")
    user = {"client-certificate": str(certificate), "client-key": str(key)}
    with asking_for_a_certificate(authority) as server:
        path = written(tmp_path / "c", server, user, certificate_authority_data=data(authority.path))
        with pytest.raises(OutsideFailed) as caught:
            api_of(path, server).version()
    assert caught.value.exit_code == 5


def test_a_key_of_another_certificate_is_told(authority, tmp_path):
    certificate, key = authority.issue("one")[0], authority.issue("two")[1]
    user = {"client-certificate-data": data(certificate), "client-key-data": data(key)}
    path = written(tmp_path / "c", "https://127.0.0.1:1", user)
    with pytest.raises(InputError, match="cannot be used"):
        api_of(path, "https://127.0.0.1:1").version()


def test_an_encrypted_key_is_told_and_nobody_is_asked_for_a_password(authority, tmp_path):
    certificate, key = authority.issue("one")
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        )
    )
    user = {"client-certificate-data": data(certificate), "client-key-data": data(key)}
    path = written(tmp_path / "c", "https://127.0.0.1:1", user)
    with pytest.raises(InputError) as caught:
        api_of(path, "https://127.0.0.1:1").version()
    assert "cannot be used" in caught.value.what


@contextlib.contextmanager
def tunnels(answer=b"HTTP/1.1 200 Connected\r\n\r\n"):
    """A proxy that connects, or answers otherwise; yields its `host:port` and what it was asked."""
    asked = []

    def carry(one, other):
        with contextlib.suppress(OSError):
            while piece := one.recv(65536):
                other.sendall(piece)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def answering(listener):
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                head = client.recv(65536).decode()
                asked.append(head)
                client.sendall(answer)
                if b" 200 " not in answer:
                    client.close()
                    continue
                port = int(head.split()[1].rpartition(":")[2])
                server = socket.create_connection(("127.0.0.1", port))
                back = threading.Thread(target=carry, args=(server, client), daemon=True)
                back.start()
                carry(client, server)
                back.join()
                client.close()
                server.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answering, args=(listener,), daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", asked
        listener.shutdown(socket.SHUT_RDWR)


def test_a_proxy_of_the_kubeconfig_carries_tls(standin, authority, tmp_path):
    with secured(standin, authority, "k8s.acme.example") as server, tunnels() as (proxy, asked):
        named = f"https://k8s.acme.example:{server.rpartition(':')[2]}"
        settings = {
            "certificate_authority_data": data(authority.path),
            "proxy_url": f"http://me:pass%20word@{proxy}",
        }
        assert api_of(written(tmp_path / "c", named, **settings), named).version() == "v1.34.4"
    assert asked[0].startswith("CONNECT k8s.acme.example:")
    assert f"Proxy-Authorization: Basic {b64encode(b'me:pass word').decode()}" in asked[0]
    assert "standin-token" not in asked[0]


def test_a_proxy_of_the_environment_is_used_and_left_out(standin, authority, tmp_path):
    with secured(standin, authority, "k8s.acme.example") as server, tunnels() as (proxy, asked):
        named = f"https://k8s.acme.example:{server.rpartition(':')[2]}"
        path = written(tmp_path / "c", named, certificate_authority_data=data(authority.path))
        assert api_of(path, named, HTTPS_PROXY=f"http://{proxy}").version() == "v1.34.4"
        assert len(asked) == 1
        with pytest.raises(OutsideFailed):
            api_of(path, named, HTTPS_PROXY=f"http://{proxy}", NO_PROXY="acme.example").version()
        assert len(asked) == 1


def test_a_proxy_that_refuses_is_told_without_its_password(authority, tmp_path):
    named = "https://k8s.acme.example:6443"
    with tunnels(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as (proxy, _):
        path = written(tmp_path / "c", named, proxy_url=f"http://me:hidden-word@{proxy}")
        with pytest.raises(OutsideFailed) as caught:
            api_of(path, named).version()
    assert "the proxy before it: 407" in caught.value.why
    assert "hidden-word" not in str(caught.value.to_json())
