"""What a node of our own needs from the machine, each with the way to get it. All that is missing is told at once."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from place import Missing

# Where Debian keeps what only root uses.
SEARCH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
_GO = (1, 24)
# program | Debian package
_PROGRAMS = (
    ("etcd", "etcd-server"),
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
    ("iptables", "iptables"),
    ("ip6tables", "iptables"),
    ("ip", "iproute2"),
    ("mount", "mount"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("openssl", "openssl"),
)
_PLUGINS = (("/usr/lib/cni/ptp", "containernetworking-plugins"),)
_OTHERWISE = (
    "Without them: export the KUBECONFIG of a cluster that you may use, or install kind with a Docker engine."
)


def check_running() -> None:
    if os.name != "posix" or not Path("/proc/self/cgroup").exists():
        raise Missing(f"A Kubernetes node of our own runs on Linux only. {_OTHERWISE}")
    missing = {package for program, package in _PROGRAMS if not shutil.which(program, path=SEARCH)}
    missing |= {package for path, package in _PLUGINS if not Path(path).exists()}
    needs = [f"Debian packages: apt-get install {' '.join(sorted(missing))}"] if missing else []
    if os.geteuid():
        needs.append("root: it makes control groups, mounts and rules of iptables (sudo make cluster)")
    _tell(needs)


def check_building() -> None:
    wanted = ".".join(map(str, _GO))
    how = f"Go {wanted} or newer as `go` on the PATH, from its own site (Debian 12's is older)"
    found = shutil.which("go")
    if not found:
        _tell([how])
        return
    said = subprocess.run([found, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"go(\d+)\.(\d+)", said)
    if not version or tuple(map(int, version.groups())) < _GO:
        _tell([f"{how}; {found} is {said.strip() or 'not working'}"])


def _tell(needs: list[str]) -> None:
    if needs:
        lines = "".join(f"\n  - {need}" for need in needs)
        raise Missing(f"A Kubernetes node of our own needs what is not here:{lines}\n{_OTHERWISE}")
