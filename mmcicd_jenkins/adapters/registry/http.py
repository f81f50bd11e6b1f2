"""Requests to one registry: its address, the login, redirects, answers of a bounded size, and another try.

Only reading follows redirects. A 401 is answered with a login once; all else that is no success is an error, or a
`Trouble` that `ask` tries again.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from mmcicd_jenkins.adapters.registry.addresses import Addresses, untrusted
from mmcicd_jenkins.adapters.registry.asks import Answer, Ask, drop, read_body
from mmcicd_jenkins.adapters.registry.docker_config import Identity
from mmcicd_jenkins.adapters.registry.door import knock, no_registry
from mmcicd_jenkins.adapters.registry.errors import MOST_READ, Doing, Trouble, refused
from mmcicd_jenkins.adapters.registry.login import Login
from mmcicd_jenkins.adapters.registry.tries import Patience, Tries
from mmcicd_jenkins.errors import MmcicdError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from mmcicd_jenkins.adapters.registry.wire import Wire

_T = TypeVar("_T")

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_LARGEST_TOKEN = 2**20


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
        self._patience = patience or Patience()
        self._sleep = sleep
        self._login = Login(find, self._ask_for_token)
        self._base = ""
        self._lock = threading.Lock()

    def doing(self, to: str, repository: str = "") -> Doing:
        return Doing(registry=self.name, repository=repository, to=to, secrets=self.wire.secrets)

    def refusal(
        self, doing: Doing, status: int, headers: Mapping[str, str], body: bytes
    ) -> Trouble | MmcicdError:
        """What an answer that was not expected means."""
        login = self._login
        secrets = (*doing.secrets, *login.secrets)
        known = replace(doing, who=login.who, logged_in=login.is_known, secrets=secrets)
        return refused(known, status, headers, body)

    @property
    def addresses(self) -> Addresses:
        return Addresses(self._base, self.trusted)

    def url(self, path: str, doing: Doing) -> str:
        """The address of a path below `/v2/`; the first call finds out how the registry speaks.

        Raises:
            MmcicdError: it does not answer, or it is none.
        """
        with self._lock:
            if not self._base:
                self._base = self._trying(lambda: self._found(doing))
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
        return self._trying(lambda: self.once(ask), look)

    def once(self, ask: Ask) -> Answer:
        """One try.

        Raises:
            Trouble: it may pass.
            MmcicdError: it will not.
        """
        with self.open(ask) as (response, url):
            body = self._read(response, ask.doing, ask.most)
            return Answer(status=response.status, headers=response.headers, body=body, url=url)

    @contextmanager
    def open(self, ask: Ask) -> "Iterator[tuple[BaseHTTPResponse, str]]":
        """An expected answer whose body is still to be read, and the address it came from."""
        response, url = self._answered(ask)
        try:
            if response.status not in ask.expect:
                body = self._read(response, ask.doing, MOST_READ)
                raise self.refusal(ask.doing, response.status, response.headers, body)
            yield response, url
        finally:
            # One that was read to its end gave its connection back; the others are of no use to the next request.
            response.close()

    def headers(self, ask: Ask, url: str) -> dict[str, str]:
        """What goes with a request to `url`: the login only to the registry itself."""
        login = self._login.headers(ask.scopes, ask.doing) if self.addresses.is_own(url) else {}
        return {**ask.headers, **login}

    def is_challenged(self, headers: Mapping[str, str], scopes: tuple[str, ...]) -> bool:
        """Whether a 401 tells how to log in, so that one more try may do."""
        return self._login.challenged(headers.get("WWW-Authenticate", ""), scopes)

    def _trying(self, once: Callable[[], _T], look: Callable[[], _T | None] | None = None) -> _T:
        tries = self.tries()
        while True:
            try:
                return once()
            except Trouble as e:
                tries.again(e)
            if look and (seen := look()):
                return seen

    def _found(self, doing: Doing) -> str:
        base, answer = knock(self.name, self.wire, self.trusted, doing)
        if answer.status == 200 or self.is_challenged(answer.headers, ()):
            return base
        raise no_registry(self.name, answer, doing)

    def _answered(self, ask: Ask) -> "tuple[BaseHTTPResponse, str]":
        url, was_asked, moves = ask.url, False, 0
        while True:
            response = self._send(ask, url)
            if response.status == 401 and self.addresses.is_own(url) and not was_asked:
                was_asked = True
                if self.is_challenged(response.headers, ask.scopes):
                    drop(response)
                    continue
            location = response.headers.get("Location", "")
            if response.status not in _REDIRECTS or ask.method not in {"GET", "HEAD"} or not location:
                return response, url
            drop(response)
            moves += 1
            if moves > _MOST_REDIRECTS:
                raise untrusted(ask.doing, location, f"that is redirect number {moves}")
            url = self.addresses.onward(url, location, ask.doing)

    def _send(self, ask: Ask, url: str) -> "BaseHTTPResponse":
        headers = self.headers(ask, url)
        return self.wire.ask(
            ask.method, url, headers, ask.doing, body=ask.body, trusted=self.trusted, stall=ask.stall
        )

    def _read(self, response: "BaseHTTPResponse", doing: Doing, most: int) -> bytes:
        return read_body(response, most, doing, self._patience.budget)

    def _ask_for_token(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, doing: Doing
    ) -> bytes:
        address = self.addresses.token_service(url, doing)
        response = self.wire.ask(method, address, headers, doing, body=body, trusted=self.trusted)
        try:
            content = self._read(response, doing, _LARGEST_TOKEN)
        finally:
            response.close()
        if response.status != 200:
            raise self.refusal(doing, response.status, response.headers, content)
        return content
