"""How one registry wants us to log in: basic, or tokens that another service makes for a scope.

The law: an account is shown to nobody but its registry and the token service that this registry names, which is
reached by TLS unless it is the registry itself or both are on this machine. A token is kept until shortly before it
ends; it is never written anywhere.
"""

import json
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from mmcicd_jenkins.adapters.registry.docker_config import NOBODY, Identity
from mmcicd_jenkins.adapters.registry.errors import Doing, one_line
from mmcicd_jenkins.adapters.registry.syntax import Challenge, parse_challenges
from mmcicd_jenkins.errors import InputError, OutsideFailed

CLIENT = "mmcicd-jenkins"
# What the specification of tokens says when a service names no time; ended a little earlier than said.
_LIFE = 60.0
_EARLY = 10.0

# Asks a token service: method, URL, headers, body, what for; gives the document that it answers with.
TokenAsk = Callable[[str, str, Mapping[str, str], bytes | None, Doing], bytes]


class Login:
    """The login to one registry; `find` looks the account up when it is first needed."""

    def __init__(self, find: Callable[[], Identity], ask: TokenAsk) -> None:
        self._find = find
        self._ask = ask
        self._identity: Identity | None = None
        self._challenge: Challenge | None = None
        self._tokens: dict[tuple[str, ...], tuple[str, float]] = {}
        self._more: dict[tuple[str, ...], str] = {}
        self._lock = threading.RLock()

    @property
    def who(self) -> str:
        return self._identity.who if self._identity else NOBODY.who

    @property
    def is_known(self) -> bool:
        return self._identity is not None and self._identity is not NOBODY

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may show."""
        tokens = tuple(token for token, _ in self._tokens.values())
        return (*(self._identity.secrets if self._identity else ()), *tokens)

    def challenged(self, header: str, scopes: Sequence[str] = ()) -> bool:
        """The registry asks for a login. False when it names no way that is spoken here.

        A token it did not take is forgotten; a scope that it names is asked for from now on.
        """
        offered = parse_challenges(header)
        known = [
            c for c in offered if (c.scheme == "bearer" and c.parameters.get("realm")) or c.scheme == "basic"
        ]
        if not known:
            return False
        with self._lock:
            # A token is good for one scope and for minutes, a password for all.
            self._challenge = min(known, key=lambda c: c.scheme != "bearer")
            self._tokens.pop(tuple(scopes), None)
            named = self._challenge.parameters.get("scope", "")
            if named and named not in scopes:
                self._more[tuple(scopes)] = named
        return True

    def headers(self, scopes: Sequence[str], doing: Doing) -> dict[str, str]:
        """What goes with a request for `scopes`, the most important first.

        Raises:
            Trouble: the token service did not answer.
            MmcicdError: it refuses, or the account cannot be found out.
        """
        with self._lock:
            if self._challenge is None:
                return {}
            identity = self._account()
            if identity.registry_token:
                return {"Authorization": f"Bearer {identity.registry_token}"}
            if self._challenge.scheme == "basic":
                return _basic(identity) if identity.user else {}
            return {"Authorization": f"Bearer {self._token(self._challenge, identity, tuple(scopes), doing)}"}

    def _account(self) -> Identity:
        if self._identity is None:
            self._identity = self._find()
        return self._identity

    def _token(self, challenge: Challenge, identity: Identity, scopes: tuple[str, ...], doing: Doing) -> str:
        token, ends = self._tokens.get(scopes, ("", 0.0))
        if not token or time.monotonic() >= ends:
            wanted = [*scopes, *filter(None, [self._more.get(scopes, "")])]
            token, life = self._new_token(challenge, identity, wanted, doing)
            self._tokens[scopes] = token, time.monotonic() + max(life - _EARLY, life / 2)
        return token

    def _new_token(
        self, challenge: Challenge, identity: Identity, scopes: Sequence[str], doing: Doing
    ) -> tuple[str, float]:
        realm = challenge.parameters["realm"]
        service = challenge.parameters.get("service", "")
        if identity.identity_token:
            form = {
                "grant_type": "refresh_token",
                "service": service,
                "client_id": CLIENT,
                "scope": " ".join(scopes),
                "refresh_token": identity.identity_token,
            }
            sent = {"Content-Type": "application/x-www-form-urlencoded"}
            content = self._ask("POST", realm, sent, urlencode(form).encode(), doing)
        else:
            query = [("service", service)] if service else []
            query += [("scope", scope) for scope in scopes]
            if identity.user:
                query.append(("account", identity.user))
            url = realm + ("&" if urlsplit(realm).query else "?") + urlencode(query)
            content = self._ask("GET", url, _basic(identity) if identity.user else {}, None, doing)
        return _read_token(content, doing, urlsplit(realm).hostname or "")


def _basic(identity: Identity) -> dict[str, str]:
    if ":" in identity.user:
        raise InputError("the name of the registry's account has a colon", where=identity.origin)
    pair = b64encode(f"{identity.user}:{identity.password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def _read_token(content: bytes, doing: Doing, service: str) -> tuple[str, float]:
    try:
        document: Any = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        token = document.get("token") or document.get("access_token")
        # It becomes a header: printable, without spaces.
        if isinstance(token, str) and token.isascii() and token.isprintable() and " " not in token:
            life = document.get("expires_in")
            if isinstance(life, int | float) and 0 < life < 10**9:
                return token, float(life)
            return token, _LIFE
    raise OutsideFailed(
        "the token service of the registry answers without a token",
        where=f"{doing.where}, token service {one_line(service)}",
    )
