"""What a train script may use: inside the contract, by hand, and after a killed training."""

import doctest
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mmcicd_jenkins import training

HERE = Path(__file__).parent


@pytest.fixture
def by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("MMCICD_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_examples_in_the_documentation(by_hand: Path) -> None:
    assert doctest.testmod(training).failed == 0


def test_the_contract_is_read(by_hand: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (by_hand / "data" / "rows").mkdir(parents=True)
    (by_hand / "params.json").write_text('{"epochs": 9}')
    for name, value in {
        "DATA_DIR": "data",
        "MODEL_DIR": "model",
        "PARAMS": "params.json",
        "METRICS": "m.jsonl",
        "SEED": "5",
        "CHECKPOINT_DIR": "c/d",
    }.items():
        monkeypatch.setenv(f"MMCICD_{name}", str(by_hand / value) if name != "SEED" else value)
    assert training.params(epochs=1, rate=0.5) == {"epochs": 9, "rate": 0.5}
    assert training.data_dir("rows") == by_hand / "data" / "rows"
    assert training.model_dir() == by_hand / "model"
    assert training.checkpoint_dir().is_dir()
    assert training.seed() == 5
    training.log_metrics(1, {"loss": 0.5, "auc": float("nan")})
    training.log_metrics(2, {"loss": 0.25, "auc": 0.75}, name="step")
    lines = [json.loads(line) for line in (by_hand / "m.jsonl").read_text().splitlines()]
    assert lines == [{"epoch": 1, "loss": 0.5, "auc": None}, {"step": 2, "loss": 0.25, "auc": 0.75}]
    with pytest.raises(FileNotFoundError, match="there is rows"):
        training.data_dir("columns")


def test_by_hand_everything_has_a_place(by_hand: Path) -> None:
    assert training.model_dir() == Path(".mmcicd/by-hand/model")
    with pytest.raises(FileNotFoundError, match="stage data"):
        training.data_dir()
    (by_hand / ".mmcicd" / "data" / "a" / "train" / "rows").mkdir(parents=True)
    (by_hand / ".mmcicd" / "data" / "a" / "complete.json").write_text("{}")
    assert training.data_dir("rows").is_dir()


def test_a_loop_of_ones_own_is_told_to_stop(by_hand: Path) -> None:
    with training.stop_signal() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked
        with pytest.raises(SystemExit) as caught:
            stop.now()
    assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_the_file_works_alone_and_imports_nothing_heavy(by_hand: Path) -> None:
    (by_hand / "training.py").write_bytes(Path(training.__file__).read_bytes())
    code = "import training, sys; training.seed(); print(training.params(a=1), 'numpy' in sys.modules, 'mmcicd_jenkins' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, '.'); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "{'a': 1} False False\n"


def train(folder: Path, **variables: str) -> int:
    (folder / "params.json").write_text('{"epochs": 4}')
    (folder / "metrics.jsonl").unlink(missing_ok=True)  # as the stage does
    contract = {
        "MMCICD_PARAMS": "params.json",
        "MMCICD_METRICS": "metrics.jsonl",
        "MMCICD_CHECKPOINT_DIR": "checkpoints",
        "MMCICD_MODEL_DIR": "model",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    done = subprocess.run(
        [sys.executable, HERE / "train_with_helpers.py"],
        cwd=folder,
        env={**os.environ, **contract, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode


@pytest.mark.tensorflow
def test_a_killed_training_goes_on_as_if_nothing_had_been(by_hand: Path) -> None:
    assert train(by_hand, KILL_AFTER="1", KILL_WITH="SIGTERM") == 143
    assert train(by_hand, KILL_AFTER="3", KILL_WITH="SIGKILL") == -9
    assert train(by_hand) == 0
    lines = [json.loads(line) for line in (by_hand / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    undisturbed = json.loads((by_hand / "undisturbed.json").read_text())
    assert [line["loss"] for line in lines] == pytest.approx(undisturbed)
    assert (by_hand / "model" / "saved_model.pb").is_file()
