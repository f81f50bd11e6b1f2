"""TF Serving's gRPC messages, as few as a client needs, without importing TensorFlow.

The stock stubs import all of TensorFlow (seconds and half a gigabyte). On the wire only field numbers and types
count, so the messages are described here in a pool of their own: the same names in protobuf's default pool would
collide once TensorFlow is loaded.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Array = npt.NDArray[Any]

PREDICT = "/tensorflow.serving.PredictionService/Predict"
PACKAGE = "mmcicd.wire"

_INT32, _INT64, _UINT32, _UINT64, _FLOAT, _DOUBLE, _BOOL, _STRING, _BYTES, _MESSAGE = (
    5,
    3,
    13,
    4,
    2,
    1,
    8,
    9,
    12,
    11,
)

# message -> (field, number, type, message of the field, repeated). A map is a repeated entry of key 1 and value 2.
_MESSAGES: dict[str, tuple[tuple[str, int, int, str, bool], ...]] = {
    "Int64Value": (("value", 1, _INT64, "", False),),
    "ModelSpec": (
        ("name", 1, _STRING, "", False),
        ("version", 2, _MESSAGE, "Int64Value", False),
        ("signature_name", 3, _STRING, "", False),
        ("version_label", 4, _STRING, "", False),
    ),
    "Dim": (("size", 1, _INT64, "", False),),
    "TensorShape": (("dim", 2, _MESSAGE, "Dim", True), ("unknown_rank", 3, _BOOL, "", False)),
    "Tensor": (
        ("dtype", 1, _INT32, "", False),
        ("tensor_shape", 2, _MESSAGE, "TensorShape", False),
        ("tensor_content", 4, _BYTES, "", False),
        ("float_val", 5, _FLOAT, "", True),
        ("double_val", 6, _DOUBLE, "", True),
        ("int_val", 7, _INT32, "", True),
        ("string_val", 8, _BYTES, "", True),
        ("int64_val", 10, _INT64, "", True),
        ("bool_val", 11, _BOOL, "", True),
        ("uint32_val", 16, _UINT32, "", True),
        ("uint64_val", 17, _UINT64, "", True),
    ),
    "TensorEntry": (("key", 1, _STRING, "", False), ("value", 2, _MESSAGE, "Tensor", False)),
    "PredictRequest": (
        ("model_spec", 1, _MESSAGE, "ModelSpec", False),
        ("inputs", 2, _MESSAGE, "TensorEntry", True),
        ("output_filter", 3, _STRING, "", True),
    ),
    "PredictResponse": (
        ("outputs", 1, _MESSAGE, "TensorEntry", True),
        ("model_spec", 2, _MESSAGE, "ModelSpec", False),
    ),
}

# TensorFlow's DataType: number, NumPy type, field that holds values when `tensor_content` does not.
DTYPES: dict[str, tuple[int, Any, str]] = {
    "float32": (1, np.float32, "float_val"),
    "float64": (2, np.float64, "double_val"),
    "int32": (3, np.int32, "int_val"),
    "uint8": (4, np.uint8, "int_val"),
    "int16": (5, np.int16, "int_val"),
    "int8": (6, np.int8, "int_val"),
    "string": (7, object, "string_val"),
    "int64": (9, np.int64, "int64_val"),
    "bool": (10, np.bool_, "bool_val"),
    "uint32": (22, np.uint32, "uint32_val"),
    "uint64": (23, np.uint64, "uint64_val"),
}
_NAMES = {number: name for name, (number, _, _) in DTYPES.items()}


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="mmcicd_wire.proto", package=PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, of, repeated in fields:
            made = message.field.add(name=field, number=number, label=3 if repeated else 1)
            made.type = kind
            if of:
                made.type_name = f".{PACKAGE}.{of}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in _MESSAGES
    }


_CLASSES = _classes()
PredictRequest: Any = _CLASSES["PredictRequest"]
PredictResponse: Any = _CLASSES["PredictResponse"]


def predict_request(
    model: str, signature: str, feeds: Mapping[str, Array], outputs: tuple[str, ...] = ()
) -> Any:
    """A PredictRequest; the dtype of a feed is its array's, `object` holds bytes."""
    request = PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    request.output_filter.extend(outputs)
    for name, array in feeds.items():
        entry = request.inputs.add(key=name)
        _fill(entry.value, array)
    return request


def _fill(tensor: Any, array: Array) -> None:
    name = "string" if array.dtype == object else array.dtype.name
    tensor.dtype = DTYPES[name][0]
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if name == "string":
        tensor.string_val.extend(array.ravel().tolist())
    else:
        little = array.dtype.newbyteorder("<")
        tensor.tensor_content = np.ascontiguousarray(array, dtype=little).tobytes()


def outputs_of(response: Any) -> dict[str, Array]:
    """The arrays of a PredictResponse.

    Raises:
        ValueError: a tensor of an unknown type, or with too few values.
    """
    return {entry.key: _array(entry.value) for entry in response.outputs}


def _array(tensor: Any) -> Array:
    if tensor.dtype not in _NAMES:
        raise ValueError(f"a tensor of type {tensor.dtype} is not known here")
    _, kind, field = DTYPES[_NAMES[tensor.dtype]]
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if tensor.tensor_content:
        return np.frombuffer(tensor.tensor_content, dtype=np.dtype(kind).newbyteorder("<")).reshape(shape)
    values = list(getattr(tensor, field))
    size = int(np.prod(shape, dtype=np.int64))
    if values and len(values) < size:
        # What stands last counts for all that is missing.
        values += values[-1:] * (size - len(values))
    array = np.empty(len(values), dtype=kind)
    array[:] = values
    return array.reshape(shape)
