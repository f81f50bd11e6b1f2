"""Golden requests as TF Serving's warm-up requests, which it replays before a version counts as loaded. Pure.

Each is a PredictionLog with a PredictRequest of one row. Written field by field: the bytes are part of an image's
digest, so they may depend on no library and no version of one. The form of a golden document is in
`adapters.model_client`; which fields the messages have, in prediction_log.proto, predict.proto and tensor.proto.
"""

import base64
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image.tf_record import tf_record

# TF Serving refuses a version that brings more.
MOST_RECORDS = 1000
# One request makes the graph ready; many large ones make loading slow, and their checksums cost us a second each time.
MOST_BYTES = 2**20

# TensorFlow's name -> its number, and how `struct` writes one value. A text has no fixed size.
_TYPES = {
    "float32": (1, "f"), "float64": (2, "d"), "int32": (3, "i"), "uint8": (4, "B"), "int16": (5, "h"),
    "int8": (6, "b"), "string": (7, ""), "int64": (9, "q"), "bool": (10, "?"), "uint16": (17, "H"),
    "float16": (19, "e"), "uint32": (22, "I"), "uint64": (23, "Q"),
}  # fmt: skip
_FLOATS = "efd"


def warmup_requests(model: str, golden: Mapping[str, object]) -> tuple[bytes, int]:
    """The file of warm-up requests and how many they are; nothing when there are no golden requests.

    Raises:
        InputError: the document is not one, or an input has a type that cannot be written.
    """
    instances = golden.get("instances")
    if not instances:
        return b"", 0
    try:
        if not isinstance(instances, list):
            raise ValueError("instances is not a list")  # noqa: TRY301, TRY004 - told with the others
        records = list(_records(model, golden, instances))
    except (
        LookupError,
        TypeError,
        ValueError,
        OverflowError,
        AttributeError,
        RecursionError,
        struct.error,
    ) as e:
        raise InputError(
            "the golden requests cannot be written as warm-up requests",
            why=f"{type(e).__name__}: {str(e)[:200]}",
            fix="evaluate the model again, or set serving: {warmup: false}",
        ) from e
    return tf_record(records), len(records)


def _records(model: str, golden: Mapping[str, Any], instances: Sequence[Any]) -> Iterator[bytes]:
    signature = str(golden.get("signature") or "serving_default")
    dtypes = {str(name): str(spec["dtype"]) for name, spec in dict(golden["inputs"]).items()}
    if not dtypes:
        raise ValueError("there are no inputs")
    spec = _message(1, model.encode()) + _message(3, signature.encode())
    size = 0
    for instance in instances[:MOST_RECORDS]:
        named = isinstance(instance, dict) and set(instance) != {"b64"}
        row = instance if named else {next(iter(dtypes)): instance}
        inputs = b"".join(_entry(name, row[name], dtype) for name, dtype in sorted(dtypes.items()))
        request = _message(1, spec) + inputs
        record = _message(6, _message(1, request))
        size += len(record)
        if size > MOST_BYTES:
            return
        yield record


def _entry(name: str, value: Any, dtype: str) -> bytes:
    return _message(2, _message(1, name.encode()) + _message(2, _tensor(value, dtype)))


def _tensor(value: Any, dtype: str) -> bytes:
    """A batch of one row."""
    if dtype not in _TYPES:
        raise ValueError(f"an input of type {dtype}")
    number, code = _TYPES[dtype]
    shape = [1, *_shape(value)]
    flat = list(_flat(value, len(shape) - 1))
    if len(flat) != math.prod(shape):
        raise ValueError("a row with lists of different lengths")
    dimensions = b"".join(_message(2, _number(1, size)) for size in shape)
    head = _number(1, number) + _message(2, dimensions)
    if not code:
        return head + b"".join(_message(8, _bytes(item)) for item in flat)
    values = [float(item) if code in _FLOATS else int(item) for item in flat]
    return head + _message(4, struct.pack(f"<{len(values)}{code}", *values))


def _shape(value: Any) -> list[int]:
    if not isinstance(value, list):
        return []
    return [len(value), *(_shape(value[0]) if value else [])]


def _flat(value: Any, depth: int) -> Iterator[Any]:
    if depth == 0 or not isinstance(value, list):
        if depth or isinstance(value, list):
            raise ValueError("a row with lists of different depths")
        yield value
        return
    for item in value:
        yield from _flat(item, depth - 1)


def _bytes(item: Any) -> bytes:
    return base64.b64decode(item["b64"]) if isinstance(item, dict) else str(item).encode()


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
