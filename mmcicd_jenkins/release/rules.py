"""A gate rule is one line: `METRIC >=|<= LIMIT [in each COLUMN | where COLUMN = VALUE]`.

Parsing keeps the column of a mistake so that a caret can point inside the line. Judging is in
`release.gates`. LIMIT is a number with an optional unit, or `champion` / `stable` with `+ - *`
and a number.
"""

import math
import re

from mmcicd_jenkins.records import dataclass

# Metrics that only a running server can show; `verify` judges their rules, `evaluate` the others.
LATENCIES = ("latency_p50", "latency_p95", "latency_p99")
MEMORY = "memory"
SERVING_METRICS = frozenset({*LATENCIES, MEMORY})
# To the unit in which each measure is kept: seconds, bytes, fractions.
UNITS = {"": 1.0, "%": 0.01, "us": 1e-6, "ms": 1e-3, "s": 1.0, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True, kw_only=True)
class Limit:
    """`number`, or `baseline OPERATOR number` where the operator is `+`, `-` or `*`."""

    number: float
    baseline: str = ""
    operator: str = "+"

    def value(self, baseline: float) -> float:
        """The limit in the metric's own unit, given the baseline's value."""
        if not self.baseline:
            return self.number
        if self.operator == "*":
            return baseline * self.number
        return baseline - self.number if self.operator == "-" else baseline + self.number


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One gate. `each` names a column whose every value is judged; `where` one column and value."""

    text: str
    metric: str
    relation: str
    limit: Limit
    each: str = ""
    where: tuple[str, str] | None = None

    @property
    def is_absolute(self) -> bool:
        return not self.limit.baseline

    @property
    def needs_server(self) -> bool:
        return self.metric in SERVING_METRICS

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the test data by which this rule slices."""
        if self.each:
            return (self.each,)
        return (self.where[0],) if self.where else ()


class RuleSyntaxError(ValueError):
    """A rule that cannot be read. `column` counts from 0 inside the rule's text."""

    def __init__(self, what: str, column: int, width: int, fix: str) -> None:
        super().__init__(what)
        self.what = what
        self.column = column
        self.width = max(1, width)
        self.fix = fix


def parse_rule(text: str) -> Rule:
    """Read one rule.

    Raises:
        RuleSyntaxError: with the place of the mistake and what to write instead.
    """
    return _Reader(text).rule()


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def rule(self) -> Rule:
        metric = self._name("a metric", "start with a metric, for example: accuracy >= 0.9")
        relation = self._relation()
        limit = self._limit(metric)
        each, where = self._slice()
        self._skip()
        if self.at < len(self.text):
            raise self._error(
                f"unexpected {self._word()!r}",
                "end after the limit, 'in each COLUMN' or 'where COLUMN = VALUE'",
            )
        return Rule(
            text=" ".join(self.text.split()),
            metric=metric,
            relation=relation,
            limit=limit,
            each=each,
            where=where,
        )

    def _skip(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def _word(self) -> str:
        rest = self.text[self.at :].split()
        return rest[0] if rest else ""

    def _error(self, what: str, fix: str) -> RuleSyntaxError:
        self._skip()
        return RuleSyntaxError(what, self.at, len(self._word()), fix)

    def _name(self, kind: str, fix: str) -> str:
        self._skip()
        match = _NAME.match(self.text, self.at)
        if not match:
            raise self._error(f"expected {kind}" + self._instead(), fix)
        self.at = match.end()
        return match.group()

    def _instead(self) -> str:
        return f", got {self._word()!r}" if self._word() else ", got the end of the rule"

    def _take(self, *tokens: str) -> str:
        self._skip()
        for token in tokens:
            if self.text.startswith(token, self.at):
                self.at += len(token)
                return token
        return ""

    def _relation(self) -> str:
        relation = self._take(">=", "<=")
        if not relation:
            self._skip()
            raise self._error(
                "expected >= or <=" + self._instead(), "write METRIC >= LIMIT or METRIC <= LIMIT"
            )
        return relation

    def _number(self, *, units: tuple[str, ...] = ()) -> float:
        """A number; one that needs a unit names those that make sense."""
        self._skip()
        match = _NUMBER.match(self.text, self.at)
        if not match:
            raise self._error(
                "expected a number" + self._instead(), "write a number, or champion - 0.01, or stable * 1.2"
            )
        start, self.at = self.at, match.end()
        unit = re.compile(r"\s*([A-Za-z%]+)").match(self.text, self.at)
        scale = 1.0
        if unit and unit.group(1) not in {"in", "where"}:
            if unit.group(1) not in UNITS:
                self.at = unit.start(1)
                raise self._error(f"unknown unit {unit.group(1)!r}", "use one of: %, us, ms, s, Ki, Mi, Gi")
            scale, self.at = UNITS[unit.group(1)], unit.end()
        elif units:
            self.at = start
            written = ", or ".join(f"{match.group()} {unit}" for unit in units)
            raise self._error("a number without a unit", f"write {written}")
        number = float(match.group()) * scale
        if not math.isfinite(number):
            self.at = start
            raise self._error("the limit is not a finite number", "write an ordinary number")
        return number

    def _limit(self, metric: str) -> Limit:
        # Forty seconds that were meant as milliseconds let everything pass.
        units = ("ms", "s") if metric in LATENCIES else ("Mi", "Gi") if metric == MEMORY else ()
        baseline = self._take("champion", "stable")
        if not baseline:
            return Limit(number=self._number(units=units))
        operator = self._take("+", "-", "*")
        if not operator:
            return Limit(number=0.0, baseline=baseline)
        number = self._number(units=units if operator != "*" else ())
        return Limit(number=number, baseline=baseline, operator=operator)

    def _slice(self) -> tuple[str, tuple[str, str] | None]:
        if self._take("in each "):
            return self._name("a column", "write: in each COLUMN"), None
        if self._take("where "):
            column = self._name("a column", "write: where COLUMN = VALUE")
            if not self._take("="):
                raise self._error("expected =" + self._instead(), "write: where COLUMN = VALUE")
            value = self.text[self.at :].strip()
            if not value:
                raise self._error("expected a value", "write: where COLUMN = VALUE")
            self.at = len(self.text)
            return "", (column, value)
        return "", None
