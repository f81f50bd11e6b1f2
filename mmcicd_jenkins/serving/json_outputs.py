"""Arrays to JSON in TF Serving's row (`predictions`) and column (`outputs`) forms. Pure.

Numbers are written as TF Serving writes them: six digits when they read back as the same number, else all that
are needed, `.0` after whole ones, NaN and Infinity bare.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mmcicd_jenkins.serving.status import invalid

Array = npt.NDArray[Any]


def rows_text(outputs: Mapping[str, Array]) -> str:
    """`{"predictions": [...]}`; one output stands bare, several are named in each row.

    Raises:
        Refused: the outputs have no common first dimension.
    """
    size = -1
    for name, array in sorted(outputs.items()):
        if array.ndim == 0:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if size not in (-1, array.shape[0]):
            raise invalid(
                f"Tensor name: {name} has inconsistent batch size: {array.shape[0]} expecting: {size}"
            )
        size = array.shape[0]
    columns = {name: _nested(tokens(name, array), array.shape, 1) for name, array in sorted(outputs.items())}
    if len(columns) == 1:
        rows = next(iter(columns.values()))
        return '{\n    "predictions": [' + ", ".join(rows) + "\n    ]\n}"
    keys = {name: json.dumps(name) for name in columns}
    rows = [
        "        {\n" + ",\n".join(f"            {keys[n]}: {columns[n][i]}" for n in columns) + "\n        }"
        for i in range(size)
    ]
    return '{\n    "predictions": [\n' + ",\n".join(rows) + "\n    ]\n}"


def columns_text(outputs: Mapping[str, Array]) -> str:
    """`{"outputs": ...}`; one output stands bare, several are named."""
    texts = {name: _nested(tokens(name, a), a.shape, 0)[0] for name, a in sorted(outputs.items())}
    if len(texts) == 1:
        return '{\n    "outputs": ' + next(iter(texts.values())) + "\n}"
    named = ",\n".join(f"        {json.dumps(name)}: {text}" for name, text in texts.items())
    return '{\n    "outputs": {\n' + named + "\n    }\n}"


def _nested(leaves: list[str], shape: Sequence[int], keep: int) -> list[str]:
    """Join leaves into nested lists until only the first `keep` dimensions are left flat."""
    for axis in range(len(shape) - 1, keep - 1, -1):
        size = shape[axis]
        count = int(np.prod(shape[:axis], dtype=np.int64))
        leaves = ["[" + ", ".join(leaves[i * size : (i + 1) * size]) + "]" for i in range(count)]
    return leaves


def tokens(name: str, array: Array) -> list[str]:
    """Every element as JSON text, in order. Outputs named `*_bytes` are base64.

    Raises:
        Refused: JSON has no form for this type.
    """
    flat = array.ravel()
    if array.dtype in (np.float32, np.float64):
        return _float_tokens(flat)
    if array.dtype == np.bool_:
        return ["true" if item else "false" for item in flat.tolist()]
    if np.issubdtype(array.dtype, np.integer):
        return [str(item) for item in flat.tolist()]
    if array.dtype == object:
        return [_string_token(item, name.endswith("_bytes")) for item in flat.tolist()]
    raise invalid(f"Failed to write JSON value for tensor type: {array.dtype}")


def _float_tokens(flat: Array) -> list[str]:
    digits = 9 if flat.dtype == np.float32 else 17
    values = flat.tolist()
    short = ["%.6g" % value for value in values]  # noqa: UP031 - the printf form is TF Serving's
    with np.errstate(over="ignore"):
        same = (np.asarray(short, dtype=np.float64).astype(flat.dtype) == flat).tolist()
    return [
        _decimal(text if same_value else f"{value:.{digits}g}")
        for value, text, same_value in zip(values, short, same, strict=True)
    ]


def _decimal(text: str) -> str:
    if text in ("nan", "-nan"):
        return "NaN"
    if text.endswith("inf"):
        return text.replace("inf", "Infinity")
    return text if "." in text or "e" in text else text + ".0"


def _string_token(item: Any, as_base64: bool) -> str:
    raw = item if isinstance(item, bytes) else str(item).encode()
    if as_base64:
        return '{"b64": ' + json.dumps(base64.b64encode(raw).decode()) + "}"
    return json.dumps(raw.decode("utf-8", errors="replace"), ensure_ascii=False)
