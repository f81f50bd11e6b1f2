"""How predictions were distributed on the test data: the reference that monitoring compares with.

Ten bins of about equal counts for scores and values, one bin for each class otherwise. The bins' meaning is
written down where they are counted in production (`serving/reference.py`).
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

BINS = 10
_SAMPLE = 1_000_000  # scores behind the quantiles; the counts are over all of them
_CHUNK = 1_000_000


def drift_reference(
    problem: str, scores: NDArray[np.float32], classes: tuple[str, ...]
) -> Mapping[str, object]:
    """`{}` when there is nothing to compare with: no rows, or one value only."""
    if problem == "multiclass":
        kind, edges = "class", [i + 0.5 for i in range(len(classes) - 1)]
    else:
        kind = "value" if problem == "regression" else "score"
        edges = _quantiles(scores[:, -1:] if problem == "binary" else scores)
    if not edges or not len(scores):
        return {}
    counts = np.zeros(len(edges) + 1, np.int64)
    for start in range(0, len(scores), _CHUNK):
        values = _values(problem, scores[start : start + _CHUNK])
        counts += np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(counts))
    return {"kind": kind, "edges": edges, "counts": counts.tolist()}


def _values(problem: str, scores: NDArray[np.float32]) -> NDArray[np.float64]:
    if problem == "multiclass":
        usable = scores[np.isfinite(scores).all(axis=1)]
        indices: NDArray[np.float64] = np.argmax(usable, axis=1).astype(np.float64)
        return indices
    flat = (scores[:, -1] if problem == "binary" else scores.ravel()).astype(np.float64)
    finite: NDArray[np.float64] = flat[np.isfinite(flat)]
    return finite


def _quantiles(scores: NDArray[np.float32]) -> list[float]:
    step = 1 + scores.size // _SAMPLE
    sample = scores[::step].ravel()
    sample = sample[np.isfinite(sample)]
    if not len(sample):
        return []
    inner = np.quantile(sample.astype(np.float64), np.arange(1, BINS) / BINS)
    edges = [float(edge) for edge in np.unique(inner)]
    # An edge at the smallest value would leave the first bin empty for ever.
    return [edge for edge in edges if edge > float(sample.min())]
