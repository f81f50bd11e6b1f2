"""Gate outcomes in words: `recall 0.801, champion 7 has 0.824, 9,634 samples, short by 0.019`."""

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.measures import Measure, Measures
from mmcicd_jenkins.release.records import GateOutcome, GateReport
from mmcicd_jenkins.release.rules import Rule, parse_rule
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.reports.words import shown, shown_apart

WORDS = {Verdict.PASSED: "passed", Verdict.FAILED: "refused", Verdict.INCONCLUSIVE: "inconclusive"}


@dataclass(frozen=True, kw_only=True)
class GateLine:
    """One outcome, ready to be shown. `word` is `not counted` for a comparison without champion."""

    rule: str
    slice: str
    verdict: Verdict
    word: str
    value: str
    limit: str
    champion: str
    samples: int
    sentence: str
    counts: bool


def gate_lines(report: GateReport, baseline: Measures | None = None) -> tuple[GateLine, ...]:
    """Every outcome in words. `baseline` are the champion's measures, told for absolute rules too."""
    return tuple(_line(outcome, report.champion, baseline) for outcome in report.outcomes)


def gate_sentences(report: GateReport, baseline: Measures | None = None) -> tuple[str, ...]:
    """One sentence for each outcome, in the order of the rules."""
    return tuple(line.sentence for line in gate_lines(report, baseline))


def _line(outcome: GateOutcome, champion: int | None, baseline: Measures | None) -> GateLine:
    rule = parse_rule(outcome.rule)
    known = outcome.baseline
    if known is None and champion is not None:
        measure = _find(rule.metric, outcome.slice, baseline)
        known = measure.value if measure else None
    return GateLine(
        rule=outcome.rule,
        slice=place(outcome),
        verdict=outcome.verdict,
        word=WORDS[outcome.verdict] if outcome.counts else "not counted",
        value=shown(rule.metric, outcome.value),
        limit=shown(rule.metric, outcome.limit),
        champion=shown(rule.metric, known),
        samples=outcome.samples,
        sentence=_sentence(outcome, rule, champion, known),
        counts=outcome.counts,
    )


def place(outcome: GateOutcome) -> str:
    """`column=value`; an empty value gets a name."""
    return f"{outcome.slice}(empty)" if outcome.slice.endswith("=") else outcome.slice


def _find(metric: str, place: str, measures: Measures | None) -> Measure | None:
    if measures is None:
        return None
    if not place:
        return measures.overall.get(metric)
    column, _, value = place.partition("=")
    return measures.slices.get(column, {}).get(value, {}).get(metric)


def _sentence(outcome: GateOutcome, rule: Rule, champion: int | None, known: float | None) -> str:
    if outcome.value is None or outcome.limit is None:
        return outcome.reason
    value, limit, gap = shown_apart(rule.metric, outcome.value, outcome.limit)
    said = [f"{rule.metric} {value}"]
    if outcome.slice:
        said[0] = f"{rule.metric} {value} for {place(outcome)}"
    if known is not None:
        said.append(f"champion {champion} has {shown(rule.metric, known)}")
    said.append(f"{outcome.samples:,} samples")
    inside = (outcome.value >= outcome.limit) == (rule.relation == ">=") or outcome.value == outcome.limit
    if outcome.verdict is Verdict.PASSED:
        said.append(f"{gap} to spare" if outcome.value != outcome.limit else "exactly at the limit")
    elif outcome.verdict is Verdict.FAILED and not inside:
        said.append(f"short by {gap}" if rule.relation == ">=" else f"over by {gap}")
        if not rule.is_absolute:
            said.append(f"needs {rule.relation} {limit}")
    else:
        return outcome.reason
    return ", ".join(said)
