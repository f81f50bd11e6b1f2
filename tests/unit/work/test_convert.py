"""Other model formats to a SavedModel, with real models of TensorFlow 1 and Keras.

We test these aspects: what each format becomes; guesses of inputs and outputs; what a file really is, whatever
its name; nothing half-written; the reader of signatures against TensorFlow's own models.
"""

import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmcicd_jenkins.adapters.commands import ShellCommands
from mmcicd_jenkins.adapters.convert import Converter
from mmcicd_jenkins.adapters.saved_model import SavedModelFiles, read_signatures
from mmcicd_jenkins.errors import InputError, OutsideFailed

HERE = Path(__file__).parent
pytestmark = pytest.mark.tensorflow
SCORE = {"dtype": "float32", "shape": [-1, 1]}
FEATURES = {"dtype": "float32", "shape": [-1, 2]}


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    subprocess.run(
        [sys.executable, HERE / "tf1_models.py", folder], check=True, capture_output=True, timeout=120
    )
    return folder


def convert(source: Path, target: Path, **named: dict[str, str]):
    return Converter(ShellCommands()).convert(source, target, **named)


def test_what_people_bring_becomes_a_saved_model_that_answers(models: Path, tmp_path: Path) -> None:
    (tmp_path / "keras").mkdir()  # as MMCICD_MODEL_DIR is: there, and empty
    assert convert(models / "frozen.pb", tmp_path / "frozen") == {
        "serving_default": {"inputs": {"features": FEATURES}, "outputs": {"head_score": SCORE}}
    }
    named = convert(
        models / "ckpt", tmp_path / "ckpt", inputs={"x": "features"}, outputs={"y": "head/score:0"}
    )
    assert named == {"serving_default": {"inputs": {"x": FEATURES}, "outputs": {"y": SCORE}}}
    keras = convert(models / "model.keras", tmp_path / "keras")["serving_default"]
    assert (*keras["inputs"].values(), *keras["outputs"].values()) == (FEATURES, SCORE)
    told = subprocess.run(
        [sys.executable, HERE / "predict_all.py", *(str(tmp_path / n) for n in ("frozen", "ckpt", "keras"))],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert told.stdout.split() == ["9.0", "9.0", "9.0"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ckpt", "frozen", "keras"]


def test_a_signature_is_read_as_tensorflow_wrote_it(models: Path) -> None:
    files = SavedModelFiles()
    signature = files.signature(models / "exported", "serving_default")
    assert list(signature["inputs"].values()) == [FEATURES]
    with pytest.raises(InputError, match="no signature 'score'") as caught:
        files.signature(models / "exported", "score")
    assert "serving_default" in caught.value.why


@pytest.mark.parametrize(
    ("source", "what", "why"),
    [
        ("two-ends.pb", "which tensor is the answer", "one, two"),
        ("loose.pb", "not frozen", "VariableV2"),
        ("tf2/weights", "numbers without the model", "no weights.meta"),
    ],
)
def test_what_needs_a_word_of_yours(models: Path, tmp_path: Path, source: str, what: str, why: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        convert(models / source, tmp_path / "target")
    assert why in caught.value.why
    assert caught.value.fix
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("exported", "a SavedModel already"),
        ("exported/saved_model.pb", "a SavedModel already"),
        ("graph.pbtxt", "a graph as text"),
        ("model.weights.h5", "weights of a model without the model"),
        ("absent.pb", "no such file"),
        ("ckpt/model-7.data-00000-of-00001", "no model file that is known"),
    ],
)
def test_what_a_file_really_is(models: Path, tmp_path: Path, source: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        convert(models / source, tmp_path / "target")


def test_a_name_does_not_deceive(models: Path, tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(pickle.dumps({"weights": [1.0]}))
    with pytest.raises(InputError, match="Python pickle"):
        convert(tmp_path / "model.keras", tmp_path / "target")
    shutil.copy(models / "model.keras", tmp_path / "model.pb")
    (tmp_path / "broken.pb").write_bytes((models / "frozen.pb").read_bytes()[:-20])
    with pytest.raises(InputError, match="no model file"):
        convert(tmp_path / "broken.pb", tmp_path / "target")
    (tmp_path / "empty.pb").write_bytes(b"")
    with pytest.raises(InputError, match="no model file"):
        convert(tmp_path / "empty.pb", tmp_path / "target")


def test_nothing_is_overwritten_and_a_python_without_tensorflow_says_so(models: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        convert(models / "frozen.pb", tmp_path / "taken")
    (tmp_path / "python").write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(InputError, match="needs TensorFlow") as caught:
        Converter(ShellCommands(), str(tmp_path / "python")).convert(
            models / "frozen.pb", tmp_path / "target"
        )
    assert "mmcicd-jenkins[tensorflow]" in caught.value.fix
    with pytest.raises(OutsideFailed, match="without an answer") as failed:
        Converter(ShellCommands(), "/bin/false").convert(models / "frozen.pb", tmp_path / "target")
    assert "status 1" in failed.value.why
    assert not (tmp_path / "target").exists()


def test_every_cut_of_a_saved_model_is_told_and_never_crashes(models: Path, tmp_path: Path) -> None:
    whole = (models / "exported" / "saved_model.pb").read_bytes()
    path = tmp_path / "saved_model.pb"
    for end in range(0, len(whole), max(1, len(whole) // 200)):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError):
            read_signatures(tmp_path)
    for position in range(0, len(whole), max(1, len(whole) // 200)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        try:
            read_signatures(tmp_path)
        except InputError as e:
            assert e.why
