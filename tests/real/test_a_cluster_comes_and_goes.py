"""`make cluster` leaves nothing behind, wherever it was killed. First of the real tests, while no cluster is up.

Looked for are traces of our node only: what Docker or a person does on the machine at the same time is not our matter.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cluster_tool import TOOL, tool

pytestmark = pytest.mark.real

# The node's name is in all that is ours to name; these are in what Kubernetes and the network plugins name.
MARKS = ("mmcicd-cluster", "mmcicd0", "KUBE-", "10.187.", "cni-")
LISTS = (
    ["iptables-save"],
    ["ip6tables-save"],
    ["ip", "-oneline", "address"],
    ["ip", "route", "show", "table", "all"],
    ["cat", "/proc/self/mountinfo"],
    ["find", "/sys/fs/cgroup", "-name", "mmcicd-cluster"],
    ["ls", "/run/netns"],
    ["ps", "-eo", "args"],
)
SETTINGS = (
    "kernel/panic",
    "kernel/panic_on_oops",
    "net/ipv4/conf/all/route_localnet",
    "vm/overcommit_memory",
)
FOLDERS = ("kubelet", "cni", "mmcicd-cluster", "../log/pods", "../log/containers")


def traces():
    """Every line that tells of a node of ours."""
    found = []
    for command in LISTS:
        lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
        found += [line for line in lines if any(mark in line for mark in MARKS)]
    return [line for line in found if "pytest" not in line]


def machine():
    settings = {name: Path("/proc/sys", name).read_text() for name in SETTINGS}
    return settings | {name: Path("/var/lib", name).exists() for name in FOLDERS}


@pytest.fixture(scope="module")
def bare():
    """What the machine is like without a node of ours."""
    if os.environ.get("KUBECONFIG"):
        pytest.skip("KUBECONFIG names a cluster; these tests start a node of our own: unset it")
    if tool("status").returncode == 0:
        pytest.skip("a cluster is up and stays up: make cluster-down before these tests")
    down()
    before = machine()
    ready = tool("up", "--no-build", "--json")
    if ready.returncode == 2:
        pytest.skip(ready.stderr.strip())
    assert ready.returncode == 0, ready.stderr
    down()
    if '"node"' not in ready.stdout:
        pytest.skip("kind is here and has a way of its own")
    return before


def up():
    done = tool("up")
    assert done.returncode == 0, done.stderr
    assert tool("status").returncode == 0


def down():
    done = tool("down")
    assert done.returncode == 0, done.stderr


def kill(part):
    lines = [line.split() for line in tool("status").stderr.splitlines()]
    os.kill(next(int(words[2]) for words in lines if words[0] == part), signal.SIGKILL)


def killed(verb, seconds):
    with subprocess.Popen(
        [sys.executable, TOOL, verb], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as command:
        time.sleep(seconds)
        command.kill()


def test_down_takes_everything_with_it(bare):
    up()
    assert traces()
    assert machine() != bare
    down()
    assert traces() == []
    assert machine() == bare
    down()


@pytest.mark.parametrize("part", ["etcd", "containerd", "kubelet"])
def test_down_after_a_part_was_killed(bare, part):
    up()
    kill(part)
    down()
    assert traces() == []
    assert machine() == bare


@pytest.mark.parametrize("seconds", [0.2, 0.5, 1, 2, 4])
def test_an_up_that_is_killed_is_taken_down(bare, seconds):
    killed("up", seconds)
    down()
    assert traces() == []
    assert machine() == bare


def test_an_up_that_is_killed_again_and_again_gets_there(bare):
    for seconds in (0.3, 0.6, 0.9, 1.2, 2):
        killed("up", seconds)
    up()
    down()
    assert traces() == []
    assert machine() == bare


@pytest.mark.parametrize("seconds", [0.3, 0.6])
def test_a_down_that_is_killed_is_done_again(bare, seconds):
    up()
    killed("down", seconds)
    down()
    assert traces() == []
    assert machine() == bare


def test_a_node_is_started_again_after_a_down_that_was_killed(bare):
    up()
    killed("down", 0.4)
    up()
    down()
    assert traces() == []
    assert machine() == bare


def test_a_node_of_before_a_restart_of_the_machine_is_begun_anew(bare):
    up()
    note = Path("/var/lib/mmcicd-cluster/before.json")
    note.write_text(json.dumps(json.loads(note.read_text()) | {"boot": "another"}))
    authority = Path("/var/lib/mmcicd-cluster/pki/ca.crt").read_bytes()
    kill("etcd")
    up()
    assert Path("/var/lib/mmcicd-cluster/pki/ca.crt").read_bytes() != authority
    down()
    assert traces() == []
    assert machine() == bare


def test_a_machine_that_is_a_node_already_is_left_alone(bare):
    chain = ["iptables", "-w", "-t", "mangle"]
    subprocess.run([*chain, "-N", "KUBE-KUBELET-CANARY"], check=True)
    try:
        refused = tool("up")
        assert refused.returncode == 2
        assert "Another Kubernetes node" in refused.stderr
        down()
        assert any("KUBE-KUBELET-CANARY" in line for line in traces())
    finally:
        subprocess.run([*chain, "-X", "KUBE-KUBELET-CANARY"], check=True)
    assert machine() == bare
