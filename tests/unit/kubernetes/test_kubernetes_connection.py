"""Which cluster is gone to: the one that is configured and no other, and never to one that is not checked."""

import json
from pathlib import Path

import pytest
import yaml
from kubeconfigs import MARK, connected, place, written

from mmcicd_jenkins.adapters.kubernetes.connection import connect
from mmcicd_jenkins.errors import InputError

SERVER = "https://k8s.acme.example:6443"
SECRET = "sha256~a-token-that-nobody-may-see"


def refused(path: Path, server: str, **variables: str) -> InputError:
    with pytest.raises(InputError) as caught:
        connected(path, server, **variables)
    assert caught.value.exit_code == 3
    return caught.value


def test_the_server_that_is_configured_is_gone_to(tmp_path):
    assert connected(written(tmp_path / "c", SERVER), SERVER).server == SERVER


@pytest.mark.parametrize(
    ("configured", "written_there"),
    [
        ("https://K8s.Acme.example:6443/", SERVER),
        ("https://k8s.acme.example", "https://k8s.acme.example:443"),
        ("https://k8s.acme.example:6443", "HTTPS://k8s.acme.example:6443"),
        ("https://k8s.acme.example./clusters/one/", "https://k8s.acme.example/clusters/one"),
        ("https://[FD00::1]:6443", "https://[fd00::1]:6443"),
    ],
)
def test_spellings_of_one_address_are_one(tmp_path, configured, written_there):
    connected(written(tmp_path / "c", written_there), configured)


@pytest.mark.parametrize(
    "other",
    [
        "https://k8s-staging.acme.example:6443",
        "https://k8s.acme.example:6444",
        "https://k8s.acme.example:6443/clusters/other",
        "https://k8s.acme.example.evil.example:6443",
    ],
)
def test_another_server_is_refused_with_both_addresses(tmp_path, other):
    error = refused(written(tmp_path / "c", other), SERVER)
    assert error.where == MARK
    assert SERVER in error.why
    assert other in error.why


def test_the_context_that_would_fit_is_named(tmp_path):
    first = written(tmp_path / "one", "https://staging.example:6443", name="staging")
    second = written(tmp_path / "two", SERVER, name="production")
    error = refused(tmp_path / "x", SERVER, KUBECONFIG=f"{first}:{second}")
    assert error.fix == "kubectl config use-context production"


def test_of_several_files_the_first_wins_and_missing_ones_are_passed_over(tmp_path):
    first = written(tmp_path / "one", SERVER, name="same")
    second = written(tmp_path / "two", "https://other.example", name="same")
    paths = f"{tmp_path / 'none'}:{first}:{second}"
    assert connected(tmp_path / "x", SERVER, KUBECONFIG=paths).server == SERVER


@pytest.mark.parametrize("server", ["http://k8s.acme.example:6443", "http://10.0.0.1:8080"])
def test_plain_http_is_refused(tmp_path, server):
    assert "spoken to by TLS" in refused(written(tmp_path / "c", server), server).what


def test_a_tunnel_on_this_machine_may_be_plain(tmp_path):
    connected(written(tmp_path / "c", "http://127.0.0.1:8001"), "http://127.0.0.1:8001")


@pytest.mark.parametrize(
    "server",
    [
        "",
        "k8s",
        "ftp://k8s",
        "https://",
        "https://k8s:0x",
        "https://k8s:99999",
        "https://a b",
        "https://k8s?x=1",
    ],
)
def test_what_is_no_address_is_refused(tmp_path, server):
    assert "no address" in refused(written(tmp_path / "c", SERVER), server).what


def test_a_login_in_the_address_is_refused_and_not_shown(tmp_path):
    error = refused(written(tmp_path / "c", SERVER), f"https://admin:{SECRET}@k8s.acme.example:6443")
    assert SECRET not in str(error.to_json())


def test_a_server_whose_certificate_is_not_checked_is_refused(tmp_path):
    error = refused(written(tmp_path / "c", SERVER, insecure_skip_tls_verify=True), SERVER)
    assert "insecure-skip-tls-verify" in error.where
    assert "certificate-authority-data" in error.fix


def test_no_login_is_told_with_the_variable(tmp_path):
    error = refused(tmp_path / "none", SERVER)
    assert "there is no login for the cluster" in error.what
    assert "KUBECONFIG" in error.fix


def test_without_a_variable_the_home_is_looked_into(tmp_path):
    (tmp_path / ".kube").mkdir()
    written(tmp_path / ".kube" / "config", SERVER)
    assert connect(place(SERVER), {"HOME": str(tmp_path)}, MARK, tmp_path / "no").server == SERVER
    with pytest.raises(InputError):
        connect(place(SERVER), {}, MARK, tmp_path / "no")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "not a kubeconfig"),
        (b"[1, 2]", "not a kubeconfig"),
        (b"a: [", "not YAML"),
        (b"\xff\xfe\x00", "not YAML"),
        (b"a: !!python/object/apply:os.system ['true']", "not YAML"),
        (b"current-context: one", "no context"),
        (b"clusters: []", "no current context"),
        (b"current-context: one\ncontexts: [{name: one, context: {cluster: gone}}]", "no cluster"),
        (b"current-context: one\ncontexts: 7", "no context"),
    ],
)
def test_damaged_files_are_told(tmp_path, content, what):
    (tmp_path / "c").write_bytes(content)
    assert what in refused(tmp_path / "c", SERVER).what


def test_a_damaged_file_is_told_without_its_secrets(tmp_path):
    (tmp_path / "c").write_text(f"users:\n- user: {{token: '{SECRET}\n  x: [")
    error = refused(tmp_path / "c", SERVER)
    assert SECRET not in str(error.to_json())
    assert SECRET not in repr(error.__cause__)


def test_an_unreadable_file_is_told(tmp_path):
    (tmp_path / "c").mkdir()
    assert "cannot be read" in refused(tmp_path / "c", SERVER).what


def test_nothing_shows_a_secret(tmp_path):
    path = written(tmp_path / "c", SERVER, {"token": SECRET, "username": "x", "password": SECRET})
    connection = connected(path, SERVER)
    shown = repr((connection, connection.login.credentials()))
    assert SECRET not in shown


def test_paths_are_relative_to_their_file(tmp_path, monkeypatch):
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "token").write_text("from-a-file\n")
    path = written(folder / "c", SERVER, {"tokenFile": "token", "token": "old"})
    assert connected(path, SERVER).login.credentials().authorization == "Bearer from-a-file"
    monkeypatch.chdir(folder)
    assert connected(Path("c"), SERVER).login.credentials().authorization == "Bearer from-a-file"


@pytest.mark.parametrize(
    ("user", "what"),
    [
        ({"client-certificate-data": "eA=="}, "belong together"),
        ({"client-certificate-data": "no base64!", "client-key-data": "eA=="}, "damaged"),
        ({"tokenFile": "nowhere"}, "cannot be read"),
        ({"token": "two words"}, "no token"),
        ({"token": "line\nbreak"}, "no token"),
        ({"token": 7}, "another kind"),
    ],
)
def test_damaged_logins_are_told(tmp_path, user, what):
    path = written(tmp_path / "c", SERVER, user)
    with pytest.raises(InputError) as caught:
        connected(path, SERVER).login.credentials()
    assert what in caught.value.what


def test_who_is_impersonated_is_sent_or_refused(tmp_path):
    path = written(tmp_path / "c", SERVER, {"token": "t", "as": "deployer", "as-groups": ["ml", "all"]})
    assert connected(path, SERVER).login.headers == (
        ("Impersonate-User", "deployer"),
        ("Impersonate-Group", "ml"),
        ("Impersonate-Group", "all"),
    )
    extra = {"token": "t", "as": "deployer", "as-user-extra": {"reason": ["x"]}}
    assert "as somebody else" in refused(written(tmp_path / "d", SERVER, extra), SERVER).what
    assert "damaged" in refused(written(tmp_path / "e", SERVER, {"as": "a\r\nX: y"}), SERVER).what


def test_a_kubeconfig_in_yaml_is_read(tmp_path):
    path = written(tmp_path / "c", SERVER)
    path.write_text(yaml.safe_dump(json.loads(path.read_text())))
    assert connected(path, SERVER).server == SERVER


@pytest.fixture
def account(tmp_path):
    folder = tmp_path / "account"
    folder.mkdir()
    (folder / "token").write_text("of-the-pod")
    (folder / "ca.crt").write_text("not read before it is needed")
    return folder


def test_in_a_pod_its_account_is_used(account):
    connection = connect(place(SERVER), {}, MARK, account)
    assert connection.server == SERVER
    assert connection.login.credentials().authorization == "Bearer of-the-pod"


def test_a_kubeconfig_comes_before_the_account(account, tmp_path):
    path = written(tmp_path / "c", SERVER)
    connection = connect(place(SERVER), {"KUBECONFIG": str(path)}, MARK, account)
    assert connection.login.credentials().authorization == "Bearer standin-token"


@pytest.mark.parametrize(
    ("host", "server"), [("10.96.0.1", "https://10.96.0.1:6443"), ("fd00::1", "https://[fd00::1]:6443")]
)
def test_the_clusters_own_name_is_its_address_inside(account, host, server):
    variables = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "6443"}
    assert connect(place("https://kubernetes.default.svc"), variables, MARK, account).server == server


def test_an_account_speaks_by_tls_only(account):
    with pytest.raises(InputError, match="TLS only"):
        connect(place("http://127.0.0.1:8001"), {}, MARK, account)


def test_an_account_without_its_authority_is_told(account):
    (account / "ca.crt").unlink()
    with pytest.raises(InputError, match="not complete"):
        connect(place(SERVER), {}, MARK, account)


@pytest.mark.parametrize(
    "proxy", ["socks5://proxy.example:1080", "https://proxy.example:3128", "http://", "http://p:x"]
)
def test_a_proxy_that_is_not_spoken_is_told(tmp_path, proxy):
    error = refused(written(tmp_path / "c", SERVER, proxy_url=proxy), SERVER)
    assert "proxy" in error.what
