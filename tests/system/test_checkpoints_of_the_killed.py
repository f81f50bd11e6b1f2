"""A checkpoint that a killed training left: resumed from; and set aside, not deleted, when nothing can be done with it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from paper import MODEL, commit, make_repository
from test_killed_anywhere import update_lock
from test_the_road import road

# Hangs in the middle of writing its checkpoint at the first start; later it refuses what is not whole.
TRAIN = """\
#!/bin/sh
set -eu
state="$MMCICD_CHECKPOINT_DIR/state"
if [ -f "$state" ]; then
  grep -q whole "$state" || { echo "cannot read the checkpoint" >&2; exit 1; }
  echo resumed > resumed.log
elif [ ! -f killed.log ]; then
  printf "$(cat written.txt)" > "$state"
  touch killed.log
  sleep 60
fi
cp -R "$MODEL_FIXTURE"/. "$MMCICD_MODEL_DIR"/
cp factor.txt "$MMCICD_MODEL_DIR"/assets_factor.txt
"""


@pytest.fixture
def base(tmp_path):
    make_repository(tmp_path / "repo")
    (tmp_path / "repo" / "train.sh").write_text(TRAIN)
    update_lock(tmp_path)
    return tmp_path


def kill_the_training(base):
    driver = Path(__file__).with_name("driver.py")
    environment = {**os.environ, "XDG_CACHE_HOME": str(base / "cache"), "MODEL_FIXTURE": str(MODEL)}
    process = subprocess.Popen(
        [sys.executable, driver, base / "repo", "road"], env=environment, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not (base / "repo/killed.log").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_half_written_checkpoint_fails_once_and_is_set_aside(base):
    commit(base / "repo", "begin", written_txt="half")
    kill_the_training(base)
    error = road(base, code=8)
    assert "cannot read the checkpoint" in json.dumps(error)
    assert "trains from the beginning" in error["fix"]
    [aside] = (base / "repo/.mmcicd/checkpoints").glob("*.aside")
    assert (aside / "state").read_text() == "half"
    assert road(base)["train"]["exit_code"] == 0
    assert not (base / "repo/resumed.log").exists()
    assert not list((base / "repo/.mmcicd/checkpoints").iterdir())


def test_a_whole_checkpoint_is_resumed(base):
    commit(base / "repo", "begin", written_txt="whole")
    kill_the_training(base)
    road(base)
    assert (base / "repo/resumed.log").exists()


def test_a_checkpoint_of_a_training_that_failed_by_itself_stays(base):
    script = base / "repo" / "train.sh"
    script.write_text(TRAIN.replace("sleep 60", "exit 1"))
    commit(base / "repo", "begin", written_txt="half")
    for _ in range(2):
        assert "resumes from the checkpoint" in road(base, code=8)["fix"]
    assert not list((base / "repo/.mmcicd/checkpoints").glob("*.aside"))
