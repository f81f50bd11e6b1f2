"""What the node changes on its machine, and the way back: a bridge, rules of iptables, settings of the kernel, mounts.

`prepare` writes down what was there before it changes anything; `restore` needs nothing but that note and what it
finds, so it can be called after any crash and twice. A rule with our name in its comment is put in place before
Kubernetes makes its own, and is how its chains are known to be ours.
"""

import contextlib
import ipaddress
import json
import shutil
import socket
import subprocess
from pathlib import Path

from place import BRIDGE, MOUNTS, NAME, NETWORK, NODE_IP, PODS, PORTS, STATE, Missing, Trouble

_NOTE = STATE / "before.json"
# What the kubelet, the proxy and the network plugins set to their liking.
_SETTINGS = (
    "kernel.keys.root_maxbytes",
    "kernel.keys.root_maxkeys",
    "kernel.panic",
    "kernel.panic_on_oops",
    "net.ipv4.conf.all.route_localnet",
    "net.ipv4.ip_forward",
    "vm.overcommit_memory",
    "vm.panic_on_oom",
)
# Places that no option moves elsewhere: in the node's mount namespace each is a folder of our own.
_STRAYS = ("/run/containerd", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers", "/var/log/pods")
_TABLES = ("filter", "nat", "mangle")
_API_PORT = str(PORTS["kube-apiserver"][0])
_RULES = (
    # Nobody from outside speaks to the API server; the kubelet listens on the bridge's address only.
    ["INPUT", "-p", "tcp", "--dport", _API_PORT, "!", "-s", NETWORK, "!", "-i", "lo", "-j", "DROP"],
    ["INPUT", "-s", NETWORK, "-j", "ACCEPT"],
    # Docker lets nothing through that is not its own.
    ["FORWARD", "-s", PODS, "-d", PODS, "-j", "ACCEPT"],
)


def run(*command: str, stdin: str | None = None) -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Trouble(f"`{' '.join(command)}` failed: {done.stderr.strip() or done.returncode}")
    return done.stdout


def prepare() -> None:
    """Check that nobody else is in the way, note what is there, and make what the node stands on."""
    if not ours():
        _refuse_another_node()
        _refuse_another_network()
    STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _NOTE.exists():
        made = [path for path in _STRAYS if not Path(path).exists()]
        settings = {name: _setting(name).read_text() for name in _SETTINGS}
        note = {"boot": _boot(), "settings": settings, "made": made}
        half = _NOTE.with_suffix(".half")
        half.write_text(json.dumps(note))
        half.replace(_NOTE)
    _make_rules()
    if not _exists(BRIDGE):
        run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "addr", "replace", f"{NODE_IP}/32", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    _make_mounts()


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text()


def is_of_another_boot() -> bool:
    """Whether the machine was started anew since: then a half of the node is gone, and the disk may tell of a power cut."""
    return _NOTE.exists() and json.loads(_NOTE.read_text())["boot"] != _boot()


def ours() -> bool:
    """Whether the rules in the kernel are there because of us."""
    return any(f"--comment {NAME}" in line for line in run("iptables-save", "-t", "filter").splitlines())


def _refuse_another_node() -> None:
    for program in ("iptables-save", "ip6tables-save"):
        chains = [line for line in run(program).splitlines() if line.startswith(":KUBE-")]
        if chains:
            raise Missing(
                f"Another Kubernetes node uses this machine (chain {chains[0][1:].split()[0]} of iptables), and two "
                "would undo each other's rules. Use that one (export its KUBECONFIG), or install kind."
            )


def _refuse_another_network() -> None:
    wanted = ipaddress.ip_network(NETWORK)
    for route in json.loads(run("ip", "-json", "-4", "route", "show", "table", "all")):
        if route["dst"] == "default" or route.get("dev") == BRIDGE:
            continue
        there = ipaddress.ip_network(route["dst"].split()[-1], strict=False)
        # A wide route, such as a VPN's for 10.0.0.0/8, loses against our narrower ones.
        if there.overlaps(wanted) and there.prefixlen >= wanted.prefixlen:
            raise Missing(
                f"The addresses {NETWORK} are taken on this machine ({route['dst']} on {route.get('dev', '?')}). "
                "Use a cluster that you have (export its KUBECONFIG), or install kind."
            )


def free_ports(part: str) -> None:
    for port in PORTS.get(part, ()):
        for address in ("127.0.0.1", NODE_IP):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((address, port))
                except OSError as e:
                    raise Missing(
                        f"Port {port}, which {part} needs, is taken by another program ({address}: {e.strerror}). "
                        f"Find it with `ss -ltnp 'sport = :{port}'`."
                    ) from e


def _setting(name: str) -> Path:
    return Path("/proc/sys", *name.split("."))


def _exists(link: str) -> bool:
    return Path("/sys/class/net", link).exists()


def _make_rules() -> None:
    for rule in _RULES:
        chain, *match = rule
        match += ["-m", "comment", "--comment", NAME]
        if subprocess.run(
            ["iptables", "-w", "-C", chain, *match], capture_output=True, check=False
        ).returncode:
            run("iptables", "-w", "-I", chain, *match)


def _make_mounts() -> None:
    """A namespace in which only what is mounted outside is seen, never the other way round."""
    folder = MOUNTS.parent
    folder.mkdir(exist_ok=True)
    if not _mounted(folder):
        run("mount", "--bind", str(folder), str(folder))
    if not _mounted(MOUNTS):
        # A namespace cannot be kept on a mount that is itself passed on.
        run("mount", "--make-private", str(folder))
        MOUNTS.touch()
        run("unshare", f"--mount={MOUNTS}", "--propagation=slave", "true")
    there = _mount_points(run(*inside("cat", "/proc/self/mountinfo")))
    for path in _STRAYS:
        if path in there:
            continue
        own = STATE / "strays" / path.strip("/").replace("/", "-")
        own.mkdir(parents=True, exist_ok=True)
        Path(path).mkdir(parents=True, exist_ok=True)
        run(*inside("mount", "--bind", str(own), path))


def inside(*command: str) -> list[str]:
    """The same command, seeing the node's mounts."""
    return ["nsenter", f"--mount={MOUNTS}", "--", *command]


def _mount_points(mountinfo: str) -> set[str]:
    return {line.split()[4] for line in mountinfo.splitlines()}


def _mounted(path: Path) -> bool:
    return str(path) in _mount_points(Path("/proc/self/mountinfo").read_text())


def restore() -> None:
    """Take away what the node made; its processes have ended."""
    while _mounted(MOUNTS):
        run("umount", str(MOUNTS))
    while _mounted(MOUNTS.parent):
        run("umount", str(MOUNTS.parent))
    if _exists(BRIDGE):
        run("ip", "link", "delete", BRIDGE)
    if ours():
        for family in ("iptables", "ip6tables"):
            _remove_chains(family)
        _remove_rules()
    with contextlib.suppress(FileNotFoundError):
        note = json.loads(_NOTE.read_text())
        for name, value in note["settings"].items():
            if _setting(name).read_text() != value and not _is_needed_by_others(name):
                _setting(name).write_text(value)
        for path in note["made"]:
            # Not empty when somebody else came to use it in the meantime.
            with contextlib.suppress(OSError):
                Path(path).rmdir()
    if STATE.exists():
        _remove_state()


def _is_needed_by_others(name: str) -> bool:
    """Docker and its like may have come in the meantime; packets of their bridges are to go on being passed."""
    return name == "net.ipv4.ip_forward" and any(Path("/sys/class/net").glob("*/bridge"))


def _remove_chains(family: str) -> None:
    for table in _TABLES:
        lines = run(f"{family}-save", "-t", table).splitlines()
        chains = [line[1:].split()[0] for line in lines if line.startswith(":KUBE-")]
        if not chains:
            continue
        jumps = [
            line
            for line in lines
            if line.startswith("-A ") and not line.startswith("-A KUBE-") and " -j KUBE-" in line
        ]
        batch = [
            f"*{table}",
            *(f":{chain} - [0:0]" for chain in chains),
            *("-D" + jump[2:] for jump in jumps),
        ]
        batch += [*(f"-X {chain}" for chain in chains), "COMMIT", ""]
        run(f"{family}-restore", "-w", "--noflush", stdin="\n".join(batch))


def _remove_rules() -> None:
    """Last of all, since they say whose the chains are."""
    lines = run("iptables-save", "-t", "filter").splitlines()
    rules = [line for line in lines if line.startswith("-A ") and f"--comment {NAME} " in f"{line} "]
    batch = ["*filter", *("-D" + rule[2:] for rule in rules), "COMMIT", ""]
    run("iptables-restore", "-w", "--noflush", stdin="\n".join(batch))


def _remove_state() -> None:
    """The note goes last: whoever is stopped half-way finds it again."""
    for path in STATE.iterdir():
        if path == _NOTE:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    _NOTE.unlink(missing_ok=True)
    STATE.rmdir()
