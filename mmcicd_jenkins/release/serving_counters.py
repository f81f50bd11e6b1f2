"""Counters of one copy in a cluster, from the text of whichever server it is: ours, or TensorFlow Serving. Pure.

A copy serves one version, so that TensorFlow Serving's counters, which name none, are that version's. It has no counts
of predictions: with it drift is not known, which is no error.
"""

from collections.abc import Mapping
from dataclasses import replace

from mmcicd_jenkins.release.counters import Reading, read_counters
from mmcicd_jenkins.release.serving_text import OK, totals

# Of a copy, by the names of gRPC's codes: what the caller did wrong. Everything else but OK is the server's fault.
REFUSED = frozenset(
    {
        "CANCELLED", "INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "UNAUTHENTICATED",
        "FAILED_PRECONDITION", "OUT_OF_RANGE",
    }
)  # fmt: skip


def read_copy(text: str, model: str, version: int, *, at: float, bins: int, restarts: int = 0) -> Reading:
    """What one copy of a version counted since it began."""
    own = read_counters(text, model, version, at=at, ready=True, bins=bins)
    if own.requests or own.latency:
        return replace(own, restarts=restarts)
    requests, buckets = totals(text, model)
    classes = {"ok": 0.0, "refused": 0.0, "failed": 0.0}
    for status, count in requests.items():
        classes[class_of(status)] += count
    return Reading(
        at=at,
        version=version,
        ready=True,
        answered=round(classes["ok"]),
        refused=round(classes["refused"]),
        failed=round(classes["failed"]),
        bounds=tuple(sorted(buckets)),
        latency=by_bucket(buckets),
        restarts=restarts,
    )


def class_of(status: str) -> str:
    """`ok`, `refused` or `failed`."""
    return "ok" if status == OK else "refused" if status in REFUSED else "failed"


def by_bucket(cumulative: Mapping[float, float]) -> tuple[int, ...]:
    """One count per bucket, in the order of the bounds; rounding never makes one negative."""
    counts, below = [], 0
    for bound in sorted(cumulative):
        upto = max(below, round(cumulative[bound]))
        counts.append(upto - below)
        below = upto
    return tuple(counts)
