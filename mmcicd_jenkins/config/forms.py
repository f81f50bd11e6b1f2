"""The written forms of values: `15m`, `4Gi`, `70%`, `10% for 15m`, rules. Pure text to numbers.

A form that cannot be read says what is wrong, where inside the text, and what to write instead.
"""

import math
import re
from decimal import Decimal

from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.rules import Rule, RuleSyntaxError, parse_rule

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
BYTES = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}

_AMOUNT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z%]*)\s*")


class FormError(ValueError):
    """A text that has not the form of its kind. `column` counts from 0 inside the text; `width` 0: all of it."""

    def __init__(self, what: str, fix: str, *, column: int = 0, width: int = 0) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.column = column
        self.width = width


def shown(value: object) -> str:
    """A value as the sentence `got ...` names it; long ones are cut."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, int | float):
        return f"the number {value}"
    text = str(value)
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _amount(value: object, units: dict[str, float] | dict[str, int], kind: str, fix: str) -> float:
    match = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise FormError(f"expected {kind}, got {shown(value)}", fix)
    number, unit = match.groups()
    if unit not in units:
        why = f"unknown unit {unit!r}" if unit else f"{shown(value)} has no unit"
        raise FormError(f"expected {kind}: {why}", fix, column=match.start(2), width=len(unit))
    return float(number) * units[unit]


def duration(value: object) -> float:
    """Seconds of `30s`, `15m`, `8h`, `3d` or `80 ms`; more than zero."""
    fix = "write a number and ms, s, m, h or d, for example 15m"
    seconds = _amount(value, SECONDS, "a duration", fix)
    if not 0 < seconds < math.inf:
        raise FormError("expected a duration above zero", fix)
    return seconds


def size(value: object) -> int:
    """Bytes of `512Mi` or `4Gi`."""
    fix = "write a number and Ki, Mi, Gi or Ti, for example 4Gi"
    amount = _amount(value, BYTES, "a size", fix)
    if not 1 <= amount < math.inf:
        raise FormError("expected a size above zero", fix)
    return int(amount)


def share(value: object) -> float:
    """The fraction that `70%` or `0.7` says; above 0 and below 1."""
    fix = "write a percentage such as 20%, or a number between 0 and 1"
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    else:
        # By way of decimals: 99.9% must be the same number as 0.999.
        number = float(Decimal(str(_amount(value, {"%": 1.0}, "a share", fix))) / 100)
    if not 0 < number < 1:
        raise FormError(f"expected a share between 0 and 1, got {shown(value)}", fix)
    return number


@dataclass(frozen=True, kw_only=True)
class Step:
    """One canary step: this share of the traffic for this long."""

    share: float
    seconds: float


def step(value: object) -> Step:
    """`10% for 15m`."""
    fix = "write SHARE for DURATION, for example 10% for 15m"
    if not isinstance(value, str):
        raise FormError(f"expected a canary step, got {shown(value)}", fix)
    first, word, last = value.partition(" for ")
    if not word:
        raise FormError(f"expected a canary step, got {shown(value)}", fix)
    try:
        part = share(first)
    except FormError as e:
        raise FormError(e.what, e.fix, column=e.column, width=e.width or len(first)) from e
    try:
        seconds = duration(last)
    except FormError as e:
        offset = len(first) + len(word)
        raise FormError(e.what, e.fix, column=offset + e.column, width=e.width or len(last)) from e
    return Step(share=part, seconds=seconds)


def rule(value: object) -> Rule:
    """A gate or a canary check."""
    if not isinstance(value, str):
        raise FormError(
            f"expected a rule, got {shown(value)}", "write METRIC >= LIMIT, for example accuracy >= 0.9"
        )
    try:
        return parse_rule(value)
    except RuleSyntaxError as e:
        raise FormError(e.what, e.fix, column=e.column, width=e.width) from e
