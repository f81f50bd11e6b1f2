"""What a data source must look like: `schema: FILE` of a source, and whether its facts meet it.

```yaml
columns:
  age: {type: integer, min: 0, max: 120, missing: 1%}
  country: {type: text, values: [BR, DE]}
  note: {required: false}
other_columns: refused      # default: allowed
rows: {min: 1000}
label: {min_share: 5%}      # of the rarest class
```
Reading says every mistake at once, with its place; checking is pure and says every breach in a sentence.
"""

from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from mmcicd_jenkins.config import forms
from mmcicd_jenkins.config.marks import Document, KeyPath, dotted
from mmcicd_jenkins.config.suggest import nearest
from mmcicd_jenkins.config.yaml_reader import MAX_BYTES, read_document
from mmcicd_jenkins.errors import ConfigInvalid, InputError, Problem
from mmcicd_jenkins.ports import Column, SourceFacts
from mmcicd_jenkins.records import dataclass

KINDS = ("integer", "number", "text")


@dataclass(frozen=True, kw_only=True)
class ColumnRule:
    """What one column must be. None: nothing is asked. `missing` is the largest share of missing values."""

    type: str | None = None
    min: float | None = None
    max: float | None = None
    values: tuple[str, ...] | None = None
    missing: float = 0.0
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class DataSchema:
    """A whole schema. `min_share` is asked of the rarest class of the label."""

    columns: Mapping[str, ColumnRule] = field(default_factory=dict)
    other_columns: str = "allowed"
    min_rows: int = 0
    max_rows: int | None = None
    min_share: float = 0.0
    classes: tuple[str, ...] | None = None


def load_schema(path: Path) -> DataSchema:
    """Read a schema file.

    Raises:
        ConfigInvalid: with every mistake.
        InputError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as e:
        raise InputError(
            "the data schema cannot be read",
            where=str(path),
            why=e.strerror or str(e),
            fix="correct `schema`, or write the file",
        ) from e
    return read_schema(content, path.name)


def read_schema(content: bytes, file: str) -> DataSchema:
    """The schema that these bytes say; raises as `load_schema`."""
    document = read_document(content, file)
    reader = _Reader(document, [problem for _, problem in document.problems])
    schema = reader.schema()
    if reader.problems:
        raise ConfigInvalid(tuple(sorted(reader.problems, key=lambda p: (p.line, p.column))))
    return schema


Check = Callable[[object], Any]


def _one_of(*allowed: str) -> Check:
    def check(value: object) -> str:
        if value not in allowed:
            raise forms.FormError(
                f"expected {' or '.join(allowed)}, got {forms.shown(value)}", f"write {allowed[0]}"
            )
        return str(value)

    return check


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise forms.FormError(f"expected a number, got {forms.shown(value)}", "write a number, for example 0")
    return float(value)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise forms.FormError(
            f"expected a whole number, got {forms.shown(value)}", "write a number, for example 1000"
        )
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise forms.FormError(f"expected true or false, got {forms.shown(value)}", "write true or false")
    return value


def _share(value: object) -> float:
    """As `forms.share`, with none and all of them besides."""
    limits = {"0": 0.0, "0.0": 0.0, "0%": 0.0, "1": 1.0, "1.0": 1.0, "100%": 1.0}
    known = limits.get(str(value).replace(" ", ""))
    return forms.share(value) if known is None else known


def _values(value: object) -> tuple[str, ...]:
    if (
        not isinstance(value, list)
        or not value
        or any(isinstance(v, dict | list) or v is None for v in value)
    ):
        raise forms.FormError(f"expected a list of values, got {forms.shown(value)}", "write [first, second]")
    return tuple(("true" if v else "false") if isinstance(v, bool) else str(v) for v in value)


_COLUMN: Mapping[str, Check] = {
    "type": _one_of(*KINDS), "min": _number, "max": _number, "values": _values, "missing": _share, "required": _truth,
}  # fmt: skip
_ROWS: Mapping[str, Check] = {"min": _whole, "max": _whole}
_LABEL: Mapping[str, Check] = {"min_share": _share, "classes": _values}
_TOP = ("columns", "other_columns", "rows", "label")


class _Reader:
    """Plain values to a schema; mistakes are collected."""

    def __init__(self, document: Document, problems: list[Problem]) -> None:
        self.document = document
        self.problems = problems

    def schema(self) -> DataSchema:
        plain = self._mapping((), self.document.plain, _TOP)
        rows = self._section(("rows",), plain.get("rows"), _ROWS)
        label = self._section(("label",), plain.get("label"), _LABEL)
        other = self._checked(
            ("other_columns",), plain.get("other_columns", "allowed"), _one_of("allowed", "refused")
        )
        return DataSchema(
            columns={str(name): self._column(name, value) for name, value in self._columns(plain).items()},
            other_columns=other or "allowed",
            min_rows=rows.get("min", 0),
            max_rows=rows.get("max"),
            min_share=label.get("min_share", 0.0),
            classes=label.get("classes"),
        )

    def _columns(self, plain: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._mapping(("columns",), plain.get("columns"))

    def _column(self, name: str, value: object) -> ColumnRule:
        path = ("columns", name)
        # `age: integer` is short for `age: {type: integer}`.
        section = {"type": value} if isinstance(value, str) else value
        rule = ColumnRule(**self._section(path, section, _COLUMN))
        if rule.min is not None and rule.max is not None and rule.min > rule.max:
            self._complain((*path, "max"), f"max {rule.max:g} is below min {rule.min:g}", "exchange them")
        if rule.type == "text" and (rule.min is not None or rule.max is not None):
            self._complain(
                path, "a text has no min or max", "list its values instead: values: [first, second]"
            )
        return rule

    def _section(self, path: KeyPath, value: object, checks: Mapping[str, Check]) -> dict[str, Any]:
        found = self._mapping(path, value, tuple(checks))
        checked = {name: self._checked((*path, name), item, checks[name]) for name, item in found.items()}
        return {name: item for name, item in checked.items() if item is not None}

    def _mapping(self, path: KeyPath, value: object, known: tuple[str, ...] = ()) -> Mapping[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._complain(path, f"expected a mapping, got {forms.shown(value)}", "write KEY: VALUE below it")
            return {}
        for name in value:
            if known and name not in known:
                near = nearest(str(name), known)
                fix = f"did you mean `{near}`?" if near else f"keys that may stand here: {', '.join(known)}"
                mark = self.document.key_mark((*path, name))
                self.problems.append(
                    self.document.problem(mark, f"{dotted((*path, name))}: unknown key", fix)
                )
        return {name: item for name, item in value.items() if not known or name in known}

    def _checked(self, path: KeyPath, value: object, check: Check) -> Any:
        try:
            return check(value)
        except forms.FormError as e:
            self._complain(path, e.what, e.fix)
            return None

    def _complain(self, path: KeyPath, what: str, fix: str) -> None:
        said = f"{dotted(path)}: {what}" if path else what
        self.problems.append(self.document.problem(self.document.value_mark(path), said, fix))


def check_source(schema: DataSchema, facts: SourceFacts) -> tuple[str, ...]:
    """Every breach in one sentence each; none when the source is as the schema says."""
    if facts.rows is None:
        return ("the source is no table, so its schema cannot be checked",)
    told = []
    present = {column.name: column for column in facts.columns}
    for name, rule in schema.columns.items():
        if name in present:
            told += [
                f"column {name} {breach}" for breach in _column_breaches(rule, present[name], facts.rows)
            ]
        elif rule.required:
            told.append(f"column {name} is missing; the columns are {_listed(present)}")
    if schema.other_columns == "refused":
        told += [f"column {name} is not in the schema" for name in present if name not in schema.columns]
    if facts.rows < schema.min_rows:
        told.append(f"there are {facts.rows:,} rows, at least {schema.min_rows:,} are needed")
    if schema.max_rows is not None and facts.rows > schema.max_rows:
        told.append(f"there are {facts.rows:,} rows, at most {schema.max_rows:,} are allowed")
    return (*told, *_label_breaches(schema, facts))


def _column_breaches(rule: ColumnRule, column: Column, rows: int) -> list[str]:
    told = []
    # Whole numbers are numbers; a column of 1.0 and 2.0 is not one of whole numbers.
    if rule.type and column.kind != rule.type and (rule.type, column.kind) != ("number", "integer"):
        told.append(f"is {column.kind}, the schema says {rule.type}" + _example(rule, column))
    share = column.missing / rows if rows else 0.0
    if share > rule.missing:
        told.append(
            f"misses {column.missing:,} of {rows:,} values ({share:.1%}), at most {rule.missing:.1%} may be missing"
        )
    if rule.min is not None and column.low is not None and column.low < rule.min:
        told.append(f"goes down to {column.low:g}, the lowest allowed is {rule.min:g}")
    if rule.max is not None and column.high is not None and column.high > rule.max:
        told.append(f"goes up to {column.high:g}, the highest allowed is {rule.max:g}")
    if rule.values is not None:
        told += _value_breaches(rule.values, column)
    return told


def _example(rule: ColumnRule, column: Column) -> str:
    """A value that is none of the type, where the facts have one."""
    odd = next((value for value in column.values if rule.type != "text" and not _is_number(value)), None)
    return f", and {odd!r} is none" if odd is not None else ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _value_breaches(allowed: tuple[str, ...], column: Column) -> list[str]:
    if column.kind == "text":
        if not column.values:
            return [f"has too many different values, the schema lists {len(allowed)}"]
        odd = [value for value in column.values if value not in allowed]
        return [f"holds {_listed(odd)}, which the schema does not list"] if odd else []
    numbers = [float(value) for value in allowed if _is_number(value)]
    outside = [
        v
        for v in (column.low, column.high)
        if v is not None and numbers and not min(numbers) <= v <= max(numbers)
    ]
    return [f"holds {outside[0]:g}, which the schema does not list"] if outside else []


def _label_breaches(schema: DataSchema, facts: SourceFacts) -> list[str]:
    counts = facts.label_counts
    if not schema.min_share and schema.classes is None:
        return []
    if not counts:
        return ["the label has no classes to compare with the schema"]
    told = []
    rarest = min(counts, key=lambda name: (counts[name], name))
    share = counts[rarest] / sum(counts.values())
    if share < schema.min_share:
        told.append(f"label {rarest} is {share:.1%} of the rows, at least {schema.min_share:.1%} is needed")
    wanted = schema.classes if schema.classes is not None else tuple(counts)
    told += [f"label {name} does not occur" for name in wanted if name not in counts]
    told += [f"label {name} is not in the schema" for name in counts if name not in wanted]
    return told


def _listed(names: Mapping[str, object] | list[str]) -> str:
    shown = [str(name) for name in names][:10]
    return ", ".join(shown) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
