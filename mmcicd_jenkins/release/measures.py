"""What an evaluation measured: numbers with their sample counts, overall and per slice."""

from collections.abc import Mapping
from dataclasses import field

from mmcicd_jenkins.records import dataclass


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One metric.

    `value` is None when it cannot be computed (one class only, a zero denominator) and may be NaN
    or infinite when the team's own evaluation says so. `samples` is the number of test rows behind
    it. `bound` is the largest possible distance from the exact value (0 when exact).
    """

    value: float | None
    samples: int
    bound: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Measures:
    """`overall[metric]` and `slices[column][value][metric]`."""

    overall: Mapping[str, Measure]
    slices: Mapping[str, Mapping[str, Mapping[str, Measure]]] = field(default_factory=dict)
