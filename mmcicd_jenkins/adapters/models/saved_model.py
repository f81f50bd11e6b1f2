"""What lies in a model directory: `ports.SavedModels`, read without TensorFlow and without running anything.

Field numbers are those of saved_model.proto, meta_graph.proto and tensor_shape.proto of TensorFlow.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from mmcicd_jenkins.adapters.models import proto_wire as wire
from mmcicd_jenkins.adapters.models.formats import what_training_wrote
from mmcicd_jenkins.adapters.models.scan import scan_model
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.release.operations import Concern

SERVE = "serve"
# types.proto; a reference type is its type plus 100.
DTYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string", 8: "complex64",
    9: "int64", 10: "bool", 11: "qint8", 12: "quint8", 13: "qint32", 14: "bfloat16", 15: "qint16",
    16: "quint16", 17: "uint16", 18: "complex128", 19: "float16", 20: "resource", 21: "variant", 22: "uint32",
    23: "uint64",
}  # fmt: skip
# No model has so many dimensions; a hostile file may say so.
MOST_DIMENSIONS = 255

Tensor = Mapping[str, object]
Signature = Mapping[str, Mapping[str, Tensor]]


class SavedModelFiles:
    """`ports.SavedModels`."""

    def signature(self, directory: Path, name: str) -> Mapping[str, object]:
        found = read_signatures(directory)
        if name not in found:
            have = ", ".join(sorted(found)) or "none"
            raise InputError(
                f"the model has no signature {name!r}",
                where=str(directory),
                why=f"its signatures: {have}",
                fix="export one with that name, or set evaluate: {signature: NAME}"
                if found
                else 'export with model.export(...), or tf.saved_model.save(model, path, signatures={"serving_default": function})',
            )
        return found[name]

    def concerns(self, directory: Path, allowed: Collection[str]) -> tuple[Concern, ...]:
        return scan_model(directory, allowed)

    def diagnose(self, directory: Path, checkout: Path, since: float) -> tuple[str, str]:
        return what_training_wrote(directory, checkout, since)


def read_signatures(directory: Path) -> Mapping[str, Signature]:
    """Every signature of the graph that serves: name -> {"inputs": {...}, "outputs": {...}}.

    A tensor is `{"dtype": ..., "shape": [...]}`; -1 is any size, a shape of None any rank.

    Raises:
        InputError: there is no SavedModel, or it cannot be parsed.
    """
    path = directory / "saved_model.pb"
    try:
        with wire.mapped(path) as buffer:
            graph = _serving_graph(buffer, path)
            # The entry that begins with __ is TensorFlow's own: it runs the initialisation.
            return {
                name: _signature(buffer, place)
                for name, place in wire.mapping(buffer, graph, 5)
                if not name.startswith("__")
            }
    except OSError as e:
        raise InputError(
            "there is no SavedModel",
            where=str(directory),
            why=f"saved_model.pb: {e.strerror or e}",
            fix="export the model there",
        ) from e
    except (ValueError, UnicodeDecodeError) as e:
        raise InputError(
            "saved_model.pb cannot be parsed",
            where=str(path),
            why=str(e),
            fix="export the model again; was the disk full?",
        ) from e


def _serving_graph(buffer: wire.Buffer, path: Path) -> tuple[int, int]:
    seen: set[str] = set()
    for graph in wire.messages(buffer, (0, len(buffer)), 2):
        tags = {
            wire.text(buffer, tag)
            for info in wire.messages(buffer, graph, 1)
            for tag in wire.messages(buffer, info, 4)
        }
        if SERVE in tags:
            return graph
        seen |= tags
    raise InputError(
        "the SavedModel holds no graph for serving",
        where=str(path),
        why=f"its tags: {', '.join(sorted(seen)) or 'none'}; TF Serving looks for {SERVE!r}",
        fix="export it with the tag serve, as model.export and tf.saved_model.save do",
    )


def _signature(buffer: wire.Buffer, place: tuple[int, int]) -> Signature:
    return {
        "inputs": {name: _tensor(buffer, info) for name, info in wire.mapping(buffer, place, 1)},
        "outputs": {name: _tensor(buffer, info) for name, info in wire.mapping(buffer, place, 2)},
    }


def _tensor(buffer: wire.Buffer, info: tuple[int, int]) -> Tensor:
    dtype = wire.number(buffer, info, 2)
    shape = next(wire.messages(buffer, info, 3), None)
    return {
        "dtype": DTYPES.get(dtype, f"type {dtype}"),
        "shape": None if shape is None else _shape(buffer, shape),
    }


def _shape(buffer: wire.Buffer, shape: tuple[int, int]) -> list[int] | None:
    if wire.number(buffer, shape, 3):
        return None
    sizes = []
    for dimension in wire.messages(buffer, shape, 2):
        size = wire.number(buffer, dimension, 1)
        sizes.append(size if size < 2**63 else size - 2**64)
        if len(sizes) > MOST_DIMENSIONS:
            raise ValueError(f"a tensor has more than {MOST_DIMENSIONS} dimensions")
    return sizes
