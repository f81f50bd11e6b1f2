"""A package index on a loopback port: hand-made wheels on pages as JSON or HTML, with or without a login."""

import base64
import contextlib
import hashlib
import json
import re
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PROGRAM = """
import sys
import stand_in_dependency
def main():
    print("{version}", stand_in_dependency.NAME, sys.argv[1:])
"""


def write_wheel(
    folder: Path, name: str, version: str, files: dict[str, str], *needs: str, tag: str = "py3-none-any"
) -> Path:
    stem = name.replace("-", "_")
    about = f"{stem}-{version}.dist-info"
    wheel = folder / f"{stem}-{version}-{tag}.whl"
    requires = "".join(f"Requires-Dist: {need}\n" for need in needs)
    written = {
        **files,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
        f"{about}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in written.items():
            archive.writestr(path, text)
        archive.writestr(f"{about}/RECORD", "".join(f"{path},,\n" for path in [*written, f"{about}/RECORD"]))
    return wheel


def write_program(folder: Path, version: str) -> Path:
    """Our program's stand-in, with a command and one dependency."""
    files = {
        "mmcicd_stand_in.py": PROGRAM.replace("{version}", version),
        f"mmcicd_jenkins-{version}.dist-info/entry_points.txt": "[console_scripts]\nmmcicd-jenkins = mmcicd_stand_in:main\n",
    }
    return write_wheel(folder, "mmcicd-jenkins", version, files, "stand-in-dependency>=1")


def write_dependency(
    folder: Path, version: str = "1.0", name: str = "real", tag: str = "py3-none-any"
) -> Path:
    return write_wheel(
        folder, "stand-in-dependency", version, {"stand_in_dependency.py": f"NAME = {name!r}\n"}, tag=tag
    )


class Index:
    def __init__(self, folder: Path, *, as_json: bool, login: str) -> None:
        self.folder, self.as_json, self.login = folder, as_json, login
        self.asked: list[str] = []
        self.url = ""

    def files(self, project: str) -> list[Path]:
        return [
            w
            for w in sorted(self.folder.glob("*"))
            if re.sub(r"[-_.]+", "-", w.name.split("-")[0]) == project
        ]

    def page(self, project: str) -> tuple[str, bytes]:
        known = [(w.name, hashlib.sha256(w.read_bytes()).hexdigest()) for w in self.files(project)]
        if self.as_json:
            files = [{"filename": n, "url": f"../../files/{n}", "hashes": {"sha256": h}} for n, h in known]
            page = {"meta": {"api-version": "1.0"}, "name": project, "files": files}
            return "application/vnd.pypi.simple.v1+json", json.dumps(page).encode()
        links = "".join(f'<a href="../../files/{n}#sha256={h}">{n}</a>\n' for n, h in known)
        return "text/html", f"<!DOCTYPE html><html><body>{links}</body></html>".encode()


@contextlib.contextmanager
def serve(folder: Path, *, as_json: bool = True, login: str = "") -> Iterator[Index]:
    index = Index(folder, as_json=as_json, login=login)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            index.asked.append(self.path)
            wanted = f"Basic {base64.b64encode(login.encode()).decode()}"
            parts = self.path.strip("/").split("/")
            file = folder / parts[-1]
            if login and self.headers.get("Authorization") != wanted:
                self.answer(401, "text/plain", b"who are you?")
            elif parts[0] == "simple" and index.files(parts[1]):
                self.answer(200, *index.page(parts[1]))
            elif parts[0] == "files" and file.is_file():
                self.answer(200, "application/octet-stream", file.read_bytes())
            else:
                self.answer(404, "text/plain", b"not here")

        def answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    user = f"{login}@" if login else ""
    index.url = f"http://{user}127.0.0.1:{server.server_port}/simple"
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
