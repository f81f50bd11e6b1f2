"""How doctor looks at git, registries and this machine: real repositories, servers, ports; nothing is written."""

import http.server
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mmcicd_jenkins.adapters.git.look import RepositoryLook
from mmcicd_jenkins.adapters.machine_look import Machine
from mmcicd_jenkins.adapters.registry.client import Access
from mmcicd_jenkins.adapters.registry.look import Look
from mmcicd_jenkins.adapters.registry.tries import Patience
from mmcicd_jenkins.adapters.web_look import Web
from mmcicd_jenkins.errors import InputError, MmcicdError, OutsideFailed


def git(folder, *arguments):
    names = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
    done = subprocess.run(["git", *names, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    """A checkout with its origin beside it."""
    git(tmp_path, "init", "-q", "--bare", "origin.git")
    git(tmp_path, "init", "-q", "here")
    here = tmp_path / "here"
    (here / "mmcicdw").write_text("1\n")
    git(here, "add", "-A")
    git(here, "commit", "-qm", "One")
    git(here, "push", "-q", "../origin.git", "HEAD:refs/heads/main", "HEAD:refs/heads/feature/x")
    return here


@pytest.fixture
def look(checkout):
    return RepositoryLook(checkout, {}, "source", 20.0)


def everything(folder: Path):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_branches_are_listed(look, checkout):
    found = look.repository(str(checkout.parent / "origin.git"))
    assert set(found.branches) == {"main", "feature/x"}
    assert found.branches["main"] == git(checkout, "rev-parse", "HEAD")
    assert found.push is None


def test_whether_a_push_is_let_in_is_asked_without_a_push(look, checkout):
    origin = checkout.parent / "origin.git"
    before = everything(origin)
    assert look.repository(str(origin), push="mmcicd/doctor").push is True
    assert everything(origin) == before


def test_a_server_that_lets_nobody_write_says_so(look, checkout):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["git", "daemon", "--export-all", f"--base-path={checkout.parent}", "--listen=127.0.0.1"]
    server = subprocess.Popen(
        [*command, f"--port={port}", "--reuseaddr"], stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        found = served(look, f"git://127.0.0.1:{port}/origin.git")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
    assert set(found.branches) == {"main", "feature/x"}
    assert found.push is False
    assert found.why_no_push


def served(look, url):
    """What is at `url`, once its server listens."""
    for _ in range(100):
        try:
            return look.repository(url, push="mmcicd/doctor")
        except OutsideFailed as e:
            if not e.retryable:
                raise
            time.sleep(0.1)
    raise AssertionError("git daemon does not listen")


def test_an_empty_repository_has_no_branch(look, checkout):
    git(checkout.parent, "init", "-q", "--bare", "empty.git")
    found = look.repository(str(checkout.parent / "empty.git"), push="main")
    assert (dict(found.branches), found.push) == ({}, True)


def test_no_repository_is_an_error_with_its_address(look, checkout):
    with pytest.raises(OutsideFailed) as caught:
        look.repository(str(checkout.parent / "nowhere.git"))
    assert "nowhere.git" in caught.value.where


def test_what_is_not_committed(look, checkout):
    assert look.uncommitted(["mmcicdw"]) == ()
    (checkout / "mmcicdw").write_text("2\n")
    (checkout / "new file").write_text("")
    assert look.uncommitted(["mmcicdw", "new file", "absent"]) == ("mmcicdw", "new file", "absent")


def test_what_git_ignores_is_not_committed(look, checkout):
    (checkout / ".gitignore").write_text("made\n")
    (checkout / "made").write_text("")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "Ignore")
    assert look.uncommitted([".gitignore", "made"]) == ("made",)


def test_names_are_relative_to_the_folder_of_the_configuration(checkout):
    inner = checkout / "models" / "fraud"
    inner.mkdir(parents=True)
    (inner / "a").write_text("")
    (inner / "b").write_text("")
    git(checkout, "add", "models/fraud/a")
    git(checkout, "commit", "-qm", "Inner")
    look = RepositoryLook(inner, {}, "source", 20.0)
    assert look.uncommitted(["a", "b"]) == ("b",)
    assert look.lacks(git(checkout, "rev-parse", "HEAD~1"), ["a"]) == ("a",)


def test_what_a_commit_lacks(look, checkout):
    commit = git(checkout, "rev-parse", "HEAD")
    assert look.lacks(commit, ["mmcicdw"]) == ()
    (checkout / "mmcicdw").write_text("2\n")
    assert look.lacks(commit, ["mmcicdw"]) == ("mmcicdw",)
    assert look.lacks("0" * 40, ["mmcicdw"]) is None


def test_a_folder_that_is_no_repository(tmp_path):
    assert RepositoryLook(tmp_path, {}, "source", 20.0).uncommitted(["a"]) is None


# --- registries and data


@pytest.fixture
def door():
    """`door(status, headers)`: a server that says one thing at /v2/, and its host."""
    made = []

    def make(status, headers=()):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status if self.path == "/v2/" else 404)
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        made.append(server)
        return f"127.0.0.1:{server.server_address[1]}"

    yield make
    for server in made:
        server.shutdown()
        server.server_close()


def look_at(host, **variables):
    access = Access(host, {"HOME": "/nowhere", **variables}, patience=Patience(tries=1))
    return Look(f"{host}/ml", access)


def test_a_registry_where_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(OutsideFailed) as caught:
        look_at(f"127.0.0.1:{port}").reach()
    assert "refused" in caught.value.why
    assert caught.value.retryable


def test_what_is_no_registry_is_told(door):
    with pytest.raises(MmcicdError) as caught:
        look_at(door(404, ())).reach()
    assert caught.value.exit_code in {3, 5}


def test_an_account_is_named_with_where_it_is_from(door):
    look = look_at(door(200, ()), MMCICD_REGISTRY_USER="anna", MMCICD_REGISTRY_PASSWORD="word")
    assert look.reach() == "anna (from MMCICD_REGISTRY_USER and MMCICD_REGISTRY_PASSWORD)"


def test_data_are_counted_and_not_read(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_text("1")
    (tmp_path / "d" / "b").write_text("2")
    assert Web({}, 5.0).source(str(tmp_path / "d")) == 2
    with pytest.raises(InputError):
        Web({}, 5.0).source(str(tmp_path / "nowhere"))


# --- this machine


def program(folder: Path, name: str, script: str) -> dict[str, str]:
    """A PATH on which `name` is a script."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"PATH": str(folder)}


def test_programs_have_versions():
    found = Machine(os.environ, 10.0).versions()
    assert found["python"].startswith("3.")
    assert found["git"].count(".") >= 1


def test_a_machine_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Machine({"PATH": str(tmp_path)}, 10.0).versions()["git"] == ""


def test_gpus_are_read_off_the_driver_s_own_program(tmp_path, monkeypatch):
    variables = program(tmp_path / "bin", "nvidia-smi", "print('NVIDIA A100, 40960 MiB, 550.54')")
    monkeypatch.setenv("PATH", variables["PATH"])
    assert Machine(variables, 10.0).gpus().names == ("NVIDIA A100, 40960 MiB, 550.54",)


def test_a_driver_that_is_broken_says_why(tmp_path, monkeypatch):
    script = "import sys\nsys.exit(print('Failed to initialize NVML: Driver/library version mismatch') or 18)"
    variables = program(tmp_path / "bin", "nvidia-smi", script)
    monkeypatch.setenv("PATH", variables["PATH"])
    found = Machine(variables, 10.0).gpus()
    assert found.installed
    assert (found.names, found.why) == ((), "Failed to initialize NVML: Driver/library version mismatch")


def test_a_driver_that_hangs_is_left(tmp_path, monkeypatch):
    variables = program(tmp_path / "bin", "nvidia-smi", "import time\ntime.sleep(60)")
    monkeypatch.setenv("PATH", variables["PATH"])
    found = Machine(variables, 1.0).gpus()
    assert found.installed
    assert "timed out" in found.why


def test_a_machine_without_a_driver(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not Machine({"PATH": str(tmp_path)}, 10.0).gpus().installed


def test_a_folder_that_is_not_made_yet_is_judged_by_the_one_above_it(tmp_path):
    found = Machine({}, 1.0).disk(tmp_path / "a" / "b")
    assert found.path == str(tmp_path)
    assert found.writable
    assert found.free_bytes > 0


def test_ports(tmp_path):
    look = Machine({}, 1.0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = look.port("127.0.0.1", port, tmp_path)
        assert (found.free, found.ours) == (False, False)
    assert look.port("127.0.0.1", port, tmp_path).free
