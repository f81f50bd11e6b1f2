"""The registry that tests use is what it says: its logins, its token server, its disk."""

import base64
import urllib.error

import pytest
import registry
import registry_tokens
from registry import plain_registry  # noqa: F401 - a fixture

pytestmark = registry.needs_registry


def basic(login):
    return "Basic " + base64.b64encode(login.encode()).decode()


def refused(running, status, *arguments, **headers):
    with pytest.raises(urllib.error.HTTPError) as error:
        running.ask(*arguments, **headers)
    assert error.value.code == status
    with error.value as answer:
        return answer.headers


def test_a_restarted_one_is_where_it_was(tmp_path):
    with registry.serve(tmp_path) as running:
        place = running.url
        running.stop()
        running.start()
        assert running.url == place
        assert running.ask("/v2/") == b"{}"


def test_a_plain_one_takes_everything(plain_registry):  # noqa: F811
    plain_registry.ask("/v2/taken/blobs/uploads/", "POST")
    assert len(plain_registry.uploads("taken")) == 1


def test_logins_over_tls(tmp_path):
    with registry.serve(tmp_path, tls=True, users={"anna": "pä:ß word"}) as running:
        refused(running, 401, "/v2/")
        refused(running, 401, "/v2/", Authorization=basic("anna:other"))
        assert running.ask("/v2/", Authorization=basic("anna:pä:ß word")) == b"{}"


def test_tokens_are_taken_for_what_they_say(tmp_path):
    with registry_tokens.serve(tmp_path / "tokens", logins={"anna": "secret"}) as tokens:  # noqa: SIM117
        with registry.serve(tmp_path / "registry", tokens=tokens) as running:
            said = refused(running, 401, "/v2/a/b/tags/list")["WWW-Authenticate"]
            assert f'realm="{tokens.address}/token"' in said
            token = tokens.token("anna", ["repository:a/b:pull,push"])
            running.ask("/v2/a/b/blobs/uploads/", "POST", Authorization=f"Bearer {token}")
            refused(running, 401, "/v2/a/c/blobs/uploads/", "POST", Authorization=f"Bearer {token}")


def test_one_that_takes_nothing(tmp_path):
    with registry.serve(tmp_path, read_only=True) as running:
        refused(running, 405, "/v2/a/blobs/uploads/", "POST")
