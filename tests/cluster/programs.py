"""Kubernetes' programs from their released Go modules, built once and kept outside of every checkout.

The folder's name holds the version and a digest of what is built, so a change of either is another folder and nobody
runs what an older checkout made. Killed half-way, the next call goes on where the compiler stopped.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import needs
from place import HERE, Trouble, cache

_SOURCE = HERE / "kubernetes"
_NAMES = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
)
# A compiler of one large package takes about this much memory.
_BYTES_EACH = 2 << 30


def version() -> str:
    found = re.search(r"k8s\.io/kubernetes (v[0-9.]+)$", (_SOURCE / "go.mod").read_text(), re.MULTILINE)
    if not found:
        raise Trouble(f"{_SOURCE / 'go.mod'} names no version of k8s.io/kubernetes.")
    return found[1]


def folder() -> Path:
    digest = hashlib.sha256()
    for path in sorted(_SOURCE.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(_SOURCE)}\0".encode() + path.read_bytes() + b"\0")
    return cache() / f"{version()}-{digest.hexdigest()[:12]}"


def is_built() -> bool:
    return (folder() / "pause").exists()


def have() -> Path:
    """The folder of the programs, built now if they are not there. The caller holds the lock."""
    place = folder()
    if is_built():
        return place
    needs.check_building()
    place.mkdir(parents=True, exist_ok=True)
    print(
        f"Building Kubernetes {version()} into {place}: 5 to 10 minutes on 2 cores, once; 4 GB of disk while it lasts.",
        file=sys.stderr,
    )
    _compile("./programs", place / "kubernetes")
    for name in _NAMES:
        (place / name).unlink(missing_ok=True)
        (place / name).symlink_to("kubernetes")
    # The last one: its being there says that all are.
    _compile("./pause", place / "pause")
    shutil.rmtree(_workshop(), ignore_errors=True)
    return place


def _workshop() -> Path:
    """Modules and compiled packages, of no use once the programs are there."""
    return cache() / "workshop"


def _compile(package: str, target: Path) -> None:
    if target.exists():
        return
    half = target.with_name(target.name + ".half")
    major, minor, _ = version().removeprefix("v").split(".")
    stamps = {"gitVersion": version(), "gitMajor": major, "gitMinor": minor}
    stamp = " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{k}={v}" for k, v in stamps.items())])
    command = ["nice", "-n", "15", "go", "build", "-v", "-p", str(_workers()), "-trimpath", "-ldflags", stamp]
    _run([*command, "-o", str(half), package])
    half.replace(target)


def _workers() -> int:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(len(os.sched_getaffinity(0)), memory // _BYTES_EACH))


def _run(command: Sequence[str]) -> None:
    own = {
        "CGO_ENABLED": "0",
        "GOCACHE": str(_workshop() / "packages"),
        "GOMODCACHE": str(_workshop() / "modules"),
        # go.sum says which bytes; whatever the machine has set must not add to what is built.
        "GOFLAGS": "-mod=readonly -modcacherw -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    with subprocess.Popen(
        command, cwd=_SOURCE, env=os.environ | own, stderr=subprocess.PIPE, text=True
    ) as compiler:
        assert compiler.stderr is not None
        said = _progress(compiler.stderr)
    if compiler.returncode:
        raise Trouble(
            "\n".join(["Kubernetes could not be built:", *said, "The same command goes on from here."])
        )


def _progress(lines: Iterable[str]) -> list[str]:
    """Count the packages that are named line by line; what else is said is kept for when it fails."""
    compiled, said = 0, []
    for line in lines:
        if re.fullmatch(r"[\w./-]+\n", line):
            compiled += 1
            if compiled % 200 == 0:
                print(f"  {compiled} packages compiled", file=sys.stderr)
        elif not line.startswith("go: downloading"):
            said.append(line.rstrip())
    return said[-20:]
