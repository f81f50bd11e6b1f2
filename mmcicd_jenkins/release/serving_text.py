"""The counters of one model in the metrics of a TensorFlow Serving server. Pure.

Their names have no version in them, so that copies of different versions are told apart by where the text came from.
Every status but OK counts as an error: a caller's mistake is as frequent on both sides of a comparison, and an input that
a new version takes no more is not the caller's mistake.
"""

import math

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.counters import samples

REQUESTS = ":tensorflow:serving:request_count"
LATENCY = ":tensorflow:serving:request_latency_bucket"
OK = "OK"
MICROSECONDS = 1e6


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Totals of one server for one model. `latency` is cumulative, by upper bound in seconds."""

    requests: float
    errors: float
    latency: dict[float, float]


def counted(text: str, model: str) -> Counted:
    """Nothing counted for a model that the server does not name: it counts from the first request."""
    requests = errors = 0.0
    latency: dict[float, float] = {}
    for name, labels, value in samples(text):
        if labels.get("model_name") != model:
            continue
        if name == REQUESTS:
            requests += value
            errors += 0.0 if labels.get("status") == OK else value
        elif name == LATENCY:
            bound = seconds_of(labels.get("le", ""))
            if not math.isnan(bound):
                latency[bound] = latency.get(bound, 0.0) + value
    return Counted(requests=requests, errors=errors, latency=latency)


def seconds_of(bound: str) -> float:
    """An upper bound as servers write it, in seconds; NaN for what is none."""
    try:
        return float(bound) / MICROSECONDS
    except ValueError:
        return math.nan
