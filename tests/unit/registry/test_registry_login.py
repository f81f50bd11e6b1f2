"""Logins to a registry. We test these aspects:

Basic and tokens, whose scopes come in which order, how long a token is kept; identity tokens; which account is for
which registry; what is told when it is refused; and who never gets to see it.
"""

import base64
import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import pytest
import registry_standin
from http_service import serving

from mmcicd_jenkins.adapters.registry.client import Repository
from mmcicd_jenkins.errors import InputError, MmcicdError, OutsideFailed
from mmcicd_jenkins.image.reference import parse_reference

PASSWORD = "correct-horse-battery"
OURS = {"MMCICD_REGISTRY_USER": "ci", "MMCICD_REGISTRY_PASSWORD": PASSWORD}


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Tokens:
    """A token service: `asked` are (method, query or form, Authorization); `answer` is what it says."""

    def __init__(self):
        self.asked = []
        self.made = 0
        self.status = 200
        self.answer = None
        self.life = 300
        self.url = ""

    def respond(self, method, asked, login):
        self.asked.append((method, asked, login))
        self.made += 1
        token = {"token": f"token-{self.made}", "expires_in": self.life}
        return self.status, json.dumps(token).encode() if self.answer is None else self.answer


@contextmanager
def token_service():
    tokens = Tokens()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            self.answer(parse_qs(urlsplit(self.path).query))

        def do_POST(self):
            self.answer(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))

        def answer(self, asked):
            status, body = tokens.respond(self.command, asked, self.headers.get("Authorization"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Handler) as address:
        tokens.url = f"{address}/token"
        yield tokens


@pytest.fixture
def tokens():
    with token_service() as running:
        yield running


@pytest.fixture
def guarded(tokens):
    """A registry that takes the tokens of that service."""
    with registry_standin.serve() as running:
        running.challenge = f'Bearer realm="{tokens.url}",service="registry.test"'
        running.allowed = lambda asked: asked.headers.get("Authorization", "").startswith("Bearer token-")
        yield running


@pytest.fixture
def closed():
    """A registry that takes a basic login."""
    with registry_standin.serve() as running:
        running.challenge = 'Basic realm="Registry"'
        running.allowed = lambda asked: asked.headers.get("Authorization") == basic("ci", PASSWORD)
        yield running


def test_basic(closed, opened, blob):
    content, named, write = blob()
    repository = opened(closed.host, variables=OURS)
    repository.upload(write)
    assert b"".join(repository.chunks(named)) == content
    assert sum("Authorization" not in asked.headers for asked in closed.seen) == 1, "only the first knock"


def test_a_login_is_not_shown_to_a_registry_that_asks_for_none(standin, opened, blob):
    opened(standin.host, variables=OURS).upload(blob()[2])
    assert not any("Authorization" in asked.headers for asked in standin.seen)


@pytest.mark.parametrize("header", ["", "Negotiate", "Bearer", "Digest realm=x", "\x80"])
def test_a_login_that_is_not_spoken_here(closed, opened, header):
    closed.challenge = header or " "
    with pytest.raises(InputError, match="no registry"):
        opened(closed.host, variables=OURS).blob_size("sha256:" + "0" * 64)


def test_nobody_is_told_so(closed, opened):
    with pytest.raises(OutsideFailed, match=r"wants another login to read from it") as error:
        opened(closed.host).manifest("7")
    assert "asked as nobody in particular: no login was found" in error.value.why
    assert error.value.where == f"{closed.host}/ml/churn"
    assert f"docker login {closed.host}" in error.value.fix
    assert not error.value.retryable


def test_a_wrong_password_is_told_at_once_and_not_shown(closed, opened, blob):
    wrong = {**OURS, "MMCICD_REGISTRY_PASSWORD": "wrong-horse-battery"}
    with pytest.raises(OutsideFailed, match=r"login to write to it") as error:
        opened(closed.host, variables=wrong).upload(blob()[2])
    assert "ci (from MMCICD_REGISTRY_USER and MMCICD_REGISTRY_PASSWORD)" in error.value.why
    assert "wrong-horse" not in str(error.value.to_json())
    assert len(closed.asked("POST")) <= 2


def test_a_password_that_a_registry_repeats_is_masked(closed, opened):
    closed.on("GET", "/manifests/", 403, f"you sent {PASSWORD}".encode(), times=9)
    with pytest.raises(OutsideFailed) as error:
        opened(closed.host, variables=OURS).manifest("7")
    assert "you sent ***" in error.value.why


def test_a_right_that_is_missing_is_no_wrong_login(guarded, tokens, opened, blob):
    guarded.allowed = lambda _: False
    guarded.challenge += ',error="insufficient_scope"'
    with pytest.raises(OutsideFailed, match="does not let this account write to it") as error:
        opened(guarded.host, variables=OURS).upload(blob()[2])
    assert "asked as ci" in error.value.why
    assert "give the account that right" in error.value.fix


def test_who_is_nobody_is_told_to_log_in(standin, opened, blob):
    standin.on("POST", "", 403, b'{"errors":[{"code":"DENIED","message":"no"}]}')
    with pytest.raises(OutsideFailed, match="does not let") as error:
        opened(standin.host).upload(blob()[2])
    assert f"docker login {standin.host}" in error.value.fix


def test_half_a_login(opened):
    with pytest.raises(InputError, match="MMCICD_REGISTRY_USER is not"):
        opened("127.0.0.1:1", variables={"MMCICD_REGISTRY_PASSWORD": "x"})


def test_our_account_is_for_our_registry_only(closed, standin, reached):
    """The base image's registry is another one, with the same kind of login."""
    access = reached(standin.host, variables=OURS)
    with pytest.raises(OutsideFailed, match="wants another login"):
        Repository(parse_reference(f"{closed.host}/library/x"), access).manifest("7")
    assert not any("Authorization" in asked.headers for asked in closed.seen)


def test_our_registry_is_named_with_or_without_a_path(closed, reached):
    access = reached(f"{closed.host}/ml", variables=OURS)
    assert Repository(parse_reference(f"{closed.host}/ml/churn"), access).manifest("7") is None


def test_tokens_for_a_scope(guarded, tokens, opened, blob):
    content, named, write = blob()
    repository = opened(guarded.host, variables=OURS)
    repository.upload(write)
    assert b"".join(repository.chunks(named)) == content
    scopes = [asked["scope"] for _, asked, _ in tokens.asked]
    assert scopes == [["repository:ml/churn:pull,push"], ["repository:ml/churn:pull"]], (
        "one token for each scope"
    )
    method, asked, login = tokens.asked[0]
    assert (method, asked["service"], asked["account"]) == ("GET", ["registry.test"], ["ci"])
    assert login == basic("ci", PASSWORD)
    assert not any("Basic" in asked.headers.get("Authorization", "") for asked in guarded.seen)


def test_a_mount_asks_for_the_right_to_write_first(guarded, tokens, opened):
    digest = guarded.put("ml/base", b"layer")
    assert opened(guarded.host).mount(digest, opened(guarded.host, "ml/base").place)
    assert tokens.asked[0][1]["scope"] == ["repository:ml/churn:pull,push", "repository:ml/base:pull"]


def test_a_mount_without_the_right_to_read_there_is_none(guarded, tokens, opened):
    tokens.status, tokens.answer = 403, b'{"errors":[{"code":"DENIED","message":"not yours"}]}'
    assert not opened(guarded.host).mount("sha256:" + "1" * 64, opened(guarded.host, "ml/base").place)


def test_tokens_without_an_account(guarded, tokens, opened):
    opened(guarded.host).manifest("7")
    assert tokens.asked == [
        ("GET", {"service": ["registry.test"], "scope": ["repository:ml/churn:pull"]}, None)
    ]


def test_a_token_is_kept_until_it_ends(guarded, tokens, opened):
    repository = opened(guarded.host, variables=OURS)
    for _ in range(3):
        repository.manifest("7")
    assert tokens.made == 1
    tokens.life = 0.001
    repository = opened(guarded.host, variables=OURS)
    repository.manifest("7")
    repository.manifest("7")
    assert tokens.made >= 3


def test_a_token_that_is_no_longer_taken_is_made_anew(guarded, tokens, opened):
    repository = opened(guarded.host, variables=OURS)
    repository.manifest("7")
    guarded.allowed = lambda asked: asked.headers.get("Authorization") == "Bearer token-2"
    repository.manifest("7")
    assert tokens.made == 2


def test_a_token_that_is_taken_no_more_in_the_middle_of_an_upload(guarded, tokens, opened, blob):
    guarded.allowed = lambda asked: (
        asked.headers.get("Authorization", "")
        == ("Bearer token-1" if asked.method == "POST" else "Bearer token-2")
        if tokens.made < 3
        else True
    )
    content, named, write = blob()
    opened(guarded.host, variables=OURS).upload(write)
    assert guarded.blobs["ml/churn"] == {named.digest: content}


def test_a_scope_that_the_registry_names_is_asked_for(guarded, tokens, opened):
    repository = opened(guarded.host, variables=OURS)
    guarded.allowed = lambda asked: asked.headers.get("Authorization") == "Bearer token-2"
    guarded.challenge += ',scope="repository:mirror/ml/churn:pull",error="insufficient_scope"'
    repository.manifest("7")
    assert tokens.asked[-1][1]["scope"] == ["repository:ml/churn:pull", "repository:mirror/ml/churn:pull"]


def test_an_identity_token_is_exchanged(guarded, tokens, opened, tmp_path):
    (tmp_path / ".docker").mkdir()
    entry = {"auth": base64.b64encode(b"ci:").decode(), "identitytoken": "identity-1234"}
    (tmp_path / ".docker/config.json").write_text(json.dumps({"auths": {guarded.host: entry}}))
    opened(guarded.host).manifest("7")
    ((method, asked, login),) = tokens.asked
    assert (method, login) == ("POST", None)
    assert asked["grant_type"] == ["refresh_token"]
    assert asked["refresh_token"] == ["identity-1234"]
    assert asked["scope"] == ["repository:ml/churn:pull"]
    assert asked["client_id"] == ["mmcicd-jenkins"]


def test_a_token_in_docker_s_config_is_sent_as_it_is(guarded, tokens, opened, tmp_path):
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(
        json.dumps({"auths": {guarded.host: {"registrytoken": "token-made-elsewhere"}}})
    )
    opened(guarded.host).manifest("7")
    assert not tokens.asked
    assert guarded.seen[-1].headers["Authorization"] == "Bearer token-made-elsewhere"


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_token_service_that_refuses(guarded, tokens, opened, blob, status):
    tokens.status, tokens.answer = status, b'{"details":"incorrect username or password"}'
    with pytest.raises(MmcicdError) as error:
        opened(guarded.host, variables=OURS).upload(blob()[2])
    assert not error.value.retryable
    assert "incorrect username" in error.value.why
    assert PASSWORD not in str(error.value.to_json())
    assert tokens.made == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_token_service_that_is_busy(guarded, tokens, opened, status):
    tokens.status = status
    with pytest.raises(OutsideFailed) as error:
        opened(guarded.host, variables=OURS).manifest("7")
    assert error.value.retryable
    assert tokens.made == 4


@pytest.mark.parametrize(
    "answer", [b"", b"{}", b"[]", b"\xff", b'{"token":1}', b'{"token":"a b"}', b'{"token":"a\\r\\nX: y"}']
)
def test_a_token_that_is_none(guarded, tokens, opened, answer):
    tokens.answer = answer
    with pytest.raises(OutsideFailed, match="without a token"):
        opened(guarded.host, variables=OURS).manifest("7")


def test_storage_elsewhere_sees_no_login(guarded, opened, blob):
    content, named, _ = blob()
    guarded.put("ml/churn", content)
    with registry_standin.serve() as storage:
        storage.put("ml/churn", content)
        guarded.storage = f"http://{storage.host}"
        assert b"".join(opened(guarded.host, variables=OURS).chunks(named)) == content
        assert not any("Authorization" in asked.headers for asked in storage.seen)


def test_storage_elsewhere_gets_no_login_by_asking(guarded, tokens, opened, blob):
    content, named, _ = blob()
    guarded.put("ml/churn", content)
    with registry_standin.serve(challenge='Basic realm="x"', allowed=lambda _: False) as storage:
        guarded.storage = f"http://{storage.host}"
        with pytest.raises(OutsideFailed):
            list(opened(guarded.host, variables=OURS).chunks(named))
        assert not any("Authorization" in asked.headers for asked in storage.seen)
