"""JSON to arrays, from TF Serving's row (`instances`) and column (`inputs`) forms. Pure.

What a body holds is checked before an array is made: one level at a time, without recursion, so neither depth nor
raggedness of a document can hurt.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.serving.status import Code, Refused, invalid, shown

Array = npt.NDArray[Any]

FLOATS = {"float32": np.float32, "float64": np.float64}
INTEGERS: dict[str, type[np.integer[Any]]] = {
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "uint8": np.uint8,
    "uint32": np.uint32,
    "uint64": np.uint64,
}
_TYPE_NAMES = {dict: "Object", list: "Array", str: "String", bool: "Bool", type(None): "Null"}
# The deepest tensor TensorFlow knows (TensorShape::MaxDimensions).
_MAX_RANK = 254


@dataclass(frozen=True, kw_only=True)
class PredictBody:
    """A parsed predict body. `rows` tells the form of the answer."""

    signature: str
    rows: bool
    document: Any


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object at the start of a body; what follows it is ignored, as TF Serving does.

    Raises:
        Refused: no JSON, too deep, or not an object.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document, _ = json.JSONDecoder().raw_decode(body.decode("utf-8").lstrip(" \t\r\n"))
    except json.JSONDecodeError as e:
        raise invalid(f"JSON Parse error: {e.msg} at offset: {e.pos}") from None
    except RecursionError:
        raise invalid("JSON Parse error: The document is nested too deeply") from None
    except ValueError as e:
        raise invalid(f"JSON Parse error: {shown(str(e))}") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {excerpt(document)} Is not object")
    return document


def signature_of(document: Mapping[str, Any]) -> str:
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {excerpt(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return name


def parse_predict(body: bytes) -> PredictBody:
    """Raises `Refused` unless exactly one of `instances` and `inputs` is there."""
    document = parse_object(body)
    signature = signature_of(document)
    if "instances" in document and "inputs" in document:
        raise invalid(
            f"JSON Value: {excerpt(document)} Not formatted correctly expecting only"
            " one of 'inputs' or 'instances' keys to exist "
        )
    if "instances" in document:
        instances = document["instances"]
        if not isinstance(instances, list):
            raise invalid(f"JSON Value: {excerpt(document)} Expecting 'instances' to be an list/array")
        if not instances:
            raise invalid(f"JSON Value: {excerpt(document)} No values in 'instances' array")
        return PredictBody(signature=signature, rows=True, document=instances)
    if "inputs" in document:
        return PredictBody(signature=signature, rows=False, document=document["inputs"])
    raise invalid("Missing 'inputs' or 'instances' key")


def arrays_from(body: PredictBody, inputs: Mapping[str, str]) -> dict[str, Array]:
    """The feeds for a signature whose `inputs` map a name to a dtype.

    Raises:
        Refused: the document does not fit the inputs.
    """
    return _from_rows(body.document, inputs) if body.rows else _from_columns(body.document, inputs)


def _from_rows(instances: list[Any], inputs: Mapping[str, str]) -> dict[str, Array]:
    first = instances[0]
    if not isinstance(first, dict) and len(inputs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple "
            "input tensors required as per tensorinfo_map"
        )
    if _is_named(first):
        columns = _columns_of_objects(instances, inputs)
        return {name: _row_array(columns[name], inputs[name], name) for name in sorted(inputs)}
    for place, element in enumerate(instances):
        if _is_named(element):
            raise invalid(f"Expecting value/list but got object at item {place} of input list")
    name = next(iter(inputs))
    return {name: _row_array(instances, inputs[name], "")}


def _columns_of_objects(instances: list[Any], inputs: Mapping[str, str]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {name: [] for name in inputs}
    for place, element in enumerate(instances):
        if not _is_named(element):
            raise invalid(f"Expecting object but got list at item {place} of input list")
        for name in element:
            if name not in inputs:
                raise invalid(
                    f"Failed to process element: {place} key: {shown(name)} of 'instances' list."
                    f" Error: INVALID_ARGUMENT: JSON object: does not have named input: {shown(name)}"
                )
        if len(element) != len(inputs):
            raise invalid(
                f"Failed to process element: {place} of 'instances' list. JSON object: {excerpt(element)}"
                f" keys must be equal to: {','.join(sorted(inputs))}"
            )
        for name, value in element.items():
            columns[name].append(value)
    return columns


def _row_array(values: list[Any], dtype: str, key: str) -> Array:
    try:
        return make_array(values, dtype)
    except Refused as whole:
        # The batch as a whole does not fit: find the first element that does not, for the message.
        raise _blame(values, dtype, key) or whole from None


def _blame(values: list[Any], dtype: str, key: str) -> Refused | None:
    at = f" key: {key}" if key else ""
    shape: tuple[int, ...] | None = None
    for place, value in enumerate(values):
        why = ""
        try:
            found = make_array(value, dtype).shape
        except Refused as e:
            why = e.message
        else:
            shape = found if shape is None else shape
            if found != shape:
                why = f"Expecting shape {_shape_text(shape)} but got: {_shape_text(found)}"
        if why:
            return invalid(
                f"Failed to process element: {place}{at} of 'instances' list. Error: INVALID_ARGUMENT: {why}"
            )
    return None


def _from_columns(document: Any, inputs: Mapping[str, str]) -> dict[str, Array]:
    if not _is_named(document):
        if len(inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple "
                "input tensors required as per tensorinfo_map"
            )
        name = next(iter(inputs))
        return {name: make_array(document, inputs[name])}
    for name in sorted(inputs):
        if name not in document:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: make_array(document[name], dtype) for name, dtype in inputs.items()}


def make_array(value: Any, dtype: str) -> Array:
    """One JSON value, nested lists down to scalars, as an array of `dtype`.

    Raises:
        Refused: ragged, too deep, or a scalar of another type.
    """
    shape: list[int] = []
    level: Sequence[Any] = [value]
    while level and isinstance(level[0], list):
        size = len(level[0])
        for item in level:
            if not isinstance(item, list):
                raise invalid(
                    f"JSON Value: {excerpt(item)} found at incorrect level: {len(shape) + 1} in the JSON DOM."
                )
            if len(item) != size:
                raise invalid(
                    f"Encountered list at unexpected size: {len(item)} at level: {len(shape)} expected size: {size}"
                )
        shape.append(size)
        if len(shape) > _MAX_RANK:
            raise invalid(f"Encountered list at unexpected level: {len(shape)} expected < {_MAX_RANK}")
        level = list(chain.from_iterable(level))
    return _leaves(dtype)(level, dtype).reshape(shape)


def _leaves(dtype: str) -> Callable[[Sequence[Any], str], Array]:
    if dtype in FLOATS:
        return _floats
    if dtype in INTEGERS:
        return _integers
    if dtype == "bool":
        return _bools
    if dtype == "string":
        return _strings
    raise Refused(Code.UNIMPLEMENTED, f"Conversion of JSON Value to type: {dtype}")


def _check_types(level: Sequence[Any], allowed: tuple[type, ...], dtype: str) -> None:
    if set(map(type, level)) <= set(allowed):
        return
    wrong = next(item for item in level if type(item) not in allowed)
    if isinstance(wrong, list):
        raise invalid("Encountered list at unexpected level")
    raise _type_error(wrong, dtype)


def _type_error(value: Any, dtype: str) -> Refused:
    return invalid(
        f"JSON Value: {excerpt(value)} Type: {_TYPE_NAMES.get(type(value), 'Number')}"
        f" is not of expected type: {dtype}"
    )


def _floats(level: Sequence[Any], dtype: str) -> Array:
    _check_types(level, (float, int), dtype)
    try:
        # A number beyond the type's range is infinite, as it is in TF Serving.
        with np.errstate(over="ignore"):
            return np.asarray(level, dtype=np.float64).astype(FLOATS[dtype])
    except OverflowError:
        raise _type_error(next(item for item in level if abs(item) > 2**1023), dtype) from None


def _integers(level: Sequence[Any], dtype: str) -> Array:
    _check_types(level, (int,), dtype)
    limits = np.iinfo(INTEGERS[dtype])
    if level and (min(level) < limits.min or max(level) > limits.max):
        wrong = next(item for item in level if not limits.min <= item <= limits.max)
        raise _type_error(wrong, dtype)
    return np.asarray(level, dtype=INTEGERS[dtype])


def _bools(level: Sequence[Any], dtype: str) -> Array:
    _check_types(level, (bool,), dtype)
    return np.asarray(level, dtype=np.bool_)


def _strings(level: Sequence[Any], dtype: str) -> Array:
    _check_types(level, (str, dict), dtype)
    array = np.empty(len(level), dtype=object)
    for place, item in enumerate(level):
        array[place] = _bytes_of(item)
    return array


def _bytes_of(item: Any) -> bytes:
    if isinstance(item, dict):
        return decode_base64(item)
    try:
        return str(item).encode("utf-8")
    except UnicodeEncodeError:
        raise invalid(f"JSON Value: {excerpt(item)} is not text") from None


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not _is_base64(value)


def decode_base64(value: Any) -> bytes:
    """The bytes of `{"b64": "..."}`; padding may be missing.

    Raises:
        Refused: another object, or no base64.
    """
    if not _is_base64(value):
        raise invalid(f"JSON Value: {excerpt(value)} not formatted correctly for base64 data")
    text = value["b64"].rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None


def excerpt(value: Any) -> str:
    """The beginning of a JSON value for a message, without walking all of it."""
    if isinstance(value, dict):
        return shown("{" + ",".join(json.dumps(str(key)[:64]) + ": ..." for key in list(value)[:8]) + "}")
    if isinstance(value, list):
        return "[" + ("..." if value else "") + "]"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**64:
        return "a number beyond 64 bits"
    return shown(json.dumps(value))


def _shape_text(shape: tuple[int, ...]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"
