"""git by http(s) with a user and a password: a real server, real git.

Aspects: the right login for each repository in one process; a wrong one and none told in one sentence; nothing
asked; the password in no argument, file, message or other server.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import git_web_server
import process_list
import pytest
from git_web_server import GitWebServer

from mmcicd_jenkins.adapters.credentials import Login, login
from mmcicd_jenkins.adapters.git.access import GitAccess
from mmcicd_jenkins.adapters.git.answers import Kind
from mmcicd_jenkins.adapters.git.cli import Git
from mmcicd_jenkins.adapters.git.ledger import GitLedger
from mmcicd_jenkins.adapters.signing import DsseSigner
from mmcicd_jenkins.adapters.system_clock import SystemClock
from mmcicd_jenkins.errors import InputError, OutsideFailed
from mmcicd_jenkins.release.history import Who, reserve

# The word in it is what tests look for: other programs of the machine may have strange arguments, too.
WORD = "w0rd-of-ada"
PASSWORD = WORD + "%q $(id) 'x' \"y\" `z` \\n é"
WHO = Who(actor="ada", at="2026-01-02T03:04:05+00:00")
RUN = "sha256:" + "7" * 64


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitWebServer]:
    (tmp_path / "repositories").mkdir()
    with git_web_server.serve(tmp_path / "repositories") as running:
        yield running


def ledger(url: str, user: str = "", password: str = "") -> GitLedger:
    known = Login(use="ledger", user=user, password=password)
    return GitLedger(url, signer=DsseSigner((), None), clock=SystemClock(), login=known)


def write(target: GitLedger) -> None:
    target.commit("m", lambda snapshot: reserve(snapshot, RUN, WHO)[0])


def files_with(text: str, folder: Path) -> list[str]:
    wanted = text.encode()
    return [str(p) for p in folder.rglob("*") if p.is_file() and wanted in p.read_bytes()]


def test_a_ledger_is_written_and_read_with_a_password_that_nobody_sees(
    server: GitWebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    url = server.add("l.git", "ada", PASSWORD)

    with process_list.watched() as lines:
        target = ledger(url, "ada", PASSWORD)
        write(target)
        assert ledger(url, "ada", PASSWORD).version_of_run("m", RUN) == 1

    assert any("remote-http" in line for line in lines)
    assert not [line for line in lines if WORD in line]
    assert files_with(WORD, tmp_path) == []


def test_each_repository_is_told_its_own_login(server: GitWebServer, tmp_path: Path) -> None:
    source = server.add("source.git", "reader", "reader-password")
    history = server.add("ledger.git", "writer", "writer-password")

    write(ledger(history, "writer", "writer-password"))
    access = GitAccess(url=source, login=Login(use="source", user="reader", password="reader-password"))
    Git(tmp_path, access=access).run("ls-remote", "--", source)

    told = {name: sent for name, sent in server.heard if sent}
    assert told == {"source.git": "reader:reader-password", "ledger.git": "writer:writer-password"}


@pytest.mark.parametrize(
    ("user", "password", "fix"),
    [("ada", "wrong-" + PASSWORD, "put the right ones there: "), ("", "", "none were given. ")],
)
def test_a_refusal_is_one_sentence_that_names_what_to_change(
    server: GitWebServer, user: str, password: str, fix: str
) -> None:
    url = server.add("l.git", "ada", PASSWORD)

    with pytest.raises(OutsideFailed) as caught:
        ledger(url, user, password).snapshot("m")

    error = caught.value
    assert error.exit_code == 5
    assert not error.retryable
    assert error.what == "the git server refused the credentials for the ledger"
    assert error.fix.startswith(fix)
    assert "jenkins.credentials.ci.ledger or .ops.ledger" in error.fix
    assert "MMCICD_LEDGER_USER and MMCICD_LEDGER_PASSWORD" in error.fix
    assert WORD not in str(error.to_json())


def test_another_server_to_which_the_first_one_sends_us_is_told_nothing(
    server: GitWebServer, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    with git_web_server.serve(tmp_path / "other") as other:
        other.add("l.git", "ada", PASSWORD)
        url = server.add("l.git", "ada", PASSWORD)
        server.moved["l.git"] = other.address

        with pytest.raises(OutsideFailed):
            ledger(url, "ada", PASSWORD).snapshot("m")

        assert [sent for _, sent in other.heard if sent] == []


def test_a_helper_of_the_machine_neither_answers_nor_keeps_our_password(
    server: GitWebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "gitconfig"
    settings.write_text(
        f"[credential]\n\thelper = store --file={tmp_path}/kept\n"
        f'[credential "{server.address}"]\n\thelper = "!echo asked >{tmp_path}/asked; :"\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    write(ledger(server.add("l.git", "ada", PASSWORD), "ada", PASSWORD))

    assert not (tmp_path / "kept").exists()
    assert not (tmp_path / "asked").exists()


def test_a_trace_shows_no_password(
    server: GitWebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "trace"
    for name in ("GIT_TRACE", "GIT_TRACE_CURL", "GIT_TRACE2"):
        monkeypatch.setenv(name, str(trace))
    monkeypatch.setenv("GIT_TRACE_REDACT", "0")
    write(ledger(server.add("l.git", "ada", "secret-of-ada"), "ada", "secret-of-ada"))

    text = trace.read_text()
    assert "http" in text
    assert "secret-of-ada" not in text
    assert "YWRhOnNlY3JldC1vZi1hZGE" not in text  # as it is sent, in base64


def test_git_itself_is_given_no_other_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMCICD_REGISTRY_PASSWORD", "for the registry")
    monkeypatch.setenv("MMCICD_LEDGER_PASSWORD", "for the ledger")
    git = Git(tmp_path, settings=["alias.look=!env"])

    assert b"for the" not in git.run("look")


def test_a_message_that_quotes_the_password_is_redacted(tmp_path: Path) -> None:
    access = GitAccess(url="https://g.example/l", login=Login(use="ledger", user="a", password="pw1"))
    answer = Git(tmp_path, access=access, settings=["alias.look=!echo refused pw1 >&2; false"]).try_run(
        "look"
    )

    assert answer.kind is Kind.OTHER
    assert "pw1" not in answer.said
    assert "pw1" not in repr(access)


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"MMCICD_LEDGER_PASSWORD": "x"}, "MMCICD_LEDGER_USER is not"),
        ({"MMCICD_LEDGER_USER": "a", "MMCICD_LEDGER_PASSWORD": "x\nhost=evil"}, "a line break"),
        ({"MMCICD_LEDGER_USER": "a\npath=x", "MMCICD_LEDGER_PASSWORD": "x"}, "a line break"),
    ],
)
def test_what_no_protocol_can_carry_is_refused(variables: dict[str, str], told: str) -> None:
    with pytest.raises(InputError, match=told):
        login("ledger", variables)


def test_an_address_cannot_add_a_setting_of_git() -> None:
    known = Login(use="ledger", user="a", password="x")
    for url in ("https://g=x.helper/l", "https:///l", "https://a b/l", "https://[::1/l"):
        with pytest.raises(InputError, match="is no address of a server"):
            GitAccess(url=url, login=known).settings()


ASK_A_LEDGER = """
import os, sys
os.setsid()
os.open(sys.argv[1], os.O_RDWR)  # the first terminal that a session opens is its own
from mmcicd_jenkins.adapters.git.ledger import GitLedger
from mmcicd_jenkins.adapters.signing import DsseSigner
from mmcicd_jenkins.adapters.system_clock import SystemClock
from mmcicd_jenkins.errors import MmcicdError
try:
    GitLedger(sys.argv[2], signer=DsseSigner((), None), clock=SystemClock()).snapshot("m")
except MmcicdError as e:
    sys.exit(e.exit_code)
"""


def test_nothing_is_asked_on_a_terminal(server: GitWebServer) -> None:
    """With a terminal of its session git would ask there, whatever its input is."""
    url = server.add("l.git", "ada", PASSWORD)
    ours, theirs = os.openpty()
    command = [sys.executable, "-c", ASK_A_LEDGER, os.ttyname(theirs), url]
    done = subprocess.run(command, stdin=theirs, capture_output=True, check=False, timeout=60)
    os.set_blocking(ours, False)
    with pytest.raises(BlockingIOError):
        os.read(ours, 1)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 5, done.stderr
