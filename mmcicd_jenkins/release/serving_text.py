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


def totals(text: str, model: str) -> tuple[dict[str, float], dict[float, float]]:
    """Requests by status, and the cumulative latency; empty for a model that the server does not name: it counts from
    the first request.
    """
    requests: dict[str, float] = {}
    latency: dict[float, float] = {}
    for name, labels, value in samples(text):
        if labels.get("model_name") != model:
            continue
        if name == REQUESTS:
            status = labels.get("status", "")
            requests[status] = requests.get(status, 0.0) + value
        elif name == LATENCY and not math.isnan(bound := seconds_of(labels.get("le", ""))):
            latency[bound] = latency.get(bound, 0.0) + value
    return requests, latency


def counted(text: str, model: str) -> Counted:
    """The same with the statuses told apart by whether they are errors."""
    requests, latency = totals(text, model)
    errors = sum(count for status, count in requests.items() if status != OK)
    return Counted(requests=sum(requests.values()), errors=errors, latency=latency)


def seconds_of(bound: str) -> float:
    """An upper bound as servers write it, in seconds; NaN for what is none."""
    try:
        return float(bound) / MICROSECONDS
    except ValueError:
        return math.nan
