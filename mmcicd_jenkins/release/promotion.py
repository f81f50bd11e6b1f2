"""Judge a release against what production serves since it was judged. Pure.

A release was compared with the champion of its day. When another one serves by now, its comparisons are judged again on
the recorded numbers, as far as both were measured on the same data.
"""

from mmcicd_jenkins.release.gates import judge_measure
from mmcicd_jenkins.release.measures import Measure
from mmcicd_jenkins.release.records import GateOutcome, Release
from mmcicd_jenkins.release.rules import Rule, RuleSyntaxError, parse_rule


def compare_again(candidate: Release, champion: Release) -> tuple[GateOutcome, ...]:
    """The outcomes of the candidate's comparisons against `champion`; none when that is what it was judged against."""
    if champion.version in {candidate.gates.champion, candidate.version}:
        return ()
    return tuple(
        _judge(rule, outcome, candidate, champion)
        for outcome in candidate.gates.outcomes
        if (rule := _comparison(outcome)) is not None
    )


def _comparison(outcome: GateOutcome) -> Rule | None:
    try:
        rule = parse_rule(outcome.rule)
    except RuleSyntaxError:
        # Written when rules were read otherwise; what cannot be read any more decides nothing.
        return None
    return None if rule.is_absolute else rule


def _judge(rule: Rule, outcome: GateOutcome, candidate: Release, champion: Release) -> GateOutcome:
    base = _recorded(champion, rule.metric, outcome.slice) if candidate.data == champion.data else None
    return judge_measure(
        rule,
        outcome.slice,
        Measure(value=outcome.value, samples=outcome.samples),
        None if base is None else Measure(value=base, samples=outcome.samples),
        champion=champion.version,
        min_samples=0,
    )


def _recorded(release: Release, metric: str, place: str) -> float | None:
    if not place:
        return release.metrics.get(metric)
    found = (o.value for o in release.gates.outcomes if o.slice == place and o.rule.split()[0] == metric)
    return next(found, None)
