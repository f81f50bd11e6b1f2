"""A client of TF Serving's surface: golden requests by REST and gRPC, and the server's metrics.

A golden document is

    {"signature": "serving_default",
     "inputs": {"<input>": {"dtype": "float32", "shape": [null, 30]}, ...},
     "output": "<the output that is compared>",
     "instances": [row, ...],
     "outputs": [row, ...],
     "tolerance": 0.001}

`instances` are rows as REST's `instances` takes them: the bare value when the signature has one input, else an
object by input name; bytes are `{"b64": "..."}`. `outputs[i]` is the row of `output` that `instances[i]` must give.
`dtype` is TensorFlow's name (float32, float64, int64, string, bool, ...); `shape` includes the batch dimension.
Numbers match when they differ by at most `tolerance * max(1, |expected|)`; NaN matches NaN; all else must be equal.
Every instance is asked on its own, by REST and by gRPC.
"""

import base64
import json
import math
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mmcicd_jenkins.adapters.models.caller import Caller
from mmcicd_jenkins.errors import InputError, OutsideFailed
from mmcicd_jenkins.ports import Endpoint, GoldenResult
from mmcicd_jenkins.records import dataclass

if TYPE_CHECKING:  # both cost more than the commands that ask no server; they come with the first request
    import numpy.typing as npt
    import urllib3

# Of many differences the first few tell the story.
DIFFERENCES_SHOWN = 5
# An error body in a message; enough for one sentence of TF Serving's.
BODY_SHOWN = 256
METRICS_PATH = "/monitoring/prometheus/metrics"


@dataclass(frozen=True, kw_only=True)
class _Golden:
    signature: str
    dtypes: Mapping[str, str]
    output: str
    pairs: tuple[tuple[Any, Any], ...]
    tolerance: float


class HttpModelClient:
    """Implements `ports.ModelClient`."""

    def __init__(self, *, timeout_seconds: float = 30.0, caller: Caller | None = None) -> None:
        self._timeout = timeout_seconds
        self._caller = caller or Caller()

    @cached_property
    def _http(self) -> "urllib3.PoolManager":
        return self._caller.pool(self._timeout)

    def ask_golden(self, endpoint: Endpoint, model: str, golden: Mapping[str, object]) -> GoldenResult:
        """Ask every golden request by both protocols.

        Raises:
            InputError: the document is not a golden document.
            OutsideFailed: nothing answers at the endpoint.
        """
        asked = _parse(golden)
        # A kept connection leads to the copy that it was made to, which may be one of the version before.
        self._http.clear()
        seconds: list[float] = []
        differences: list[str] = []
        by_rest = 0
        for place, (instance, expected) in enumerate(asked.pairs):
            started = time.perf_counter()
            why = self._ask_rest(endpoint, model, asked, instance, expected)
            seconds.append(time.perf_counter() - started)
            by_rest += not why
            if why:
                differences.append(f"request {place} by REST: {why}")
        by_grpc, found = _ask_grpc(endpoint, model, asked, self._timeout, self._caller)
        differences += found
        return GoldenResult(
            asked=len(asked.pairs),
            matched_rest=by_rest,
            matched_grpc=by_grpc,
            seconds=tuple(seconds),
            differences=tuple(differences[:DIFFERENCES_SHOWN]),
        )

    def _ask_rest(self, endpoint: Endpoint, model: str, asked: _Golden, instance: Any, expected: Any) -> str:
        """Why the answer is not the expected one; "" when it is."""
        body = {"signature_name": asked.signature, "instances": [instance]}
        url = f"{endpoint.rest}/v1/models/{quote(model, safe='')}:predict"
        status, text = self._request("POST", url, json.dumps(body).encode())
        if status != 200:
            said = _error_in(text)
            return f"status {status}: {said}" if said else f"status {status}"
        try:
            row = json.loads(text)["predictions"][0]
        except (ValueError, LookupError, TypeError):
            return f"no predictions in {text[:BODY_SHOWN]!r}"
        if isinstance(row, dict) and asked.output in row and set(row) != {"b64"}:
            row = row[asked.output]
        return _difference(expected, row, asked.tolerance)

    def metrics(self, endpoint: Endpoint) -> str:
        """Raises `OutsideFailed` when the server does not answer with them."""
        status, text = self._request("GET", endpoint.rest + METRICS_PATH)
        if status != 200:
            raise OutsideFailed(
                "the server gives no metrics",
                where=endpoint.rest + METRICS_PATH,
                why=f"status {status}",
                fix="start TensorFlow Serving with --monitoring_config_file",
            )
        return text

    def _request(self, verb: str, url: str, body: bytes | None = None) -> tuple[int, str]:
        import urllib3

        headers = self._caller.headers(url) | ({"Content-Type": "application/json"} if body else {})
        try:
            answer = self._http.request(verb, url, body=body, headers=headers)
        except urllib3.exceptions.HTTPError as e:
            raise OutsideFailed(
                "the model server does not answer", where=url, why=_short(e), retryable=True
            ) from e
        return answer.status, answer.data.decode("utf-8", errors="replace")


def _short(error: Exception) -> str:
    """A certificate that does not fit is told; what else there is, is the network's."""
    text = str(getattr(error, "reason", "") or error)
    return text[:BODY_SHOWN] if "certificate" in text.lower() else type(error).__name__


def _parse(golden: Mapping[str, object]) -> _Golden:
    try:
        instances, outputs = _list(golden, "instances"), _list(golden, "outputs")
        inputs = _inputs(golden)
        return _Golden(
            signature=str(golden.get("signature") or "serving_default"),
            dtypes={str(name): str(spec["dtype"]) for name, spec in inputs.items()},
            output=str(golden["output"]),
            pairs=tuple(zip(instances, outputs, strict=True)),
            tolerance=float(str(golden.get("tolerance", 0.0))),
        )
    except (LookupError, TypeError, ValueError) as e:
        raise InputError(
            "these are no golden requests", why=f"{type(e).__name__}: {e}", fix="evaluate the model again"
        ) from e


def _inputs(document: Mapping[str, object]) -> Mapping[str, Any]:
    inputs = document["inputs"]
    if not isinstance(inputs, Mapping) or not inputs:
        raise ValueError("inputs is not an object with names")
    return inputs


def _list(document: Mapping[str, object], key: str) -> list[Any]:
    value = document[key]
    if not isinstance(value, list):
        raise ValueError(f"{key} is not a list")  # noqa: TRY004 - a wrong document, not a wrong call
    return value


def _error_in(text: str) -> str:
    try:
        return str(json.loads(text)["error"])[:BODY_SHOWN]
    except (ValueError, LookupError, TypeError):
        return text[:BODY_SHOWN]


def _difference(expected: Any, found: Any, tolerance: float) -> str:
    """The first place where two rows differ, with the numbers; "" when they match."""
    if isinstance(expected, list) or isinstance(found, list):
        if not isinstance(expected, list) or not isinstance(found, list) or len(expected) != len(found):
            return f"expected {_shape(expected)}, got {_shape(found)}"
        parts = (_difference(e, f, tolerance) for e, f in zip(expected, found, strict=True))
        return next((part for part in parts if part), "")
    if _is_number(expected) and _is_number(found):
        return (
            "" if _close(float(expected), float(found), tolerance) else _unequal(expected, found, tolerance)
        )
    # True equals 1 in Python, not in JSON.
    same = expected == found and isinstance(expected, bool) == isinstance(found, bool)
    return "" if same else f"expected {expected!r}, got {found!r}"[:BODY_SHOWN]


def _unequal(expected: float, found: float, tolerance: float) -> str:
    return f"expected {expected:.9g}, got {found:.9g}, tolerance {tolerance:g}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _close(expected: float, found: float, tolerance: float) -> bool:
    if math.isnan(expected) or math.isnan(found):
        return math.isnan(expected) and math.isnan(found)
    if math.isinf(expected) or math.isinf(found):
        return expected == found
    return abs(expected - found) <= tolerance * max(1.0, abs(expected))


def _shape(value: Any) -> str:
    return f"a list of {len(value)}" if isinstance(value, list) else "one value"


def _ask_grpc(
    endpoint: Endpoint, model: str, asked: _Golden, timeout: float, caller: Caller
) -> tuple[int, list[str]]:
    """How many matched, and what differed."""
    try:
        import grpc

        from mmcicd_jenkins.adapters.models import tf_wire
    except ImportError as e:
        raise InputError(
            f"asking by gRPC needs {e.name}", fix="pip install 'mmcicd-jenkins[tensorflow]'"
        ) from e
    matched, differences = 0, []
    options = [("grpc.max_receive_message_length", -1)]
    metadata = tuple(caller.headers(endpoint.grpc).items())
    with caller.channel(endpoint.grpc, options) as channel:
        call = channel.unary_unary(
            tf_wire.PREDICT,
            request_serializer=tf_wire.PredictRequest.SerializeToString,
            response_deserializer=tf_wire.PredictResponse.FromString,
        )
        for place, (instance, expected) in enumerate(asked.pairs):
            feeds = _feeds(asked, instance)
            request = tf_wire.predict_request(model, asked.signature, feeds, (asked.output,))
            try:
                outputs = tf_wire.outputs_of(
                    call(request, timeout=timeout, metadata=metadata, wait_for_ready=False)
                )
                why = _difference(expected, _row(outputs[asked.output]), asked.tolerance)
            except grpc.RpcError as e:
                why = f"{e.code().name}: {str(e.details())[:BODY_SHOWN]}"
            except (LookupError, ValueError) as e:
                why = f"the answer cannot be read: {e}"
            matched += not why
            if why:
                differences.append(f"request {place} by gRPC: {why}")
    return matched, differences


def _feeds(asked: _Golden, instance: Any) -> "dict[str, npt.NDArray[Any]]":
    """One golden row as a batch of one."""
    from mmcicd_jenkins.adapters.models import tf_wire

    named = isinstance(instance, dict) and set(instance) != {"b64"}
    row = instance if named else {next(iter(asked.dtypes)): instance}
    try:
        return {name: _batch(row[name], tf_wire.DTYPES[dtype][1]) for name, dtype in asked.dtypes.items()}
    except (LookupError, TypeError, ValueError) as e:
        raise InputError(
            "a golden request does not fit its own inputs",
            why=f"{type(e).__name__}: {e}",
            fix="evaluate the model again",
        ) from e


def _batch(value: Any, kind: Any) -> "npt.NDArray[Any]":
    import numpy as np

    if kind is not object:
        return np.asarray([value], dtype=kind)
    plain = _map(value, _to_bytes)
    shape = np.shape(_map(value, lambda _: 0))
    array = np.empty(shape, dtype=object)
    array.ravel()[:] = _flat(plain)
    return array.reshape((1, *shape))


def _map(value: Any, change: Callable[[Any], Any]) -> Any:
    return [_map(item, change) for item in value] if isinstance(value, list) else change(value)


def _flat(value: Any) -> list[Any]:
    return [leaf for item in value for leaf in _flat(item)] if isinstance(value, list) else [value]


def _to_bytes(value: Any) -> bytes:
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else str(value).encode()


def _row(array: "npt.NDArray[Any]") -> Any:
    """The only row of a batch of one, in the form of the golden document."""
    import numpy as np

    row = array[0] if array.ndim else array
    return _map(row.tolist() if isinstance(row, np.ndarray | np.generic) else row, _plain)


def _plain(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}
