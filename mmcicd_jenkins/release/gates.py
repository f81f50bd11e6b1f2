"""Judge gate rules on measures. NaN, missing, too few samples, a missing slice or baseline never pass.

Every outcome carries a sentence with its numbers. A first release has no champion: its comparisons are
shown as "no champion yet" and do not count, but then at least one absolute gate must pass.
"""

import math
from collections.abc import Mapping, Sequence

from mmcicd_jenkins.release.measures import Measure, Measures
from mmcicd_jenkins.release.records import GateOutcome, GateReport
from mmcicd_jenkins.release.rules import MEMORY, Rule
from mmcicd_jenkins.release.verdicts import Verdict, worst

NO_CHAMPION = "no champion yet"
MOST_DIGITS = 9


def number(value: float) -> str:
    """A metric as people read it: four significant digits at least, never in exponents for ordinary sizes."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) >= 1:
        return f"{int(value):,}"
    digits = 6 if 0 < abs(value) < 0.001 else 3
    return f"{value:,.{digits}f}"


def figures(metric: str, *values: float) -> tuple[str, ...]:
    """Values of one metric with its unit, in as many digits as it takes to see that two of them differ."""
    if metric.startswith("latency_"):
        return tuple(f"{value * 1000:,.4g} ms" for value in values)
    if metric == MEMORY:
        return tuple(f"{value / 2**20:,.0f} MiB" for value in values)
    texts = tuple(number(value) for value in values)
    digits = 4
    while len(set(texts)) < len(set(values)) and digits <= MOST_DIGITS:
        texts = tuple(f"{value:,.{digits}f}" for value in values)
        digits += 1
    return texts


def judge(
    rules: Sequence[Rule],
    candidate: Measures,
    baseline: Measures | None,
    *,
    champion: int | None,
    min_samples: int,
) -> GateReport:
    """All rules on the candidate. `baseline` are the champion's measures on the same test data.

    Args:
        champion: the version that production serves; None when this would be the first release.
        min_samples: a measure on fewer rows decides nothing.
    """
    outcomes = tuple(
        outcome
        for rule in rules
        for outcome in _judge_rule(rule, candidate, baseline, champion=champion, min_samples=min_samples)
    )
    return _report(outcomes, champion)


def extend(report: GateReport, more: Sequence[GateOutcome]) -> GateReport:
    """The report with further outcomes, for rules that only a running server can decide."""
    return _report((*report.outcomes, *more), report.champion)


def _report(outcomes: tuple[GateOutcome, ...], champion: int | None) -> GateReport:
    counted = [o for o in outcomes if o.counts]
    verdict = worst(o.verdict for o in counted)
    if not outcomes:
        return GateReport(
            verdict=Verdict.INCONCLUSIVE,
            outcomes=(),
            champion=champion,
            reason="no gates are configured, so nothing can pass",
        )
    if not counted:
        reason = f"{NO_CHAMPION}, and a first release needs at least one absolute gate that passes"
        return GateReport(verdict=Verdict.INCONCLUSIVE, outcomes=outcomes, champion=champion, reason=reason)
    return GateReport(
        verdict=verdict, outcomes=outcomes, champion=champion, reason=_summary(counted, outcomes, verdict)
    )


def _summary(counted: Sequence[GateOutcome], outcomes: Sequence[GateOutcome], verdict: Verdict) -> str:
    if verdict is Verdict.PASSED:
        said = [o.reason for o in counted[:2]]
        if len(counted) > len(said):
            said.append(f"{len(counted) - len(said)} more passed")
        if len(outcomes) > len(counted):
            said.append(NO_CHAMPION)
        return "; ".join(said)
    bad = [o for o in counted if o.verdict is not Verdict.PASSED]
    bad.sort(key=lambda o: o.verdict is not Verdict.FAILED)
    # Two rules on one metric may fail for one reason, such as too few rows.
    reasons = list(dict.fromkeys(o.reason for o in bad))
    said = reasons[:3]
    if len(reasons) > len(said):
        said.append(f"{len(reasons) - len(said)} more did not pass")
    return "; ".join(said)


def _judge_rule(
    rule: Rule, candidate: Measures, baseline: Measures | None, *, champion: int | None, min_samples: int
) -> list[GateOutcome]:
    places = _places(rule, candidate)
    if not places:
        column = rule.columns[0]
        reason = f"{rule.metric}: the test data has no slice {_slice_name(rule)}"
        return [_outcome(rule, _slice_name(rule) or column, Verdict.INCONCLUSIVE, reason)]
    return [
        judge_measure(
            rule,
            place,
            measures.get(rule.metric),
            _baseline_measure(rule, place, baseline),
            champion=champion,
            min_samples=min_samples,
        )
        for place, measures in places.items()
    ]


def _slice_name(rule: Rule) -> str:
    if rule.where:
        return "=".join(rule.where)
    return rule.each


def _places(rule: Rule, measures: Measures) -> dict[str, Mapping[str, Measure]]:
    """Where the rule looks: "" for everything, else `column=value` for each slice it names."""
    if not rule.columns:
        return {"": measures.overall}
    column = rule.columns[0]
    slices = measures.slices.get(column, {})
    if rule.where:
        value = rule.where[1]
        return {f"{column}={value}": slices[value]} if value in slices else {}
    return {f"{column}={value}": slices[value] for value in sorted(slices)}


def _baseline_measure(rule: Rule, place: str, baseline: Measures | None) -> Measure | None:
    if baseline is None or rule.is_absolute:
        return None
    if not place:
        return baseline.overall.get(rule.metric)
    column, _, value = place.partition("=")
    return baseline.slices.get(column, {}).get(value, {}).get(rule.metric)


def _outcome(
    rule: Rule,
    place: str,
    verdict: Verdict,
    reason: str,
    *,
    value: float | None = None,
    limit: float | None = None,
    baseline: float | None = None,
    samples: int = 0,
    counts: bool = True,
) -> GateOutcome:
    return GateOutcome(
        rule=rule.text,
        slice=place,
        verdict=verdict,
        value=_finite(value),
        limit=_finite(limit),
        baseline=_finite(baseline),
        samples=samples,
        reason=reason,
        counts=counts,
    )


def _finite(value: float | None) -> float | None:
    # Records are JSON: NaN and infinity have no place there; the reason says them in words.
    return value if value is not None and math.isfinite(value) else None


def judge_measure(
    rule: Rule,
    place: str,
    measure: Measure | None,
    baseline: Measure | None,
    *,
    champion: int | None,
    min_samples: int,
) -> GateOutcome:
    """One rule on one measure."""
    name = f"{rule.metric} for {place}" if place else rule.metric
    if measure is None:
        return _outcome(rule, place, Verdict.INCONCLUSIVE, f"{name} was not measured")
    if not rule.is_absolute and champion is None:
        return _outcome(
            rule,
            place,
            Verdict.INCONCLUSIVE,
            f"{name}: {NO_CHAMPION}",
            value=measure.value,
            samples=measure.samples,
            counts=False,
        )
    if measure.value is None or not math.isfinite(measure.value):
        said = "undefined on this data" if measure.value is None else f"{measure.value}"
        verdict = Verdict.INCONCLUSIVE if measure.value is None else Verdict.FAILED
        return _outcome(rule, place, verdict, f"{name} is {said}", samples=measure.samples)
    if measure.samples < min_samples:
        reason = f"{name} inconclusive, {measure.samples:,} of {min_samples:,} samples"
        return _outcome(
            rule, place, Verdict.INCONCLUSIVE, reason, value=measure.value, samples=measure.samples
        )
    return _compare(rule, place, name, measure, baseline, champion=champion)


def _compare(
    rule: Rule, place: str, name: str, measure: Measure, baseline: Measure | None, *, champion: int | None
) -> GateOutcome:
    base: float | None = None
    if not rule.is_absolute:
        base = baseline.value if baseline is not None else None
        if base is None or not math.isfinite(base):
            reason = f"{name}: champion {champion} has no such measure on this test data"
            return _outcome(
                rule, place, Verdict.INCONCLUSIVE, reason, value=measure.value, samples=measure.samples
            )
    limit = rule.limit.value(base or 0.0)
    if not math.isfinite(limit):
        reason = f"{name}: the limit against champion {champion} is {limit}"
        return _outcome(
            rule, place, Verdict.INCONCLUSIVE, reason, value=measure.value, samples=measure.samples
        )
    value = measure.value if measure.value is not None else math.nan
    bound = measure.bound + (baseline.bound if baseline is not None else 0.0)
    value_text, limit_text = figures(rule.metric, value, limit)
    if bound and abs(value - limit) <= bound:
        reason = f"{name} {value_text} is within its bound of {bound:.1g} from the limit {limit_text}"
        verdict = Verdict.INCONCLUSIVE
    else:
        passed = value >= limit if rule.relation == ">=" else value <= limit
        verdict = Verdict.PASSED if passed else Verdict.FAILED
        reason = f"{name} {value_text} {rule.relation} {limit_text}"
        if not passed:
            reason = f"{name} {value_text}, needs {rule.relation} {limit_text}"
        if base is not None:
            reason += f" (champion {champion} has {figures(rule.metric, base)[0]})"
    return _outcome(
        rule, place, verdict, reason, value=value, limit=limit, baseline=base, samples=measure.samples
    )
