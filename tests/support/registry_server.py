"""A real registry on a loopback port: Debian's `docker-registry` (the distribution project's), started and stopped.

`with serve(folder, ...) as registry:` runs one. Benchmarks use this module as well, so it knows nothing of pytest and
imports little: what a test needs besides stands in `registry`.
"""

import contextlib
import ctypes
import ctypes.util
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry_tokens import TokenServer

PROGRAM = shutil.which(os.environ.get("MMCICD_TEST_REGISTRY", "docker-registry"))
MISSING = "docker-registry is missing: apt-get install docker-registry (`make test-real` does it as root)"
_START_SECONDS = 20


class UnavailableError(Exception):
    """This machine lacks something; the sentence says what, and how to get it."""


@dataclass(kw_only=True)
class Registry:
    """A running registry. `storage` is its folder on disk, `ca` the authority that a client must trust."""

    folder: Path
    storage: Path
    settings: dict[str, object]
    ca: Path | None = None
    users: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.ca else 'http'}://{self.host}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def blob(self, digest: str) -> Path:
        """Where the bytes of a blob lie, for a test that changes or removes them."""
        algorithm, _, code = digest.partition(":")
        return self.storage / f"docker/registry/v2/blobs/{algorithm}/{code[:2]}/{code}/data"

    def tag(self, repository: str, tag: str) -> Path:
        """The file that says what a tag names: one line, the digest."""
        return (
            self.storage / f"docker/registry/v2/repositories/{repository}/_manifests/tags/{tag}/current/link"
        )

    def uploads(self, repository: str) -> list[Path]:
        """Uploads that were begun and not finished."""
        folder = self.storage / f"docker/registry/v2/repositories/{repository}/_uploads"
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def start(self) -> None:
        """Run it, again on the port that it had."""
        http = self.settings["http"]
        assert isinstance(http, dict)
        http["addr"] = self.host
        (self.folder / "config.yml").write_text(json.dumps(self.settings))
        log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            [str(PROGRAM), "serve", str(self.folder / "config.yml")],
            stdout=log,
            stderr=log,
            # Tracing of newer releases would look for a collector.
            env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
        )
        log.close()
        self._await()

    def _await(self) -> None:
        assert self.process
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            if found := re.search(r"listening on 127\.0\.0\.1:(\d+)", self.log):
                self.port = int(found[1])
                return
            time.sleep(0.01)
        self.stop()
        raise RuntimeError(f"docker-registry did not start: {self.log[-500:]}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process:
            self.process.send_signal(how)
            self.process.wait(timeout=20)
            self.process = None

    def ask(self, path: str, method: str = "GET", **headers: str) -> bytes:
        """A bare request, to look at what a client left: no login, no retry."""
        asked = urllib.request.Request(self.url + path, method=method, headers=headers)
        trust = ssl.create_default_context(cafile=str(self.ca)) if self.ca else None
        with urllib.request.urlopen(asked, context=trust, timeout=20) as answer:
            return answer.read()


@contextlib.contextmanager
def serve(
    folder: Path,
    *,
    users: Mapping[str, str] | None = None,
    tokens: "TokenServer | None" = None,
    tls: bool = False,
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost"),
    days: int = 30,
    deletes: bool = True,
    read_only: bool = False,
    relative: bool = False,
    redirect: str = "",
    size: str = "",
    storage: Path | None = None,
) -> Iterator[Registry]:
    """A registry until the end of the block.

    Args:
        folder: for its configuration, log and certificates; made when absent.
        users: user -> password, asked for by basic authentication.
        tokens: logins go to this token server instead.
        tls: with a certificate for `hosts` of an authority made here, valid for `days` (negative: expired).
        deletes: whether blobs and manifests can be deleted.
        read_only: it takes nothing (405).
        relative: upload addresses are relative ones.
        redirect: base address to which reads of blobs are sent.
        size: the storage is a small disk of this size ("2m"); needs root.
        storage: bytes of an earlier registry.

    Raises:
        UnavailableError: this machine cannot run such a one.
    """
    if PROGRAM is None:
        raise UnavailableError(MISSING)
    folder.mkdir(parents=True, exist_ok=True)
    with _storage(storage, size) as place:
        registry = Registry(folder=folder, storage=place, settings={}, users=users or {})
        http: dict[str, object] = {"secret": "of one test", "relativeurls": relative}
        if tls:
            from certificates import Authority

            authority = Authority.make(folder)
            certificate, key = authority.issue("registry", *hosts, days=days)
            http["tls"] = {"certificate": str(certificate), "key": str(key)}
            registry.ca = authority.path
        registry.settings = _settings(place, http, deletes=deletes, read_only=read_only)
        if redirect:
            registry.settings["middleware"] = {
                "storage": [{"name": "redirect", "options": {"baseurl": redirect}}]
            }
        if users is not None:
            (folder / "htpasswd").write_text(
                "".join(f"{user}:{_bcrypt(word)}\n" for user, word in users.items())
            )
            registry.settings["auth"] = {"htpasswd": {"realm": "registry", "path": str(folder / "htpasswd")}}
        if tokens is not None:
            registry.settings["auth"] = {"token": tokens.settings()}
        registry.start()
        try:
            yield registry
        finally:
            registry.stop()


def _settings(storage: Path, http: dict[str, object], *, deletes: bool, read_only: bool) -> dict[str, object]:
    return {
        "version": 0.1,
        "log": {"level": "info", "accesslog": {"disabled": False}},
        "storage": {
            "filesystem": {"rootdirectory": str(storage)},
            "delete": {"enabled": deletes},
            "maintenance": {"uploadpurging": {"enabled": False}, "readonly": {"enabled": read_only}},
        },
        "http": http,
        "health": {"storagedriver": {"enabled": False}},
    }


@contextlib.contextmanager
def _storage(given: Path | None, size: str) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    memory = Path("/dev/shm")
    place = Path(
        tempfile.mkdtemp(
            prefix="registry-", dir=memory if memory.is_dir() and os.access(memory, os.W_OK) else None
        )
    )
    mounted = False
    try:
        if size:
            _mount(place, size)
            mounted = True
        yield place
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(place)], check=True)
        shutil.rmtree(place, ignore_errors=True)


def _mount(place: Path, size: str) -> None:
    if os.geteuid():
        raise UnavailableError("a small disk needs root: sudo make test-real")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode:
        raise UnavailableError(
            f"this machine does not let root mount: {done.stderr.decode(errors='replace').strip()}"
        )


def _bcrypt(password: str) -> str:
    """The only form that the registry takes; the C library's `crypt` makes it on Debian and Fedora."""
    name = ctypes.util.find_library("crypt")
    if name is None:
        raise UnavailableError(
            "the C library has no crypt() for the registry's passwords: apt-get install libcrypt1"
        )
    crypt = ctypes.CDLL(name).crypt
    crypt.restype = ctypes.c_char_p
    made = crypt(password.encode(), b"$2y$04$" + b"abcdefghijklmnopqrstuu")
    if not made or not made.startswith(b"$2y$"):
        raise UnavailableError("crypt() of this C library does not know bcrypt: run on Debian or Fedora")
    return made.decode()
