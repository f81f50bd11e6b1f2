"""Docker's config.json and credential helpers. We test these aspects:

Which entry is for which registry, in all forms of its name; helpers that answer, have nothing, fail, hang or are
missing; files that are none; and that nothing of them is ever shown.
"""

import base64
import json
import os
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcicd_jenkins.adapters.registry.docker_config import NOBODY, DockerConfig, Identity
from mmcicd_jenkins.errors import InputError, MmcicdError, OutsideFailed

SECRET = "hunter2-but-longer"


@pytest.fixture
def configured(tmp_path):
    """A function that writes a config.json and gives what reads it."""

    def write(document, **variables):
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        (tmp_path / "config.json").write_bytes(content)
        return DockerConfig(
            {"DOCKER_CONFIG": str(tmp_path), "PATH": f"{tmp_path}:{os.defpath}", **variables},
            helper_seconds=1,
        )

    return write


@pytest.fixture
def helper(tmp_path):
    """A function that makes a credential helper of a shell script."""

    def make(name, script):
        program = tmp_path / f"docker-credential-{name}"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    return make


def auth(user="ci", password=SECRET):
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        ("registry.example", "registry.example"),
        ("registry.example:5000", "registry.example:5000"),
        ("https://registry.example", "registry.example"),
        ("https://registry.example/v1/", "registry.example"),
        ("http://registry.example:5000/v2/", "registry.example:5000"),
        ("Registry.Example", "registry.example"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
    ],
)
def test_an_entry_is_found_by_its_registry(configured, key, registry):
    found = configured({"auths": {"other.example": auth("other"), key: auth()}}).identity(registry)
    assert (found.user, found.password) == ("ci", SECRET)
    assert found.origin.endswith("config.json")
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    "registry", ["registry.example:5000", "example", "registry.example.org", "docker.io"]
)
def test_a_similar_name_is_another_registry(configured, registry):
    assert configured({"auths": {"registry.example": auth()}}).identity(registry) is NOBODY


def test_no_file_is_nobody(tmp_path):
    assert DockerConfig({"HOME": str(tmp_path)}).identity("registry.example") is NOBODY
    assert DockerConfig({"DOCKER_CONFIG": str(tmp_path / "config.json")}).identity("docker.io") is NOBODY


def test_it_lies_in_the_home(tmp_path):
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(json.dumps({"auths": {"registry.example": auth()}}))
    assert DockerConfig({"HOME": str(tmp_path)}).identity("registry.example").user == "ci"


@pytest.mark.parametrize(
    ("entry", "identity"),
    [
        ({"username": "ci", "password": "p"}, ("ci", "p", "", "")),
        ({**auth("ci", "a:b"), "email": "x"}, ("ci", "a:b", "", "")),
        (auth("ci", "p\0\0\0"), ("ci", "p", "", "")),
        ({**auth("ci", ""), "identitytoken": "t"}, ("ci", "", "t", "")),
        ({"registrytoken": "r"}, ("", "", "", "r")),
    ],
)
def test_forms_of_an_entry(configured, entry, identity):
    found = configured({"auths": {"registry.example": entry}}).identity("registry.example")
    assert (found.user, found.password, found.identity_token, found.registry_token) == identity


@pytest.mark.parametrize("entry", [{}, {"auth": ""}, {"email": "x"}, [], "x", None, {"auth": 7}])
def test_an_entry_without_a_login(configured, entry):
    assert configured({"auths": {"registry.example": entry}}).identity("registry.example") is NOBODY


@pytest.mark.parametrize(
    "auth_", ["%%%", "=", base64.b64encode(b"\xff\xfe").decode(), base64.b64encode(b"a:b\nc").decode()]
)
def test_an_entry_that_cannot_be_read(configured, auth_):
    with pytest.raises(InputError, match="config file") as error:
        configured({"auths": {"registry.example": {"auth": auth_}}}).identity("registry.example")
    assert error.value.where.endswith("config.json")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'"x"', b"{" + b" " * 2**20 + b"}"]
)
def test_a_file_that_is_none(configured, content):
    with pytest.raises(InputError, match="config file"):
        configured(content).identity("registry.example")


def test_a_folder_instead_of_a_file(tmp_path):
    (tmp_path / "config.json").mkdir()
    with pytest.raises(InputError, match="config file"):
        DockerConfig({"DOCKER_CONFIG": str(tmp_path)}).identity("registry.example")


@pytest.mark.parametrize("config", [{"credsStore": "vault"}, {"credHelpers": {"registry.example": "vault"}}])
def test_a_helper_is_asked(configured, helper, config):
    helper(
        "vault", f'read host; printf \'{{"ServerURL":"x","Username":"%s","Secret":"{SECRET}"}}\' "$1.$host"'
    )
    found = configured({**config, "auths": {"registry.example": {}}}).identity("registry.example")
    assert found == Identity(user="get.registry.example", password=SECRET, origin="docker-credential-vault")


def test_the_helper_of_a_registry_comes_before_that_of_all(configured, helper):
    helper("one", 'printf \'{"Username":"one","Secret":"s"}\'')
    helper("all", 'printf \'{"Username":"all","Secret":"s"}\'')
    config = configured({"credsStore": "all", "credHelpers": {"registry.example": "one"}})
    assert config.identity("registry.example").user == "one"
    assert config.identity("other.example").user == "all"


def test_docker_hub_has_a_name_of_its_own_for_helpers(configured, helper):
    helper("vault", 'read host; printf \'{"Username":"%s","Secret":"s"}\' "$host"')
    assert configured({"credsStore": "vault"}).identity("docker.io").user == "https://index.docker.io/v1/"


def test_an_identity_token_of_a_helper(configured, helper):
    helper("vault", 'printf \'{"Username":"<token>","Secret":"t"}\'')
    found = configured({"credsStore": "vault"}).identity("registry.example")
    assert (found.user, found.password, found.identity_token) == ("", "", "t")


def test_a_helper_that_has_nothing_leaves_it_to_the_file(configured, helper):
    helper("vault", "echo credentials not found in native keychain; exit 1")
    config = configured({"credsStore": "vault", "auths": {"registry.example": auth()}})
    assert config.identity("registry.example").user == "ci"
    assert config.identity("other.example") is NOBODY


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (f"echo {SECRET}; echo {SECRET} >&2; exit 3", "status 3"),
        (f'echo \'{{"Secret":"{SECRET}"}}\'', "Username and Secret"),
        (f"echo {SECRET}", "Username and Secret"),
        ("echo '[]'", "Username and Secret"),
        ('echo \'{"Username":7,"Secret":[]}\'', "texts"),
        ("sleep 60", "no answer in 1 s"),
        ("sleep 60 & exit 0", "no answer in 1 s"),
        ("kill -9 $$", "status -9"),
    ],
)
def test_a_helper_that_fails(configured, helper, script, why):
    helper("vault", script)
    with pytest.raises(OutsideFailed, match="credential helper") as error:
        configured({"credsStore": "vault"}).identity("registry.example")
    assert why in error.value.why
    assert error.value.where == "docker-credential-vault"
    assert SECRET not in str(error.value.to_json())


def test_a_helper_that_is_not_installed(configured):
    with pytest.raises(OutsideFailed) as error:
        configured({"credsStore": "nowhere"}).identity("registry.example")
    assert error.value.why == "it is not installed"
    assert not error.value.retryable


@pytest.mark.parametrize("name", ["../../bin/sh", "a b", "", "-x", "x;y", "é", "a" * 100])
def test_a_helper_is_a_name_and_no_path(configured, name):
    config = configured({"credHelpers": {"registry.example": name}})
    if not name:
        assert config.identity("registry.example") is NOBODY
        return
    with pytest.raises(InputError, match="config file"):
        config.identity("registry.example")


def test_a_helper_does_not_see_our_credentials(configured, helper):
    helper("vault", 'printf \'{"Username":"u%s","Secret":"s"}\' "$MMCICD_REGISTRY_PASSWORD$AWS_PROFILE"')
    config = configured({"credsStore": "vault"}, MMCICD_REGISTRY_PASSWORD="theirs", AWS_PROFILE="ml")
    assert config.identity("registry.example").user == "uml"


KEYS = st.sampled_from(
    ["auths", "credHelpers", "credsStore", "auth", "registry.example", "identitytoken", "x"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(string.printable, max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(document=JSON)
def test_whatever_stands_in_the_file_ends_in_words(tmp_path_factory, document):
    folder = tmp_path_factory.mktemp("docker")
    (folder / "config.json").write_text(json.dumps(document))
    try:
        found = DockerConfig({"DOCKER_CONFIG": str(folder), "PATH": "/nonexistent"}).identity(
            "registry.example"
        )
    except MmcicdError:
        return
    assert all(isinstance(text, str) for text in (found.user, *found.secrets))
