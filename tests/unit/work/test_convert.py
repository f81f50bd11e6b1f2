"""Other model formats to a SavedModel, with real models of TensorFlow 1 and Keras.

We test these aspects: what each format becomes; guesses of inputs and outputs; what a file really is, whatever
its name; nothing half-written; the reader of signatures against TensorFlow's own models.
"""

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmcicd_jenkins.adapters.commands import ShellCommands
from mmcicd_jenkins.adapters.models.convert import Converter
from mmcicd_jenkins.adapters.models.saved_model import SavedModelFiles, read_signatures
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


def check(folder: Path, *, load: list[Path], convert: list[list[object]]) -> dict[str, list]:
    """Load and convert in one process that has TensorFlow."""
    (folder / "request").write_text(json.dumps({"load": load, "convert": convert}, default=str))
    command = [sys.executable, HERE / "check_converted.py", folder / "request", folder / "answer"]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return json.loads((folder / "answer").read_text())


def test_what_people_bring_becomes_a_saved_model_that_answers(models: Path, tmp_path: Path) -> None:
    frozen, keras, ckpt = (tmp_path / "made" / name for name in ("frozen", "keras", "ckpt"))
    keras.mkdir(parents=True)  # as MMCICD_MODEL_DIR is: there, and empty
    assert convert(models / "frozen.pb", frozen) == {
        "serving_default": {"inputs": {"features": FEATURES}, "outputs": {"head_score": SCORE}}
    }
    signature = convert(models / "model.keras", keras)["serving_default"]
    assert (*signature["inputs"].values(), *signature["outputs"].values()) == (FEATURES, SCORE)
    assert sorted(path.name for path in keras.parent.iterdir()) == ["frozen", "keras"]
    named = ["convert_checkpoint", models / "ckpt", ckpt, {"x": "features"}, {"y": "head/score:0"}]
    wrong = [
        ["convert_frozen", models / "two-ends.pb", tmp_path / "no", {}, {}],
        ["convert_frozen", models / "loose.pb", tmp_path / "no", {}, {}],
        ["convert_checkpoint", models / "tf2" / "weights", tmp_path / "no", {}, {}],
        ["convert_frozen", models / "frozen.pb", tmp_path / "no", {"x": "feature"}, {}],
        ["convert_keras", models / "frozen.pb", tmp_path / "no.keras"],
    ]
    checked = check(tmp_path, load=[frozen, keras, ckpt], convert=[named, *wrong])
    assert checked["answers"] == [9.0, 9.0, 9.0]
    assert read_signatures(ckpt) == {"serving_default": {"inputs": {"x": FEATURES}, "outputs": {"y": SCORE}}}
    told = [(answer["error"], answer["why"]) for answer in checked["told"][1:]]
    assert told[0] == ("which tensor is the answer?", "these end the graph: one, two")
    assert told[1][0] == "the graph is not frozen: it has variables and no values for them"
    assert told[2][0] == "this checkpoint holds numbers without the model they belong to"
    assert "no weights.meta" in told[2][1]
    assert told[3][0] == "the graph has no tensor 'feature'"
    assert told[4][0] == "Keras cannot load this file here"
    assert all(answer["fix"] for answer in checked["told"][1:])


def test_a_signature_is_read_as_tensorflow_wrote_it(models: Path) -> None:
    files = SavedModelFiles()
    signature = files.signature(models / "exported", "serving_default")
    assert list(signature["inputs"].values()) == [FEATURES]
    with pytest.raises(InputError, match="no signature 'score'") as caught:
        files.signature(models / "exported", "score")
    assert "serving_default" in caught.value.why


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
