"""Which cluster `make cluster` takes, and what it says when there is none.

Small programs stand for kubectl, kind, Go and Docker; a node of our own is started by the real tests only.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "cluster"
STATE = Path("/var/lib/mmcicd-cluster")


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


class Machine:
    """A PATH of its own, on which each program writes down how it was called."""

    def __init__(self, folder):
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.calls = folder / "calls"
        self.environment = {"PATH": str(self.programs), "HOME": str(folder), "XDG_CACHE_HOME": str(folder)}

    def program(self, name, *lines):
        path = self.programs / name
        path.write_text("\n".join(["#!/bin/sh", f'echo "{name} $*" >>{self.calls}', *lines]) + "\n")
        path.chmod(0o755)

    def run(self, *words, **environment):
        command = [sys.executable, str(TOOL), *words]
        return subprocess.run(
            command, env=self.environment | environment, capture_output=True, text=True, check=False
        )

    def python(self, code):
        environment = self.environment | {"PYTHONPATH": str(TOOL)}
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )

    def called(self, name):
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [line for line in lines if line.startswith(name + " ")]


def test_the_cluster_of_kubeconfig_comes_first(machine):
    machine.program("kubectl", 'echo "$KUBECONFIG" >"$HOME/asked"')
    machine.program("kind")
    done = machine.run("up", KUBECONFIG="/a/theirs:/b/more")
    assert done.returncode == 0, done.stderr
    assert "export KUBECONFIG=/a/theirs:/b/more" in done.stdout
    assert (machine.programs.parent / "asked").read_text() == "/a/theirs:/b/more\n"
    assert machine.called("kind") == []
    facts = json.loads(machine.run("up", "--json", KUBECONFIG="/a/theirs").stdout)
    assert facts == {
        "kind": "KUBECONFIG",
        "kubeconfig": "/a/theirs",
        "kubectl": str(machine.programs / "kubectl"),
        "started": False,
    }


def test_a_cluster_that_does_not_answer_is_an_error_not_a_skip(machine):
    machine.program("kubectl", "echo refused >&2", "exit 1")
    done = machine.run("up", KUBECONFIG="/a/theirs")
    assert done.returncode == 1
    assert "/a/theirs" in done.stderr
    assert "refused" in done.stderr
    assert "Unset KUBECONFIG" in done.stderr


def test_nothing_is_brought_to_a_cluster_of_somebody_else(machine, tmp_path):
    machine.program("kubectl")
    for words in (["import", str(tmp_path / "a.tar")], ["trust", "127.0.0.1:5000"]):
        assert machine.run(*words, KUBECONFIG="/a/theirs").returncode == 2


# Its list of clusters is a file; `create` writes what a person would find.
KIND = ('kubeconfig="$6"; file="$HOME/clusters"; /bin/touch "$file"',
        'case "$1 $2" in',
        "'get clusters') /bin/cat \"$file\";;",
        "'create cluster') echo \"$4\" >\"$file\"; echo made >\"$kubeconfig\";;",
        "'delete cluster') : >\"$file\";;",
        "esac")  # fmt: skip


def kind(machine, verb):
    return machine.python(f"from choose import Kind; Kind().{verb}()")


@pytest.mark.skipif(STATE.exists(), reason="a node of our own is up, and stays the choice: make cluster-down")
def test_kind_comes_before_a_node_of_our_own(machine):
    machine.program("kind", *KIND)
    machine.program("kubectl")
    done = machine.run("up")
    assert done.returncode == 0, done.stderr
    kubeconfig = machine.programs.parent / "mmcicd-cluster" / "kind.kubeconfig"
    assert f"export KUBECONFIG={kubeconfig}" in done.stdout
    assert machine.called("kind create") == [
        f"kind create cluster --name mmcicd-cluster --kubeconfig {kubeconfig} --wait 180s"
    ]
    # Twice, and as a person who did what the first one said.
    assert machine.run("up", KUBECONFIG=str(kubeconfig)).returncode == 0
    assert len(machine.called("kind create")) == 1


def test_a_kind_cluster_that_does_not_answer_is_made_anew(machine):
    machine.program("kind", *KIND)
    machine.program("kubectl", "exit 1")
    (machine.programs.parent / "mmcicd-cluster").mkdir()
    for _ in range(2):
        done = kind(machine, "up")
        assert done.returncode == 0, done.stderr
    assert len(machine.called("kind create")) == 2
    assert len(machine.called("kind delete")) == 1


def test_ours_is_the_only_kind_cluster_that_is_deleted(machine):
    machine.program("kind", 'test "$1" = get && echo theirs')
    done = kind(machine, "down")
    assert done.returncode == 0, done.stderr
    assert machine.called("kind delete") == []


def test_a_kind_without_an_engine_says_so(machine):
    machine.program("kind", "echo 'failed to list clusters: docker is not running' >&2", "exit 1")
    done = machine.python(
        "from choose import Kind\nfrom place import Missing\ntry: Kind().up()\nexcept Missing as e: print(e)"
    )
    assert "docker is not running" in done.stdout


@pytest.mark.skipif(STATE.exists(), reason="a node of our own is up: make cluster-down")
def test_all_that_is_missing_is_told_at_once(machine):
    done = machine.run("up")
    assert done.returncode == 2
    for package in ("etcd-server", "containerd"):
        assert package in done.stderr
    assert "apt-get install" in done.stderr
    assert "KUBECONFIG" in done.stderr
    assert ("root" in done.stderr) == bool(os.geteuid())


@pytest.mark.parametrize("said", ["go1.19.8", "nothing"])
def test_an_old_compiler_is_named(machine, said):
    machine.program("go", f"echo {said}")
    done = machine.python(
        "import programs\nfrom place import Missing\ntry: programs.have()\nexcept Missing as e: print(e)"
    )
    assert "Go 1.24 or newer" in done.stdout, done.stderr
    assert said in done.stdout


def test_the_folder_of_the_programs_is_named_by_what_is_built(machine):
    done = machine.python("import programs; print(programs.version(), programs.folder())")
    version, folder = done.stdout.split()
    assert version.startswith("v1.34.")
    assert Path(folder).parent == machine.programs.parent / "mmcicd-cluster"
    assert Path(folder).name.startswith(version + "-")


def test_a_wish_to_build_nothing_is_heard(machine):
    done = machine.run("up", "--no-build")
    if STATE.exists():
        pytest.skip("a node of our own is up: make cluster-down")
    assert done.returncode == 2
    assert "not built" in done.stderr
