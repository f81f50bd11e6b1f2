"""A base image that really serves, made of this machine's own Python: no image can be pulled where tests run.

It holds the interpreter, its standard library, the few packages that the double of `serving_double` needs, what they
link to, and a static busybox as `/bin/sh`; each file at the path that it has here.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path, PurePosixPath

import google.protobuf
import grpc
import numpy as np

import mmcicd_jenkins

NAME = "mmcicd-test/serving"
SERVER = Path(__file__).parent / "serving_double" / "server.py"
LEFT_OUT = {
    "test",
    "tests",
    "site-packages",
    "__pycache__",
    "idlelib",
    "tkinter",
    "ensurepip",
    "lib2to3",
    "turtledemo",
}
SHELL = ("sh", "cat", "ls", "id", "sleep", "touch", "env", "head", "dd", "cp", "echo")


def python_files():
    """Every file of the interpreter, of the packages and of our own code."""
    libraries = Path(sysconfig.get_path("stdlib"))
    site = Path(np.__file__).parents[1]
    google_site = Path(google.protobuf.__file__).parents[2]
    yield Path(sys.executable).resolve()
    folders = [
        libraries,
        Path(grpc.__file__).parent,
        Path(np.__file__).parent,
        site / "numpy.libs",
        google_site / "google" / "protobuf",
        google_site / "google" / "_upb",
        Path(mmcicd_jenkins.__file__).parent / "adapters",
        Path(mmcicd_jenkins.__file__).parent / "image",
        Path(mmcicd_jenkins.__file__).parent / "release",
    ]
    for folder in folders:
        for path in folder.rglob("*"):
            parts = set(path.relative_to(folder).parts)
            if path.is_file() and not parts & LEFT_OUT and not path.name.startswith("config-"):
                yield path
    yield from Path(mmcicd_jenkins.__file__).parent.glob("*.py")
    typing_extensions = site / "typing_extensions.py"
    if typing_extensions.exists():
        yield typing_extensions


def linked(paths):
    """The shared libraries that programs and modules among `paths` are linked to."""
    binaries = [str(path) for path in paths if ".so" in path.name or path == Path(sys.executable).resolve()]
    listed = subprocess.run(["ldd", *binaries], capture_output=True, text=True, check=False).stdout
    for found in sorted(set(re.findall(r"(/[^\s()]+)\s+\(0x", listed))):
        yield Path(os.path.normpath(found))


def place(path):
    """Where a file goes: packages into a folder of their own, since a read-only container has an empty /tmp."""
    for folder in (Path(np.__file__).parents[1], Path(mmcicd_jenkins.__file__).parents[1]):
        if path.is_relative_to(folder):
            return PurePosixPath("site") / path.relative_to(folder)
    return PurePosixPath(str(path)[1:])


def write_root(archive):
    """A root file system into an open tar."""
    paths = sorted(set(python_files()))
    every = {str(place(path)): path for path in (*paths, *linked(paths))}
    folders = {"tmp": 0o1777}
    for name in every:
        for parent in PurePosixPath(name).parents:
            if parent.name:
                folders.setdefault(str(parent), 0o755)
    for folder, mode in sorted({**folders, "bin": 0o755, "etc": 0o755, "models": 0o755}.items()):
        entry = tarfile.TarInfo(folder)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        archive.addfile(entry)
    for name, path in sorted(every.items()):
        _add(archive, name, path.read_bytes(), 0o755 if path.stat().st_mode & 0o100 else 0o644)
    _add(archive, "server.py", SERVER.read_bytes(), 0o644)
    _add(archive, "etc/passwd", b"root:x:0:0::/:/bin/sh\n", 0o644)
    busybox = shutil.which("busybox")
    if busybox:
        _add(archive, "bin/busybox", Path(busybox).read_bytes(), 0o755)
        for name in SHELL:
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)


def _add(archive, name, content, mode):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def import_base(docker, folder, name=f"{NAME}:1"):
    """Have the base in the engine under `name`; returns its id."""
    path = folder / "root.tar"
    with tarfile.open(path, "w") as archive:
        write_root(archive)
    changes = [
        f'ENTRYPOINT ["{Path(sys.executable).resolve()}", "/server.py"]',
        "ENV PYTHONPATH=/site PYTHONDONTWRITEBYTECODE=1 PATH=/bin",
    ]
    flags = [part for change in changes for part in ("--change", change)]
    identity = docker("import", *flags, str(path), name).decode().strip()
    path.unlink()
    return identity
