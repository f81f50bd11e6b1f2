"""The seven daemons of a node: how each is called, and the files it reads. Settings only; `node` starts them.

Where a setting differs from Kubernetes' own, the reason stands beside it.
"""

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cgroup
import pki
from host import inside
from place import NAME, NODE_IP, PODS, PORTS, SERVICES, SOCKET, STATE

PAUSE = f"{NAME}/pause:1"
TRUSTED = STATE / "certs.d"


@dataclass(frozen=True)
class Part:
    """One daemon; `command` may write the files that it names."""

    name: str
    command: Callable[[Path], Sequence[str]]


def _options(options: Mapping[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items()]


def _file(name: str, content: object) -> str:
    path = STATE / name
    path.write_text(json.dumps(content, indent=1))
    return str(path)


def _etcd(_programs: Path) -> list[str]:
    clients, peers = (f"https://127.0.0.1:{port}" for port in PORTS["etcd"])
    options = {
        "data-dir": STATE / "etcd",
        "listen-client-urls": clients,
        "advertise-client-urls": clients,
        "listen-peer-urls": peers,
        "initial-advertise-peer-urls": peers,
        "initial-cluster": f"default={peers}",
    }
    # Whoever writes into it rules the node, and so the machine: other users of it must not.
    for whom in ("", "peer-"):
        options |= {
            f"{whom}trusted-ca-file": pki.FOLDER / "ca.crt",
            f"{whom}cert-file": pki.FOLDER / "etcd.crt",
            f"{whom}key-file": pki.FOLDER / "etcd.key",
            f"{whom}client-cert-auth": "true",
        }
    # What is in it need not outlive a crash of the machine; that of a process it does outlive.
    return ["etcd", *_options(options), "--unsafe-no-fsync"]


def _apiserver(programs: Path) -> list[str]:
    options = {
        "etcd-servers": f"https://127.0.0.1:{PORTS['etcd'][0]}",
        "etcd-cafile": pki.FOLDER / "ca.crt",
        "etcd-certfile": pki.FOLDER / "etcd.crt",
        "etcd-keyfile": pki.FOLDER / "etcd.key",
        # On every address, since pods come by the bridge's and people by 127.0.0.1; a rule keeps others out.
        "bind-address": "0.0.0.0",  # noqa: S104 - see above
        "advertise-address": NODE_IP,
        "secure-port": PORTS["kube-apiserver"][0],
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        # As on every cluster: pod security is what refuses.
        "allow-privileged": "true",
        "service-cluster-ip-range": SERVICES,
        "client-ca-file": pki.FOLDER / "ca.crt",
        "tls-cert-file": pki.FOLDER / "apiserver.crt",
        "tls-private-key-file": pki.FOLDER / "apiserver.key",
        "kubelet-client-certificate": pki.FOLDER / "admin.crt",
        "kubelet-client-key": pki.FOLDER / "admin.key",
        "kubelet-certificate-authority": pki.FOLDER / "ca.crt",
        # The node's name is in no DNS.
        "kubelet-preferred-address-types": "InternalIP",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": pki.FOLDER / "accounts.pub",
        "service-account-signing-key-file": pki.FOLDER / "accounts.key",
    }
    return [str(programs / "kube-apiserver"), *_options(options)]


def _controllers(programs: Path) -> list[str]:
    options = {
        "kubeconfig": pki.kubeconfig("kube-controller-manager"),
        "service-account-private-key-file": pki.FOLDER / "accounts.key",
        "root-ca-file": pki.FOLDER / "ca.crt",
        "use-service-account-credentials": "true",
        "bind-address": "127.0.0.1",
        "secure-port": PORTS["kube-controller-manager"][0],
        # There is one; to elect it takes seconds.
        "leader-elect": "false",
    }
    return [str(programs / "kube-controller-manager"), *_options(options)]


def _scheduler(programs: Path) -> list[str]:
    options = {
        "kubeconfig": pki.kubeconfig("kube-scheduler"),
        "bind-address": "127.0.0.1",
        "secure-port": PORTS["kube-scheduler"][0],
        "leader-elect": "false",
    }
    return [str(programs / "kube-scheduler"), *_options(options)]


def snapshotter() -> str:
    """Overlays, unless the machine's own disk is one: they cannot be stacked."""
    root = STATE / "probe"
    for name in ("lower", "upper", "work", "seen"):
        (root / name).mkdir(parents=True, exist_ok=True)
    layers = f"lowerdir={root}/lower,upperdir={root}/upper,workdir={root}/work"
    command = inside("mount", "-t", "overlay", "overlay", "-o", layers, str(root / "seen"))
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return "native"
    subprocess.run(inside("umount", str(root / "seen")), capture_output=True, check=True)
    return "overlayfs"


_CONTAINERD = """version = 2
root = "{state}/containerd"
state = "{state}/run"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/{pause}"
  # A machine may lack the right to protect a process from the out-of-memory killer; then leave that out.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{state}/network"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{trusted}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
"""


def _containerd(_programs: Path) -> list[str]:
    path = STATE / "containerd.toml"
    path.write_text(
        _CONTAINERD.format(
            state=STATE, socket=SOCKET, pause=PAUSE, trusted=TRUSTED, snapshotter=snapshotter()
        )
    )
    TRUSTED.mkdir(exist_ok=True)
    (STATE / "network").mkdir(exist_ok=True)
    addresses = {
        "type": "host-local",
        "dataDir": str(STATE / "addresses"),
        "ranges": [[{"subnet": PODS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    # A line from each pod to the machine, no bridge: so every packet meets the proxy's rules, also between two pods.
    plugin = {"type": "ptp", "ipMasq": False, "ipam": addresses}
    network = {"cniVersion": "0.4.0", "name": NAME, "plugins": [plugin]}
    _file("network/10-pods.conflist", network)
    return inside("containerd", "--config", str(path))


def _kubelet(programs: Path) -> list[str]:
    port, health = PORTS["kubelet"]
    settings = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki.FOLDER / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki.FOLDER / "kubelet.crt"),
        "tlsPrivateKeyFile": str(pki.FOLDER / "kubelet.key"),
        "address": NODE_IP,
        "port": port,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": health,
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "volumePluginDir": str(STATE / "plugins"),
        "resolvConf": "",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{NAME}",
        "failCgroupV1": False,
        "failSwapOn": False,
        # See restrict_oom_score_adj.
        "oomScoreAdj": 0,
        # A full disk of the machine is no reason to throw away what a test just brought.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    }
    options = {
        "config": _file("kubelet.json", settings),
        "kubeconfig": pki.kubeconfig("kubelet"),
        "root-dir": STATE / "kubelet",
        "hostname-override": NAME,
        "node-ip": NODE_IP,
    }
    return inside(str(programs / "kubelet"), *_options(options))


def _proxy(programs: Path) -> list[str]:
    metrics, health = PORTS["kube-proxy"]
    settings = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(pki.kubeconfig("kube-proxy"))},
        "mode": "iptables",
        "clusterCIDR": PODS,
        "hostnameOverride": NAME,
        "bindAddress": "127.0.0.1",
        "metricsBindAddress": f"127.0.0.1:{metrics}",
        "healthzBindAddress": f"127.0.0.1:{health}",
        # What a test opens is open to this machine only.
        "nodePortAddresses": ["127.0.0.0/8"],
        "oomScoreAdj": 0,
        # The machine's own limits stay as they are.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }
    return [str(programs / "kube-proxy"), f"--config={_file('kube-proxy.json', settings)}"]


# In the order of starting.
PARTS = (
    Part("etcd", _etcd),
    Part("containerd", _containerd),
    Part("kube-apiserver", _apiserver),
    Part("kube-controller-manager", _controllers),
    Part("kube-scheduler", _scheduler),
    Part("kubelet", _kubelet),
    Part("kube-proxy", _proxy),
)


def log(part: str) -> Path:
    return STATE / "logs" / f"{part}.log"


def _environment(part: Part) -> dict[str, str]:
    """Nothing of who starts it, such as a folder for temporary files that goes with a test."""
    scratch = STATE / "tmp"
    scratch.mkdir(exist_ok=True)
    own = {"PATH": os.environ["PATH"], "HOME": str(STATE), "TMPDIR": str(scratch)}
    # Images come from where the machine's own programs get theirs; the daemons speak with each other directly.
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    return own | (proxies if part.name == "containerd" else {})


def start(part: Part, programs: Path) -> None:
    log(part.name).parent.mkdir(exist_ok=True)
    cgroup.start(part.name, part.command(programs), _environment(part), log(part.name))
