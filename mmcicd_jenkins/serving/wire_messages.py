"""TF Serving's own messages for status and metadata, and tensors on the wire, bounded before they are unpacked."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from mmcicd_jenkins.release.desired import ModelState
from mmcicd_jenkins.serving.saved_model import INIT_SIGNATURE
from mmcicd_jenkins.serving.status import Code, Refused, invalid, shown
from mmcicd_jenkins.serving.versions import Servable

Array = npt.NDArray[Any]

# A TensorProto may say "a billion times this one value"; this bounds what such a sentence may cost. Values that were
# sent in full are bounded by the size of the request.
MAX_REPEATED_BYTES = 64 * 2**20


def status_response(model: str, state: ModelState, version: int | None) -> Any:
    """GetModelStatusResponse for one version or all of them.

    Raises:
        Refused: the version is not known.
    """
    response = get_model_status_pb2.GetModelStatusResponse()
    wanted = state.versions if version is None else {str(version): state.versions.get(str(version))}
    for number, found in wanted.items():
        if found is None:
            raise Refused(Code.NOT_FOUND, f"Could not find version {version} of model {model}")
        line = response.model_version_status.add()
        line.version = int(number)
        line.state = get_model_status_pb2.ModelVersionStatus.State.Value(found.state)
        line.status.error_code = Code.UNKNOWN.number if found.error else Code.OK.number
        line.status.error_message = found.error
    return response


def metadata_response(model: str, servable: Servable) -> tuple[Any, Any]:
    """The ModelSpec and the SignatureDefMap of a servable."""
    spec = model_pb2.ModelSpec(name=model)
    spec.version.value = servable.version
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, definition in servable.loaded.definition.items():
        if name != INIT_SIGNATURE:
            signatures.signature_def[name].CopyFrom(definition)
    return spec, signatures


def array_from(name: str, proto: Any) -> Array:
    """A TensorProto's value.

    Raises:
        Refused: it is malformed or claims to be larger than it may be.
    """
    try:
        dtype = tf.as_dtype(proto.dtype)
        size = math.prod(max(dim.size, 0) for dim in proto.tensor_shape.dim) * max(dtype.size or 1, 1)
        if size > max(MAX_REPEATED_BYTES, proto.ByteSize()):
            raise Refused(
                Code.RESOURCE_EXHAUSTED, f"Tensor {shown(name)} is larger than {MAX_REPEATED_BYTES} bytes"
            )
        if any(dim.size < 0 for dim in proto.tensor_shape.dim) or proto.tensor_shape.unknown_rank:
            raise invalid(f"Tensor {shown(name)} has no complete shape")
        return np.asarray(tf.make_ndarray(proto))
    except (TypeError, ValueError, KeyError) as e:
        raise invalid(f"Tensor {shown(name)} is malformed: {shown(str(e))}") from None


def proto_from(array: Array) -> Any:
    return tf.make_tensor_proto(array)
