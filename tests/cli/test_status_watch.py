"""`status --watch`: a log gets changes, `--json` an object for each, a terminal is redrawn; it ends by a signal alone."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys

import pytest
from own_terminal import on_terminal
from paper import commit, make_repository

from mmcicd_jenkins.release import history
from mmcicd_jenkins.wiring import open_bench

WATCH = ("status", "--watch", "--every", "0.5s")


@pytest.fixture
def repository(tmp_path):
    root = make_repository(tmp_path / "repo")
    commit(root, "begin")
    return root


def intend(root, version):
    """Somebody begins to promote, and is not heard of again."""
    who = history.Who(actor="ada", at="2026-11-24T10:00:00+00:00", reason="better")
    open_bench(root).ledger.commit(
        "double", lambda snapshot: history.begin(snapshot, "production", "promote", version, who)
    )


def watching(root, *more):
    return subprocess.Popen(
        [sys.executable, "-m", "mmcicd_jenkins", *WATCH, *more],
        cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"NO_COLOR": "1"},
    )  # fmt: skip


def test_a_log_gets_each_change_once_and_sigterm_ends_it(repository):
    with watching(repository) as process:
        assert process.stdout.readline().endswith("double staging: nothing\n")
        assert process.stdout.readline().endswith("double production: nothing\n")
        intend(repository, 1)
        changed = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest, err = process.communicate(timeout=60)
    assert "production: nothing, promote of 1 prepared: better (was: nothing)" in changed
    assert "mmcicd-jenkins promote --model double --env production --version 1" in changed
    assert rest == ""
    assert process.returncode == 143
    assert "Traceback" not in err


def test_json_has_one_object_on_each_line_and_ctrl_c_ends_it(repository):
    with watching(repository, "--json") as process:
        first = [json.loads(process.stdout.readline()) for _ in range(2)]
        intend(repository, 1)
        changed = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert [one["environment"] for one in first] == ["staging", "production"]
    assert changed["why"] == "promote of 1 prepared: better"
    assert changed["at"]
    assert process.returncode == 130
    # The error object of every command that is interrupted, and nothing else.
    assert [json.loads(line)["exit_code"] for line in rest.splitlines()] == [130]


def read(master, enough, seconds=60):
    seen = b""
    while not enough(seen):
        ready, _, _ = select.select([master], [], [], seconds)
        assert ready, f"nothing but {seen!r}"
        seen += os.read(master, 65536)
    return seen


def test_a_terminal_is_redrawn_and_ctrl_c_gives_it_back(repository):
    variables = {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    with on_terminal(repository, *WATCH, **variables) as (process, master):
        pty_size(master)
        read(master, lambda seen: seen.count(b"ENVIRONMENT") >= 2)
        intend(repository, 1)
        seen = read(master, lambda seen: b"cut short" in seen)
        os.write(master, b"\x03")
        end = read(master, lambda seen: b"\x1b[?25h" in seen)
        assert process.wait(timeout=60) == 130
        end += rest_of(master)
    assert b"differs" in seen
    assert b"Traceback" not in seen + end
    assert b"error" not in end  # it is how a watch ends


def rest_of(master):
    seen = b""
    with contextlib.suppress(OSError):  # the other side is closed
        while part := os.read(master, 65536):
            seen += part
    return seen


def pty_size(master):
    import fcntl
    import struct
    import termios

    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))


@pytest.mark.parametrize("every", ["0.1s", "often", "2", "25h"])
def test_how_often_must_be_a_time(repository, every):
    done = subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "status", "--watch", "--every", every],
        cwd=repository, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--every" in done.stderr


def test_every_belongs_to_watch(repository):
    done = subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "status", "--every", "5s"],
        cwd=repository, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--every belongs to --watch" in done.stderr
