"""Run as a script by a Python that has TensorFlow: other model formats to a SavedModel with `serving_default`.

Imports nothing of this package, because the model's own environment need not hold it. Reads a request (JSON)
from the file named by its argument and writes the answer beside it; `{"error", "why", "fix"}` when it cannot.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
SIGNATURE = "serving_default"
PLACEHOLDERS = {"Placeholder", "PlaceholderWithDefault", "PlaceholderV2"}
# Operations that end a graph without being an answer.
NO_ANSWER = {
    "NoOp",
    "Assert",
    "Print",
    "PrintV2",
    "Placeholder",
    "Const",
    "SaveV2",
    "MergeV2Checkpoints",
    "AssignVariableOp",
}
VARIABLES = {"VariableV2", "Variable", "VarHandleOp", "VarIsInitializedOp"}
MOST_SHOWN = 12


class ConvertError(Exception):
    def __init__(self, what: str, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.answer = {"error": what, "why": why, "fix": fix}


def convert_keras(tf: Any, source: Path, target: Path) -> None:
    try:
        model = tf.keras.models.load_model(source, compile=False)
    except Exception as e:
        raise ConvertError(
            "Keras cannot load this file here",
            why=_first_line(e),
            fix="convert it where its custom layers are known: call model.export(...) in the train script",
        ) from e
    if hasattr(model, "export"):
        model.export(target, verbose=False)
    else:
        model.save(target, save_format="tf")


def convert_frozen(
    tf: Any, source: Path, target: Path, inputs: dict[str, str], outputs: dict[str, str]
) -> None:
    definition = tf.compat.v1.GraphDef()
    try:
        definition.ParseFromString(source.read_bytes())
    except Exception as e:
        raise ConvertError(
            "the graph cannot be parsed", why=_first_line(e), fix="write it again; was the disk full?"
        ) from e
    loose = sorted({node.op for node in definition.node} & VARIABLES)
    if loose:
        raise ConvertError(
            "the graph is not frozen: it has variables and no values for them",
            why=f"operations {', '.join(loose)}",
            fix="give the checkpoint instead (the prefix of its .meta and .index files)",
        )
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
        try:
            tf.import_graph_def(definition, name="")
        except Exception as e:
            raise ConvertError(
                "TensorFlow does not accept the graph",
                why=_first_line(e),
                fix="is an operation of it custom?",
            ) from e
        _save(tf, session, target, inputs, outputs)


def convert_checkpoint(
    tf: Any, source: Path, target: Path, inputs: dict[str, str], outputs: dict[str, str]
) -> None:
    prefix = _prefix(tf, source)
    if not Path(prefix + ".meta").is_file():
        keys = [name for name, _ in tf.train.list_variables(prefix)][:MOST_SHOWN]
        raise ConvertError(
            "this checkpoint holds numbers without the model they belong to",
            why=f"there is no {Path(prefix).name}.meta; it holds {', '.join(keys)}",
            fix='rebuild the model, restore the checkpoint, then model.export(os.environ["MMCICD_MODEL_DIR"])',
        )
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
        try:
            saver = tf.compat.v1.train.import_meta_graph(prefix + ".meta", clear_devices=True)
            saver.restore(session, prefix)
        except Exception as e:
            raise ConvertError(
                "the checkpoint cannot be restored", why=_first_line(e), fix="are all its files there?"
            ) from e
        _save(tf, session, target, inputs, outputs)


def _prefix(tf: Any, source: Path) -> str:
    if source.is_dir():
        latest = tf.train.latest_checkpoint(source)
        if latest is None:
            raise ConvertError(
                "the folder names no checkpoint", why=f"{source}/checkpoint", fix="name its prefix"
            )
        return str(latest)
    return str(source)[: -len(".index")] if source.suffix == ".index" else str(source)


def _save(tf: Any, session: Any, target: Path, inputs: dict[str, str], outputs: dict[str, str]) -> None:
    v1 = tf.compat.v1
    feeds = _tensors(session.graph, inputs) or _placeholders(session.graph)
    fetches = _tensors(session.graph, outputs) or _answers(session.graph, feeds)
    build = v1.saved_model.signature_def_utils.build_signature_def
    info = v1.saved_model.utils.build_tensor_info
    signature = build(
        {name: info(tensor) for name, tensor in feeds.items()},
        {name: info(tensor) for name, tensor in fetches.items()},
        "tensorflow/serving/predict",
    )
    builder = v1.saved_model.builder.SavedModelBuilder(str(target))
    tables = v1.tables_initializer()
    builder.add_meta_graph_and_variables(
        session, ["serve"], signature_def_map={SIGNATURE: signature}, main_op=tables, strip_default_attrs=True
    )
    builder.save()


def _tensors(graph: Any, named: dict[str, str]) -> dict[str, Any]:
    found = {}
    for name, tensor in named.items():
        try:
            found[name] = graph.get_tensor_by_name(tensor if ":" in tensor else f"{tensor}:0")
        except (KeyError, ValueError) as e:
            known = ", ".join(operation.name for operation in graph.get_operations() if operation.outputs)[
                :400
            ]
            raise ConvertError(
                f"the graph has no tensor {tensor!r}",
                why=f"it has {known}",
                fix="correct --input or --output",
            ) from e
    return found


def _placeholders(graph: Any) -> dict[str, Any]:
    # A dropout rate or a training switch has a default; what serves is asked for by the others.
    found = [o for o in graph.get_operations() if o.type in PLACEHOLDERS]
    asked = [o for o in found if o.type != "PlaceholderWithDefault"] or found
    if not asked:
        raise ConvertError("the graph has no placeholder to feed", fix="name its inputs: --input NAME=TENSOR")
    return {_key(operation.name): operation.outputs[0] for operation in asked}


def _answers(graph: Any, feeds: dict[str, Any]) -> dict[str, Any]:
    reached = _fed_by(feeds)
    ends = [
        operation
        for operation in graph.get_operations()
        if operation in reached
        and operation.outputs
        and operation.type not in NO_ANSWER
        and not any(output.consumers() for output in operation.outputs)
    ]
    if len(ends) != 1:
        shown = ", ".join(operation.name for operation in ends[:MOST_SHOWN]) or "none"
        raise ConvertError(
            "which tensor is the answer?" if ends else "no operation depends on the inputs",
            why=f"these end the graph: {shown}",
            fix="name it: --output NAME=TENSOR",
        )
    return {_key(ends[0].name): ends[0].outputs[0]}


def _fed_by(feeds: dict[str, Any]) -> set[Any]:
    """Every operation that depends on an input."""
    queue = [tensor.op for tensor in feeds.values()]
    seen = set(queue)
    while queue:
        for output in queue.pop().outputs:
            for consumer in output.consumers():
                if consumer not in seen:
                    seen.add(consumer)
                    queue.append(consumer)
    return seen


def _key(name: str) -> str:
    return name.replace("/", "_")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:400]


def main() -> NoReturn:
    request_file = Path(sys.argv[1])
    request = json.loads(request_file.read_text(encoding="utf-8"))
    source, target = Path(request["source"]), Path(request["target"])
    answer: dict[str, str] = {}
    try:
        try:
            import tensorflow as tf
        except Exception as e:
            raise ConvertError(
                "converting needs TensorFlow",
                why=_first_line(e),
                fix="pip install 'mmcicd-jenkins[tensorflow]'",
            ) from e
        if request["format"] in {"keras", "hdf5"}:
            convert_keras(tf, source, target)
        elif request["format"] == "checkpoint":
            convert_checkpoint(tf, source, target, request["inputs"], request["outputs"])
        else:
            convert_frozen(tf, source, target, request["inputs"], request["outputs"])
    except ConvertError as e:
        answer = e.answer
    request_file.with_name("answer.json").write_text(json.dumps(answer), encoding="utf-8")
    sys.exit(3 if answer else 0)


if __name__ == "__main__":
    main()
