"""Golden requests: a few rows with the answers that this model gave, to be asked again of every server."""

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
GOLDEN_TOLERANCE = 1e-4


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
            instance = {
                name: array[i].tolist() if array.ndim > 1 else _item(array[i]) for name, array in fed.items()
            }
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


def _item(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError):
        return False
    return True
