"""`make cluster` leaves nothing behind, wherever it was killed. First of the real tests, while no cluster is up.

What the machine has is compared before and after: rules of iptables, links, mounts, settings of the kernel, control
groups, processes and the folders that Kubernetes writes to by itself.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cluster_tool import TOOL, tool

pytestmark = pytest.mark.real

SETTINGS = ("kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward", "net/ipv4/conf/all/route_localnet",
            "vm/overcommit_memory", "net/netfilter/nf_conntrack_max")  # fmt: skip
FOLDERS = ("/var/lib/kubelet", "/var/lib/cni", "/var/log/pods", "/var/log/containers", "/run/containerd",
           "/var/lib/mmcicd-cluster", "/run/netns", "/opt/containerd")  # fmt: skip


def said(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def facts():
    rules = [line for save in ("iptables-save", "ip6tables-save") for line in said(save)]
    return {
        # Chains of a table that was empty, and counters, are no rules.
        "rules": [line for line in rules if line.startswith(("-A", ":KUBE"))],
        "links": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "mounts": sorted(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()),
        "settings": {name: Path("/proc/sys", name).read_text() for name in SETTINGS if Path("/proc/sys", name).exists()},
        "folders": {name: sorted(path.name for path in Path(name).iterdir()) for name in FOLDERS if Path(name).exists()},
        "groups": [str(path) for path in Path("/sys/fs/cgroup").glob("**/mmcicd-cluster")],
        "processes": [line for line in said("ps", "-eo", "args") if "mmcicd-cluster" in line],
    }  # fmt: skip


@pytest.fixture(scope="module")
def bare():
    """What the machine is like without our node."""
    if os.environ.get("KUBECONFIG"):
        pytest.skip("KUBECONFIG names a cluster; these tests start a node of our own: unset it")
    if tool("status").returncode == 0:
        pytest.skip("a cluster is up and stays up: make cluster-down before these tests")
    ready = tool("up", "--no-build", "--json")
    if ready.returncode == 2:
        pytest.skip(ready.stderr.strip())
    assert ready.returncode == 0, ready.stderr
    if '"node"' not in ready.stdout:
        pytest.skip("kind is here and has a way of its own")
    down()
    return facts()


def down():
    done = tool("down")
    assert done.returncode == 0, done.stderr


def test_down_takes_everything_with_it(bare):
    assert tool("up").returncode == 0
    assert facts() != bare
    down()
    assert facts() == bare
    down()


@pytest.mark.parametrize("part", ["etcd", "containerd", "kubelet", "kube-proxy"])
def test_down_after_a_part_was_killed(bare, part):
    assert tool("up").returncode == 0
    pid = next(int(line.split()[2]) for line in tool("status").stderr.splitlines() if line.split()[0] == part)
    os.kill(pid, signal.SIGKILL)
    down()
    assert facts() == bare


@pytest.mark.parametrize("seconds", [0.3, 0.8, 1.5, 3, 5])
def test_an_up_that_is_killed_is_taken_up_or_down(bare, seconds):
    with subprocess.Popen(
        [sys.executable, TOOL, "up"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as up:
        time.sleep(seconds)
        up.kill()
    if seconds != 1.5:
        down()
        assert facts() == bare
    done = tool("up")
    assert done.returncode == 0, done.stderr
    assert tool("status").returncode == 0
    down()
    assert facts() == bare


@pytest.mark.parametrize("seconds", [0.2, 0.5])
def test_a_down_that_is_killed_is_done_again(bare, seconds):
    assert tool("up").returncode == 0
    with subprocess.Popen([sys.executable, TOOL, "down"]) as ending:
        time.sleep(seconds)
        ending.kill()
    down()
    assert facts() == bare


def test_a_machine_that_is_a_node_already_is_left_alone(bare):
    chain = ["iptables", "-w", "-t", "mangle"]
    subprocess.run([*chain, "-N", "KUBE-KUBELET-CANARY"], check=True)
    try:
        refused = tool("up")
        assert refused.returncode == 2
        assert "Another Kubernetes node" in refused.stderr
        down()
        assert ":KUBE-KUBELET-CANARY" in "\n".join(facts()["rules"])
    finally:
        subprocess.run([*chain, "-X", "KUBE-KUBELET-CANARY"], check=True)
    assert facts() == bare
