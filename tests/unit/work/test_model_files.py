"""What lies in a model folder, without TensorFlow: signatures, and what training wrote instead.

Models here are written byte by byte; `test_convert.py` reads those of a real TensorFlow.
"""

import os
import time
import zipfile
from pathlib import Path

import pytest

from mmcicd_jenkins.adapters.commands import ShellCommands
from mmcicd_jenkins.adapters.models.saved_model import SavedModelFiles, read_signatures
from mmcicd_jenkins.errors import InputError

EXPORT = 'after model.fit(...): model.export(os.environ["MMCICD_MODEL_DIR"])'


def varint(value: int) -> bytes:
    out = b""
    while True:
        byte, value = value & 0x7F, value >> 7
        out += bytes([byte | (0x80 if value else 0)])
        if not value:
            return out


def field(number: int, value: bytes | int | str) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value % 2**64)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(dtype: int, *sizes: int, unknown_rank: bool = False) -> bytes:
    shape = b"".join(field(2, field(1, size)) for size in sizes) + (field(3, 1) if unknown_rank else b"")
    return field(1, "x:0") + field(2, dtype) + field(3, shape)


def entry(number: int, key: str, value: bytes) -> bytes:
    return field(number, field(1, key) + field(2, value))


def saved_model(*, tags: tuple[str, ...] = ("serve",), graph: bytes = b"") -> bytes:
    predict = (
        entry(1, "age", tensor(9, -1))
        + entry(1, "photo", tensor(7, unknown_rank=True))
        + entry(2, "score", tensor(1, -1, 3))
        + field(3, "tensorflow/serving/predict")
    )
    meta = field(1, b"".join(field(4, tag) for tag in tags)) + field(2, graph)
    meta += entry(5, "serving_default", predict) + entry(5, "__saved_model_init_op", b"")
    return field(1, 1) + field(2, meta)


def write(folder: Path, content: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "saved_model.pb").write_bytes(content)
    return folder


def test_the_signature_of_a_model(tmp_path: Path) -> None:
    found = SavedModelFiles().signature(write(tmp_path, saved_model()), "serving_default")
    assert found == {
        "inputs": {"age": {"dtype": "int64", "shape": [-1]}, "photo": {"dtype": "string", "shape": None}},
        "outputs": {"score": {"dtype": "float32", "shape": [-1, 3]}},
    }
    assert set(read_signatures(tmp_path)) == {"serving_default"}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (saved_model(tags=("train",)), "no graph for serving"),
        (b"", "cannot be parsed"),
        (b"\xff" * 40, "cannot be parsed"),
        (saved_model()[:-3], "cannot be parsed"),
        (
            field(2, field(1, field(4, "serve")) + entry(5, "s", entry(1, "x", tensor(1, *[1] * 400)))),
            "cannot be parsed",
        ),
        (field(2, field(1, field(4, "serve")) + field(5, 7)), "cannot be parsed"),
    ],
    ids=["training-graph", "empty", "noise", "cut", "dimensions", "wrong-kind"],
)
def test_a_model_that_cannot_be_read(tmp_path: Path, content: bytes, what: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        read_signatures(write(tmp_path, content))
    assert caught.value.why
    assert caught.value.fix


def test_a_missing_model_or_signature(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no SavedModel"):
        read_signatures(tmp_path)
    with pytest.raises(InputError, match="no signature 'classify'") as caught:
        SavedModelFiles().signature(write(tmp_path, saved_model()), "classify")
    assert caught.value.why == "its signatures: serving_default"


# --- what training wrote instead ----------------------------------------------------------------------------


def keras_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("config.json", "metadata.json", "model.weights.h5"):
            archive.writestr(name, "{}")


def diagnose(tmp_path: Path, since: float = 0.0) -> tuple[str, str]:
    model = tmp_path / "model"
    model.mkdir(exist_ok=True)
    (tmp_path / "checkout").mkdir(exist_ok=True)
    return SavedModelFiles().diagnose(model, tmp_path / "checkout", since)


def test_a_keras_file_somewhere_in_the_checkout(tmp_path: Path) -> None:
    keras_file(tmp_path / "checkout" / "churn.keras")
    assert diagnose(tmp_path) == (
        "MMCICD_MODEL_DIR is empty; training wrote churn.keras, which TF Serving cannot load",
        EXPORT,
    )


def test_what_was_there_before_is_not_blamed(tmp_path: Path) -> None:
    keras_file(tmp_path / "checkout" / "old.keras")
    os.utime(tmp_path / "checkout" / "old.keras", (1, 1))
    keras_file(tmp_path / "checkout" / ".git" / "inside.keras")
    why, fix = diagnose(tmp_path, time.time() - 60)
    assert why == "MMCICD_MODEL_DIR is empty, and training wrote no model file anywhere in checkout"
    assert fix == EXPORT


@pytest.mark.parametrize(
    ("name", "content", "why", "fix"),
    [
        ("export/1/saved_model.pb", saved_model(), "wrote export/1, a SavedModel in another place", "without a version below it"),
        ("out/graph.pb", field(1, field(1, "x") + field(2, "Placeholder")) + field(4, b""), "graph.pb, a TensorFlow 1 graph", 'convert out/graph.pb "$MMCICD_MODEL_DIR"'),
        ("-x; y.pb", field(1, field(1, "x") + field(2, "Placeholder")), "-x; y.pb", "convert './-x; y.pb' "),
        ("ckpt-9.index", b"\0\0", "ckpt-9.index, a TensorFlow checkpoint", "restore the checkpoint"),
        ("m.h5", b"\x89HDF\r\n\x1a\n", "m.h5, which TF Serving cannot load", EXPORT),
        ("m.weights.h5", b"\x89HDF\r\n\x1a\n", "weights of a model without the model", EXPORT),
        ("m.tflite", b"\x1c\0\0\0TFL3", "TensorFlow Lite", "model.export"),
        ("m.pt", b"PK\x03\x04x", "wrote m.pt", "model.export"),
        ("m.pkl", b"\x80\x04K\x01.", "a Python pickle", "TensorFlow models only"),
        ("m.onnx", b"\x08\x07", "an ONNX model", "onnx2tf"),
        ("m.pbtxt", b"node {\n name: 'x' }", "a graph as text", "as_text=False"),
    ],
)  # fmt: skip
def test_each_kind_of_file_has_its_own_line(
    tmp_path: Path, name: str, content: bytes, why: str, fix: str
) -> None:
    path = tmp_path / "checkout" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    told, line = diagnose(tmp_path)
    assert why in told
    assert fix in line


def test_what_lies_in_the_model_folder_is_named_first(tmp_path: Path) -> None:
    keras_file(tmp_path / "model" / "model.keras")
    keras_file(tmp_path / "checkout" / "other.keras")
    assert (
        diagnose(tmp_path)[0]
        == "training wrote model.keras into MMCICD_MODEL_DIR, which TF Serving cannot load"
    )
    write(tmp_path / "model" / "1", saved_model())
    (tmp_path / "model" / "model.keras").unlink()
    assert "1 into MMCICD_MODEL_DIR, a SavedModel in another place" in diagnose(tmp_path)[0]


def test_a_shell_script_trains_too(tmp_path: Path) -> None:
    """The contract asks for a SavedModel and exit 0; a `cp` gives both."""
    write(tmp_path / "prepared", saved_model())
    (tmp_path / "train.sh").write_text(
        '#!/bin/sh\nset -e\ncp -r prepared/. "$MMCICD_MODEL_DIR"\necho "epochs: 1"\n'
    )
    (tmp_path / "train.sh").chmod(0o755)
    (tmp_path / "a b'c").mkdir()
    ended = ShellCommands().run(
        "./train.sh",
        directory=tmp_path,
        variables={"MMCICD_MODEL_DIR": str(tmp_path / "a b'c")},
        log=tmp_path / "train.log",
        timeout_seconds=60,
    )
    assert (ended.status, ended.last_lines) == (0, ("epochs: 1",))
    assert "serving_default" in read_signatures(tmp_path / "a b'c")
