"""The traps of python-jenkins and of the network, each with a real server: closed, and told in words.

Retries where they are safe; a limit to waiting; refusals told apart; nothing foreign leaks; no redirect is followed
blindly; no crumb is asked for; a token never shows; proxies, certificates and pages that are no Jenkins.
"""

import http.server
import logging
import socket
import ssl
import subprocess
import threading

import pytest
from jenkins_standin import Standin

from mmcicd_jenkins.adapters.jenkins.account import Account, account_of
from mmcicd_jenkins.adapters.jenkins.builds import Builds
from mmcicd_jenkins.adapters.jenkins.errors import refused
from mmcicd_jenkins.adapters.jenkins.items import Facts, Items
from mmcicd_jenkins.adapters.jenkins.names import branch_job, job_path
from mmcicd_jenkins.adapters.jenkins.server import Server
from mmcicd_jenkins.errors import InputError, MmcicdError, OutsideFailed

FOLDER = "<com.cloudbees.hudson.plugins.folder.Folder/>"
PIPELINE = "<flow-definition/>"


def server_of(standin: Standin, user: str = "admin", token: str = "", **options) -> Server:
    return Server(Account(url=standin.url, user=user, token=token or standin.accounts[user]), **options)


@pytest.fixture
def answering():
    """`answering(status, headers, body)`: a server that says one thing, and its address."""
    made = []

    def make(status: int, headers: dict[str, str] | None = None, body: bytes = b"", wrap=None) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815  as http.server names it

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        if wrap:
            server.socket = wrap(server.socket)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        made.append(server)
        return f"http{'s' if wrap else ''}://127.0.0.1:{server.server_address[1]}/"

    yield make
    for server in made:
        server.shutdown()
        server.server_close()


# --- again, or not again


def test_a_look_is_tried_again_when_the_controller_passes_out(standin) -> None:
    standin.faults["/api/json"] = [503, 502]
    assert Items(server_of(standin)).children("") == ()
    assert standin.count()["GET"] == 3


def test_a_write_is_never_sent_twice(standin) -> None:
    standin.faults["/createItem"] = [503]
    with pytest.raises(OutsideFailed, match="503") as caught:
        Items(server_of(standin)).create("a", FOLDER)
    assert caught.value.retryable
    assert standin.count()["POST"] == 1


def test_waiting_has_an_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        account = Account(url=f"http://127.0.0.1:{silent.getsockname()[1]}/", user="a", token="b")
        with pytest.raises(OutsideFailed, match="in time") as caught:
            Items(Server(account, timeout=(1.0, 0.2), tries=0)).children("")
    assert caught.value.retryable


def test_a_controller_that_is_not_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    account = Account(url=f"http://127.0.0.1:{port}/", user="a", token="b")
    with pytest.raises(OutsideFailed, match="cannot be reached") as caught:
        Items(Server(account, tries=0)).children("")
    assert "refused" in caught.value.why


def test_a_proxy_that_does_not_work_is_told(monkeypatch, standin) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    account = Account(url="http://jenkins.invalid/", user="a", token="b")
    with pytest.raises(OutsideFailed, match="proxy"):
        Items(Server(account, tries=0)).children("")


def test_a_certificate_of_an_own_authority_is_trusted_when_told_so(answering, tmp_path) -> None:
    key, pem = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(pem),
         "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    url = answering(200, {}, b'{"jobs": []}', wrap=lambda s: context.wrap_socket(s, server_side=True))
    with pytest.raises(OutsideFailed, match="certificate") as caught:
        Items(Server(Account(url=url, user="a", token="b"), tries=0)).children("")
    assert "MMCICD_JENKINS_CA" in caught.value.fix
    trusting = Account(url=url, user="a", token="b", certificates=str(pem))
    assert Items(Server(trusting, tries=0)).children("") == ()


# --- refusals, told apart


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [(400, InputError, "refused the request"), (401, OutsideFailed, "does not know"), (403, OutsideFailed, "may not"),
     (404, InputError, "no such thing"), (409, InputError, "refused the request"), (500, OutsideFailed, "failed over"),
     (503, OutsideFailed, "does not answer")],
)  # fmt: skip
def test_each_refusal_is_its_own(answering, status, kind, words) -> None:
    server = Server(Account(url=answering(status), user="alice", token="11"), tries=0)
    with pytest.raises(kind, match=words) as caught:
        server.ask("x/")
    assert type(caught.value).__module__.startswith("mmcicd_jenkins.")
    assert caught.value.where
    assert caught.value.why
    assert caught.value.fix


def test_the_librarys_own_calls_speak_the_same_words(standin) -> None:
    with pytest.raises(InputError, match="no such thing"):
        server_of(standin).get_job_config("nothing")
    standin.faults["/job/a/config.xml"] = [500]
    with pytest.raises(OutsideFailed, match="failed over"):
        server_of(standin).get_job_config("a")


def test_the_first_call_already_carries_the_login(standin) -> None:
    assert server_of(standin).get_version() == "2.541.2"


def test_a_missing_permission_is_named(standin) -> None:
    said = refused(403, "x", {"X-Required-Permission": "hudson.model.Item.Create"}, "", user="bob")
    assert "Job/Create" in said.fix
    assert "MMCICD_JENKINS_TOKEN" in refused(403, "x", {}, "", user="").fix
    standin.readers.add("bob")
    with pytest.raises(OutsideFailed, match="bob may not") as caught:
        Items(server_of(standin, "bob")).create("a", FOLDER)
    assert "Job/Configure" in caught.value.why


def test_a_reason_in_the_header_wins_over_the_page(standin) -> None:
    items = Items(server_of(standin))
    with pytest.raises(InputError) as caught:
        items.create("a%b", FOLDER)
    assert "unsafe name" in caught.value.why


def test_of_a_page_only_what_happened_is_told() -> None:
    page = (
        "<p>menu</p>" * 2000
        + "start of main content ⇒\n--><h1>Access Denied</h1><p>bob &amp; co</p><!--\n⇐ end of main"
    )
    assert refused(403, "x", {}, page, user="bob").why == "Access Denied bob & co"
    assert refused(500, "x", {}, "<p>menu</p>" * 2000, user="bob").why.startswith("it says no more")
    assert len(refused(400, "x", {}, "w" * 3000, user="bob").why) <= 256


def test_a_password_is_told_to_be_a_token(standin) -> None:
    with pytest.raises(OutsideFailed, match="crumb") as caught:
        Items(server_of(standin, token="password-admin")).create("a", FOLDER)
    assert "API token" in caught.value.fix


def test_no_crumb_is_asked_for(standin) -> None:
    Items(server_of(standin)).create("a", FOLDER)
    assert [path for _, path, _ in standin.requests] == ["/createItem?name=a"]


@pytest.mark.parametrize(
    ("location", "words"),
    [("/securityRealm/commenceLogin", "login"), ("https://other.example/", "another address")],
)
def test_a_redirect_is_told_and_not_followed(answering, location, words) -> None:
    server = Server(Account(url=answering(302, {"Location": location}), user="a", token="11"), tries=0)
    with pytest.raises(OutsideFailed, match=words):
        server.ask("x/")
    with (
        pytest.raises(OutsideFailed, match=words) if "security" in location else pytest.raises(OutsideFailed)
    ):
        server.send("x/") if "security" in location else server.ask_json("x/")


def test_a_page_that_is_no_jenkins_is_told(answering) -> None:
    url = answering(200, {"Content-Type": "text/html"}, b"<html>Sign in</html>")
    with pytest.raises(OutsideFailed, match="does not look like Jenkins"):
        Items(Server(Account(url=url, user="a", token="b"), tries=0)).children("")


def test_a_log_without_its_size_is_told(answering) -> None:
    with pytest.raises(OutsideFailed, match="without saying where it ends"):
        Builds(Server(Account(url=answering(200), user="a", token="b"), tries=0)).log("a", 1, 0)


# --- who joined whom


def test_a_build_that_joins_a_waiting_one_is_not_ours(standin) -> None:
    server = server_of(standin)
    Items(server).create("plain", PIPELINE)
    parameter = (
        "<hudson.model.StringParameterDefinition><name>A</name></hudson.model.StringParameterDefinition>"
    )
    Items(server).create(
        "with",
        "<flow-definition><properties><hudson.model.ParametersDefinitionProperty><parameterDefinitions>"
        f"{parameter}</parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties></flow-definition>",
    )
    builds = Builds(server)
    assert [builds.start("plain", {}).ours for _ in "12"] == [True, False]
    assert [builds.start("with", {"A": "1"}).ours for _ in "12"] == [True, False]
    assert builds.start("with", {"A": "2"}).ours


def test_a_queue_item_that_was_cancelled_or_forgotten_is_gone(standin) -> None:
    server = server_of(standin)
    Items(server).create("plain", PIPELINE)
    builds = Builds(server)
    queued = builds.start("plain", {})
    builds.cancel(queued.id)
    assert builds.queued(queued.id).gone
    assert builds.queued(999).gone
    builds.cancel(999)


# --- secrets and accounts


def test_a_token_shows_nowhere(standin, caplog, monkeypatch) -> None:
    token = standin.accounts["admin"] = "11feedfacefeedface"
    monkeypatch.setenv("JENKINS_API_EXTRA_HEADERS", "X-Pass: open-sesame")
    account = Account(url=standin.url, user="admin", token=token)
    with caplog.at_level(logging.DEBUG):
        Items(Server(account)).children("")
        with pytest.raises(MmcicdError) as caught:
            Server(account).ask("nothing/")
    told = caplog.text + repr(account) + str(caught.value.to_json()) + repr(Server(account))
    assert token not in told
    assert "open-sesame" not in told


def test_facts_that_one_may_not_see_are_unknown(standin, answering) -> None:
    standin.faults["/pluginManager/api/json"] = [403]
    facts = Facts(server_of(standin))
    assert facts.plugins() is None
    assert "workflow-job" in facts.plugins()
    assert facts.account() == "admin"
    assert Facts(Server(Account(url=standin.url), tries=0)).account() == ""


@pytest.mark.parametrize(
    "variables",
    [{"MMCICD_JENKINS_USER": "a"}, {"MMCICD_JENKINS_TOKEN": "b"}, {"MMCICD_JENKINS_USER": "a", "MMCICD_JENKINS_TOKEN": "b\n"},
     {"MMCICD_JENKINS_USER": "a:b", "MMCICD_JENKINS_TOKEN": "c"},
     {"MMCICD_JENKINS_CA": "/nothing"}],
)  # fmt: skip
def test_half_an_account_is_refused(variables) -> None:
    with pytest.raises(InputError) as caught:
        account_of("https://jenkins.example", variables)
    assert caught.value.fix


@pytest.mark.parametrize(
    "url", ["", "jenkins.example", "ftp://x", "https://me:pw@jenkins.example", "https://[::1", "https://"]
)
def test_an_address_that_is_none_is_refused(url) -> None:
    with pytest.raises(InputError) as caught:
        account_of(url, {})
    assert "pw" not in str(caught.value.to_json())


def test_an_account_may_stand_in_a_netrc_file(tmp_path) -> None:
    file = tmp_path / "netrc"
    file.write_text("machine jenkins.example login robot password 11abc\n")
    found = account_of("https://jenkins.example/ci", {"NETRC": str(file)})
    assert (found.url, found.user, found.token) == ("https://jenkins.example/ci/", "robot", "11abc")
    assert account_of("https://other.example", {"NETRC": str(file)}).user == ""
    given = {"NETRC": str(file), "MMCICD_JENKINS_USER": "a", "MMCICD_JENKINS_TOKEN": "b"}
    assert account_of("https://jenkins.example", given).user == "a"
    file.write_text("machine jenkins.example login robot password 11abc nonsense secret\n")
    with pytest.raises(InputError) as caught:
        account_of("https://jenkins.example", {"NETRC": str(file)})
    assert "secret" not in str(caught.value.to_json())


# --- names


@pytest.mark.parametrize(
    ("branch", "job", "path"),
    [("main", "main", "job/main/"), ("feature/x", "feature%2Fx", "job/feature%252Fx/"),
     ("a b~ü", "a%20b%7E%C3%BC", "job/a%2520b%257E%25C3%25BC/"), ("v1.0_x-y+z", "v1.0_x-y+z", "job/v1.0_x-y%2Bz/")],
)  # fmt: skip
def test_a_branch_is_a_job_with_an_encoded_name(branch: str, job: str, path: str) -> None:
    assert branch_job(branch) == job
    assert job_path(job) == path
