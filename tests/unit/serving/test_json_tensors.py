"""JSON to arrays and back: whatever comes in, an array or one sentence; whatever goes out reads back the same."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mmcicd_jenkins.serving.json_inputs import FLOATS, INTEGERS, arrays_from, make_array, parse_predict
from mmcicd_jenkins.serving.json_outputs import columns_text, rows_text, tokens
from mmcicd_jenkins.serving.status import Code, Refused

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "b64", "x"]), inner)
    ),
    max_leaves=20,
)
DTYPES = [*FLOATS, *INTEGERS, "bool", "string"]


@given(ANY_JSON, st.sampled_from(DTYPES))
def test_any_value_becomes_an_array_or_is_refused(value, dtype):
    try:
        array = make_array(value, dtype)
    except Refused as e:
        assert e.code is Code.INVALID_ARGUMENT
        assert len(e.message) < 1000
    else:
        assert array.dtype == (object if dtype == "string" else np.dtype(dtype))


@given(st.binary() | ANY_JSON.map(lambda v: json.dumps(v).encode()), st.booleans())
def test_any_body_is_parsed_or_refused(body, several):
    inputs = {"a": "float32", "b": "string"} if several else {"a": "float32"}
    try:
        arrays_from(parse_predict(body), inputs)
    except Refused as e:
        assert e.http == 400


@given(ANY_JSON, st.sampled_from(["instances", "inputs"]), st.booleans())
def test_any_document_under_the_right_key_is_parsed_or_refused(value, key, several):
    inputs = {"a": "int64", "b": "string"} if several else {"a": "bool"}
    try:
        arrays_from(parse_predict(json.dumps({key: value}).encode()), inputs)
    except Refused as e:
        assert e.http == 400


@given(
    arrays.arrays(st.sampled_from([np.float32, np.float64]), arrays.array_shapes(max_dims=3), elements=None)
)
def test_floats_read_back_as_the_same_numbers(array):
    read = np.asarray(json.loads(rows_text({"y": array}))["predictions"], dtype=array.dtype)
    np.testing.assert_array_equal(read, array)
    read = np.asarray(json.loads(columns_text({"y": array}))["outputs"], dtype=array.dtype)
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (1 / 3, "0.333333343"),
        (9e6, "9e+06"),
        (3e-5, "3e-05"),
        (16777216.0, "16777216.0"),
        (np.nan, "NaN"),
        (-np.nan, "NaN"),
        (np.inf, "Infinity"),
        (-np.inf, "-Infinity"),
    ],
)
def test_a_float_is_written_as_tf_serving_writes_it(value, text):
    assert tokens("y", np.array([value], np.float32)) == [text]


def test_a_double_needs_up_to_seventeen_digits():
    assert tokens("y", np.array([1 / 3])) == ["0.33333333333333331"]


@given(st.binary(max_size=20), st.sampled_from(["raw_bytes", "text"]))
def test_bytes_out(raw, name):
    (token,) = tokens(name, np.array([raw], dtype=object))
    document = json.loads(token)
    assert isinstance(document, dict) == (name == "raw_bytes")


def test_empty_and_odd_shapes():
    assert json.loads(rows_text({"y": np.zeros((2, 0), np.float32)})) == {"predictions": [[], []]}
    assert json.loads(rows_text({"y": np.zeros((0, 2), np.float32)})) == {"predictions": []}
    assert json.loads(columns_text({"y": np.float64(2.0).reshape(())})) == {"outputs": 2.0}
    with pytest.raises(Refused, match="no shape information"):
        rows_text({"y": np.zeros((), np.float32)})
    with pytest.raises(Refused, match="inconsistent batch size: 2 expecting: 1"):
        rows_text({"a": np.zeros(1), "b": np.zeros(2)})
    with pytest.raises(Refused, match="Failed to write JSON value"):
        tokens("y", np.zeros(1, np.complex64))


def test_conversion_to_a_type_that_json_has_not_is_unimplemented():
    with pytest.raises(Refused) as refused:
        make_array([1], "complex64")
    assert refused.value.http == 501


def test_the_first_bad_element_is_named():
    body = parse_predict(json.dumps({"instances": [[1, 2], [3, "x"], ["y", 4]]}).encode())
    with pytest.raises(Refused) as refused:
        arrays_from(body, {"x": "float32"})
    assert refused.value.message == (
        "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT:"
        ' JSON Value: "x" Type: String is not of expected type: float32'
    )
