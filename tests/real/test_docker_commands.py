"""Commands of a model that names an image, in real containers: what they see, who they are, how they end.

We test: folders, user and variables inside; status and last lines; a time limit; SIGTERM reaches the training itself; what a
killed process left is removed; a command that runs in its image already; an image without a shell.
"""

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from mmcicd_jenkins.adapters.commands import ShellCommands
from mmcicd_jenkins.adapters.docker.commands import ImageCommands

pytestmark = pytest.mark.real
IMAGE = "mmcicd-test/serving:1"
LABEL = "io.mmcicd.container=command"


@pytest.fixture
def runner(serving_base, networked, engine, tmp_path):
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    commands = ImageCommands(ShellCommands(), lambda: engine, checkout, grace_seconds=3)

    def run(command, log="train.log", timeout_seconds=60, **variables):
        lines = []
        finished = commands.run(
            command,
            directory=checkout,
            variables={"MMCICD_IMAGE": IMAGE, **variables},
            log=tmp_path / "logs" / log,
            timeout_seconds=timeout_seconds,
            on_line=lines.append,
        )
        return finished, lines

    run.checkout = checkout
    run.logs = tmp_path / "logs"
    yield run
    assert containers(networked) == []


def containers(docker):
    return docker("ps", "--all", "--quiet", "--filter", f"label={LABEL}").decode().split()


def test_it_reads_the_checkout_and_writes_where_it_was_told(runner, tmp_path):
    (runner.checkout / "train.txt").write_text("hello\n")
    outside = tmp_path / "checkpoints"
    outside.mkdir()
    finished, lines = runner(
        'cat train.txt; cp train.txt "$MMCICD_MODEL_DIR/out"; touch "$MMCICD_CHECKPOINT_DIR/c"; pwd >/dev/null; id',
        MMCICD_MODEL_DIR=str(runner.checkout),
        MMCICD_CHECKPOINT_DIR=str(outside),
    )
    assert finished.status == 0, lines
    assert lines[0] == "hello"
    assert f"uid={os.getuid()}" in lines[1]
    assert (runner.checkout / "out").stat().st_uid == os.getuid()
    assert (outside / "c").exists()
    assert "hello" in (runner.logs / "train.log").read_text()


def test_variables_of_this_machine_and_our_credentials_stay_outside(runner, monkeypatch):
    monkeypatch.setenv("MMCICD_REGISTRY_PASSWORD", "hush-hush-hush")
    monkeypatch.setenv("WANDB_PROJECT", "churn")
    _, lines = runner("env", MMCICD_SEED="7")
    seen = dict(line.partition("=")[::2] for line in lines)
    assert (seen["MMCICD_SEED"], seen["WANDB_PROJECT"], seen["PATH"]) == ("7", "churn", "/bin")
    assert "MMCICD_REGISTRY_PASSWORD" not in seen
    assert seen["HOME"] == "/tmp"


def test_a_failing_command_keeps_status_and_last_lines(runner):
    finished, _ = runner("echo one; echo two >&2; exit 3")
    assert finished.status == 3
    assert sorted(finished.last_lines) == ["one", "two"]
    assert runner("nonsense-command")[0].status == 127


def test_what_a_command_leaves_running_does_not_hold_it(runner):
    started = time.monotonic()
    finished, _ = runner("sleep 600 & echo done")
    assert (finished.status, finished.last_lines) == (0, ("done",))
    assert time.monotonic() - started < 60


def test_a_time_limit_ends_it(runner):
    started = time.monotonic()
    finished, _ = runner("trap '' TERM; echo on; sleep 600", timeout_seconds=2)
    assert finished.timed_out
    assert "still running after 2 s" in finished.why
    assert time.monotonic() - started < 60


def test_an_image_without_a_shell_is_told(runner, docker, engine):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("nothing"))
    docker("import", "-", "mmcicd-test/empty:1", stdin=content.getvalue())
    finished, _ = runner("true", MMCICD_IMAGE="mmcicd-test/empty:1")
    assert finished.status == 127
    assert "/bin/sh" in finished.last_lines[-1]


def test_in_its_image_already_it_runs_directly(runner, monkeypatch):
    monkeypatch.setenv("MMCICD_IN_IMAGE", "registry.example/train:3")
    finished, _ = runner("test -x /usr/bin/env && echo here", MMCICD_IMAGE_NAME="registry.example/train:3")
    assert finished.last_lines == ("here",)


RUN = """
import os, sys
from pathlib import Path
from mmcicd_jenkins.adapters.commands import ShellCommands
from mmcicd_jenkins.adapters.docker.commands import ImageCommands
from mmcicd_jenkins.adapters.docker.engine import DockerEngine
commands = ImageCommands(ShellCommands(), lambda: DockerEngine.open(os.environ), Path({checkout!r}), grace_seconds=20)
commands.run({command!r}, directory=Path({checkout!r}), variables={{"MMCICD_IMAGE": {image!r}}},
             log=Path({log!r}), timeout_seconds=60, on_line=lambda line: print(line, flush=True))
"""
# The shell waits for a child: only a signal to the whole group reaches it.
TRAINING = (
    "sh -c 'trap \"echo saved > checkpoint; echo saved; exit 5\" TERM; echo training; while true; do sleep 1; done'; "
    "echo after"
)


def start(runner, docker, **more):
    code = RUN.format(
        checkout=str(runner.checkout), command=TRAINING, image=IMAGE, log=str(runner.logs / "train.log")
    )
    environment = {**os.environ, **({"DOCKER_HOST": docker.host} if docker.host else {}), **more}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_sigterm_reaches_the_training_which_saves(runner, docker):
    process = start(runner, docker)
    assert process.stdout.readline() == "training\n"
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert "mmcicd_jenkins.errors.Terminated" in errors
    assert (runner.checkout / "checkpoint").read_text() == "saved\n"


def test_what_a_killed_process_left_is_removed_by_the_next_command(runner, docker):
    process = start(runner, docker)
    assert process.stdout.readline() == "training\n"
    process.kill()
    process.communicate()
    assert len(containers(docker)) == 1
    finished, _ = runner("echo next")
    assert finished.last_lines == ("next",)


def test_killed_before_it_starts_it_leaves_nothing_for_the_next(runner, docker):
    process = start(runner, docker, MMCICD_TESTING="1", MMCICD_FAILPOINTS="docker.command-made=kill")
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len(containers(docker)) == 1
    assert runner("echo next")[0].status == 0


def test_the_scorer_of_ours_is_only_read(runner, tmp_path):
    program = tmp_path / "ours" / "scorer.py"
    program.parent.mkdir()
    program.write_text("x")
    finished, _ = runner('cat "$MMCICD_SCORER" && touch "$MMCICD_SCORER"', MMCICD_SCORER=str(program))
    assert finished.status != 0
    assert any("Read-only" in line for line in finished.last_lines)
    assert Path(program).read_text() == "x"
