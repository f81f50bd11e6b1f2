"""A real sshd on a loopback port for git: one user, keys made here, nothing of the machine's own configuration."""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# sshd wants its own absolute path; Debian keeps it where users do not look.
SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
MISSING = "sshd is missing: apt-get install openssh-server"


@dataclass(frozen=True)
class SshServer:
    port: int
    folder: Path
    known_hosts: Path
    user: str

    def address(self, path: Path, user: str | None = None) -> str:
        named = f"{self.user if user is None else user}@" if user != "" else ""
        return f"ssh://{named}127.0.0.1:{self.port}{path}"


def make_key(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def public(key: Path) -> str:
    return key.with_name(key.name + ".pub").read_text()


@contextlib.contextmanager
def serve(folder: Path, *allowed: Path) -> Iterator[SshServer]:
    host = make_key(folder / "host")
    keys = folder / "authorized_keys"
    keys.write_text("".join(public(key) for key in allowed))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    settings = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": host,
        "AuthorizedKeysFile": keys,
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "yes",
        "PermitRootLogin": "yes",
    }
    configuration = folder / "sshd_config"
    configuration.write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
    process = subprocess.Popen([str(SSHD), "-D", "-e", "-f", str(configuration)], stderr=subprocess.PIPE)
    known = folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {public(host)}")
    try:
        _await(port, process)
        yield SshServer(port=port, folder=folder, known_hosts=known, user=getpass.getuser())
    finally:
        process.terminate()
        process.communicate(timeout=20)


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    process.terminate()
    raise RuntimeError(process.communicate()[1].decode())
