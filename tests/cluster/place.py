"""Where the node lies on this machine: folders, ports, addresses, names. Values only; nothing is touched here.

Everything is our own, so that a cluster or a container runtime that the machine has is never met: ports from
16 000 up, one bridge, one cgroup, one folder of state that goes as a whole.
"""

import os
from pathlib import Path

NAME = "mmcicd-cluster"
HERE = Path(__file__).resolve().parent
# Fixed, since pods' addresses and certificates name it; short, since sockets below it may have 107 characters.
STATE = Path("/var/lib") / NAME
SOCKET = STATE / "containerd.sock"
KUBECONFIG = STATE / "admin.kubeconfig"
# A mount namespace kept as a file: what containerd and the kubelet mount is seen by nobody else and goes with it.
MOUNTS = STATE / "namespace" / "mounts"

BRIDGE = "mmcicd0"
NETWORK = "10.187.0.0/16"
NODE_IP = "10.187.0.1"
PODS = "10.187.64.0/18"
SERVICES = "10.187.128.0/18"
API_SERVICE = "10.187.128.1"

PORTS = {
    "etcd": (16379, 16380),
    "kube-apiserver": (16443,),
    "kube-controller-manager": (16257,),
    "kube-scheduler": (16259,),
    "kubelet": (16250, 16248),
    "kube-proxy": (16249, 16256),
}
API = f"https://127.0.0.1:{PORTS['kube-apiserver'][0]}"


def cache() -> Path:
    """The folder of what is built once and used by every checkout."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / NAME


class Trouble(Exception):
    """Something that the person at the keyboard can act on; it is one or more whole sentences."""

    code = 1


class Missing(Trouble):
    """No cluster can be had here, for a reason that is no fault of ours."""

    code = 2
