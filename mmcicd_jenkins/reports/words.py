"""Numbers and names as people read them, in every report alike. Text only; the formats escape it themselves."""

import math
import unicodedata

from mmcicd_jenkins.release.gates import number

LOWER_IS_BETTER = frozenset(
    {"log_loss", "brier", "ece", "hamming_loss", "mae", "mse", "rmse", "mape", "max_error", "memory"}
)
_MOST_DIGITS = 9
_LARGE = 1000  # from here on thousandths are noise
# Overrides of the writing direction: a class called with one could turn the rest of its line around.
_DIRECTION = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def clean(text: str) -> str:
    """`text` without characters that XML forbids or that change how their neighbours look."""
    if text.isascii() and text.isprintable():
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if _is_harmful(c) else c for c in text)


def _is_harmful(character: str) -> bool:
    if character in "\t\n":
        return False
    code = ord(character)
    return (
        unicodedata.category(character) in {"Cc", "Cs"}
        or unicodedata.bidirectional(character) in _DIRECTION
        or code in {0xFFFE, 0xFFFF}
    )


def short_text(text: str, length: int) -> str:
    """One line of at most `length` characters; an empty one gets a name."""
    line = " ".join(clean(text).split())
    if not line:
        return "(empty)"
    return line if len(line) <= length else line[: length - 1] + "…"


def is_lower_better(metric: str) -> bool:
    return metric in LOWER_IS_BETTER or metric.startswith("latency_")


def shown(metric: str, value: float | None) -> str:
    """A value of a metric with its unit; `-` when there is none."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "infinite" if value > 0 else "-infinite"
    if metric.startswith("latency_"):
        return f"{value * 1000:,.4g} ms"
    if metric == "memory":
        return f"{value / 2**20:,.0f} MiB"
    if value in {-1.0, 0.0, 1.0}:  # among shares a bare 1 looks like a count
        return f"{value:.3f}"
    return f"{value:,.1f}" if abs(value) >= _LARGE and value != int(value) else number(value)


def shown_apart(metric: str, first: float, second: float) -> tuple[str, str, str]:
    """Both values and their distance, with as many digits as it takes to see that they differ."""
    texts = shown(metric, first), shown(metric, second)
    gap = abs(first - second)
    has_unit = metric.startswith("latency_") or metric == "memory"
    if has_unit or not math.isfinite(gap) or gap == 0 or (texts[0] != texts[1] and gap >= 0.0005):
        return *texts, shown(metric, gap)
    digits = min(_MOST_DIGITS, 1 + math.ceil(-math.log10(gap)))
    return f"{first:,.{digits}f}", f"{second:,.{digits}f}", f"{gap:,.{digits}f}"


def change(metric: str, value: float | None, baseline: float | None) -> str:
    """`+0.007`, or "" when one of the two is not there."""
    if value is None or baseline is None or not math.isfinite(value - baseline):
        return ""
    if value == baseline:
        return "±0"
    sign = "+" if value > baseline else "-"
    return sign + shown_apart(metric, value, baseline)[2]


def direction(metric: str, value: float | None, baseline: float | None) -> str:
    """`better`, `worse` or "" when equal or unknown."""
    if value is None or baseline is None or not math.isfinite(value - baseline) or value == baseline:
        return ""
    return "better" if (value < baseline) == is_lower_better(metric) else "worse"
