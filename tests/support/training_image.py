"""An image that trains: this machine's Python with our own command line, git and a shell, without TensorFlow.

`put_training_image(repository)` has it in a registry; what it is called there by digest is the answer. Nothing can be pulled
where tests run. It knows nothing of pytest.
"""

import gzip
import importlib.metadata
import io
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import mmcicd_jenkins.templates
from serving_image import LEFT_OUT

import mmcicd_jenkins
from mmcicd_jenkins.adapters.registry.client import Repository
from mmcicd_jenkins.image.descriptor import CONFIG, LAYER, MANIFEST
from mmcicd_jenkins.image.digest import digest_bytes

# What `stage data` and `stage train` import, by distribution.
NEEDED = (
    "click", "cryptography", "cffi", "fsspec", "jinja2", "markupsafe", "numpy", "pydantic", "pydantic-core", "PyYAML",
    "requests", "rfc8785", "rich", "typing-extensions", "typing-inspection", "annotated-types", "urllib3", "idna", "certifi",
    "charset-normalizer",
)  # fmt: skip
SHELL = (
    "sh",
    "cat",
    "ls",
    "id",
    "sleep",
    "touch",
    "env",
    "head",
    "cp",
    "mkdir",
    "echo",
    "date",
    "test",
    "dd",
    "rm",
)
GIT = ("git",)
LAUNCHER = '#!/bin/sh\nexec {python} -m mmcicd_jenkins "$@"\n'


def _files() -> Iterator[tuple[Path, str]]:
    """Each file and where it goes: the interpreter to where it is here, packages to /site."""
    python = Path(sys.executable).resolve()
    yield python, str(python)
    libraries = Path(sysconfig.get_path("stdlib"))
    for path in libraries.rglob("*"):
        parts = set(path.relative_to(libraries).parts)
        is_config = any(part.startswith("config-") for part in parts)
        if path.is_file() and not parts & LEFT_OUT and not is_config and path.suffix != ".a":
            yield path, str(path)
    for name in NEEDED:
        for file in importlib.metadata.files(name) or ():
            path = Path(str(file.locate()))
            if (
                path.is_file()
                and ".." not in file.parts
                and "__pycache__" not in file.parts
                and "tests" not in file.parts
            ):
                yield path, f"/site/{file}"
    for package, root in (
        (mmcicd_jenkins, "mmcicd_jenkins"),
        (mmcicd_jenkins.templates, "mmcicd_jenkins/templates"),
    ):
        folder = Path(str(package.__file__)).parent
        for path in folder.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path, f"/site/{root}/{path.relative_to(folder)}"
    yield Path(str(shutil.which("git"))), "/usr/bin/git"


def _linked(paths: list[Path]) -> Iterator[Path]:
    binaries = [
        str(path)
        for path in paths
        if ".so" in path.name or path.name in {"git", Path(sys.executable).resolve().name}
    ]
    listed = subprocess.run(["ldd", *binaries], capture_output=True, text=True, check=False).stdout
    for found in sorted(set(re.findall(r"(/[^\s()]+)\s+\(0x", listed))):
        yield Path(os.path.normpath(found))


def _layer() -> bytes:
    every = {place: path for path, place in _files()}
    every |= {str(path): path for path in _linked(sorted(set(every.values())))}
    folders = {"tmp": 0o1777, "work": 0o1777, "etc": 0o755, "bin": 0o755}
    for place in every:
        for parent in PurePosixPath(place.lstrip("/")).parents:
            if parent.name:
                folders.setdefault(str(parent), 0o755)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for folder, mode in sorted(folders.items()):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            archive.addfile(entry)
        for place, path in sorted(every.items()):
            _add(
                archive, place.lstrip("/"), path.read_bytes(), 0o755 if path.stat().st_mode & 0o100 else 0o644
            )
        launcher = LAUNCHER.format(python=Path(sys.executable).resolve())
        _add(archive, "bin/mmcicd-jenkins", launcher.encode(), 0o755)
        _add(archive, "etc/passwd", b"root:x:0:0::/:/bin/sh\nmodel:x:10001:10001::/job:/bin/sh\n", 0o644)
        _add(archive, "bin/busybox", Path(str(shutil.which("busybox"))).read_bytes(), 0o755)
        for name in SHELL:
            _link(archive, f"bin/{name}", "busybox")
        # git calls its parts by their old names.
        for name in ("index-pack", "init", "checkout"):
            _link(archive, f"usr/lib/git-core/git-{name}", "/usr/bin/git")
    return content.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def _link(archive: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    archive.addfile(entry)


def put_training_image(repository: Repository) -> str:
    """The digest of its manifest."""
    plain = _layer()
    layer = gzip.compress(plain, 1, mtime=0)
    environment = ["PATH=/bin:/usr/bin", "PYTHONPATH=/site", "PYTHONDONTWRITEBYTECODE=1"]
    document = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": environment},
        "rootfs": {"type": "layers", "diff_ids": [digest_bytes(plain)]},
    }
    config = json.dumps(document).encode()
    for blob in (layer, config):
        repository.put_blob(blob)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest_bytes(config), "size": len(config)},
        "layers": [{"mediaType": f"{LAYER}+gzip", "digest": digest_bytes(layer), "size": len(layer)}],
    }
    return repository.put_manifest("1", json.dumps(manifest).encode(), MANIFEST)
