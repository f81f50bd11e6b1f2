"""Who we are to a cluster: tokens, certificates, passwords, plugins; read when they are needed, renewed when they end.

A secret is in no repr, no error and no argument of a process. Plugins and identity providers are driven by the
`kubernetes` library, in a process of its own (`plugin`) which imports it, can hang, and is then ended.
"""

import threading
import time
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path

from mmcicd_jenkins.adapters.kubernetes.kubeconfig import Kubeconfig, Section
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.records import dataclass

# How long a token read from a file is used: kubelets write a new one well before the old one ends.
_FROM_FILE_SECONDS = 60.0
_LARGEST = 1_048_576
_FOR_EVER = float("inf")


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What is shown to the cluster: `authorization` is the whole header, `certificate` PEM with its key; `until` in
    seconds of the epoch.
    """

    authorization: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    until: float = _FOR_EVER

    @property
    def secrets(self) -> tuple[str, ...]:
        scheme, _, secret = self.authorization.partition(" ")
        if scheme != "Basic":
            return (secret,) if secret else ()
        password = b64decode(secret).decode("utf-8", "replace").partition(":")[2]
        return (secret, password) if password else (secret,)


class Login:
    """The credentials of one user, thread-safe. `who` is for messages: a name and where it comes from.

    `find` gets them; `headers` are added to each request (who is impersonated).
    """

    def __init__(
        self, who: str, find: Callable[[], Credentials], headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.who = who
        self.headers = headers
        self._find = find
        self._found: Credentials | None = None
        self._lock = threading.Lock()

    def credentials(self) -> Credentials:
        with self._lock:
            if self._found is None or time.time() >= self._found.until:
                self._found = self._find()
            return self._found

    @property
    def known_secrets(self) -> tuple[str, ...]:
        """What no message may show, as far as it was read."""
        return self._found.secrets if self._found else ()

    def renewed(self, refused: Credentials) -> bool:
        """After a refusal: whether there are other credentials than the refused ones."""
        with self._lock:
            if self._found is refused:
                self._found = self._find()
            return self._found is not None and self._found != refused


def login_of(config: Kubeconfig, variables: Mapping[str, str]) -> Login:
    """The login of a kubeconfig's current user.

    Raises:
        InputError: what it says is not complete.
    """
    user = config.user
    who = f"{user.name} of {config.where}"
    headers = _impersonated(user)
    has_own = any(user.text(key) for key in ("token", "tokenFile", "username"))
    if not has_own and ("exec" in user.values or "auth-provider" in user.values):
        from mmcicd_jenkins.adapters.kubernetes.plugin_login import ask_plugin

        return Login(who, lambda: ask_plugin(config, variables), headers)
    return Login(who, lambda: _written(user), headers)


def account_login(token: Path) -> Login:
    """The service account of the pod that we run in."""
    return Login(f"the service account of this pod ({token})", lambda: _from_file(token))


def pem(user: Section, name: str) -> bytes:
    """`name` of a section: base64 in `NAME-data`, or the file that `NAME` names; b"" for neither."""
    if data := user.text(f"{name}-data"):
        try:
            return b64decode(data, validate=True)
        except (NotBase64, ValueError):
            raise InputError(
                "a kubeconfig is damaged", where=f"{user.name}: {name}-data", why="no base64"
            ) from None
    path = user.path(name)
    return _read(path) if path else b""


def _written(user: Section) -> Credentials:
    certificate, key = pem(user, "client-certificate"), pem(user, "client-key")
    if bool(certificate) != bool(key):
        raise InputError(
            "a client certificate and its key belong together",
            where=user.name,
            fix="client-certificate, client-key",
        )
    both = certificate.rstrip(b"\n") + b"\n" + key if certificate else b""
    if path := user.path("tokenFile"):
        found = _from_file(path)
        return Credentials(authorization=found.authorization, certificate=both, until=found.until)
    if token := user.text("token"):
        return Credentials(authorization=bearer(token, user.name), certificate=both)
    if name := user.text("username"):
        login = f"{name}:{user.text('password')}".encode()
        return Credentials(authorization=f"Basic {b64encode(login).decode()}", certificate=both)
    return Credentials(certificate=both)


def bearer(token: str, where: str) -> str:
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError("this is no token", where=where, why="empty, or with letters that no token has")
    return f"Bearer {token}"


def _from_file(path: Path) -> Credentials:
    token = _read(path).decode("utf-8", "replace")
    return Credentials(authorization=bearer(token, str(path)), until=time.time() + _FROM_FILE_SECONDS)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as e:
        raise InputError(
            "a file that belongs to the cluster's login cannot be read",
            where=str(path),
            why=e.strerror or str(e),
        ) from e
    if len(content) > _LARGEST:
        raise InputError("a file of the cluster's login is too large", where=str(path), why="more than 1 MiB")
    return content


def _impersonated(user: Section) -> tuple[tuple[str, str], ...]:
    """Headers for `as` and `as-groups`: leaving them out would act with more rights than were asked for."""
    if user.values.get("as-user-extra"):
        raise InputError(
            "this way to act as somebody else is not spoken",
            where=f"{user.name}: as-user-extra",
            fix="as, as-groups",
        )
    groups = user.values.get("as-groups") or []
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise InputError(
            "a kubeconfig is damaged", where=f"{user.name}: as-groups", why="it wants a list of names"
        )
    named = [("Impersonate-User", user.text("as")), ("Impersonate-Uid", user.text("as-uid"))]
    headers = [(key, value) for key, value in named if value] + [
        ("Impersonate-Group", group) for group in groups
    ]
    if any(not value.isprintable() for _, value in headers):
        raise InputError("a kubeconfig is damaged", where=f"{user.name}: as", why="letters that no name has")
    return tuple(headers)
