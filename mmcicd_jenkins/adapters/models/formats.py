"""What a file of a model really is, by its bytes and not by its name; and what to write instead.

Used when training ends without a SavedModel, and by `convert` to say what it was given.
"""

import mmap
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from mmcicd_jenkins.adapters.models import proto_wire as wire
from mmcicd_jenkins.records import dataclass

EXPORT = 'model.export(os.environ["MMCICD_MODEL_DIR"])'
CONVERT = 'mmcicd-jenkins convert {name} "$MMCICD_MODEL_DIR"'
# Where no training writes its model, and where looking takes long.
NOT_LOOKED_INTO = {".git", ".mmcicd", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".pytest_cache"}
MOST_ENTRIES = 50_000
# graph.proto: node 1, library 2, version 3 (a number, long deprecated), versions 4, debug_info 5.
GRAPH_VERSION, MOST_GRAPH_FIELD = 3, 5


@dataclass(frozen=True, kw_only=True)
class Format:
    """A kind of model file. `convertible`: `convert` makes a SavedModel of it. `fix` is the line to add."""

    name: str
    words: str
    convertible: bool
    fix: str


SAVED_MODEL = Format(
    name="saved-model",
    words="a SavedModel",
    convertible=False,
    fix='export straight into the folder, without a version below it: model.export(os.environ["MMCICD_MODEL_DIR"])',
)
KERAS = Format(name="keras", words="a Keras file", convertible=True, fix=f"after model.fit(...): {EXPORT}")
HDF5 = Format(
    name="hdf5", words="an HDF5 file of Keras", convertible=True, fix=f"after model.fit(...): {EXPORT}"
)
WEIGHTS = Format(
    name="weights",
    words="the weights of a model without the model",
    convertible=False,
    fix=f"after model.fit(...): {EXPORT}",
)
FROZEN_GRAPH = Format(
    name="frozen-graph",
    words="a TensorFlow 1 graph",
    convertible=True,
    fix="end the train command with: " + CONVERT,
)
CHECKPOINT = Format(
    name="checkpoint",
    words="a TensorFlow checkpoint",
    convertible=True,
    fix=f"rebuild the model, restore the checkpoint, then: {EXPORT}",
)
GRAPH_TEXT = Format(
    name="graph-text",
    words="a graph as text",
    convertible=False,
    fix="write it in binary form, as_text=False",
)
TFLITE = Format(
    name="tflite",
    words="a TensorFlow Lite model",
    convertible=False,
    fix=f"keep the model that it was made from, and: {EXPORT}",
)
PYTORCH = Format(
    name="pytorch",
    words="a PyTorch file",
    convertible=False,
    fix="TF Serving serves TensorFlow models only: train with TensorFlow",
)
ONNX = Format(
    name="onnx",
    words="an ONNX model",
    convertible=False,
    fix="convert it to a SavedModel with onnx2tf in the train command",
)
PICKLE = Format(
    name="pickle",
    words="a Python pickle, as scikit-learn writes it",
    convertible=False,
    fix="TF Serving serves TensorFlow models only: write the model with TensorFlow or Keras",
)
UNKNOWN = Format(
    name="unknown",
    words="no model file that is known here",
    convertible=False,
    fix=f"after model.fit(...): {EXPORT}",
)

_SUFFIXES = (".keras", ".h5", ".hdf5", ".pb", ".pbtxt", ".index", ".tflite", ".onnx", ".pt", ".pth", ".safetensors", ".pkl", ".pickle", ".joblib")  # fmt: skip


def recognise(path: Path) -> Format:
    """What `path` is: a file, a folder, or the prefix of a checkpoint."""
    if path.is_dir():
        if (path / "saved_model.pb").is_file() or (path / "saved_model.pbtxt").is_file():
            return SAVED_MODEL
        return CHECKPOINT if (path / "checkpoint").is_file() else UNKNOWN
    if path.suffix == ".index" or path.with_name(path.name + ".index").is_file():
        return CHECKPOINT
    with path.open("rb") as file:
        head = file.read(4096)
    return _by_bytes(path, head)


def _by_bytes(path: Path, head: bytes) -> Format:
    if head.startswith(b"PK\x03\x04"):
        return _zipped(path)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return WEIGHTS if path.name.endswith((".weights.h5", ".weights.hdf5")) else HDF5
    if head[4:8] == b"TFL3":
        return TFLITE
    if path.suffix == ".onnx":
        return ONNX
    if path.suffix in {".pt", ".pth", ".safetensors"}:
        return PYTORCH
    if head[:1] == b"\x80" and head[1:2] in {b"\x02", b"\x03", b"\x04", b"\x05"}:
        return PICKLE
    if head.lstrip().startswith((b"node {", b"node{", b"versions {", b"meta_graphs {")):
        return GRAPH_TEXT
    if path.name == "saved_model.pb" or head.startswith(
        b"\x08\x01\x12"
    ):  # schema version 1, then a meta graph
        return SAVED_MODEL
    return FROZEN_GRAPH if _is_graph(path) else UNKNOWN


def _zipped(path: Path) -> Format:
    import zipfile  # a training that exports what it should never comes here

    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return UNKNOWN
    if "config.json" in names and "metadata.json" in names:
        return KERAS
    return PYTORCH if any(name.endswith("data.pkl") for name in names) else UNKNOWN


def _is_graph(path: Path) -> bool:
    """A GraphDef: fields 1 (nodes), 2 (library), 4 (versions), and a first node with a name and an op."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            first = None
            for number, value in wire.fields(content, 0, len(content)):
                if number > MOST_GRAPH_FIELD or isinstance(value, int) != (number == GRAPH_VERSION):
                    return False
                if number == 1 and not isinstance(value, int):
                    first = first or value
            if first is None:
                return False
            texts = [wire.text(content, next(wire.messages(content, first, number))) for number in (1, 2)]
    except (ValueError, StopIteration):  # an empty file cannot be mapped, which is a ValueError too
        return False
    return all(text.isprintable() and text for text in texts)


def what_training_wrote(directory: Path, checkout: Path, since: float) -> tuple[str, str]:
    """Why there is no SavedModel in `directory`, and the line that would put one there.

    Looks into the folder first, then for model files that appeared in the checkout after `since`.
    """
    inside = next(iter(sorted(_candidates(directory, 0.0))), None)
    if inside is not None:
        return _told(
            inside.relative_to(directory), inside, "training wrote {name} into MMCICD_MODEL_DIR, {words}"
        )
    beginning = (
        "MMCICD_MODEL_DIR is empty" if not _has_files(directory) else "MMCICD_MODEL_DIR holds no model"
    )
    written = max(_candidates(checkout, since), key=lambda path: path.stat().st_mtime, default=None)
    if written is not None:
        return _told(written.relative_to(checkout), written, beginning + "; training wrote {name}, {words}")
    return f"{beginning}, and training wrote no model file anywhere in {checkout.name}", KERAS.fix


def _told(shown: Path, path: Path, sentence: str) -> tuple[str, str]:
    found = recognise(path)
    words = {
        KERAS.name: "which TF Serving cannot load",
        HDF5.name: "which TF Serving cannot load",
        SAVED_MODEL.name: "a SavedModel in another place",
    }.get(found.name, f"{found.words}, which TF Serving cannot load")
    name = shown.as_posix()
    return sentence.format(name=name, words=words), found.fix.format(
        name=_quoted(name)
    ) if "{name}" in found.fix else found.fix


def _quoted(name: str) -> str:
    return shlex.quote(name if not name.startswith("-") else f"./{name}")


def _has_files(directory: Path) -> bool:
    return directory.is_dir() and any(directory.iterdir())


def _candidates(root: Path, since: float) -> Iterator[Path]:
    """Model files below `root`, written after `since`; a SavedModel is its folder."""
    seen = 0
    for folder, names, leaves in os.walk(root):
        names[:] = [name for name in names if name not in NOT_LOOKED_INTO]
        seen += len(leaves)
        if seen > MOST_ENTRIES:
            return
        for name in leaves:
            path = Path(folder) / name
            if name.endswith(_SUFFIXES) and path.is_file() and path.stat().st_mtime >= since:
                yield path.parent if name.startswith("saved_model.pb") and path.parent != root else path
