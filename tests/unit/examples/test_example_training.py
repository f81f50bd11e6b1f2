"""The examples do what a newcomer sees first: their own tests pass, and training reaches the gate and resumes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmcicd_jenkins.render.scaffold import EXAMPLES, example_files

pytestmark = pytest.mark.tensorflow

# What a train script of the example may use and nothing more; the rest of the variables is the machine's.
PARAMS = {"tabular": {"epochs": 30, "learning_rate": 0.01}}


def write_example(folder: Path, name: str) -> None:
    for file in example_files(EXAMPLES[name], "m"):
        (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
        (folder / file.path).write_bytes(file.content)


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_the_examples_own_tests_pass(tmp_path: Path, name: str) -> None:
    write_example(tmp_path, name)
    # As a team runs them: their folder alone, with none of our settings.
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(tmp_path), "tests"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_tabular_example_resumes_and_reaches_its_gate(tmp_path: Path) -> None:
    write_example(tmp_path, "tabular")
    rows = (tmp_path / "data/tumours.csv").read_text().splitlines()
    data = tmp_path / "work/data/tumours"
    data.mkdir(parents=True)
    # Every fifth row is kept from training.
    test = [row for n, row in enumerate(rows[1:]) if n % 5 == 0]
    train = [row for n, row in enumerate(rows[1:]) if n % 5]
    (data / "train.csv").write_text("\n".join([rows[0], *train]) + "\n")
    (tmp_path / "test.csv").write_text("\n".join([rows[0], *test]) + "\n")
    (tmp_path / "params.json").write_text(json.dumps(PARAMS["tabular"]))
    variables = {
        **os.environ,
        "MMCICD_DATA_DIR": str(data.parent),
        "MMCICD_PARAMS": str(tmp_path / "params.json"),
        "MMCICD_SEED": "0",
        "MMCICD_CHECKPOINT_DIR": str(tmp_path / "checkpoints"),
        "MMCICD_METRICS": str(tmp_path / "curves.jsonl"),
        "MMCICD_MODEL_DIR": str(tmp_path / "model"),
    }
    # The machine goes away after the eleventh epoch; the same command goes on with the twelfth.
    score = (
        "import train\nwhole = train.write_curves\n"
        "def lost(path):\n"
        "    curves = whole(path)\n    write = curves.on_epoch_end\n"
        "    def end(epoch, logs):\n        write(epoch, logs)\n        if epoch == 10: raise ConnectionError\n"
        "    curves.on_epoch_end = end\n    return curves\n"
        "train.write_curves = lost\n"
        "try: train.main()\nexcept ConnectionError: pass\n"
        "train.write_curves = whole\ntrain.main()\n"
        "import tensorflow as tf\nfrom sklearn.metrics import roc_auc_score\n"
        "measurements, malignant = train.load('test.csv')\n"
        "signature = tf.saved_model.load('model').signatures['serving_default']\n"
        "(answers,) = signature(measurements=tf.constant(measurements)).values()\n"
        "print('AUC', roc_auc_score(malignant, answers.numpy()[:, 0]))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", score],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split("AUC ")[1]) >= 0.97
    curves = [json.loads(line) for line in (tmp_path / "curves.jsonl").read_text().splitlines()]
    assert [point["epoch"] for point in curves] == list(range(1, 31))
    assert curves[-1]["loss"] < curves[0]["loss"]
