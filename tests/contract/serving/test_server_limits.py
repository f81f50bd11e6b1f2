"""Requests that are too large, too deep or made to hurt: one sentence back, the server stays as it was."""

import base64
import gzip
import json
import socket
import subprocess
import zlib
from pathlib import Path

import grpc
import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

PREDICT = "/v1/models/scaled:predict"
LIMIT = 16 * 2**20


@pytest.fixture(autouse=True)
def _still_serves(ask, address):
    before = resident(address)
    yield
    assert ask("POST", PREDICT, {"instances": [[1, 2]]}).json == {"predictions": [[2.0, 4.0]]}
    # A parsed body of the largest size takes a third of this for a moment.
    assert resident(address) - before < 2**30
    assert "Traceback" not in (address.state / "out").read_text() + (address.state / "server.log").read_text()


def resident(address):
    pid = json.loads((address.state / "server.json").read_text())["pid"]
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def test_a_body_above_the_limit_is_413(ask):
    answer = ask("POST", PREDICT, b" " * (LIMIT + 1))
    assert (answer.status, answer.error) == (413, f"The body is larger than {LIMIT} bytes")


def test_curl_reads_the_413_before_it_sends_all(address, tmp_path):
    (tmp_path / "body").write_bytes(b" " * (LIMIT + 1))
    command = [
        "curl",
        "-sS",
        "-w",
        "%{http_code}",
        "--data-binary",
        f"@{tmp_path}/body",
        address.rest + PREDICT,
    ]
    assert subprocess.check_output(command, text=True).endswith("413")


def test_a_body_without_length_is_cut_off_at_the_limit(address, tmp_path):
    (tmp_path / "body").write_bytes(b" " * (LIMIT + 2**20))
    command = ["curl", "-sS", "-w", "%{http_code}", "-H", "Transfer-Encoding: chunked"]
    command += ["--data-binary", f"@{tmp_path}/body", address.rest + PREDICT]
    assert "413" in subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_a_body_at_the_limit_is_answered_and_curl_need_not_wait(address, tmp_path):
    body = json.dumps({"instances": [[1, 2]] * 1000}).encode()
    (tmp_path / "body").write_bytes(body + b" " * (LIMIT - len(body)))
    url = address.rest + PREDICT
    # curl asks with "Expect: 100-continue" and would wait ten minutes for an answer here.
    command = [
        "curl",
        "-sS",
        "-m",
        "100",
        "--expect100-timeout",
        "600",
        "--data-binary",
        f"@{tmp_path}/body",
        url,
    ]
    assert len(json.loads(subprocess.check_output(command))["predictions"]) == 1000


def test_a_zipped_bomb_is_cut_off_at_the_limit(ask):
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b" " * 2**20) for _ in range(96)) + packer.flush()
    assert ask("POST", PREDICT, bomb, **{"Content-Encoding": "gzip"}).status == 413


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_body_that_is_not_what_it_says_is_400(ask, encoding):
    answer = ask("POST", PREDICT, b'{"instances": [[1, 2]]}', **{"Content-Encoding": encoding})
    # The rest of such a connection cannot be read; who is not told sends the next request into it.
    assert (answer.status, answer.headers.get("Connection")) == (400, "close")


def test_a_cut_off_zipped_body_is_400(ask):
    body = gzip.compress(b'{"instances": [[1, 2]]}' + b" " * 5000)[:-20]
    assert ask("POST", PREDICT, body, **{"Content-Encoding": "gzip"}).status == 400


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_json_is_400(ask, opening):
    answer = ask("POST", PREDICT, b'{"instances":' + opening * 100_000)
    assert (answer.status, answer.error) == (400, "JSON Parse error: The document is nested too deeply")


def test_a_deep_tensor_is_400(ask):
    assert ask("POST", PREDICT, b'{"instances":' + b"[" * 300 + b"1" + b"]" * 300 + b"}").status == 400


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": [[' + b"9" * 5000 + b", 1]]}",
        b'{"instances": [[' + b"9" * 400 + b", 1]]}",
        b'{"instances": [["\\ud800", 1]]}',
        b'{"instances": [[\xff\xfe]]}',
        b"\xff\xfe{",
        b'{"instances": [[1, 2], [[1], 2]]}',
        b'{"instances": [{"b64": "?"}]}',
        b'{"instances": [null]}',
        b'{"inputs": {"x": {"y": 1}}}',
        b'{"instances": [[true, false]]}',
        b'{"instances": [' + b"[]," * 100_000 + b"[]]}",
    ],
)
def test_strange_json_is_400(ask, body):
    answer = ask("POST", PREDICT, body)
    assert answer.status == 400
    assert len(answer.error) < 2500


def test_numbers_beyond_a_float_are_infinite(ask):
    assert ask("POST", PREDICT, b'{"instances": [[1e300, -1e300]]}').json == {
        "predictions": [[np.inf, -np.inf]]
    }


def test_whole_numbers_beyond_their_type_are_refused(ask):
    answer = ask("POST", "/v1/models/two:predict", {"instances": [{"count": 2**63, "point": [0, 0]}]})
    assert (answer.status, answer.error.split(" Error: ")[1][:40]) == (
        400,
        "INVALID_ARGUMENT: JSON Value: 9223372036",
    )


def test_many_rows(ask):
    rows = b'{"instances": [' + b"[1,2]," * 200_000 + b"[1,2]]}"
    assert len(ask("POST", PREDICT, rows).json["predictions"]) == 200_001


def test_hostile_paths_are_only_text(ask):
    for name in ("$(id)", "..%2f..%2fetc", "%00", "%ff", "a" * 5000, "x;y"):
        assert ask("POST", f"/v1/models/{name}:predict", b"{}").status in (400, 404)


def test_no_http_is_answered_and_forgotten(address):
    host, port = address.rest.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.")


def test_a_grpc_message_above_the_limit_is_resource_exhausted(stubs):
    with pytest.raises(grpc.RpcError) as refused:
        stubs.prediction.Predict(stubs.predict("scaled", {"x": np.zeros((2_200_000, 2), np.float32)}))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        ((2**40, 2), grpc.StatusCode.RESOURCE_EXHAUSTED),
        ((-1, 2), grpc.StatusCode.INVALID_ARGUMENT),
        ((2**62, 2**62), grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
def test_a_tensor_that_claims_to_be_huge_is_refused(stubs, shape, code):
    request = stubs.predict("scaled", {"x": np.zeros((1, 2), np.float32)})
    tensor = request.inputs["x"]
    tensor.ClearField("tensor_content")
    tensor.float_val.append(1.0)
    for dim, size in zip(tensor.tensor_shape.dim, shape, strict=True):
        dim.size = size
    with pytest.raises(grpc.RpcError) as refused:
        stubs.prediction.Predict(request)
    assert refused.value.code() is code


@pytest.mark.parametrize(("dtype", "content"), [(999, b""), (1, b"123"), (20, b"x"), (0, b"")])
def test_a_malformed_tensor_is_refused(stubs, dtype, content):
    request = stubs.predict("scaled", {"x": np.zeros((1, 2), np.float32)})
    tensor = request.inputs["x"]
    tensor.dtype = dtype
    tensor.tensor_content = content
    with pytest.raises(grpc.RpcError) as refused:
        stubs.prediction.Predict(request)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_bytes_that_are_no_message_are_refused(address):
    with grpc.insecure_channel(address.grpc) as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        with pytest.raises(grpc.RpcError):
            call(b"\xff\xff" + base64.b64decode("AAAA"))


def test_refusals_do_not_fill_the_disk(ask, address):
    def written():
        return sum((address.state / name).stat().st_size for name in ("out", "server.log"))

    before = written()
    for _ in range(200):
        assert ask("POST", "/v1/models/strict:predict", {"instances": [[-1.0]]}).status == 400
        assert ask("POST", PREDICT, b"{").status == 400
    assert written() - before < 2000
