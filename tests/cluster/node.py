"""The life of our own node: up, down, what is alive. Every step can be stopped and done again.

`up` starts what does not run and leaves alone what does, so it also mends a node whose parts were killed; `down`
ends all of it and leaves nothing.
"""

import contextlib
import http.client
import json
import os
import shutil
import socket
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cgroup
import host
import images
import needs
import parts
import pki
import programs
from place import API, KUBECONFIG, NAME, PORTS, SOCKET, STATE, Trouble

_PATIENCE = 120


def up() -> None:
    needs.check_running()
    folder = programs.have()
    if host.is_of_another_boot():
        down()
    host.prepare()
    cgroup.make()
    pki.make()
    for name in ("etcd", "containerd", "kube-apiserver"):
        _start(name, folder)
    _wait("containerd", _runtime_is_ready)
    images.bring_pause(folder / "pause", STATE / "pause")
    _wait("kube-apiserver", _api_is_ready)
    for name in ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"):
        _start(name, folder)
    _wait("kubelet", _node_is_ready)
    _wait("kube-proxy", _proxy_is_ready)
    _wait("kube-controller-manager", _pods_have_an_account)


def _start(name: str, folder: Path) -> None:
    if cgroup.find(name) is not None:
        return
    host.free_ports(name)
    part = next(part for part in parts.PARTS if part.name == name)
    parts.start(part, folder)


def _wait(name: str, ready: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not ready():
        # A daemon has its name only some moments after its start.
        late = time.monotonic() > end - _PATIENCE + 2
        if (late and cgroup.find(name) is None) or time.monotonic() > end:
            raise Trouble(_told(name))
        time.sleep(0.1)


def _told(name: str) -> str:
    path = parts.log(name)
    last = path.read_text(errors="replace").splitlines()[-5:] if path.exists() else []
    how = "`make cluster-down` and then `make cluster` begins anew."
    return "\n".join(
        [f"{name} does not become ready. The end of {path}:", *(f"  {line}" for line in last), how]
    )


def _direct(*handlers: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
    """The machine's proxy knows nothing of its loopback."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), *handlers)


def get(path: str) -> Any:
    """What the API server answers to the administrator; None while it does not."""
    try:
        context = ssl.create_default_context(cafile=str(pki.FOLDER / "ca.crt"))
        context.load_cert_chain(pki.FOLDER / "admin.crt", pki.FOLDER / "admin.key")
        with _direct(urllib.request.HTTPSHandler(context=context)).open(API + path, timeout=5) as answer:
            content = answer.read()
    except (OSError, http.client.HTTPException):
        return None
    return json.loads(content) if content.startswith(b"{") else content


def _runtime_is_ready() -> bool:
    """The socket of one that was killed is still there."""
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.connect(str(SOCKET))
        return True
    return False


def _api_is_ready() -> bool:
    return bool(get("/readyz"))


def _node_is_ready() -> bool:
    node = get(f"/api/v1/nodes/{NAME}") or {}
    conditions = node.get("status", {}).get("conditions", [])
    taints = node.get("spec", {}).get("taints", [])
    return not taints and any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _proxy_is_ready() -> bool:
    """It says so once its first set of rules is in place."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        address = f"http://127.0.0.1:{PORTS['kube-proxy'][1]}/healthz"
        with _direct().open(address, timeout=5) as answer:
            return bool(answer.status == http.HTTPStatus.OK)
    return False


def _pods_have_an_account() -> bool:
    return bool(get("/api/v1/namespaces/default/serviceaccounts/default"))


def down() -> None:
    if not STATE.exists() and not cgroup.ours().exists() and not _rules_are_left():
        return
    needs.check_running()
    # Only etcd would lose anything by a kill, and it is thrown away: nobody is asked to end nicely.
    if cgroup.ours().exists():
        cgroup.kill_all()
        cgroup.remove()
    host.restore()


def _rules_are_left() -> bool:
    return os.geteuid() == 0 and shutil.which("iptables-save") is not None and host.ours()


def living() -> Iterator[tuple[str, int | None]]:
    for part in parts.PARTS:
        yield part.name, cgroup.find(part.name)


def is_up() -> bool:
    return all(pid is not None for _, pid in living()) and _node_is_ready()


def memory() -> int:
    """Bytes that the daemons hold in memory, without what pods use."""
    total = 0
    for _, pid in living():
        if pid is None:
            continue
        with contextlib.suppress(OSError, ValueError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("RssAnon:"):
                    total += int(line.split()[1]) * 1024
    return total


def trust(registry: str, authority: str) -> None:
    """Let the node pull from a registry: by http on loopback, by https with a CA file of its own."""
    folder = parts.TRUSTED / registry
    folder.mkdir(parents=True, exist_ok=True)
    address = f"{'https' if authority else 'http'}://{registry}"
    lines = [f"server = {json.dumps(address)}", f"[host.{json.dumps(address)}]"]
    lines += ['  capabilities = ["pull", "resolve"]']
    if authority:
        lines += [f"  ca = {json.dumps(str(Path(authority).resolve()))}"]
    (folder / "hosts.toml").write_text("\n".join(lines) + "\n")


def print_status() -> None:
    """On stderr, part by part."""
    for name, pid in living():
        print(f"  {name:<24} {'pid ' + str(pid) if pid else 'does not run'}", file=sys.stderr)
    ready = "Ready" if _node_is_ready() else "not ready"
    print(f"  {NAME:<24} {ready}; {memory() >> 20} MB; {KUBECONFIG}", file=sys.stderr)
