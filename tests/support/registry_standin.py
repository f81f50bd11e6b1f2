"""A registry in this process that speaks OCI distribution 1.1 on a loopback port, and can be told what kind it is.

For what Debian's registry cannot do: lists of referrers, limits on uploads, pages, odd logins, storage elsewhere.
`standin.on("POST", "/uploads/", 503, Retry_After="1")` answers the next such request; faults of the network come
from `fault_proxy` before it. `standin.seen` lists what was asked. The real registry is in `registry_server`.
"""

import contextlib
import hashlib
import json
import re
import ssl
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

INDEX = "application/vnd.oci.image.index.v1+json"
_PATH = re.compile(r"/v2/(.+?)/(blobs/uploads|blobs|manifests|tags|referrers)/([^/]*)")


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Rule:
    method: str
    path: re.Pattern[str]
    status: int
    headers: dict[str, str]
    body: bytes
    times: int


@dataclass
class Standin:
    """Contents by repository, and what kind of registry it is."""

    blobs: dict[str, dict[str, bytes]] = field(default_factory=lambda: defaultdict(dict))
    manifests: dict[str, dict[str, tuple[str, bytes]]] = field(default_factory=lambda: defaultdict(dict))
    tags: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    sessions: dict[str, bytearray] = field(default_factory=dict)
    seen: list[Asked] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    port: int = 0
    lists_referrers: bool = True
    filters_referrers: bool = True
    mounts: bool = True
    limit: int = 0  # a body above it is answered with 413
    least: int = 0  # OCI-Chunk-Min-Length
    page: int = 0  # entries of a page of tags
    link: str = "{path}"  # how the address of the next page is written
    base: str = ""  # before the addresses of uploads; "" = relative ones
    storage: str = ""  # where reads of blobs are sent
    ranges: bool = True
    challenge: str = ""  # of a request that `allowed` does not let in
    allowed: Callable[[Asked], bool] = lambda _: True

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def on(
        self, method: str, path: str, status: int, body: bytes = b"", *, times: int = 1, **headers: str
    ) -> None:
        """Answer the next requests like this one so; names of headers with `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.rules.append(Rule(method, re.compile(path), status, named, body, times))

    def asked(self, method: str, path: str = "") -> list[Asked]:
        return [one for one in self.seen if one.method == method and re.search(path, one.path)]

    def put(self, name: str, content: bytes) -> str:
        digest = digest_of(content)
        self.blobs[name][digest] = content
        return digest

    def put_manifest(self, name: str, which: str, content: bytes, media_type: str) -> str:
        digest = digest_of(content)
        self.manifests[name][digest] = media_type, content
        if not which.startswith("sha256:"):
            self.tags[name][which] = digest
        return digest


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    standin: Standin

    def log_message(self, *_: object) -> None:
        pass

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(20)

    def _serve(self) -> None:
        try:
            asked = Asked(self.command, self.path, dict(self.headers.items()), self._body())
        except (OSError, ValueError):
            self.close_connection = True
            return
        with self.server.lock:  # type: ignore[attr-defined]
            self.standin.seen.append(asked)
            answer = self._ruled(asked) or self._answer(asked)
        with contextlib.suppress(OSError):
            self._send(*answer)

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815 - names of the library

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        size = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(size)
        if len(body) < size:
            raise ValueError("cut off")
        return body

    def _send(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _ruled(self, asked: Asked) -> tuple[int, dict[str, str], bytes] | None:
        for rule in self.standin.rules:
            if rule.times and rule.method in {"*", asked.method} and rule.path.search(asked.path):
                rule.times -= 1
                return rule.status, rule.headers, rule.body
        return None

    def _answer(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
        if self.standin.challenge and not self.standin.allowed(asked):
            headers = {"WWW-Authenticate": self.standin.challenge}
            return 401, headers, b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
        if asked.path == "/v2/":
            return 200, {}, b"{}"
        parts = urlsplit(asked.path)
        found = _PATH.fullmatch(parts.path)
        if not found:
            return 404, {}, b"page not found"
        name, kind, rest = found.groups()
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        work = {
            "blobs": self._blob,
            "manifests": self._manifest,
            "tags": self._tags,
            "referrers": self._referrers,
            "blobs/uploads": self._upload,
        }
        return work[kind](name, rest, query, asked)

    def _blob(
        self, name: str, digest: str, _: dict[str, str], asked: Asked
    ) -> tuple[int, dict[str, str], bytes]:
        content = self.standin.blobs[name].get(digest)
        if content is None:
            return _failed(404, "BLOB_UNKNOWN")
        if self.standin.storage and asked.method == "GET":
            return 307, {"Location": f"{self.standin.storage}{asked.path}"}, b""
        wanted = re.fullmatch(r"bytes=(\d+)-", asked.headers.get("Range", ""))
        if wanted and self.standin.ranges:
            start = int(wanted[1])
            part = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
            return 206, part, content[start:]
        return 200, {"Docker-Content-Digest": digest}, content

    def _upload(
        self, name: str, session: str, query: dict[str, str], asked: Asked
    ) -> tuple[int, dict[str, str], bytes]:
        if asked.method == "POST":
            return self._begun(name, query)
        if session not in self.standin.sessions:
            return _failed(404, "BLOB_UPLOAD_UNKNOWN")
        if self.standin.limit and len(asked.body) > self.standin.limit:
            return 413, {"Connection": "close"}, b"<html><h1>413 Request Entity Too Large</h1></html>"
        kept = self.standin.sessions[session]
        if asked.method == "DELETE":
            del self.standin.sessions[session]
            return 204, {}, b""
        kept += asked.body
        if asked.method == "PATCH":
            return 202, {**self._where(name, session), "Range": f"0-{max(0, len(kept) - 1)}"}, b""
        del self.standin.sessions[session]
        if digest_of(bytes(kept)) != query["digest"]:
            return _failed(400, "DIGEST_INVALID")
        self.standin.blobs[name][query["digest"]] = bytes(kept)
        return 201, {"Docker-Content-Digest": query["digest"]}, b""

    def _begun(self, name: str, query: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        mounted = self.standin.blobs[query.get("from", "")].get(query.get("mount", ""))
        if mounted is not None and self.standin.mounts:
            self.standin.blobs[name][query["mount"]] = mounted
            return 201, {"Docker-Content-Digest": query["mount"]}, b""
        session = uuid.uuid4().hex
        self.standin.sessions[session] = bytearray()
        least = {"OCI-Chunk-Min-Length": str(self.standin.least)} if self.standin.least else {}
        return 202, {**self._where(name, session), **least, "Range": "0-0"}, b""

    def _where(self, name: str, session: str) -> dict[str, str]:
        return {"Location": f"{self.standin.base}/v2/{name}/blobs/uploads/{session}?state=a%2Fb"}

    def _manifest(
        self, name: str, which: str, _: dict[str, str], asked: Asked
    ) -> tuple[int, dict[str, str], bytes]:
        if asked.method == "PUT":
            digest = self.standin.put_manifest(name, which, asked.body, asked.headers["Content-Type"])
            subject = json.loads(asked.body).get("subject")
            said = {"OCI-Subject": subject["digest"]} if subject and self.standin.lists_referrers else {}
            return 201, {"Docker-Content-Digest": digest, **said}, b""
        digest = self.standin.tags[name].get(which, which)
        if asked.method == "DELETE":
            found = self.standin.manifests[name].pop(digest, None)
            return (202, {}, b"") if found else _failed(404, "MANIFEST_UNKNOWN")
        if digest not in self.standin.manifests[name]:
            return _failed(404, "MANIFEST_UNKNOWN")
        media_type, content = self.standin.manifests[name][digest]
        return 200, {"Content-Type": media_type, "Docker-Content-Digest": digest}, content

    def _tags(
        self, name: str, _: str, query: dict[str, str], _asked: Asked
    ) -> tuple[int, dict[str, str], bytes]:
        tags = [tag for tag in sorted(self.standin.tags[name]) if tag > query.get("last", "")]
        if not self.standin.tags[name]:
            return _failed(404, "NAME_UNKNOWN")
        size = self.standin.page or len(tags)
        headers = {}
        if len(tags) > size:
            path = f"/v2/{name}/tags/list?n={size}&last={quote(tags[size - 1])}"
            headers["Link"] = f'<{self.standin.link.format(path=path)}>; rel="next"'
        return 200, headers, json.dumps({"name": name, "tags": tags[:size]}).encode()

    def _referrers(
        self, name: str, digest: str, query: dict[str, str], _: Asked
    ) -> tuple[int, dict[str, str], bytes]:
        if not self.standin.lists_referrers:
            return 404, {}, b"404 page not found"
        entries = []
        for own, (media_type, content) in self.standin.manifests[name].items():
            document = json.loads(content)
            if (document.get("subject") or {}).get("digest") == digest:
                kind = document.get("artifactType", "")
                entry = {"mediaType": media_type, "digest": own, "size": len(content), "artifactType": kind}
                entries.append(entry)
        if self.standin.filters_referrers and "artifactType" in query:
            entries = [entry for entry in entries if entry["artifactType"] == query["artifactType"]]
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
        return 200, {"Content-Type": INDEX}, json.dumps(index).encode()


def _failed(status: int, code: str) -> tuple[int, dict[str, str], bytes]:
    return status, {}, json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """A client that hung up, or one that does not trust the certificate: what tests do."""


@contextlib.contextmanager
def serve(
    certificate: tuple[Path, Path] | None = None, host: str = "127.0.0.1", **settings: object
) -> Iterator[Standin]:
    """A registry until the end of the block; `settings` are fields of `Standin`."""
    standin = Standin(**settings)  # type: ignore[arg-type]
    handler = type("Handler", (_Handler,), {"standin": standin})
    server = _Server((host, 0), handler)
    server.lock = threading.Lock()  # type: ignore[attr-defined]
    standin.port = server.server_port
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield standin
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
