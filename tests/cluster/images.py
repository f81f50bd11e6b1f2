"""Images without a Docker engine: a folder becomes one layer of an archive that containerd imports."""

import hashlib
import io
import json
import platform
import re
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from parts import PAUSE
from place import SOCKET, Trouble

_CTR = ("ctr", "--address", str(SOCKET), "--namespace", "k8s.io", "images")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def _belongs_to_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    return member


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def pack(name: str, files: Path, config: Mapping[str, object], target: Path) -> None:
    """Write the form of `docker save`: everything below `files`, run as `config` says (Entrypoint, User, …)."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tree:
        for path in sorted(files.iterdir()):
            tree.add(path, path.name, filter=_belongs_to_root)
    content = layer.getvalue()
    machine = platform.machine()
    image = {
        "architecture": _MACHINES.get(machine, machine),
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(content).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    with tarfile.open(target, "w") as archive:
        _add(archive, "config.json", json.dumps(image).encode())
        _add(archive, "layer.tar", content)
        _add(archive, "manifest.json", json.dumps(manifest).encode())


def bring(archive: Path, name: str = "") -> list[str]:
    """Let the node know the images of an archive (`docker save`, or a tar of an OCI layout); what they are called.

    An OCI layout has tags only: `name` is what stands before them.
    """
    base = [f"--base-name={name}"] if name else []
    done = subprocess.run([*_CTR, "import", *base, str(archive)], capture_output=True, text=True, check=False)
    names = re.findall(r"^unpacking (\S+) \(sha256:", done.stdout, re.MULTILINE)
    if done.returncode or not names:
        raise Trouble(
            f"{archive} could not be imported: {done.stderr.strip() or 'no image of it has a name'}"
        )
    return names


def has_pause() -> bool:
    done = subprocess.run([*_CTR, "list", "-q"], capture_output=True, text=True, check=False)
    return f"docker.io/{PAUSE}" in done.stdout.split()


def bring_pause(program: Path, scratch: Path) -> None:
    if has_pause():
        return
    files = scratch / "files"
    files.mkdir(parents=True, exist_ok=True)
    (files / "pause").write_bytes(program.read_bytes())
    (files / "pause").chmod(0o755)
    pack(PAUSE, files, {"Entrypoint": ["/pause"], "User": "65535:65535"}, scratch / "pause.tar")
    bring(scratch / "pause.tar")
