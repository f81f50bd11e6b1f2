"""The JSON of classify and regress: tf.Example protos in, results out."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mmcicd_jenkins.serving.json_inputs import decode_base64, excerpt, parse_object, signature_of
from mmcicd_jenkins.serving.json_outputs import tokens
from mmcicd_jenkins.serving.status import invalid, shown


def parse_examples(body: bytes) -> tuple[str, list[bytes]]:
    """Signature name and serialized examples; a `context` is merged into each, as in TF Serving.

    Raises:
        Refused: the document is not `{"signature_name", "context", "examples"}`.
    """
    document = parse_object(body)
    signature = signature_of(document)
    context = _example(document["context"]) if "context" in document else b""
    if "examples" not in document:
        raise invalid(
            f"JSON Value: {excerpt(document)} When method is classify, key 'examples'"
            " is expected and was not found"
        )
    examples = document["examples"]
    if not isinstance(examples, list):
        raise invalid(f"JSON Value: {excerpt(document)} Expecting 'examples' value to be an list/array")
    if not examples:
        raise invalid(f"JSON Value: {excerpt(document)} 'examples' value is an empty array")
    # Serialized protos concatenate to their merge.
    return signature, [context + _example(example) for example in examples]


def _example(value: Any) -> bytes:
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {excerpt(value)}")
    features = {name: _feature(name, content) for name, content in value.items()}
    try:
        example = tf.train.Example(features=tf.train.Features(feature=features))
        return bytes(example.SerializeToString())
    except (ValueError, UnicodeEncodeError) as e:
        raise invalid(shown(str(e))) from None


def _feature(name: str, content: Any) -> Any:
    values = content if isinstance(content, list) else [content]
    kinds = {_kind(name, value) for value in values}
    if len(kinds) > 1:
        raise invalid(
            f"Unexpected element type in feature: {shown(name)} expecting type: {_kind(name, values[0])}"
        )
    kind = next(iter(kinds), "none")
    try:
        if kind == "bytes":
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[_bytes(value) for value in values]))
        if kind == "float":
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        if kind == "int64":
            return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(value) for value in values]))
    except (ValueError, OverflowError):
        raise invalid(f"Feature: {shown(name)} has an element beyond {kind}") from None
    return tf.train.Feature()


def _kind(name: str, value: Any) -> str:
    if isinstance(value, str | dict):
        return "bytes"
    if isinstance(value, bool | int):
        return "int64"
    if isinstance(value, float):
        return "float"
    raise invalid(f"Feature: {shown(name)} has element with unexpected JSON type: {excerpt(value)}")


def _bytes(value: Any) -> bytes:
    return decode_base64(value) if isinstance(value, dict) else str(value).encode("utf-8")


def _number(value: float) -> str:
    return tokens("", np.asarray([value], dtype=np.float32))[0]


def classification_text(results: Sequence[Sequence[tuple[str, float]]]) -> str:
    rows = [
        "[" + ", ".join(f"[{json.dumps(label)}, {_number(score)}]" for label, score in row) + "]"
        for row in results
    ]
    return '{\n    "results": [' + ", ".join(rows) + "\n    ]\n}"


def regression_text(results: Sequence[float]) -> str:
    return '{\n    "results": [' + ", ".join(map(_number, results)) + "\n    ]\n}"
