"""Logins that end, and logins that a plugin gives: renewed, bounded in time, and in nobody's sight."""

import base64
import json
import os
import subprocess
import time
from datetime import UTC, datetime, timedelta

import pytest
from kubeconfigs import QUICK, api_of, connected, written
from kubernetes_standin import serving

from mmcicd_jenkins.adapters.kubernetes.kubeconfig import read_kubeconfig
from mmcicd_jenkins.adapters.kubernetes.login import account_login
from mmcicd_jenkins.adapters.kubernetes.plugin_login import ask_plugin
from mmcicd_jenkins.errors import InputError, OutsideFailed

TOKEN = "standin-token"
API = "client.authentication.k8s.io/v1"


@pytest.fixture
def standin():
    with serving() as found:
        yield found


def plugin(folder, text, **exec_settings):
    """A user whose login the script gives."""
    script = folder / "plugin"
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)
    return {"exec": {"apiVersion": API, "command": str(script), "interactiveMode": "Never", **exec_settings}}


def answering(token=TOKEN, **status):
    document = {"apiVersion": API, "kind": "ExecCredential", "status": {"token": token, **status}}
    return f"cat <<'END'\n{json.dumps(document)}\nEND"


def asked(tmp_path, user, seconds=20.0, **variables):
    (tmp_path / "ca.pem").write_text("not looked at")
    path = written(tmp_path / "c", "https://k8s.acme.example:6443", user, certificate_authority="ca.pem")
    return ask_plugin(read_kubeconfig(str(path)), {**os.environ, **variables}, seconds)


def test_a_token_that_was_replaced_is_read_again(standin, tmp_path):
    (tmp_path / "token").write_text("old-token")
    standin.tokens["old-token"] = "deployer"
    api = api_of(written(tmp_path / "c", standin.address, {"tokenFile": "token"}), standin.address)
    assert api.account() == "deployer"
    del standin.tokens["old-token"]
    (tmp_path / "token").write_text("new-token")
    standin.tokens["new-token"] = "deployer"
    assert api.account() == "deployer"


def test_a_refused_login_is_not_asked_for_again_and_again(standin, tmp_path):
    api = api_of(written(tmp_path / "c", standin.address, {"token": "wrong-token"}), standin.address)
    with pytest.raises(OutsideFailed, match="does not know this login"):
        api.version()
    assert len(standin.requests) == 1


def test_an_accounts_token_is_read_each_minute(tmp_path):
    (tmp_path / "token").write_text("one")
    first = account_login(tmp_path / "token").credentials()
    assert 50 < first.until - time.time() <= 60


def test_a_password_is_sent_and_hidden(tmp_path):
    user = {"username": "me", "password": "hidden-word"}
    connection = connected(written(tmp_path / "c", "http://127.0.0.1:1", user), "http://127.0.0.1:1")
    assert connection.login.credentials().authorization.startswith("Basic ")
    assert "hidden-word" in connection.secrets


def test_a_plugin_gives_the_token(standin, tmp_path):
    user = plugin(tmp_path, "echo call >> calls\n" + answering())
    path = written(tmp_path / "c", standin.address, user)
    api = api_of(path, standin.address, QUICK, PATH=os.environ["PATH"])
    assert api.account() == "system:serviceaccount:ml:deployer"
    assert api.version() == "v1.34.4"
    # Asked once, in the folder of the kubeconfig.
    assert (tmp_path / "calls").read_text() == "call\n"


def test_a_plugin_is_told_the_cluster_and_its_variables(tmp_path):
    user = plugin(
        tmp_path,
        'printf "%s" "$KUBERNETES_EXEC_INFO" > info; printf "%s" "$1 $REGION" > words\n' + answering(),
        args=["get token"],
        env=[{"name": "REGION", "value": "eu; touch no"}],
        provideClusterInfo=True,
    )
    asked(tmp_path, user)
    info = json.loads((tmp_path / "info").read_text())
    assert info["spec"]["cluster"]["server"] == "https://k8s.acme.example:6443"
    assert (tmp_path / "words").read_text() == "get token eu; touch no"


def test_a_plugin_may_give_a_certificate_and_an_end(tmp_path):
    ends = datetime.now(UTC) + timedelta(minutes=10)
    status = {"clientCertificateData": "CERTIFICATE", "clientKeyData": "KEY"}
    found = asked(tmp_path, plugin(tmp_path, answering("", expirationTimestamp=ends.isoformat(), **status)))
    assert found.certificate == b"CERTIFICATE\nKEY"
    assert 500 < found.until - time.time() < 600


def test_an_ended_login_is_asked_for_anew(standin, tmp_path):
    soon = (datetime.now(UTC) + timedelta(seconds=31)).isoformat()
    user = plugin(tmp_path, "echo call >> calls\n" + answering(expirationTimestamp=soon))
    path = written(tmp_path / "c", standin.address, user)
    login = connected(path, standin.address, PATH=os.environ["PATH"]).login
    login.credentials()
    time.sleep(1.1)
    login.credentials()
    assert (tmp_path / "calls").read_text().count("call") == 2


def test_a_plugin_that_fails_is_told_in_its_words(tmp_path):
    with pytest.raises(OutsideFailed) as caught:
        asked(
            tmp_path,
            plugin(tmp_path, "echo 'SSO session has expired' >&2; exit 3", installHint="run: sso login"),
        )
    assert "SSO session has expired" in caught.value.why
    assert caught.value.fix == "run: sso login"


def test_a_plugin_that_is_not_there_is_told_with_its_hint(tmp_path):
    user = {"exec": {"apiVersion": API, "command": "no-such-plugin", "installHint": "pip install it"}}
    with pytest.raises(OutsideFailed) as caught:
        asked(tmp_path, user)
    assert "no-such-plugin" in caught.value.why
    assert caught.value.fix == "pip install it"


@pytest.mark.parametrize(
    "text", ["echo hello", "true", "echo '{}'", "echo '[1]'", answering(""), answering("two words")]
)
def test_a_plugin_that_gives_no_login_is_told(tmp_path, text):
    with pytest.raises((InputError, OutsideFailed)) as caught:
        asked(tmp_path, plugin(tmp_path, text))
    assert "login" in caught.value.what or "token" in caught.value.what


def test_a_plugin_that_hangs_is_ended_with_all_that_it_started(tmp_path):
    mark = f"9{os.getpid()}.25"
    began = time.monotonic()
    with pytest.raises(OutsideFailed) as caught:
        asked(tmp_path, plugin(tmp_path, f"sleep {mark} & sleep {mark}"), 2.0)
    assert time.monotonic() - began < 20
    assert "did not end within 2 s" in caught.value.why
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert f"sleep {mark}" not in listed


def test_a_plugins_token_is_in_no_error(standin, tmp_path):
    token = "sha256~a-token-of-a-plugin"
    standin.tokens[token] = "somebody"
    standin.refuse("GET", "/services", 403, f"no {token}", reason="Forbidden")
    path = written(tmp_path / "c", standin.address, plugin(tmp_path, answering(token)))
    with pytest.raises(OutsideFailed) as caught:
        api_of(path, standin.address, QUICK, PATH=os.environ["PATH"]).list("Service", {})
    assert token not in str(caught.value.to_json())


def test_a_provider_of_identities_is_the_librarys_matter(tmp_path):
    # Its token has not ended, so that nobody is asked.
    body = json.dumps({"exp": int(time.time()) + 3600}).encode()
    token = ".".join(
        base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b'{"alg":"none"}', body, b"x")
    )
    config = {
        "id-token": token,
        "refresh-token": "r",
        "client-id": "me",
        "idp-issuer-url": "https://idp.example",
    }
    found = asked(tmp_path, {"auth-provider": {"name": "oidc", "config": config}})
    assert found.authorization == f"Bearer {token}"
