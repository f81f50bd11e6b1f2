"""Warm-up requests: TensorFlow reads what we write; golden documents of every kind, and broken ones."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcicd_jenkins.adapters.models import tf_wire
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image.tf_record import crc32c, tf_record
from mmcicd_jenkins.image.warmup import MOST_BYTES, MOST_RECORDS, warmup_requests

GOLDEN = {
    "signature": "serving_default",
    "inputs": {"x": {"dtype": "float32", "shape": [None, 2]}},
    "output": "y",
    "instances": [[1.0, 2.5], [3, 4.0]],
    "outputs": [[0.25], [0.75]],
    "tolerance": 0.001,
}


def records(content):
    found = []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        found.append(content[12 : 12 + length])
        content = content[16 + length :]
    return found


def requests(golden, model="churn"):
    """The PredictRequests, read by protobuf's own library."""
    found = []
    for record in records(warmup_requests(model, golden)[0]):
        # A PredictionLog holds field 6, a PredictLog whose field 1 is the request: two tags and two lengths.
        inner = record
        for tag in (0x32, 0x0A):
            assert inner[0] == tag
            skip = 1
            while inner[skip] & 0x80:
                skip += 1
            inner = inner[skip + 1 :]
        found.append(tf_wire.PredictRequest.FromString(inner))
    return found


def feeds(request):
    return {entry.key: tf_wire._array(entry.value) for entry in request.inputs}


def test_the_checksum_is_castagnolis():
    # The check value that RFC 3720 and every implementation give.
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert tf_record([]) == b""


def test_one_request_for_each_row():
    found = requests(GOLDEN)
    assert [feeds(one)["x"].tolist() for one in found] == [[[1.0, 2.5]], [[3.0, 4.0]]]
    assert {(one.model_spec.name, one.model_spec.signature_name) for one in found} == {
        ("churn", "serving_default")
    }


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("float64", [1.5]),
        ("int64", -3),
        ("int32", [[1, 2], [3, 4]]),
        ("uint8", [0, 255]),
        ("bool", [True, False]),
        ("uint64", 2**64 - 1),
        ("int8", []),
    ],
)
def test_every_type_comes_back(dtype, value):
    golden = GOLDEN | {"inputs": {"x": {"dtype": dtype, "shape": []}}, "instances": [value]}
    (request,) = requests(golden)
    assert feeds(request)["x"].tolist() == [value]


def test_texts_and_bytes_and_several_inputs():
    golden = {
        "inputs": {"b": {"dtype": "string"}, "a": {"dtype": "string"}},
        "instances": [{"a": "ü", "b": [{"b64": "AP8="}, "x"]}],
    }
    (request,) = requests(golden)
    assert {name: array.tolist() for name, array in feeds(request).items()} == {
        "a": ["ü".encode()],
        "b": [[b"\x00\xff", b"x"]],
    }
    one = {"inputs": {"x": {"dtype": "string"}}, "instances": [{"b64": "AP8="}]}
    assert feeds(requests(one)[0])["x"].tolist() == [b"\x00\xff"]


@pytest.mark.parametrize("golden", [{}, {"instances": []}, {"instances": None}])
def test_without_golden_requests_there_is_nothing(golden):
    assert warmup_requests("churn", golden) == (b"", 0)


def test_no_more_than_tf_serving_takes():
    many = GOLDEN | {"instances": [[1.0, 2.0]] * (MOST_RECORDS + 5)}
    assert warmup_requests("churn", many)[1] == MOST_RECORDS
    large = GOLDEN | {"instances": [[0.0] * 80_000] * 10}
    content, count = warmup_requests("churn", large)
    assert (count, len(content) < MOST_BYTES + 1000) == (3, True)


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": {}},
        {"inputs": 5},
        {"inputs": {"x": {"dtype": "complex64"}}},
        {"inputs": {"x": {}}},
        {"inputs": {"y": {"dtype": "float32"}}, "instances": [{"x": 1.0}]},
        {"instances": "many"},
        {"instances": [["a"]]},
        {"instances": [[1.0, [2.0]]]},
        {"instances": [[[1.0], [2.0, 3.0]]]},
        {"instances": [[None]]},
        {"inputs": {"x": {"dtype": "int8"}}, "instances": [[1000]]},
        {"inputs": {"x": {"dtype": "string"}}, "instances": [["\ud800"]]},
    ],
)
def test_a_broken_document_is_told_as_such(change):
    with pytest.raises(InputError, match="golden requests"):
        warmup_requests("churn", GOLDEN | change)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3),
)


@given(
    st.sampled_from(["float32", "int32", "string", "bool", "float16"]),
    st.lists(JSON | st.dictionaries(st.sampled_from(["x", "b64"]), JSON), max_size=3),
)
def test_no_document_breaks_the_writer(dtype, instances):
    try:
        content, count = warmup_requests("m", {"inputs": {"x": {"dtype": dtype}}, "instances": instances})
    except InputError:
        return
    assert count == len(instances) == len(records(content))
    json.dumps(count)
