"""The schema of a data source: every mistake in it with its place, every breach in a sentence."""

from pathlib import Path

import pytest

from mmcicd_jenkins.config.data_schema import check_source, load_schema, read_schema
from mmcicd_jenkins.errors import ConfigInvalid, InputError
from mmcicd_jenkins.ports import Column, SourceFacts

SCHEMA = b"""columns:
  age: {type: integer, min: 0, max: 120, missing: 1%}
  income: number
  country: {type: text, values: [BR, DE]}
  note: {required: false}
other_columns: refused
rows: {min: 100}
label: {min_share: 5%, classes: ["no", "yes"]}
"""
GOOD = {
    "age": Column(name="age", kind="integer", low=18, high=90),
    "income": Column(name="income", kind="integer", low=0, high=9),
    "country": Column(name="country", kind="text", values=("BR",)),
}


def facts(rows: int = 1000, labels: dict[str, int] | None = None, **changed: Column | None) -> SourceFacts:
    columns = {**GOOD, **changed}
    return SourceFacts(
        digest="sha256:0",
        size=1,
        files=1,
        rows=rows,
        columns=tuple(column for column in columns.values() if column is not None),
        label_counts=labels or {"no": 90, "yes": 10},
    )


def test_a_source_as_the_schema_says() -> None:
    assert check_source(read_schema(SCHEMA, "s.yaml"), facts()) == ()


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (facts(age=None), "column age is missing; the columns are income, country"),
        (
            facts(age=Column(name="age", kind="integer", low=-1, high=90)),
            "column age goes down to -1, the lowest allowed is 0",
        ),
        (
            facts(age=Column(name="age", kind="integer", low=1, high=900)),
            "column age goes up to 900, the highest allowed is 120",
        ),
        (
            facts(age=Column(name="age", kind="integer", missing=25)),
            "column age misses 25 of 1,000 values (2.5%), at most 1.0% may be missing",
        ),
        (
            facts(age=Column(name="age", kind="text", values=("12", "unknown"))),
            "column age is text, the schema says integer, and 'unknown' is none",
        ),
        (
            facts(age=Column(name="age", kind="number", low=1, high=2)),
            "column age is number, the schema says integer",
        ),
        (
            facts(country=Column(name="country", kind="text", values=("BR", "US"))),
            "column country holds US, which the schema does not list",
        ),
        (
            facts(country=Column(name="country", kind="text")),
            "column country has too many different values, the schema lists 2",
        ),
        (
            facts(country=Column(name="country", kind="text", values=("BR",), missing=1)),
            "column country misses 1 of 1,000 values (0.1%), at most 0.0% may be missing",
        ),
        (facts(extra=Column(name="extra", kind="text")), "column extra is not in the schema"),
        (facts(rows=99), "there are 99 rows, at least 100 are needed"),
        (facts(labels={"no": 99, "yes": 1}), "label yes is 1.0% of the rows, at least 5.0% is needed"),
        (facts(labels={"no": 99}), "label yes does not occur"),
        (facts(labels={"no": 80, "yes": 10, "maybe": 10}), "label maybe is not in the schema"),
    ],
)
def test_every_breach_is_a_sentence(found: SourceFacts, sentence: str) -> None:
    assert check_source(read_schema(SCHEMA, "s.yaml"), found) == (sentence,)


def test_an_empty_schema_asks_nothing() -> None:
    assert check_source(read_schema(b"", "s.yaml"), facts(age=None)) == ()
    folder = SourceFacts(digest="sha256:0", size=1, files=3)
    assert "no table" in check_source(read_schema(SCHEMA, "s.yaml"), folder)[0]


def test_every_mistake_at_once_with_its_place() -> None:
    wrong = b"""columns:
  age: {typ: integer, min: low}
  name: {type: words}
  size: {min: 5, max: 1}
  text: {type: text, max: 3}
  list: [1]
rows: {min: -1}
label: {min_share: 150%, classes: []}
other_columns: maybe
colums: {}
"""
    with pytest.raises(ConfigInvalid) as caught:
        read_schema(wrong, "s.yaml")
    told = [(p.line, p.what) for p in caught.value.problems]
    assert told == [
        (2, "columns.age.typ: unknown key"),
        (2, "columns.age.min: expected a number, got 'low'"),
        (3, "columns.name.type: expected integer or number or text, got 'words'"),
        (4, "columns.size.max: max 1 is below min 5"),
        (5, "columns.text: a text has no min or max"),
        (6, "columns.list: expected a mapping, got a list"),
        (7, "rows.min: expected a whole number, got the number -1"),
        (8, "label.min_share: expected a share between 0 and 1, got '150%'"),
        (8, "label.classes: expected a list of values, got a list"),
        (9, "other_columns: expected allowed or refused, got 'maybe'"),
        (10, "colums: unknown key"),
    ]
    assert caught.value.problems[0].fix == "did you mean `type`?"


@pytest.mark.parametrize(
    "content", [b"a: &x [*x, *x]\n", b"- list\n", b"\xff\xfe", b"columns: {a: {a: {a: {a:\n"]
)
def test_hostile_files_are_mistakes_not_crashes(content: bytes) -> None:
    with pytest.raises(ConfigInvalid):
        read_schema(content, "s.yaml")


def test_a_schema_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_schema(tmp_path / "absent.yaml")
