"""Has the distribution of predictions moved away from the release's own reference? Sketches only, never rows.

Population stability index over the reference's bins. The threshold grows for small samples by the chi-square
bound, because PSI of n draws from the same distribution is about chi2(bins - 1) / n.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.verdicts import Verdict

# Below this PSI a shift is harmless by common practice, above SEVERE it is gross (PSI literature; Evidently's default).
NOTABLE = 0.1
SEVERE = 0.2
# One false alarm in ten thousand windows.
FALSE_ALARMS = 1e-4
# Half a count keeps an empty bin from making the index infinite.
PSEUDOCOUNT = 0.5

NO_REFERENCE = "no reference to compare with"


@dataclass(frozen=True, kw_only=True)
class Drift:
    verdict: Verdict
    psi: float | None
    threshold: float
    predictions: int
    reason: str


def population_stability_index(reference: Sequence[int], window: Sequence[int]) -> float:
    """Sum of (w - r) ln(w / r) over the bins' shares."""
    total_r = sum(reference) + PSEUDOCOUNT * len(reference)
    total_w = sum(window) + PSEUDOCOUNT * len(window)
    index = 0.0
    for r, w in zip(reference, window, strict=True):
        share_r, share_w = (r + PSEUDOCOUNT) / total_r, (w + PSEUDOCOUNT) / total_w
        index += (share_w - share_r) * math.log(share_w / share_r)
    return index


def chi_square_quantile(freedom: int, probability: float) -> float:
    """Wilson and Hilferty's approximation (1931), good to a few percent for the tails used here."""
    z = NormalDist().inv_cdf(probability)
    term = 2.0 / (9.0 * freedom)
    return float(freedom * (1.0 - term + z * math.sqrt(term)) ** 3)


def judge_drift(
    reference: Sequence[int], window: Sequence[int], *, min_predictions: int, features: int = 1
) -> Drift:
    """Compare one window of predictions with the reference's counts, bin by bin."""
    seen = sum(window)
    if len(reference) < 2 or len(reference) != len(window) or sum(reference) == 0:
        return Drift(
            verdict=Verdict.INCONCLUSIVE,
            psi=None,
            threshold=NOTABLE,
            predictions=seen,
            reason=NO_REFERENCE,
        )
    if seen < min_predictions:
        reason = f"drift undecided, {seen:,} of {min_predictions:,} predictions needed"
        return Drift(
            verdict=Verdict.INCONCLUSIVE, psi=None, threshold=NOTABLE, predictions=seen, reason=reason
        )
    # The reference is a sample too: with m rows behind it the noise is that of n*m/(n+m) draws.
    effective = seen * sum(reference) / (seen + sum(reference))
    noise = chi_square_quantile(len(reference) - 1, 1.0 - FALSE_ALARMS / features) / effective
    threshold = max(NOTABLE, noise)
    psi = population_stability_index(reference, window)
    verdict = Verdict.FAILED if psi > threshold else Verdict.PASSED
    severity = "severe, " if verdict is Verdict.FAILED and psi > max(SEVERE, threshold) else ""
    reason = f"predictions: {severity}PSI {psi:.3f} against {threshold:.3f} on {seen:,}"
    return Drift(verdict=verdict, psi=psi, threshold=threshold, predictions=seen, reason=reason)
