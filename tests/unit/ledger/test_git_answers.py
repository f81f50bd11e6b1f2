import pytest

from mmcicd_jenkins.adapters.git.answers import Answer, Kind, redact
from mmcicd_jenkins.adapters.git.places import is_local

SENTENCES = {
    " ! [rejected]        1 -> mmcicd/m (stale info)": Kind.MOVED,
    " ! [rejected]        1 -> mmcicd/m (fetch first)": Kind.MOVED,
    " ! [rejected]        1 -> mmcicd/m (non-fast-forward)": Kind.MOVED,
    " ! [remote rejected] 1 -> mmcicd/m (failed to update ref)": Kind.MOVED,
    " ! [remote rejected] 1 -> mmcicd/m (incorrect old value provided)": Kind.MOVED,
    " ! [remote rejected] 1 -> mmcicd/m (atomic transaction failed)": Kind.MOVED,
    "fatal: update_ref failed for ref 'x': cannot lock ref 'x': is at 1 but expected 2": Kind.MOVED,
    "fatal: update_ref failed for ref 'x': cannot lock ref 'x': reference already exists": Kind.MOVED,
    "cannot lock ref 'x': Unable to create '/l/x.lock': File exists.": Kind.MOVED,
    "cannot lock ref 'x': Unable to create '/l/x.lock': No space left on device": Kind.FULL,
    "cannot lock ref 'x': Unable to create '/l/x.lock': Permission denied": Kind.READ_ONLY,
    "cannot lock ref 'x': Unable to create '/l/x.lock': Read-only file system": Kind.READ_ONLY,
    "error: insufficient permission for adding an object to repository database objects": Kind.READ_ONLY,
    "fatal: unable to write loose object file: No space left on device": Kind.FULL,
    " ! [remote rejected] 1 -> mmcicd/m (pre-receive hook declined)": Kind.REFUSED,
    "remote: error: GH006: Protected branch update failed\n ! [remote rejected] 1 (protected branch hook declined)": Kind.REFUSED,
    "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.": Kind.AUTH,
    "fatal: Authentication failed for 'https://h/x'": Kind.AUTH,
    "fatal: could not read Username for 'https://h': terminal prompts disabled": Kind.AUTH,
    "fatal: unable to access 'https://h/': The requested URL returned error: 403": Kind.AUTH,
    "Host key verification failed.\nfatal: Could not read from remote repository.": Kind.HOST_KEY,
    "fatal: repository 'https://h/x/' not found": Kind.MISSING,
    "fatal: '/x' does not appear to be a git repository": Kind.MISSING,
    "fatal: remote error: access denied or repository not exported: /x": Kind.MISSING,
    "fatal: detected dubious ownership in repository at '/x'": Kind.OWNERSHIP,
    "fatal: unable to access 'https://h/': Could not resolve host: h": Kind.NETWORK,
    "fatal: unable to connect to h:\nh[0: 1.2.3.4]: errno=Connection refused": Kind.NETWORK,
    "ssh: connect to host h port 22: Connection timed out": Kind.NETWORK,
    "fatal: the remote end hung up unexpectedly": Kind.NETWORK,
    "error: RPC failed; HTTP 502 curl 22 The requested URL returned error: 502": Kind.NETWORK,
    "fatal: early EOF": Kind.NETWORK,
    "kex_exchange_identification: Connection closed by remote host": Kind.NETWORK,
    "fatal: couldn't find remote ref refs/heads/mmcicd/m": Kind.ABSENT,
    "fatal: transport 'ext' not allowed": Kind.PROTOCOL,
    "fatal: not a git repository (or any of the parent directories): .git": Kind.NO_REPOSITORY,
    "error: object file objects/ab/cd is empty\nfatal: loose object abcd is corrupt": Kind.CORRUPT,
    "fatal: a sentence of a later git": Kind.OTHER,
}


@pytest.mark.parametrize(("said", "kind"), SENTENCES.items())
def test_what_git_says_has_one_meaning(said, kind):
    answer = Answer(status=128, out=b"", said=said, where="l")
    assert answer.kind is kind
    told = answer.error()
    assert told.what
    assert told.fix
    assert told.why
    assert told.retryable == (kind in {Kind.MOVED, Kind.NETWORK, Kind.FULL})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://ada:pa55word@h/x.git", "https://***@h/x.git"),
        ("https://ghp_token@h/x.git", "https://***@h/x.git"),
        ("HTTPS://ada:p@ss@h/x", "HTTPS://***@h/x"),
        ("ssh://git@h/x", "ssh://git@h/x"),
        ("ssh://git:pa55word@h/x", "ssh://git:***@h/x"),
        ("git@h:x.git", "git@h:x.git"),
        ("two https://a:b@h/ and ssh://c:d@h/", "two https://***@h/ and ssh://c:***@h/"),
        ("https://h/x?private_token=abc&a=b", "https://h/x?private_token=***&a=b"),
        ("/a/path@with:things", "/a/path@with:things"),
    ],
)
def test_addresses_are_shown_without_secrets(text, shown):
    assert redact(text) == shown


@pytest.mark.parametrize("url", ["/a/b.git", "../b.git", "b", "./a:b", "file:///a/b.git", "a/b:c"])
def test_paths_are_local(url):
    assert is_local(url)


@pytest.mark.parametrize("url", ["h:b.git", "git@h:b.git", "ssh://h/b", "https://h/b", "ext::sh"])
def test_addresses_are_remote(url):
    assert not is_local(url)


@pytest.mark.parametrize(
    ("folder", "typed"),
    [("/srv/x", "/srv/x"), ("/srv/my ledger", "'/srv/my ledger'"), ("/a'b;$(id)", "'/a'\"'\"'b;$(id)'")],
)
def test_the_line_that_makes_git_trust_a_folder_can_be_typed(folder, typed):
    """Git names the folder that it means, which may be another than the one that it was asked for."""
    said = f"fatal: detected dubious ownership in repository at '{folder}'\nTo add an exception, call:"
    fix = Answer(status=128, out=b"", said=said, where="asked/for").error().fix
    assert fix == f"git config --global --add safe.directory {typed}; or run as its owner"
    older = Answer(status=128, out=b"", said="fatal: unsafe repository", where="/srv/our ledger").error().fix
    assert "safe.directory '/srv/our ledger'" in older
