"""Our few messages are the same bytes as TF Serving's own."""

import subprocess
import sys

import numpy as np
import pytest

from mmcicd_jenkins.adapters.models import tf_wire

FEEDS = {
    "floats": np.array([[1.5, -2.0]], np.float32),
    "doubles": np.array([0.1]),
    "whole": np.array([[1], [-(2**40)]], np.int64),
    "small": np.array([1, 255], np.uint8),
    "truth": np.array([True, False]),
    "text": np.array([[b"\xff", b""]], dtype=object),
}


def test_importing_it_brings_no_tensorflow():
    code = "import sys, mmcicd_jenkins.adapters.models.tf_wire; sys.exit('tensorflow' in sys.modules or 'grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.tensorflow
def test_requests_and_answers_are_those_of_the_stock_messages():
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    request = tf_wire.predict_request("m", "s", FEEDS, ("a",))
    stock = predict_pb2.PredictRequest.FromString(request.SerializeToString())
    assert (stock.model_spec.name, stock.model_spec.signature_name, list(stock.output_filter)) == (
        "m",
        "s",
        ["a"],
    )
    assert set(stock.inputs) == set(FEEDS)
    answer = predict_pb2.PredictResponse()
    for name, array in FEEDS.items():
        np.testing.assert_array_equal(tf.make_ndarray(stock.inputs[name]), array)
        answer.outputs[name].CopyFrom(tf.make_tensor_proto(array))
        # TF Serving answers with one value per field entry, and may leave equal last values out.
        answer.outputs[f"{name}-fields"].CopyFrom(_as_fields(tf, array))
    ours = tf_wire.outputs_of(tf_wire.PredictResponse.FromString(answer.SerializeToString()))
    for name, array in FEEDS.items():
        np.testing.assert_array_equal(ours[name], array)
        np.testing.assert_array_equal(ours[f"{name}-fields"], array)


def _as_fields(tf, array):
    proto = tf.make_tensor_proto(array)
    proto.tensor_content = b""
    _, _, field = tf_wire.DTYPES["string" if array.dtype == object else array.dtype.name]
    proto.ClearField(field)
    getattr(proto, field).extend(array.ravel().tolist())
    return proto


def test_a_value_that_stands_for_all_that_follow():
    response = tf_wire.PredictResponse()
    tensor = response.outputs.add(key="y").value
    tensor.dtype = 1
    tensor.tensor_shape.dim.add(size=3)
    tensor.float_val.append(2.0)
    assert tf_wire.outputs_of(response)["y"].tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(("dtype", "size"), [(99, 1), (1, 2)])
def test_a_tensor_that_cannot_be_read_is_a_value_error(dtype, size):
    response = tf_wire.PredictResponse()
    tensor = response.outputs.add(key="y").value
    tensor.dtype = dtype
    tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = b"123"
    with pytest.raises(ValueError, match=r"type 99|buffer size"):
        tf_wire.outputs_of(response)
