"""What data probably are: the label, the kind of problem, what keeps rows together. Pure; a person confirms.

Only names, kinds and counts are looked at. A guess that would mostly be wrong is "" instead.
"""

import re
from collections.abc import Mapping, Sequence

from mmcicd_jenkins.config.model import Problem
from mmcicd_jenkins.ports import Column, SourceFacts

_LABELS = ("label", "target", "class", "outcome", "y", "response", "diagnosis")
# Who or what several rows may be about. A row of one in test and another in train is a leak.
_OWNERS = (
    "customer", "user", "patient", "client", "account", "person", "member", "subject", "card", "household",
    "device", "session", "visitor", "employee", "student", "merchant", "machine", "site",
)  # fmt: skip
_POSITIVE = {"1", "1.0", "true", "yes", "y", "t", "positive", "pos"}
# Whole numbers with at most this many values are read as classes; more are a count or an amount.
MOST_NUMBERED_CLASSES = 20


def label(columns: Sequence[Column], model: str) -> str:
    """The column to predict: by its usual names, by the model's name (churn: churned), else the last one."""
    by_name = {column.name.lower(): column.name for column in columns}
    named = next((by_name[name] for name in _LABELS if name in by_name), "")
    if named:
        return named
    stem = re.sub(r"[^a-z0-9]", "", model.lower())
    for low, name in by_name.items():
        if len(stem) >= 3 and re.sub(r"[^a-z0-9]", "", low).removeprefix("is").removeprefix("has").startswith(
            stem
        ):
            return name
    told = next(
        (
            name
            for low, name in by_name.items()
            if low.startswith("is_") or low.endswith(("_label", "_class"))
        ),
        "",
    )
    return told or (columns[-1].name if columns else "")


def group_by(columns: Sequence[Column], label: str) -> str:
    """The column of whoever several rows may be about; "" when none has such a name in every row."""
    usable = [column for column in columns if column.name != label and not column.missing]
    for owner in _OWNERS:
        for column in usable:
            words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column.name).lower()
            if re.fullmatch(rf"(\w+_)?{owner}(_?(id|key|no|number|code|uuid))?", words) and not _is_category(
                column
            ):
                return column.name
    return ""


def _is_category(column: Column) -> bool:
    """Few distinct texts are a kind of owner (`customer: new|old`), not an owner."""
    return column.kind == "text" and 0 < len(column.values) <= 10


def problem(facts: SourceFacts, label: str) -> tuple[Problem | str, str]:
    """The kind of problem and a short sentence for the reason; "" when it cannot be told."""
    if not facts.columns:
        classes = len(facts.label_counts)
        return ("multiclass", f"{classes} folders of files: multiclass") if classes > 2 else ("", "")
    column = next((c for c in facts.columns if c.name == label), None)
    if column is None:
        return "", ""
    counts = facts.label_counts
    if len(counts) == 1:
        return "", "one value only: there is nothing to learn"
    if len(counts) == 2:
        return "binary", f"two values, {100 * _positive_share(counts):.0f} % positive: binary"
    if column.kind == "text":
        if counts:
            return "multiclass", f"{len(counts)} values: multiclass"
        return "", "too many different texts to be classes"
    if (
        column.kind == "integer"
        and 2 < len(counts) <= MOST_NUMBERED_CLASSES
        and _is_consecutive(column, len(counts))
    ):
        return "multiclass", f"whole numbers {column.low:g} to {column.high:g}: multiclass"
    low, high = (column.low or 0.0), (column.high or 0.0)
    return "regression", f"numbers from {low:g} to {high:g}: regression"


def _positive_share(counts: Mapping[str, int]) -> float:
    """Of the value that means yes; of the last one in order when neither does."""
    values = sorted(counts)
    positive = next((value for value in values if value.lower() in _POSITIVE), values[-1])
    return counts[positive] / sum(counts.values())


def _is_consecutive(column: Column, distinct: int) -> bool:
    return column.low is not None and column.high is not None and column.high - column.low + 1 == distinct
