"""Requests to one registry: its address, the login, redirects, answers of a bounded size, and another try.

The law: the login goes to the registry's own address and nowhere else; a redirect never leads from TLS to plain
text, nor from a registry of the internet to a machine of this network; only reading follows redirects.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mmcicd_jenkins.adapters.docker_config import Identity
from mmcicd_jenkins.adapters.registry_errors import MOST_READ, Doing, Trouble, broken_off, one_line, refused
from mmcicd_jenkins.adapters.registry_login import Login
from mmcicd_jenkins.adapters.registry_syntax import (
    host_of,
    is_loopback,
    is_private,
    joined,
    network_name,
    same_place,
)
from mmcicd_jenkins.adapters.registry_tries import Patience, Tries
from mmcicd_jenkins.errors import InputError, OutsideFailed
from mmcicd_jenkins.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from urllib3 import BaseHTTPResponse

    from mmcicd_jenkins.adapters.registry_wire import Wire

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_READ = 65_536


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A request. `scopes` are the rights it needs; `expect` the answers that are none of refusal."""

    method: str
    url: str
    doing: Doing
    scopes: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    expect: frozenset[int] = frozenset({200})
    most: int = MOST_READ
    stall: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`headers` are found whatever their case; `body` has at most one byte more than was asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class Registry:
    """One registry, shared by all who use it; thread-safe.

    Args:
        name: as people write it, like `docker.io` or `registry.example:5000`.
        wire: the connections.
        find: looks up whom to log in as.
        insecure: its certificate is not checked, and without TLS will do.
        patience: how often it is asked again.
        sleep: waits.
    """

    def __init__(
        self,
        name: str,
        wire: "Wire",
        find: Callable[[], Identity],
        *,
        insecure: bool = False,
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self.wire = wire
        self.trusted = not insecure
        # The size of pieces that a proxy before the registry was found to take; 0 = any.
        self.piece = 0
        self._host = host_of(network_name(name))
        self._patience = patience or Patience()
        self._sleep = sleep
        self._login = Login(name, find, self._ask_for_token)
        self._base = ""
        self._lock = threading.Lock()

    def doing(self, to: str, repository: str = "") -> Doing:
        return Doing(registry=self.name, repository=repository, to=to)

    def signed(self, doing: Doing) -> Doing:
        """`doing` with who we are, as far as that was needed so far."""
        return replace(doing, who=self._login.who, secrets=self._login.secrets)

    def url(self, path: str, doing: Doing) -> str:
        """The address of a path below `/v2/`; the first call finds out how the registry speaks.

        Raises:
            MmcicdError: it does not answer, or it is none.
        """
        with self._lock:
            if not self._base:
                self._base = self._found_base(doing)
        return f"{self._base}/v2/{path}"

    def tries(self) -> Tries:
        return Tries(self._patience, self._sleep)

    def ask(self, ask: Ask, look: Callable[[], Answer | None] | None = None) -> Answer:
        """The answer to `ask`, tried as often as patience lasts.

        Args:
            ask: what may be sent twice, or what `look` can tell to have been done.
            look: asked before anything is sent again; what it answers is the answer.

        Raises:
            MmcicdError: it was refused, or no try got an answer.
        """
        tries = self.tries()
        while True:
            try:
                return self.once(ask)
            except Trouble as e:
                tries.again(e)
            if look and (seen := look()):
                return seen

    def once(self, ask: Ask) -> Answer:
        """One try.

        Raises:
            Trouble: it may pass. MmcicdError: it will not.
        """
        with self.open(ask) as (response, url):
            body = self._read(response, ask)
            return Answer(status=response.status, headers=response.headers, body=body, url=url)

    @contextmanager
    def open(self, ask: Ask) -> "Iterator[tuple[BaseHTTPResponse, str]]":
        """An expected answer whose body is still to be read, and the address it came from."""
        response, url = self._answered(ask)
        try:
            if response.status not in ask.expect:
                body = self._read(response, replace(ask, most=MOST_READ))
                raise refused(self.signed(ask.doing), response.status, response.headers, body)
            yield response, url
        finally:
            # One that was read to its end gave its connection back; the others are of no use to the next request.
            response.close()

    def headers(self, ask: Ask, url: str) -> dict[str, str]:
        """What goes with a request to `url`: the login only to the registry itself."""
        login = self._login.headers(ask.scopes, ask.doing) if self.is_own(url) else {}
        return {**ask.headers, **login}

    def is_own(self, url: str) -> bool:
        return same_place(url, self._base)

    def is_challenged(self, headers: Mapping[str, str], scopes: tuple[str, ...]) -> bool:
        """Whether a 401 tells how to log in, so that one more try may do."""
        return self._login.challenged(headers.get("WWW-Authenticate", ""), scopes)

    def elsewhere(self, url: str, target: str, doing: Doing) -> str:
        """The address to which a registry sends us.

        Raises:
            OutsideFailed: we do not go there.
        """
        address = joined(url, target)
        parts = urlsplit(address)
        if parts.scheme == "http" and self._base.startswith("https:") and host_of(address) == self._host:
            # A registry behind a proxy that ends TLS does not know its own scheme.
            address = parts._replace(scheme="https", netloc=urlsplit(self._base).netloc).geturl()
        if not address or (urlsplit(address).scheme == "http" and url.startswith("https:") and self.trusted):
            raise self._not_there(doing, target, "that is no address with TLS")
        if not self.is_own(address) and is_private(host_of(address)) and not is_private(self._host):
            raise self._not_there(
                doing, target, "that is a machine of this network, which it should not know of"
            )
        return address

    def _not_there(self, doing: Doing, target: str, why: str) -> OutsideFailed:
        place = one_line(target.partition("?")[0], self._login.secrets)
        return OutsideFailed(
            "the registry sends us to an address that is not trusted",
            where=doing.where,
            why=f"{why}: {place}",
            fix="correct the address that the registry has for itself or for its storage",
        )

    def _answered(self, ask: Ask) -> "tuple[BaseHTTPResponse, str]":
        url, was_asked, moves = ask.url, False, 0
        while True:
            response = self.wire.ask(
                ask.method,
                url,
                self.headers(ask, url),
                ask.doing,
                body=ask.body,
                trusted=self.trusted,
                stall=ask.stall,
            )
            if response.status == 401 and self.is_own(url) and not was_asked:
                was_asked = True
                if self.is_challenged(response.headers, ask.scopes):
                    _drop(response)
                    continue
            location = response.headers.get("Location", "")
            if response.status not in _REDIRECTS or ask.method not in {"GET", "HEAD"} or not location:
                return response, url
            _drop(response)
            moves += 1
            if moves > _MOST_REDIRECTS:
                raise self._not_there(ask.doing, location, f"that is redirect {moves}")
            url = self.elsewhere(url, location, ask.doing)

    def _read(self, response: "BaseHTTPResponse", ask: Ask) -> bytes:
        """The body, up to a byte more than `ask.most`: enough to see that it is too long."""
        from mmcicd_jenkins.adapters.registry_failures import FAILURES, translated

        parts: list[bytes] = []
        left = ask.most + 1
        # A byte now and then would never run into the deadline of a single read.
        end = time.monotonic() + self._patience.budget
        try:
            while left and (part := response.read(min(left, _READ), decode_content=False)):
                parts.append(part)
                left -= len(part)
                if time.monotonic() > end:
                    raise broken_off(ask.doing, "the answer came too slowly")
        except FAILURES as e:
            raise translated(e, ask.doing) from e
        return b"".join(parts)

    def _ask_for_token(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, doing: Doing
    ) -> bytes:
        """What a token service answers; it gets the account, so it must be where the registry may send us."""
        parts = urlsplit(url)
        service = host_of(url)
        is_plain_allowed = (
            not self.trusted or self.is_own(url) or (is_loopback(service) and is_loopback(self._host))
        )
        address = joined(self._base, url)
        if not address or (parts.scheme == "http" and not is_plain_allowed):
            raise self._not_there(doing, url, "an account is shown to a token service over TLS only")
        if not self.is_own(url) and is_private(service) and not is_private(self._host):
            raise self._not_there(
                doing, url, "that is a machine of this network, which it should not know of"
            )
        response = self.wire.ask(method, address, headers, doing, body=body, trusted=self.trusted)
        try:
            content = self._read(response, Ask(method=method, url=address, doing=doing, most=2**20))
        finally:
            _drop(response)
        if response.status == 200:
            return content
        raise refused(self.signed(doing), response.status, response.headers, content)

    def _found_base(self, doing: Doing) -> str:
        tries = self.tries()
        while True:
            try:
                return self._knocked(doing)
            except Trouble as e:
                tries.again(e)

    def _knocked(self, doing: Doing) -> str:
        """The base address, found by asking for `/v2/`, and with it how to log in."""
        from mmcicd_jenkins.adapters.registry_failures import is_no_tls

        here = is_loopback(self._host)
        schemes = ["http", "https"] if here else ["https"] if self.trusted else ["https", "http"]
        for scheme in schemes:
            base = f"{scheme}://{network_name(self.name)}"
            is_last = scheme == schemes[-1]
            try:
                answer = self._knock(base, doing)
            except (Trouble, OutsideFailed) as e:
                # Here a server of TLS hangs up on plain text; elsewhere one without TLS on a greeting.
                if is_last or not (here or is_no_tls(e.__cause__)):
                    raise
                continue
            if not is_last and answer.status == 400 and b"https" in answer.body.lower():
                continue
            self._check_knock(answer, base, doing)
            return base
        raise AssertionError("no scheme was tried")

    def _knock(self, base: str, doing: Doing) -> Answer:
        url = f"{base}/v2/"
        response = self.wire.ask("GET", url, {}, doing, trusted=self.trusted)
        try:
            body = self._read(response, Ask(method="GET", url=url, doing=doing))
        finally:
            _drop(response)
        return Answer(status=response.status, headers=response.headers, body=body, url=url)

    def _check_knock(self, answer: Answer, base: str, doing: Doing) -> None:
        if answer.status == 200:
            return
        if answer.status in {401, 403} and self.is_challenged(answer.headers, ()):
            return
        error = refused(doing, answer.status, answer.headers, answer.body)
        if isinstance(error, Trouble):
            raise error
        raise InputError(
            f"there is no registry at {self.name}",
            where=f"{base}/v2/",
            why=f"it answers {answer.status}, and a registry answers 200 or 401 with a way to log in",
            fix="check the name of the registry",
        ) from error


def _drop(response: "BaseHTTPResponse") -> None:
    """Let go of an answer that says nothing more; a short one is read, so that its connection can be used again."""
    with suppress(Exception):
        response.read(MOST_READ, decode_content=False)
    response.close()
