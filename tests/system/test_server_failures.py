"""The embedded server in trouble, under the real command line: killed, kept from its ports, robbed of its folder.

One repository and its two servers for the whole file; every test leaves production serving the version it found.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest
from paper import CONFIG, MODEL, commit, git, make_repository
from test_killed_anywhere import update_lock

pytestmark = pytest.mark.tensorflow
PROGRAM = [sys.executable, "-m", "mmcicd_jenkins"]


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class House:
    """The repository, and what a person types there."""

    def __init__(self, base):
        self.base = base
        self.repository = base / "repo"
        self.rest, self.grpc, *other = free_ports(4)
        make_repository(self.repository)
        places = (
            f"environments:\n  staging: {{kind: local, rest_port: {other[0]}, grpc_port: {other[1]}}}\n"
            f"  production: {{kind: local, rest_port: {self.rest}, grpc_port: {self.grpc}}}\n"
        )
        (self.repository / "mmcicd.yaml").write_text(CONFIG + places)
        update_lock(base)
        commit(self.repository, "begin")

    @property
    def environment(self):
        return {
            **os.environ,
            "XDG_CACHE_HOME": str(self.base / "cache"),
            "MODEL_FIXTURE": str(MODEL),
            "NO_COLOR": "1",
        }

    def __call__(self, *arguments, code=0):
        done = subprocess.run(
            [*PROGRAM, *arguments],
            cwd=self.repository, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        assert "this is a bug" not in done.stderr
        return done.stdout + done.stderr

    def serving(self):
        """The version that answers on production's port, None when nobody listens."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.rest}/v1/models/double", timeout=10
            ) as answer:
                states = json.load(answer)["model_version_status"]
        except OSError:
            return None
        return next((int(s["version"]) for s in states if s["state"] == "AVAILABLE"), None)

    def lose_the_folder(self):
        """`rm -rf`, typed until it is gone: a server that lives writes into it meanwhile."""
        folder = self.base / "repo.serve/production"
        while folder.exists():
            shutil.rmtree(folder, ignore_errors=True)

    def server(self):
        return int((self.base / "repo.serve/production/server.lock").read_text())


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    made = House(tmp_path_factory.mktemp("servers"))
    made("run")
    made("promote", "--yes", "--reason", "first")
    yield made
    made("stop")


def test_a_killed_server_is_told_by_status_and_monitor_and_comes_back(house):
    os.kill(house.server(), signal.SIGKILL)
    said = house("status", code=5)
    assert "production serves nothing (the server does not run), the ledger says 1 of double" in said
    assert "mmcicd-jenkins serve --env production" in said
    assert "not available" in house("stage", "monitor", "--env", "production", code=4)
    assert "production serves double 1" in house("serve", "--env", "production")
    assert house.serving() == 1
    house("status")


@pytest.mark.parametrize("place", ["REST", "gRPC"])
def test_a_taken_port_is_named_with_its_key(house, place):
    house("stop", "--env", "production")
    port, key = (house.rest, "rest_port") if place == "REST" else (house.grpc, "grpc_port")
    with socket.create_server(("127.0.0.1", port)):
        said = house("serve", "--env", "production", code=5)
    assert f"port {port} on 127.0.0.1 is taken" in said
    assert f"environments.production.{key}" in said
    house("serve", "--env", "production")
    assert house.serving() == 1


def test_a_server_killed_in_the_middle_of_a_switch(house):
    commit(house.repository, "better", **{"factor.txt": "0.90"})
    house("run")
    before = house.server()
    process = subprocess.Popen(
        [*PROGRAM, "promote", "--yes", "--reason", "better"],
        cwd=house.repository, stderr=subprocess.PIPE, text=True,
        env={**house.environment, "MMCICD_TESTING": "1", "MMCICD_FAILPOINTS": "serve.after-desired=stop"},
    )  # fmt: skip
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    os.kill(before, signal.SIGKILL)
    os.kill(process.pid, signal.SIGCONT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert house.serving() == 2
    assert house.server() != before


def test_a_rollback_works_though_the_server_is_dead_and_once_is_enough(house):
    os.kill(house.server(), signal.SIGKILL)
    assert "2 is revoked" in house("rollback", "--reason", "down")
    assert house.serving() == 1
    assert "already rolled back" in house("rollback")
    assert house.serving() == 1


def test_a_server_that_lost_its_folder_is_found_and_replaced(house):
    lost = house.server()
    house.lose_the_folder()
    said = house("status", code=5)
    assert f"its folder was deleted; process {lost} still serves what it had" in said
    assert house.serving() == 1
    house("serve", "--env", "production")
    assert house.serving() == 1
    assert house.server() != lost
    house.lose_the_folder()
    assert "production: stopped" in house("stop", "--env", "production")
    assert house.serving() is None
    house("serve", "--env", "production")


def test_a_lost_ledger_changes_nothing_that_serves_and_says_how_to_begin_anew(house):
    ledger = house.base / "repo.ledger.git"
    ledger.rename(house.base / "away")
    said = house("status", code=5)
    assert "production serves 1, the ledger says nothing of double" in said
    commit(house.repository, "another", **{"factor.txt": "0.91"})
    said = house("run", code=75)
    assert "by a decision that the ledger does not have; no version was made" in said
    assert house.serving() == 1
    assert "mmcicd-jenkins reconcile" in said
    assert house.serving() == 1
    house("reconcile", "--reason", "a disk died")
    house("status")
    shutil.rmtree(ledger)
    (house.base / "away").rename(ledger)
    house("status")


def test_a_cleaned_checkout_goes_on_serving_and_every_button_works(house):
    """`git clean -fdx` is typed by people and by Jenkins jobs."""
    server = house.server()
    git(house.repository, "clean", "-fdxq")
    assert not (house.repository / ".mmcicd").exists()
    house("status")
    assert (house.server(), house.serving()) == (server, 1)
    house("serve", "--env", "production")
    assert house.server() == server
    commit(house.repository, "better again", **{"factor.txt": "0.95"})
    house("run")
    house("promote", "--yes", "--reason", "better")
    assert house.serving() == 3
    git(house.repository, "clean", "-fdxq")
    assert "3 is revoked" in house("rollback", "--reason", "cleaned")
    assert house.serving() == 1
    git(house.repository, "clean", "-fdxq")
    assert "production: stopped" in house("stop")
    assert house.serving() is None
    house("serve")
    assert house.serving() == 1


def test_what_an_older_version_left_in_the_checkout_is_found_there_and_moved(house):
    store, inside = house.base / "repo.store", house.repository / ".mmcicd"
    house("stop")
    inside.mkdir(exist_ok=True)
    store.rename(inside / "store")
    (house.base / "repo.serve").rename(inside / "serve")
    said = house("serve")
    assert f"moved {inside / 'store'} to {store}" in said
    assert f"moved {inside / 'serve/production'} to {house.base / 'repo.serve/production'}" in said
    assert house.serving() == 1
    assert "moved" not in house("status")
