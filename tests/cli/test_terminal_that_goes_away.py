"""A closed terminal ends a command as SIGTERM does: in order, with a code of its own, and it is no bug of ours."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from own_terminal import on_terminal

# The frame around a command that works for a while and then has something to tidy up.
WORKING = """
import os, signal, sys, time, types
from mmcicd_jenkins.cli import frame, report
import click

@click.command()
def command():
    try:
        print("works", flush=True)
        time.sleep(60)
    finally:
        report.say("tidies up")
        open("tidied", "w").close()

module = sys.modules["mmcicd_jenkins.cli.working"] = types.ModuleType("working")
module.command = command
sys.argv = ["mmcicd-jenkins", "work"]
frame.run_command_line({"work": ("working", "Works")})
"""


def wait_for(text: bytes, master: int) -> None:
    seen = b""
    while text not in seen:
        ready, _, _ = select.select([master], [], [], 60)
        assert ready, f"nothing but {seen!r}"
        seen += os.read(master, 4096)


def test_a_question_whose_terminal_is_closed_is_no_bug(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("# mine\n")
    with on_terminal(tmp_path, "generate", TMPDIR=str(tmp_path)) as (process, master):
        wait_for(b"Model [", master)

    assert process.returncode in {130, 143}
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_what_works_tidies_up(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WORKING], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"works\n"
        process.send_signal(number)
        _, told = process.communicate(timeout=60)

    assert process.returncode == 143
    assert (tmp_path / "tidied").exists()
    assert b"Traceback" not in told


# As `nohup` starts a command, from a shell that may ignore Ctrl-C.
NOHUP = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.default_int_handler)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def test_under_nohup_it_goes_on(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", NOHUP, "-c", WORKING],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"works\n"
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGINT)

    assert process.returncode == 130
