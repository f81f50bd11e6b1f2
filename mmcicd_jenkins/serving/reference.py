"""The reference of a release: how predictions were distributed on the test data, as a sketch, never rows.

A reference document is

    {"output": "<output of the signature, may be absent: the first one by name>",
     "kind": "score" | "class" | "value",
     "edges": [e0 < e1 < ... floats],
     "counts": [len(edges) + 1 whole numbers]}

Bin `i` holds the values `v` with `edges[i-1] <= v < edges[i]`; the first bin has no lower and the last no upper end:
`numpy.searchsorted(edges, v, side="right")`. What `v` is depends on `kind`:

- `score`: a probability. `[n]` and `[n, 1]` as they are; `[n, 2]` the last column (the positive class); wider ones
  (multi-label) every element.
- `class`: the index of the largest value along the last axis; an integer output, or one of shape `[n]` or `[n, 1]`,
  is the index itself. Edges are 0.5, 1.5, ...
- `value`: every element (regression).

The server counts each prediction of the default signature into the same bins, so a window of its counters compares
with `counts` bin by bin. Values that are not finite are counted apart. An empty document means: do not count.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mmcicd_jenkins.records import dataclass

KINDS = ("score", "class", "value")
# A histogram is a sketch: more bins than this would be rows by another name.
MAX_EDGES = 1000


@dataclass(frozen=True, kw_only=True)
class Reference:
    kind: str
    edges: tuple[float, ...]
    output: str = ""

    @property
    def bins(self) -> int:
        return len(self.edges) + 1


def parse_reference(document: Mapping[str, object]) -> Reference | None:
    """The reference a document describes; None when the document is empty.

    Raises:
        ValueError: it is not a reference; says why.
    """
    if not document:
        return None
    kind, edges, output = document.get("kind"), document.get("edges"), document.get("output", "")
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, expected one of {', '.join(KINDS)}")
    if not isinstance(output, str):
        raise ValueError("output is not a name")  # noqa: TRY004 - a wrong document, not a wrong call
    return Reference(kind=str(kind), edges=_edges(edges), output=output)


def _edges(edges: object) -> tuple[float, ...]:
    if not isinstance(edges, Sequence) or isinstance(edges, str) or not 0 < len(edges) <= MAX_EDGES:
        raise ValueError(f"edges must be a list of 1 to {MAX_EDGES} numbers")
    if not all(isinstance(edge, int | float) and math.isfinite(edge) for edge in edges):
        raise ValueError("edges must be finite numbers")
    if any(low >= high for low, high in itertools.pairwise(edges)):
        raise ValueError("edges must ascend")
    return tuple(float(edge) for edge in edges)


def values_of(kind: str, output: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The numbers to count in one answer, as a flat array."""
    wide = output.ndim > 1 and output.shape[-1] > 1
    if kind == "class" and wide and not np.issubdtype(output.dtype, np.integer):
        output = np.argmax(output, axis=-1)
    elif kind == "score" and output.ndim == 2 and output.shape[1] == 2:
        output = output[:, 1]
    return output.astype(np.float64).ravel()


def count_into_bins(reference: Reference, output: npt.NDArray[Any]) -> tuple[list[int], int]:
    """How many values fall into each bin, and how many are not finite."""
    values = values_of(reference.kind, output)
    finite = values[np.isfinite(values)]
    places = np.searchsorted(np.asarray(reference.edges), finite, side="right")
    counts = np.bincount(places, minlength=reference.bins)
    return [int(count) for count in counts], int(values.size - finite.size)
