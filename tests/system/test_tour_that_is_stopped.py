"""Ctrl-C and SIGTERM in the middle of the tour: the command that it typed ends in order, not by a kill."""

import os
import signal
import subprocess
import sys
import time

import pytest
from paper import MODEL, commit, make_repository
from test_killed_anywhere import update_lock

TOUR = """
import os, signal, sys
from pathlib import Path
from mmcicd_jenkins.cli.demo_tour import Tour
from mmcicd_jenkins.errors import Terminated

def told_to_end(*_):
    raise Terminated("terminated")

signal.signal(signal.SIGTERM, told_to_end)
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    Tour(Path.cwd(), "double").cli("run", "--until", "train")
except (KeyboardInterrupt, Terminated):
    print("the tour ends", file=sys.stderr)
"""
# A trainer that writes its last checkpoint when it is told to stop, which takes longer than an impatient parent waits.
TRAIN = """\
#!/bin/sh
trap 'sleep 1; touch "$MARKS/saved"; exit 1' TERM INT
touch "$MARKS/begun"
while :; do sleep 0.1; done
"""


@pytest.mark.parametrize(("number", "to_all"), [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_the_command_of_the_tour_ends_first(tmp_path, number, to_all):
    repository = make_repository(tmp_path / "repo")
    update_lock(tmp_path)
    commit(repository, "begin", **{"train.sh": TRAIN})
    variables = {
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "MODEL_FIXTURE": str(MODEL),
        "MARKS": str(tmp_path),
    }
    with subprocess.Popen(
        [sys.executable, "-c", TOUR],
        cwd=repository,
        env={**os.environ, **variables},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        while process.poll() is None and not (tmp_path / "begun").exists():
            time.sleep(0.05)
        assert process.poll() is None, process.communicate()
        (os.killpg if to_all else os.kill)(process.pid, number)
        _, told = process.communicate()

    assert "it goes on from its last checkpoint" in told
    assert told.index("it goes on from") < told.index("the tour ends")
    assert (tmp_path / "saved").exists()
