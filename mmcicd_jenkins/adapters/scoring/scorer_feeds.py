"""Columns to tensors: which columns fill which input of the signature, and cells to numbers."""

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mmcicd_jenkins.adapters.scoring.scorer_table import ScorerError, Table
else:
    from scorer_table import ScorerError, Table

MISSING = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "<NA>"})  # as pandas reads them
TRUTHS = {"true": True, "false": False, "1": True, "0": False}


class Feed:
    """One input of the signature and the columns that fill it."""

    def __init__(self, name: str, spec: Any, columns: list[str], shape: tuple[int, ...]) -> None:
        self.name = name
        self.dtype = spec.dtype
        self.columns = columns
        self.shape = shape  # of one row

    def tensor(self, table: Table, places: list[int], values: dict[str, list[Any]]) -> Any:
        if self.dtype.name == "string":
            read = [[_text(v) for v in values[column]] for column in self.columns]
            flat = np.array(read, dtype=object).T
        else:
            kind = np.dtype(self.dtype.as_numpy_dtype)
            flat = np.stack([_numbers(table, c, places, values[c], kind) for c in self.columns], axis=1)
        return flat.reshape(len(places), *self.shape)


def _text(value: Any) -> str | bytes:
    if value is None:
        return ""
    return value if isinstance(value, str | bytes) else str(value)


def _numbers(table: Table, column: str, places: list[int], values: list[Any], kind: Any) -> Any:
    """A column as numbers of `kind`; an error names line, column and value."""
    whole = kind.kind in "iu"
    try:
        if kind.kind == "b":
            return np.array([TRUTHS[str(v).strip().lower()] for v in values])
        if whole:
            return np.array([int(v) for v in values], dtype=kind)
        return np.fromiter(map(float, values), np.float64, len(values)).astype(kind)
    except (ValueError, TypeError, KeyError, OverflowError):
        read = [_number(table, column, p, v, kind) for p, v in zip(places, values, strict=True)]
        return np.array(read, dtype=kind)


def _number(table: Table, column: str, place: int, value: Any, kind: Any) -> Any:
    is_missing = value is None or (isinstance(value, str) and value.strip() in MISSING)
    try:
        if kind.kind == "b":
            return TRUTHS[str(value).strip().lower()]
        if kind.kind == "f":
            return math.nan if is_missing else float(value)
        try:
            number = int(value)
        except ValueError:
            number = int(float(value)) if float(value).is_integer() else int("not whole")
        return np.array(number, dtype=kind)
    except (ValueError, TypeError, KeyError, OverflowError) as e:
        shown = "is empty" if is_missing else f"is {str(value)[:60]!r}"
        raise ScorerError(
            "input",
            f"a row of the test table does not fit the model: column {column} {shown}",
            where=table.where(place),
            why=f"the model's input takes {kind.name}",
            fix="correct the row, or let the model take text or float inputs",
        ) from e


def plan_feeds(inputs: dict[str, Any], columns: list[str]) -> list[Feed]:
    """Which columns fill which input.

    One input that takes a row of numbers gets all columns in order. Otherwise an input gets the column of its name,
    or, when it is several wide, the columns `name_0`, `name_1`, ... (`name.0` or counted from 1 do too).
    """
    if len(inputs) == 1:
        (name, spec), *_ = inputs.items()
        whole = _whole_row(spec, len(columns))
        if whole is not None and not (whole in ((), (1,)) and columns != [name] and name in columns):
            return [Feed(name, spec, columns, whole)]
    feeds = []
    missing = []
    for name, spec in inputs.items():
        found = _columns_of(name, spec, columns)
        if found is None:
            missing.append(name)
        else:
            feeds.append(Feed(name, spec, found, _row_shape(spec, len(found))))
    if missing:
        raise _mismatch(inputs, columns, missing)
    return feeds


def _whole_row(spec: Any, count: int) -> tuple[int, ...] | None:
    """The shape of one row when all columns together fill this input."""
    rank = spec.shape.rank
    if rank is None:
        return (count,)
    tail = spec.shape.as_list()[1:]
    if rank == 1:
        return () if count == 1 else None
    if rank == 2 and tail[0] in (None, count):
        return (count,)
    return tuple(tail) if None not in tail and math.prod(tail) == count else None


def _row_shape(spec: Any, count: int) -> tuple[int, ...]:
    return () if spec.shape.rank in (None, 1) else (count, *[1] * (spec.shape.rank - 2))


def _plain(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _columns_of(name: str, spec: Any, columns: list[str]) -> list[str] | None:
    tail = [] if spec.shape.rank is None else spec.shape.as_list()[1:]
    if all(size in (None, 1) for size in tail):
        alike = [c for c in columns if c == name] or [c for c in columns if _plain(c) == _plain(name)]
        return alike if len(alike) == 1 else None
    if len(tail) != 1:
        return None
    for join in ("_", "."):
        for first in (0, 1):
            wanted = [f"{name}{join}{i}" for i in range(first, first + tail[0])]
            if all(column in columns for column in wanted):
                return wanted
    return None


def _mismatch(inputs: dict[str, Any], columns: list[str], missing: list[str]) -> ScorerError:
    takes = ", ".join(f"{name} {spec.dtype.name}{spec.shape}" for name, spec in inputs.items())
    text_only = len(inputs) == 1 and next(iter(inputs.values())).dtype.name == "string"
    hint = " (an input of serialized examples cannot be fed from a table)" if text_only else ""
    return ScorerError(
        "input",
        f"the model's inputs and the columns of the test table do not meet: {', '.join(missing)}",
        why=f"model inputs: {takes}; table columns ({len(columns)}): {', '.join(columns)}{hint}",
        fix="name the inputs after columns when exporting, or give one input as wide as the table",
    )
