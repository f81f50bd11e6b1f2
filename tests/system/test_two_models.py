"""Two models in one repository: the trouble of one is told and does not keep the other from its turn."""

import json
import os
import subprocess
import sys

from paper import MODEL, commit, make_repository
from test_killed_anywhere import update_lock

SECOND = """\
  broken:
    path: broken
    data: {numbers: {url: data/numbers.csv, label: y, test_size: 0.3}}
    train: sh train.sh
    evaluate: {command: "true"}
    gates: [accuracy >= 0.5]
"""


def run(base, *arguments):
    environment = {**os.environ, "XDG_CACHE_HOME": str(base / "cache"), "MODEL_FIXTURE": str(MODEL)}
    return subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "run", "--until", "evaluate", *arguments],
        cwd=base / "repo",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_model_that_cannot_be_trained_does_not_stop_the_next(tmp_path):
    root = make_repository(tmp_path / "repo")
    config = root / "mmcicd.yaml"
    config.write_text(config.read_text().replace("models:\n", "models:\n" + SECOND))
    (root / "broken").mkdir()
    (root / "broken" / "train.sh").write_text("echo no pandas here >&2; exit 3\n")
    update_lock(tmp_path)
    commit(root, "two models")

    done = run(tmp_path, "--json")
    assert done.returncode == 8
    told = json.loads(done.stdout)
    assert told["exit_code"] == 8
    assert told["models"]["broken"][0]["error"] == "the training of broken failed"
    assert told["models"]["double"][-1]["stage"] == "evaluate"
    assert "no pandas here" in done.stderr

    alone = run(tmp_path, "--model", "broken", "--json")
    assert alone.returncode == 8
    assert json.loads(alone.stdout)["error"] == "the training of broken failed"
