"""The stand-in over HTTP: addresses, logins, rights, access reviews, refusals on order."""

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from kubernetes_standin import rules
from kubernetes_standin.rules import RefusedError
from kubernetes_standin.state import KINDS, PLURALS, State

TOKEN = "standin-token"
_PATH = re.compile(
    r"/(?:api|apis)/(?P<api>[^/]+(?:/v[0-9a-z]+)?)/namespaces/(?P<namespace>[^/]+)/(?P<plural>[^/]+)"
    r"(?:/(?P<name>[^/]+))?(?:/(?P<sub>log))?"
)
_VERBS = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}


class StandIn(State):
    """A cluster that answers at `address`; see the package."""

    def __init__(self) -> None:
        super().__init__()
        self.port = 0
        self.tokens = {TOKEN: "system:serviceaccount:ml:deployer"}
        self.forbidden: set[tuple[str, str]] = set()
        self.logs: dict[str, str] = {}
        self.requests: list[tuple[str, str]] = []
        self.warnings: list[str] = []
        self._refusals: list[tuple[str, str, RefusedError, list[int]]] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        return f"http://{self.host}"

    def kubeconfig(self, folder: Path, *, server: str = "", token: str = TOKEN) -> Path:
        """The path of a kubeconfig for it, or for what stands before it at `server`."""
        path = folder / "kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "standin",
            "clusters": [{"name": "standin", "cluster": {"server": server or self.address}}],
            "users": [{"name": "deployer", "user": {"token": token}}],
            "contexts": [{"name": "standin", "context": {"cluster": "standin", "user": "deployer"}}],
        }
        path.write_text(json.dumps(document))
        return path

    def object(self, kind: str, name: str, namespace: str = "ml") -> dict[str, Any] | None:
        """What there is of this name, as an administrator sees it."""
        return self.objects.get((PLURALS[kind], namespace, name))

    def refuse(
        self,
        method: str,
        path: str,
        status: int,
        message: str,
        *,
        reason: str = "",
        times: int = 1,
        **details: Any,
    ) -> None:
        """The next `times` requests of this method whose path has this pattern are answered so."""
        self._refusals.append((method, path, RefusedError(status, reason, message, **details), [times]))

    def answer(
        self, method: str, target: str, token: str, kind: str, body: dict[str, Any] | None
    ) -> dict[str, Any] | str:
        """The document that answers a request.

        Raises:
            RefusedError: it is no success.
        """
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query))
        self.requests.append((method, target))
        if token not in self.tokens:
            raise rules.unauthorized()
        for wanted, pattern, error, left in self._refusals:
            if wanted == method and left[0] and re.search(pattern, target):
                left[0] -= 1
                raise error
        if parts.path == "/version":
            return {"major": "1", "minor": "34", "gitVersion": "v1.34.4"}
        if parts.path.endswith("reviews"):
            return self._review(parts.path, body or {}, self.tokens[token])
        found = _PATH.fullmatch(parts.path)
        if not found or found["plural"] not in KINDS or KINDS[found["plural"]][1] != found["api"]:
            raise RefusedError(404, "NotFound", "the server could not find the requested resource")
        plural, namespace, name = found["plural"], unquote(found["namespace"]), unquote(found["name"] or "")
        verb = _VERBS.get(method, "get" if name else "list")
        resource = f"{plural}/{found['sub']}" if found["sub"] else plural
        if (verb, resource) in self.forbidden:
            group = KINDS[plural][1].rpartition("/")[0]
            raise rules.forbidden(self.tokens[token], verb, resource, group, namespace, name)
        if found["sub"]:
            self.get((plural, namespace, name))
            return self.logs.get(name, "")
        return self._served(verb, (plural, namespace, name), query, kind, body or {})

    def _served(
        self, verb: str, key: tuple[str, str, str], query: dict[str, str], kind: str, body: dict[str, Any]
    ) -> dict[str, Any]:
        manager, dry_run = query.get("fieldManager", "unknown"), query.get("dryRun") == "All"
        if verb == "get":
            return self.get(key)
        if verb == "list":
            return self._page(key, query)
        if verb == "delete":
            return self.delete(key, body.get("preconditions") or {})
        if verb == "create":
            return self.create(key[0], key[1], body, manager, dry_run=dry_run)
        if kind == "application/apply-patch+yaml":
            force = query.get("force") == "true"
            return self.apply(key, body, manager, force=force, dry_run=dry_run)
        return self.merge(key, body, manager, dry_run=dry_run)

    def _page(self, key: tuple[str, str, str], query: dict[str, str]) -> dict[str, Any]:
        found = self.listed(key[0], key[1], query.get("labelSelector", ""), query.get("fieldSelector", ""))
        start, size = int(query.get("continue", "0")), int(query.get("limit", "100000"))
        more = str(start + size) if start + size < len(found) else ""
        for one in found:
            del one["kind"], one["apiVersion"]
        kind, api = KINDS[key[0]]
        metadata = {"resourceVersion": "1", **({"continue": more} if more else {})}
        return {
            "kind": f"{kind}List",
            "apiVersion": api,
            "metadata": metadata,
            "items": found[start : start + size],
        }

    def _review(self, path: str, body: dict[str, Any], user: str) -> dict[str, Any]:
        if path.endswith("/selfsubjectreviews"):
            return {**body, "status": {"userInfo": {"username": user}}}
        asked = body["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, [asked["resource"], asked.get("subresource")]))
        return {**body, "status": {"allowed": (asked["verb"], resource) not in self.forbidden}}


@contextlib.contextmanager
def serving() -> Iterator[StandIn]:
    standin = StandIn()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(standin))
    server.daemon_threads = True
    standin.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield standin
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(standin: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # head and body in one piece

        def log_message(self, *_: object) -> None:
            pass

        def _do(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            content = self.rfile.read(length)
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            kind = self.headers.get("Content-Type", "")
            body = json.loads(content) if content else None
            try:
                found = standin.answer(self.command, self.path, token, kind, body)
                status = 201 if self.command == "POST" else 200
            except RefusedError as e:
                found, status = e.document, e.status
            self._say(status, found)

        def _say(self, status: int, found: dict[str, Any] | str) -> None:
            is_text = isinstance(found, str)
            answer = (found if isinstance(found, str) else json.dumps(found)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if is_text else "application/json")
            self.send_header("Content-Length", str(len(answer)))
            if (
                seconds := (found.get("details") or {}).get("retryAfterSeconds")
                if isinstance(found, dict)
                else 0
            ):
                self.send_header("Retry-After", str(seconds))
            for text in standin.warnings:
                self.send_header("Warning", f'299 - "{text}"')
            self.end_headers()
            self.wfile.write(answer)
            self.wfile.flush()

    answering: Callable[..., None] = Handler._do
    for method in ("GET", "POST", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", answering)
    return Handler
