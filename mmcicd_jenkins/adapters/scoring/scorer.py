"""Runs a SavedModel over a test table: `python scorer.py request.json`, with the model's Python.

It streams the table in batches, writes the scores as raw float32 and answers in a result file: what it found,
or one error with `kind` `input` (table, config and model do not fit) or `model` (the model does not load or
fails). It never sees the label.
"""

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mmcicd_jenkins.adapters.scoring.scorer_feeds import Feed, plan_feeds
    from mmcicd_jenkins.adapters.scoring.scorer_golden import Golden
    from mmcicd_jenkins.adapters.scoring.scorer_table import ScorerError, Table
else:
    from scorer_feeds import Feed, plan_feeds
    from scorer_golden import Golden
    from scorer_table import ScorerError, Table


def load(request: dict[str, Any]) -> tuple[Any, dict[str, Any], str]:
    """The signature, its inputs and the name of the output that is scored."""
    try:
        import tensorflow as tf
    except ImportError as e:
        fix = "add tensorflow to the model's requirements"
        raise ScorerError(
            "input", "TensorFlow is not in the model's environment", why=str(e)[:300], fix=fix
        ) from e
    try:
        model = tf.saved_model.load(request["model"])
    except Exception as e:
        raise ScorerError(
            "model",
            "the model does not load",
            where=request["model"],
            why=_short(e),
            fix="export it with model.export(os.environ['MMCICD_MODEL_DIR']), with the TensorFlow of the requirements",
        ) from e
    name = request["signature"]
    if name not in model.signatures:
        there = ", ".join(sorted(model.signatures)) or "none"
        fix = "set evaluate.signature to one of them, or export with model.export(...)"
        raise ScorerError(
            "input", f"the model has no signature {name}", why=f"signatures there: {there}", fix=fix
        )
    signature = model.signatures[name]
    # The signature keeps only a weak hold of the model's variables.
    signature.kept_model = model
    inputs = dict(sorted(signature.structured_input_signature[1].items()))
    fixed = [n for n, spec in inputs.items() if spec.shape.rank == 0 or (spec.shape.rank and spec.shape[0])]
    if fixed:
        fix = "export with an input signature whose first dimension is None"
        raise ScorerError(
            "input", f"input {fixed[0]} takes a fixed number of rows", why=str(inputs[fixed[0]]), fix=fix
        )
    return signature, inputs, _output(signature, request["output"])


def _output(signature: Any, wanted: str) -> str:
    there = sorted(signature.structured_outputs)
    if (wanted and wanted not in there) or (not wanted and len(there) != 1):
        what = f"the model has no output {wanted}" if wanted else f"the model has {len(there)} outputs"
        raise ScorerError(
            "input", what, why=f"outputs there: {', '.join(there)}", fix="set evaluate.output to one of them"
        )
    return wanted or there[0]


def _short(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


def score(request: dict[str, Any]) -> dict[str, object]:
    """Stream the table through the signature; the scores are at `request["predictions"]` afterwards."""
    table = Table(request["table"])
    absent = [c for c in request["columns"] if table.names is not None and c not in table.names]
    if table.names is not None and absent:
        raise ScorerError(
            "input",
            f"the test table lacks columns: {', '.join(absent)}",
            where=request["table"],
            why=f"columns there: {', '.join(table.names)}",
            fix="mmcicd-jenkins data update, if the data changed on purpose",
        )
    signature, inputs, output = load(request)
    feeds = plan_feeds(inputs, request["columns"])
    used = list(dict.fromkeys(column for feed in feeds for column in feed.columns))
    golden, rows, width = Golden(), 0, 0
    part = request["predictions"] + ".part"
    with open(part, "wb") as file:  # noqa: PTH123
        for places, values in table.batches(used, request["batch_size"]):
            fed = {feed.name: feed.tensor(table, places, values) for feed in feeds}
            answer = _call(signature, output, fed, feeds, table, places)
            if rows and answer[0].size != width:
                raise ScorerError(
                    "input",
                    f"output {output} changes its width from row to row",
                    where=table.where(places[0]),
                )
            width = answer[0].size
            file.write(np.ascontiguousarray(answer, dtype="<f4").tobytes())
            golden.offer(values, fed, answer)
            rows += len(places)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, request["predictions"])  # noqa: PTH105
    return {
        "rows": rows,
        "columns": width,
        "signature": request["signature"],
        "output": output,
        "inputs": {feed.name: feed.columns for feed in feeds},
        "golden": golden.document(request["signature"], output, feeds),
    }


def _call(
    signature: Any, output: str, fed: dict[str, Any], feeds: list[Feed], table: Table, places: list[int]
) -> Any:
    import tensorflow as tf

    where = f"{table.where(places[0])} to {places[-1]}"
    try:
        answer = signature(**{feed.name: tf.constant(fed[feed.name], feed.dtype) for feed in feeds})[output]
        array = answer.numpy()
    except tf.errors.ResourceExhaustedError as e:
        raise ScorerError(
            "model",
            "the model ran out of memory",
            where=where,
            why=_short(e),
            fix="lower evaluate.batch_size",
        ) from e
    except Exception as e:
        raise ScorerError(
            "model", "the model fails on rows of the test table", where=where, why=_short(e)
        ) from e
    if array.dtype.kind not in "fiub" or array.ndim not in (1, 2) or len(array) != len(places):
        raise ScorerError(
            "input",
            f"output {output} is not one number, or one row of numbers, for each row",
            where=where,
            why=f"it is {array.dtype.name}{list(array.shape)} for {len(places)} rows",
            fix="set evaluate.output to the output with the scores",
        )
    return array


def main() -> int:
    with open(sys.argv[1], encoding="utf-8") as file:  # noqa: PTH123
        request = json.load(file)
    try:
        document: dict[str, object] = {"result": score(request)}
    except ScorerError as e:
        document = {"error": e.document}
    part = request["result"] + ".part"
    with open(part, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(document, file)
    os.replace(part, request["result"])  # noqa: PTH105
    return 0


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.exit(main())
