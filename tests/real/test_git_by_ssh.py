"""git by ssh with a key file, on a real sshd.

Aspects: the named key and no other; whatever its folder is called; host keys are checked; nothing is asked.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ssh_server
from ssh_server import SshServer

from mmcicd_jenkins.adapters.credentials import Login
from mmcicd_jenkins.adapters.git.access import GitAccess
from mmcicd_jenkins.adapters.git.cli import Git
from mmcicd_jenkins.adapters.git.ledger import GitLedger
from mmcicd_jenkins.adapters.signing import DsseSigner
from mmcicd_jenkins.adapters.system_clock import SystemClock
from mmcicd_jenkins.errors import InputError, OutsideFailed
from mmcicd_jenkins.release.history import Who, reserve

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(ssh_server.SSHD is None, reason=ssh_server.MISSING),
    pytest.mark.skipif(shutil.which("ssh") is None, reason="ssh is missing: apt-get install openssh-client"),
]

WHO = Who(actor="ada", at="2026-01-02T03:04:05+00:00")
RUN = "sha256:" + "7" * 64
# A multibranch job's folder holds %2F; the rest is what nobody should do and somebody does.
HOSTILE = (
    "ml_ci_feature%2Fx@tmp/secretFiles",
    "a b'; touch owned; #",
    "$(touch owned)`id`%h%%~$HOME",
    "-oX=y",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    folder = tmp_path_factory.mktemp("sshd")
    with ssh_server.serve(folder, ssh_server.make_key(folder / "mine")) as running:
        yield running


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "l.git")], check=True)
    return tmp_path / "l.git"


def ledger(server: SshServer, url: str, **login: str) -> GitLedger:
    known = Login(use="ledger", known_hosts=login.pop("known_hosts", str(server.known_hosts)), **login)
    return GitLedger(url, signer=DsseSigner((), None), clock=SystemClock(), login=known)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_key_in_any_folder(server: SshServer, repository: Path, tmp_path: Path, name: str) -> None:
    key = tmp_path / name / "ssh-key-MMCICD"
    key.parent.mkdir(parents=True)
    shutil.copy(server.folder / "mine", key)
    key.chmod(0o400)
    target = ledger(server, server.address(repository), key_file=str(key))

    target.commit("m", lambda snapshot: reserve(snapshot, RUN, WHO)[0])

    assert target.version_of_run("m", RUN) == 1
    assert not list(tmp_path.rglob("owned"))
    assert not Path("owned").exists()


def test_the_user_of_the_credential_where_the_address_names_none(server: SshServer, repository: Path) -> None:
    key = str(server.folder / "mine")

    assert ledger(server, server.address(repository, ""), key_file=key, user=server.user).models() == ()
    with pytest.raises(OutsideFailed, match="refused the credentials for the ledger"):
        ledger(server, server.address(repository, ""), key_file=key, user="nobody-here").models()


def test_another_key_is_refused_in_one_sentence(
    server: SshServer,
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """An ssh-agent that holds the right key is not asked: what Jenkins named counts."""
    other = ssh_server.make_key(tmp_path / "other")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(tmp_path / "agent")], stdout=subprocess.DEVNULL)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    request.addfinalizer(lambda: (agent.terminate(), agent.wait()))
    adding = ["ssh-add", "-q", str(server.folder / "mine")]
    while subprocess.run(adding, check=False, stderr=subprocess.DEVNULL).returncode == 2:  # it begins
        time.sleep(0.05)

    with pytest.raises(OutsideFailed) as caught:
        ledger(server, server.address(repository), key_file=str(other)).snapshot("m")

    assert caught.value.exit_code == 5
    assert not caught.value.retryable
    assert caught.value.what == "the git server refused the credentials for the ledger"
    assert "jenkins.credentials.ci.ledger or .ops.ledger" in caught.value.fix
    assert "MMCICD_LEDGER_KEY_FILE" in caught.value.fix


def test_two_repositories_with_a_key_each(server: SshServer, repository: Path, tmp_path: Path) -> None:
    second = ssh_server.make_key(tmp_path / "second")
    (tmp_path / "two").mkdir()
    with ssh_server.serve(tmp_path / "two", second) as other:
        for at, key in ((server, server.folder / "mine"), (other, second)):
            login = Login(use="source", key_file=str(key), known_hosts=str(at.known_hosts))
            url = at.address(repository)
            Git(tmp_path, access=GitAccess(url=url, login=login)).run("ls-remote", "--", url)


def test_a_host_that_nobody_knows_is_not_trusted(server: SshServer, repository: Path, tmp_path: Path) -> None:
    empty = tmp_path / "known hosts"
    empty.touch()
    key = str(server.folder / "mine")

    with pytest.raises(OutsideFailed, match="does not know the key of the git server") as caught:
        ledger(server, server.address(repository), key_file=key, known_hosts=str(empty)).snapshot("m")

    assert "MMCICD_KNOWN_HOSTS" in caught.value.fix
    assert empty.read_text() == ""


def test_a_key_with_a_passphrase_ends_at_once(server: SshServer, repository: Path, tmp_path: Path) -> None:
    key = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "phrase", "-f", str(key)], check=True)

    with pytest.raises(OutsideFailed, match="refused the credentials for the ledger"):
        ledger(server, server.address(repository), key_file=str(key)).snapshot("m")


@pytest.mark.parametrize("name", ['a"b', "a\\b", "${HOME}", "a\nb"])
def test_a_path_that_ssh_cannot_be_told_is_refused(tmp_path: Path, name: str) -> None:
    login = Login(use="ledger", key_file=str(tmp_path / name))
    with pytest.raises(InputError, match="cannot be told the path in MMCICD_LEDGER_KEY_FILE"):
        GitAccess(url="ssh://g/l", login=login).variables()


def test_a_key_that_is_not_there_is_said(tmp_path: Path) -> None:
    login = Login(use="ledger", key_file=str(tmp_path / "gone"))
    with pytest.raises(InputError, match="MMCICD_LEDGER_KEY_FILE names cannot be read"):
        GitAccess(url="git@g:l", login=login).variables()
