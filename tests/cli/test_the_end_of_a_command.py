"""A command ends at once when its work is done, and what must happen at the end still happens."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BUFFERED = {**os.environ, "PYTHONUNBUFFERED": ""}
FRAME = """
import atexit, sys, tempfile, threading, time, types
from pathlib import Path
from mmcicd_jenkins.cli import frame
import click

@click.command()
def command():
{body}

module = sys.modules["mmcicd_jenkins.cli.working"] = types.ModuleType("working")
module.command = command
sys.argv = ["mmcicd-jenkins", "work"]
frame.run_command_line({{"work": ("working", "Works")}})
"""


def ended(folder, body):
    code = FRAME.format(body="\n".join(f"    {line}" for line in body.splitlines()))
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )


def test_what_was_said_is_said_to_the_end(tmp_path):
    done = ended(tmp_path, "print('x' * 200_000, end='')\nsys.stderr.write('told')\nreturn 4")
    assert (len(done.stdout), done.stderr, done.returncode) == (200_000, "told", 4)


def test_what_was_put_off_to_the_end_is_done(tmp_path):
    body = (
        "place = tempfile.TemporaryDirectory(dir='.', prefix='left-')\n"
        "command.kept = place\n"
        "atexit.register(lambda: Path('said').write_text('good-bye'))"
    )
    assert ended(tmp_path, body).returncode == 0
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("said", "good-bye")]


def test_a_thread_is_waited_for(tmp_path):
    body = (
        "def work():\n"
        "    time.sleep(0.5)\n"
        "    Path('written').write_text('whole')\n"
        "threading.Thread(target=work).start()\n"
        "return 5"
    )
    assert ended(tmp_path, body).returncode == 5
    assert (tmp_path / "written").read_text() == "whole"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_stream_that_nobody_reads_is_no_bug(tmp_path, stream):
    code = FRAME.format(body=f"    sys.{stream}.write('x'); return 3")
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=BUFFERED,
    ) as process:
        getattr(process, stream).close()
        other = process.stderr if stream == "stdout" else process.stdout
        assert other.read() == b""
        assert process.wait(60) in {0, 3}


def test_a_full_disk_under_the_output_is_told(tmp_path):
    code = FRAME.format(body="    print('x'); return 0")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            env=BUFFERED,
        )
    assert done.returncode == 5
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr
