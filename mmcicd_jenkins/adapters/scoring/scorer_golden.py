"""Golden requests: a few rows with the answers that this model gave, to be asked again of every server.

The document's form is that of `adapters.model_client`, which asks them.
"""

import base64
import hashlib
import heapq
import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mmcicd_jenkins.adapters.scoring.scorer_feeds import Feed
else:
    from scorer_feeds import Feed

GOLDEN_ROWS = 20
# Another batch size or processor sums in another order; a wrong model is further away.
GOLDEN_TOLERANCE = 1e-3


class Golden:
    """The rows with the smallest hashes, so that the same table always gives the same golden requests."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, Any, Any]] = []
        self._seen = 0

    def offer(self, values: dict[str, list[Any]], fed: dict[str, Any], output: Any) -> None:
        for i, row in enumerate(zip(*values.values(), strict=True)):
            digest = hashlib.sha256("\x1f".join(map(str, row)).encode("utf-8", "replace")).digest()
            key = (-int.from_bytes(digest[:8], "big"), -(self._seen + i))
            is_full = len(self._rows) == GOLDEN_ROWS
            if is_full and key <= self._rows[0][:2]:
                continue
            named = {name: _value(array[i]) for name, array in fed.items()}
            instance = named if len(named) > 1 else next(iter(named.values()))
            answer = output[i].tolist()
            if not _is_json({"i": instance, "o": answer}):
                continue
            (heapq.heapreplace if is_full else heapq.heappush)(self._rows, (*key, instance, answer))
        self._seen += len(output)

    def document(self, signature: str, output: str, feeds: list[Feed]) -> dict[str, object]:
        rows = sorted(self._rows, key=lambda row: row[:2], reverse=True)
        return {
            "instances": [row[2] for row in rows],
            "outputs": [row[3] for row in rows],
            "signature": signature,
            "inputs": {f.name: {"dtype": f.dtype.name, "shape": [None, *f.shape]} for f in feeds},
            "output": output,
            "tolerance": GOLDEN_TOLERANCE,
        }


def _value(cell: Any) -> Any:
    """One row of an input as REST takes it."""
    if isinstance(cell, np.ndarray):
        return [_value(item) for item in cell] if cell.dtype == object else cell.tolist()
    if isinstance(cell, bytes):
        return {"b64": base64.b64encode(cell).decode()}
    return cell.item() if isinstance(cell, np.generic) else cell


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError):
        return False
    return True
