"""What is kept beside a canary between two commands, and how it is written there. Pure.

Short, because it rides in an annotation: compressed JSON. What cannot be read is as good as nothing kept: the step then
begins anew, which costs time and decides nothing.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.packed import pack, unpack
from mmcicd_jenkins.release.traffic import LiveCounters

# A histogram of TF Serving has 33 buckets; a hundred copies stay far below it.
LARGEST = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Notes:
    """What is kept beside the canary, for whoever goes on after a kill.

    `step` counts from 0. `since` is when its copies were all ready, "" before; `until` is when its time is over, "" when a
    person was asked and has not answered. `restarts` and the readings are from `since`. `verdict` is passed or failed when
    the last word is spoken, and `reason` says by which numbers.
    """

    step: int
    since: str = ""
    until: str = ""
    restarts: int = 0
    readings: Mapping[str, LiveCounters] = field(default_factory=dict)
    verdict: str = ""
    reason: str = ""


def to_text(notes: Notes) -> str:
    document = {
        "step": notes.step,
        "since": notes.since,
        "until": notes.until,
        "restarts": notes.restarts,
        "readings": {role: _written(counters) for role, counters in notes.readings.items()},
        "verdict": notes.verdict,
        "reason": notes.reason,
    }
    plain = json.dumps(document, allow_nan=False, separators=(",", ":"), sort_keys=True)
    return pack(plain.encode())


def _written(counters: LiveCounters) -> dict[str, Any]:
    """Infinity, which JSON does not know, is null."""
    return {
        "requests": dict(counters.requests),
        "errors": dict(counters.errors),
        "latency": {
            copy: [[None if math.isinf(bound) else bound, count] for bound, count in sorted(buckets.items())]
            for copy, buckets in counters.latency.items()
        },
    }


def from_text(text: str) -> Notes:
    """The notes, or those of a step that has not begun when there are none that can be read."""
    try:
        document = unpack(text, LARGEST)
        return Notes(
            step=_whole(document["step"]),
            since=str(document["since"]),
            until=str(document["until"]),
            restarts=_whole(document["restarts"]),
            readings={str(role): _read(counters) for role, counters in document["readings"].items()},
            verdict=str(document["verdict"]),
            reason=str(document["reason"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return Notes(step=0)


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(value)
    return value


def _read(document: Mapping[str, Any]) -> LiveCounters:
    return LiveCounters(
        requests={str(copy): float(count) for copy, count in document["requests"].items()},
        errors={str(copy): float(count) for copy, count in document["errors"].items()},
        latency={
            str(copy): {math.inf if bound is None else float(bound): float(count) for bound, count in buckets}
            for copy, buckets in document["latency"].items()
        },
    )
