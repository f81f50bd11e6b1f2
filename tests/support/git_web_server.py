"""A git server by http with basic authentication: git's own `http-backend` behind Python's web server.

Each repository has its own user and password, so that a test sees which login went where; those in `public` ask for
none. `heard` keeps what was sent as authorization; `moved` answers by a redirect to another server.
"""

import base64
import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class GitWebServer:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logins: dict[str, str] = {}
        self.moved: dict[str, str] = {}
        self.public: set[str] = set()
        self.heard: list[tuple[str, str]] = []
        self.address = ""

    def add(self, name: str, user: str, password: str) -> str:
        subprocess.run(["git", "init", "-q", "--bare", str(self.folder / name)], check=True)
        subprocess.run(
            ["git", "-C", str(self.folder / name), "config", "http.receivepack", "true"], check=True
        )
        self.logins[name] = f"{user}:{password}"
        return f"{self.address}/{name}"

    def allows(self, name: str, header: str) -> bool:
        if name in self.public:
            return True
        scheme, _, encoded = header.partition(" ")
        self.heard.append((name, base64.b64decode(encoded).decode() if scheme == "Basic" else header))
        return self.heard[-1][1] == self.logins.get(name, "")


@contextlib.contextmanager
def serve(folder: Path, host: str = "127.0.0.1") -> Iterator[GitWebServer]:
    git = GitWebServer(folder)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            if self.headers.get("Transfer-Encoding") == "chunked":
                self._answer(b"".join(self._chunks()))
            else:
                self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _chunks(self) -> Iterator[bytes]:
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

        def _answer(self, body: bytes) -> None:
            parts = urlsplit(self.path)
            name = parts.path.split("/")[1]
            if name in git.moved:
                self._send(302, [("Location", git.moved[name] + self.path)])
            elif not git.allows(name, self.headers.get("Authorization", "")):
                self._send(401, [("WWW-Authenticate", 'Basic realm="git"')])
            else:
                self._backend(parts.path, parts.query, body)

        def _send(self, status: int, headers: list[tuple[str, str]], body: bytes = b"") -> None:
            self.send_response(status)
            for key, value in headers:
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _backend(self, path: str, query: str, body: bytes) -> None:
            variables = {
                "GIT_PROJECT_ROOT": str(folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REMOTE_USER": "somebody",
            }
            done = subprocess.run(
                ["git", "http-backend"],
                input=body,
                env=os.environ | variables,
                capture_output=True,
                check=False,
            )
            head, _, rest = done.stdout.partition(b"\r\n\r\n")
            headers = [tuple(line.split(": ", 1)) for line in head.decode().splitlines()]
            status = next((int(value.split()[0]) for key, value in headers if key == "Status"), 200)
            self._send(status, [(key, value) for key, value in headers if key != "Status"], rest)

    server = ThreadingHTTPServer((host, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    git.address = f"http://{host}:{server.server_port}"
    try:
        yield git
    finally:
        server.shutdown()
        server.server_close()
