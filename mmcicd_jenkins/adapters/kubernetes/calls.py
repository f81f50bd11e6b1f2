"""Requests to one API server with login, another try and a deadline; what comes back is a document or an error of ours.

A request is sent again whatever its method: each write carries preconditions, or must not find what it makes, so that a
second one does nothing twice. Whether the first may have been carried out is told by `Tries.doubtful`.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from mmcicd_jenkins.adapters.kubernetes.connection import Connection
from mmcicd_jenkins.adapters.kubernetes.errors import Doing, Trouble, one_line, refused
from mmcicd_jenkins.adapters.kubernetes.tries import Patience, Tries
from mmcicd_jenkins.adapters.kubernetes.wire import Answer
from mmcicd_jenkins.errors import OutsideFailed

JSON = "application/json"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
# The agent's name is the field manager's where a request does not name one.
_AGENT = "mmcicd-jenkins"
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')
_MOST_WARNINGS = 64


class Calls:
    """Requests to one server; thread-safe. `warn` gets each of the server's warnings once."""

    def __init__(
        self,
        connection: Connection,
        patience: Patience,
        warn: Callable[[str], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection = connection
        self._patience = patience
        self._warn = warn
        self._sleep = sleep
        self._warned: set[str] = set()

    def tries(self) -> Tries:
        return Tries(self._patience, self._sleep)

    def doing(self, verb: str, thing: str, namespace: str = "") -> Doing:
        return Doing(
            server=self._connection.server,
            verb=verb,
            thing=thing,
            namespace=namespace,
            who=self._connection.login.who,
            hidden=lambda: self._connection.secrets,
        )

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        doing: Doing,
        *,
        body: Mapping[str, Any] | None = None,
        kind: str = JSON,
        tries: Tries | None = None,
    ) -> Answer:
        """A successful answer.

        Raises:
            MmcicdError: there is none, after as many tries as help.
        """
        tries = tries or self.tries()
        target = f"{path}?{urlencode(query)}" if query else path
        content = None if body is None else json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
        login_is_new = False
        while True:
            credentials = self._connection.login.credentials()
            headers = _headers(
                credentials.authorization, self._connection.login.headers, kind if content else ""
            )
            try:
                answer = self._connection.wire.ask(
                    method,
                    target,
                    headers,
                    content,
                    credentials,
                    doing,
                    connect=self._patience.connect,
                    stall=self._patience.stall,
                    until=tries.until,
                )
                self._tell(answer.warnings)
                if 200 <= answer.status < 300:
                    return answer
                if answer.status == 401 and not login_is_new:
                    login_is_new = True
                    if self._connection.login.renewed(credentials):
                        continue
                raise refused(doing, answer.status, answer.headers, answer.body)
            except Trouble as trouble:
                tries.again(trouble)

    def _tell(self, warnings: tuple[str, ...]) -> None:
        for text in warnings:
            for found in _WARNING.findall(text):
                told = one_line(re.sub(r"\\(.)", r"\1", found), self._connection.secrets)
                if self._warn and told not in self._warned and len(self._warned) < _MOST_WARNINGS:
                    self._warned.add(told)
                    self._warn(told)


def document_of(answer: Answer, doing: Doing) -> dict[str, Any]:
    """The object in an answer.

    Raises:
        OutsideFailed: it is none, so that what answers is not an API server.
    """
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise OutsideFailed(
            "what answers there is not the API server",
            where=doing.server,
            why=one_line(answer.body[:1024].decode("utf-8", "replace"), doing.secrets),
            fix="environments.*.cluster is the address that `kubectl cluster-info` prints",
        )
    return document


def _headers(authorization: str, more: tuple[tuple[str, str], ...], kind: str) -> list[tuple[str, str]]:
    headers = [("User-Agent", _AGENT), ("Accept", JSON), *more]
    if authorization:
        headers.append(("Authorization", authorization))
    if kind:
        headers.append(("Content-Type", kind))
    return headers
