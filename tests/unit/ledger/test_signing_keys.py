import base64
import json
import os
import stat
import threading

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mmcicd_jenkins.adapters.signing import DsseSigner, encoded, make_key, private_key_path, read_trusted
from mmcicd_jenkins.errors import InputError, IntegrityFailed, OutsideFailed

TYPE = "application/x"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "repository").mkdir()
    return tmp_path / "repository"


def test_the_encoding_is_dsse_version_1():
    # The example of the DSSE specification.
    assert encoded("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_a_made_key_signs_what_it_is_trusted_for(root, tmp_path):
    made = make_key(root, tmp_path / "new" / "key.pem", zone="ops", comment="ada")
    assert made.made
    assert made.added
    assert stat.S_IMODE(made.private_key.stat().st_mode) == 0o600
    trusted = read_trusted(root)
    assert trusted == (made.key,)
    signer = DsseSigner(trusted, made.private_key)
    signature = signer.sign(TYPE, b"payload")
    assert signer.check(TYPE, b"payload", signature) == "ops"
    # A plain Ed25519 verification by someone who knows only the specification.
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(made.key.public_key))
    public.verify(base64.b64decode(signature["sig"]), b"DSSEv1 13 application/x 7 payload")


def test_a_signature_counts_for_its_payload_and_type_alone(root, tmp_path):
    made = make_key(root, tmp_path / "key.pem", zone="ops", comment="")
    signer = DsseSigner((made.key,), made.private_key)
    signature = signer.sign(TYPE, b"payload")
    wrong = [
        (TYPE, b"payloae", signature),
        ("application/y", b"payload", signature),
        (TYPE, b"payload", {**signature, "sig": "AAAA"}),
        (TYPE, b"payload", {**signature, "sig": "not base64!"}),
        (TYPE, b"payload", {**signature, "keyid": "0" * 64}),
        (TYPE, b"payload", {}),
    ]
    for type_, payload, bad in wrong:
        with pytest.raises(IntegrityFailed):
            signer.check(type_, payload, bad)


def test_a_key_is_never_overwritten_and_never_listed_twice(root, tmp_path):
    first = make_key(root, tmp_path / "key.pem", zone="ops", comment="")
    kept = first.private_key.read_bytes()
    again = make_key(root, tmp_path / "key.pem", zone="ops", comment="other")
    assert (again.made, again.added, again.key) == (False, False, first.key)
    assert first.private_key.read_bytes() == kept
    assert len(read_trusted(root)) == 1
    with pytest.raises(InputError, match="zone ops already"):
        make_key(root, tmp_path / "key.pem", zone="laptop", comment="")


def test_an_existing_key_is_trusted_in_a_second_repository(root, tmp_path):
    made = make_key(root, tmp_path / "key.pem", zone="ops", comment="")
    other = tmp_path / "other"
    other.mkdir()
    again = make_key(other, tmp_path / "key.pem", zone="ops", comment="")
    assert (again.made, again.added, again.key.keyid) == (False, True, made.key.keyid)


def test_two_at_once_end_with_one_key(root, tmp_path):
    made = []
    repositories = [tmp_path / str(n) for n in range(4)]
    for repository in repositories:
        repository.mkdir()
    threads = [
        threading.Thread(
            target=lambda r=r: made.append(make_key(r, tmp_path / "k.pem", zone="ops", comment=""))
        )
        for r in repositories
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({m.key.keyid for m in made}) == 1
    assert sum(m.made for m in made) == 1
    assert not list(tmp_path.glob(".k.pem*"))


@pytest.mark.parametrize("trusted", ["none", "another"])
def test_a_machine_whose_key_is_not_trusted_signs_nothing(root, tmp_path, trusted):
    mine = make_key(root, tmp_path / "mine.pem", zone="ops", comment="")
    other = tmp_path / "other"
    other.mkdir()
    others = make_key(other, tmp_path / "others.pem", zone="ops", comment="")
    signer = DsseSigner(() if trusted == "none" else (others.key,), mine.private_key)
    assert signer.sign(TYPE, b"payload") is None


def test_a_machine_without_a_key_signs_nothing(root, tmp_path):
    made = make_key(root, tmp_path / "key.pem", zone="ops", comment="")
    for path in (None, tmp_path / "absent.pem"):
        assert DsseSigner((made.key,), path).sign(TYPE, b"payload") is None


def test_a_private_key_in_the_repository_is_refused(root):
    with pytest.raises(InputError, match="may not lie in the repository"):
        make_key(root, root / "sub" / "key.pem", zone="ops", comment="")
    assert list(root.iterdir()) == []


def wrong_key_files(folder):
    curve = generate_private_key(SECP256R1())
    pem = curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    files = {"curve": pem, "empty": b"", "text": b"secret-text", "half": pem[:60]}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in files]


def test_a_file_that_is_no_key_is_named_and_never_shown_or_changed(root, tmp_path):
    for path in wrong_key_files(tmp_path):
        before = path.read_bytes()
        with pytest.raises(InputError) as caught:
            make_key(root, path, zone="ops", comment="")
        assert caught.value.where == str(path)
        assert "secret-text" not in str(caught.value.to_json())
        assert path.read_bytes() == before
    assert read_trusted(root) == ()


def test_a_folder_that_cannot_be_written_is_named(root, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutsideFailed) as caught:
        make_key(root, tmp_path / "file" / "key.pem", zone="ops", comment="")
    assert "key.pem" in caught.value.where


def test_a_keys_file_that_contradicts_itself_is_refused(root, tmp_path):
    make_key(root, tmp_path / "key.pem", zone="ops", comment="")
    file = root / "mmcicd.keys"
    good = json.loads(file.read_text())
    for field, value in [("zone", "root"), ("public_key", "AAAA"), ("public_key", "!"), ("keyid", "0" * 64)]:
        bad = {"keys": [good["keys"][0] | {field: value}]}
        file.write_text(json.dumps(bad))
        with pytest.raises(InputError):
            read_trusted(root)
    for text in ("{", "[]", '{"keys": [{}]}', '{"keys": {}}', "\x00", '{"keys": [], "more": 1}'):
        file.write_text(text)
        with pytest.raises(InputError):
            read_trusted(root)


def test_no_keys_file_and_an_empty_one_trust_nobody(root):
    assert read_trusted(root) == ()
    (root / "mmcicd.keys").write_text("")
    assert read_trusted(root) == ()
    (root / "mmcicd.keys").write_text('{"keys": []}')
    assert read_trusted(root) == ()


def test_where_the_private_key_lies(tmp_path):
    assert private_key_path({"MMCICD_SIGNING_KEY": "/k"}).as_posix() == "/k"
    assert private_key_path({"XDG_CONFIG_HOME": "/c"}).as_posix() == "/c/mmcicd-jenkins/signing.pem"
    assert private_key_path({"MMCICD_SIGNING_KEY": ""}).name == "signing.pem"
    assert os.fspath(private_key_path({})).endswith(".config/mmcicd-jenkins/signing.pem")


def test_a_user_without_a_home_has_no_key_and_is_told_how_to_name_one(root, monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    assert private_key_path({}) is None
    with pytest.raises(InputError, match="no home folder"):
        make_key(root, private_key_path({}), zone="ops", comment="")
