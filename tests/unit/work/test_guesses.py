"""What data probably are, from their names, kinds and counts alone."""

import pytest

from mmcicd_jenkins.config import guess
from mmcicd_jenkins.ports import Column, SourceFacts


def text(name: str, *values: str, missing: int = 0) -> Column:
    return Column(name=name, kind="text", values=values, missing=missing)


def number(name: str, low: float = 0, high: float = 9, kind: str = "integer") -> Column:
    return Column(name=name, kind=kind, low=low, high=high)


@pytest.mark.parametrize(
    ("names", "model", "label"),
    [
        (["customer_id", "churned", "age"], "churn", "churned"),
        (["age", "is_fraud", "amount"], "fraud", "is_fraud"),
        (["Target", "x", "z"], "anything", "Target"),
        (["a", "has_default", "z"], "default", "has_default"),
        (["a", "is_late", "z"], "delivery", "is_late"),
        (["sqft", "rooms", "price"], "houses", "price"),
        ([], "houses", ""),
    ],
)
def test_label(names: list[str], model: str, label: str) -> None:
    assert guess.label([number(name) for name in names], model) == label


@pytest.mark.parametrize(
    ("columns", "group"),
    [
        ([number("row"), text("customer_id"), text("churned")], "customer_id"),
        ([text("PatientId"), text("y")], "PatientId"),
        ([text("card_no"), text("user_id")], "user_id"),
        ([text("customer", "new", "old"), number("age")], ""),
        ([text("user_id", missing=3), number("age")], ""),
        ([number("userage"), number("sited")], ""),
        ([text("id"), text("age")], ""),
    ],
)
def test_group_by(columns: list[Column], group: str) -> None:
    assert guess.group_by(columns, "churned") == group


@pytest.mark.parametrize(
    ("column", "counts", "problem", "said"),
    [
        (text("y", "no", "yes"), {"no": 86, "yes": 14}, "binary", "two values, 14 % positive: binary"),
        (number("y", 0, 1), {"0": 3, "1": 1}, "binary", "two values, 25 % positive: binary"),
        (text("y", "a", "b", "c"), {"a": 1, "b": 1, "c": 1}, "multiclass", "3 values: multiclass"),
        (number("y", 0, 9), {str(i): 5 for i in range(10)}, "multiclass", "whole numbers 0 to 9: multiclass"),
        (
            number("y", 1, 90),
            {str(i): 5 for i in range(1, 90, 5)},
            "regression",
            "numbers from 1 to 90: regression",
        ),
        (number("y", 0.5, 2, "number"), {}, "regression", "numbers from 0.5 to 2: regression"),
        (text("y"), {}, "", "too many different texts to be classes"),
        (text("y", "a"), {"a": 9}, "", "one value only: there is nothing to learn"),
    ],
)
def test_problem(column: Column, counts: dict[str, int], problem: str, said: str) -> None:
    facts = SourceFacts(digest="sha256:0", size=1, files=1, rows=100, columns=(column,), label_counts=counts)
    assert guess.problem(facts, "y") == (problem, said)


def test_folders_of_images_are_classes() -> None:
    facts = SourceFacts(digest="sha256:0", size=1, files=9, label_counts={"a": 3, "b": 3, "c": 3})
    assert guess.problem(facts, "") == ("multiclass", "3 folders of files: multiclass")
    assert guess.problem(SourceFacts(digest="sha256:0", size=1, files=9), "") == ("", "")
