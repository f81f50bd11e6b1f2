"""Ed25519 signatures in DSSE form: who may sign, this machine's own key, making a pair.

`mmcicd.keys`, in the repository and under review like code, lists the public keys that are trusted and the
zone of each: `laptop`, `ci` or `ops`. The private key is a PEM file outside the repository, named by
MMCICD_SIGNING_KEY or in the user's configuration folder; it is never printed and never overwritten.
A machine signs only when its own key is on the list. What the zones mean is `release.proof`'s to judge.
"""

import base64
import binascii
import contextlib
import hashlib
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmcicd_jenkins.errors import InputError, IntegrityFailed, OutsideFailed
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.canonical import readable
from mmcicd_jenkins.release.chain import read_json
from mmcicd_jenkins.release.documents import from_document, to_document

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEYS_FILE = "mmcicd.keys"
KEY_VARIABLE = "MMCICD_SIGNING_KEY"
ZONES = ("laptop", "ci", "ops")
_RAW_KEY_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class TrustedKey:
    """A line of `mmcicd.keys`. `public_key` is the raw key in base64, `keyid` the sha256 of the raw key."""

    keyid: str
    zone: str
    public_key: str
    comment: str = ""


@dataclass(frozen=True, kw_only=True)
class _KeysFile:
    keys: tuple[TrustedKey, ...]


def encoded(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed, so that one type cannot pass for another."""
    name = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(name), name, len(payload), payload)


def private_key_path(variables: Mapping[str, str]) -> Path | None:
    """Where this user's key lies, whether or not it exists; None for a user without a home folder."""
    named, folder = variables.get(KEY_VARIABLE), variables.get("XDG_CONFIG_HOME")
    if named:
        return Path(named)
    try:
        configuration = Path(folder) if folder else Path.home() / ".config"
    except RuntimeError:
        return None
    return configuration / "mmcicd-jenkins" / "signing.pem"


def read_trusted(root: Path) -> tuple[TrustedKey, ...]:
    """The keys of `mmcicd.keys` below `root`; none when there is no such file.

    Raises:
        InputError: the file cannot be read, or an entry contradicts itself.
    """
    path = root / KEYS_FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as e:
        raise InputError(f"{KEYS_FILE} cannot be read", where=str(path), why=str(e)) from e
    if not data.strip():
        return ()
    try:
        keys = from_document(_KeysFile, read_json(data, KEYS_FILE), KEYS_FILE).keys
    except IntegrityFailed as e:
        raise InputError(
            f"{KEYS_FILE} is not a list of keys", where=e.where, why=e.why, fix="restore it from git"
        ) from e
    for key in keys:
        _check_key(key, path)
    return keys


def _check_key(key: TrustedKey, path: Path) -> None:
    if key.zone not in ZONES:
        raise InputError(
            f"{key.zone!r} is not a zone",
            where=f"{path} {key.keyid[:16]}",
            fix=f"use one of {', '.join(ZONES)}",
        )
    try:
        raw = base64.b64decode(key.public_key, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _RAW_KEY_BYTES or _keyid(raw) != key.keyid:
        raise InputError(
            "a key does not match its keyid",
            where=f"{path} {key.keyid[:16]}",
            fix="restore the file from git, or take the entry out",
        )


class DsseSigner:
    """The `ports.Signer` of a repository and a machine.

    Args:
        trusted: the keys that count.
        private_key: this machine's key file; it need not exist.
    """

    def __init__(self, trusted: Sequence[TrustedKey], private_key: Path | None) -> None:
        self._trusted = {key.keyid: key for key in trusted}
        self._path = private_key
        self._loaded: tuple[str, Ed25519PrivateKey] | None = None

    def trusts(self, zone: str) -> bool:
        """Whether a key of this zone is on the list."""
        return any(key.zone == zone for key in self._trusted.values())

    def sign(self, payload_type: str, payload: bytes) -> Mapping[str, str] | None:
        """As the port says; None as well when this machine's key is not on the list."""
        if not self._trusted or self._path is None or not self._path.exists():
            return None
        if self._loaded is None:
            private = _load_private(self._path)
            self._loaded = (_keyid(private.public_key().public_bytes_raw()), private)
        keyid, private = self._loaded
        if keyid not in self._trusted:
            return None
        signature = private.sign(encoded(payload_type, payload))
        return {"keyid": keyid, "sig": base64.b64encode(signature).decode()}

    def check(self, payload_type: str, payload: bytes, signature: Mapping[str, str]) -> str:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        keyid = signature.get("keyid", "")
        key = self._trusted.get(keyid)
        if key is None:
            raise IntegrityFailed(
                f"signed by a key that {KEYS_FILE} does not trust",
                where=f"key {keyid[:16]}",
                fix=f"if the key is known, add it to {KEYS_FILE}; if not, somebody else wrote this",
            )
        try:
            signed = base64.b64decode(signature.get("sig", ""), validate=True)
            public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.public_key))
            public.verify(signed, encoded(payload_type, payload))
        except (InvalidSignature, ValueError) as e:
            raise IntegrityFailed(
                "a signature does not fit what it signs", where=f"key {keyid[:16]}", why=str(e)
            ) from e
        return key.zone


@dataclass(frozen=True, kw_only=True)
class MadeKey:
    """What `make_key` did: the key, where its private half lies, and what was new."""

    key: TrustedKey
    private_key: Path
    made: bool
    added: bool


def make_key(root: Path, private_key: Path | None, *, zone: str, comment: str) -> MadeKey:
    """Make a pair unless `private_key` exists, and add its public half to `mmcicd.keys` unless it is there.

    Raises:
        InputError: the zone is unknown, the key file is something else, or the key is listed in another zone.
        OutsideFailed: a file cannot be written.
    """
    if zone not in ZONES:
        raise InputError(f"{zone!r} is not a zone", fix=f"use one of {', '.join(ZONES)}")
    if private_key is None:
        raise InputError("this user has no home folder for a key", fix=f"name a file by {KEY_VARIABLE}")
    if private_key.resolve().is_relative_to(root.resolve()):
        raise InputError(
            "a private key may not lie in the repository",
            where=str(private_key),
            why="the next git add would publish it",
            fix=f"{KEY_VARIABLE}=~/.config/mmcicd-jenkins/signing.pem, or leave it out",
        )
    trusted = read_trusted(root)
    made = _write_new_private(private_key)
    raw = _load_private(private_key).public_key().public_bytes_raw()
    known = next((key for key in trusted if key.keyid == _keyid(raw)), None)
    if known is not None and known.zone != zone:
        raise InputError(
            f"this key is trusted in zone {known.zone} already, not in {zone}",
            where=f"{root / KEYS_FILE} {known.keyid[:16]}",
            fix=f"one key, one zone: make another with {KEY_VARIABLE}=FILE mmcicd-jenkins keys init --zone {zone}",
        )
    key = known or TrustedKey(
        keyid=_keyid(raw), zone=zone, public_key=base64.b64encode(raw).decode(), comment=comment
    )
    if known is None:
        document = to_document(_KeysFile(keys=(*trusted, key)))
        _replace(root / KEYS_FILE, readable(document))
    return MadeKey(key=key, private_key=private_key, made=made, added=known is None)


def _keyid(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _load_private(path: Path) -> "Ed25519PrivateKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    fix = f"name another file by {KEY_VARIABLE}, or make a key: mmcicd-jenkins keys init"
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as e:
        raise InputError("the signing key cannot be read", where=str(path), why=str(e), fix=fix) from e
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        # The library's own words may quote the file, and the file is a secret.
        raise InputError(
            "the signing key is not a private key in PEM form without a password", where=str(path), fix=fix
        ) from e
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError("the signing key is not an Ed25519 key", where=str(path), fix=fix)
    return key


def _write_new_private(path: Path) -> bool:
    """A new key at `path`, readable by its owner alone; False when something is there already."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    if path.exists():
        return False
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(aside, pem, 0o600)
        # Unlike a rename, a link never takes the place of a key that another process made meanwhile.
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)
            return True
        return False
    except OSError as e:
        raise _cannot_write(path, e) from e
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()


def _replace(path: Path, data: bytes) -> None:
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        _write(aside, data, 0o666)
        aside.replace(path)
    except OSError as e:
        raise _cannot_write(path, e) from e
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()


def _write(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _cannot_write(path: Path, error: OSError) -> OutsideFailed:
    return OutsideFailed(
        "the key cannot be written",
        where=str(path),
        why=error.strerror or str(error),
        fix=f"make the folder writable, or name another file by {KEY_VARIABLE}",
    )
