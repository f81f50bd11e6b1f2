"""The data of the examples are what scikit-learn ships, value by value."""

import csv
import io

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits

from mmcicd_jenkins.render.files import template_bytes


def table(name: str) -> tuple[list[str], np.ndarray, list[str]]:
    """Column names, the numbers, and the label as text; the label is the last column."""
    rows = list(csv.reader(io.StringIO(template_bytes(f"scaffold/{name}").decode())))
    return rows[0], np.array([row[:-1] for row in rows[1:]], dtype=float), [row[-1] for row in rows[1:]]


def test_digits() -> None:
    theirs = load_digits()
    names, pixels, digits = table("image/digits.csv")

    assert names == [*theirs.feature_names, "digit"]
    np.testing.assert_array_equal(pixels, theirs.data)
    assert digits == [str(digit) for digit in theirs.target]


def test_tumours() -> None:
    theirs = load_breast_cancer()
    names, measurements, diagnoses = table("tabular/tumours.csv")

    assert names == [*(name.replace(" ", "_") for name in theirs.feature_names), "diagnosis"]
    np.testing.assert_array_equal(measurements, theirs.data)
    assert diagnoses == [str(theirs.target_names[target]) for target in theirs.target]


@pytest.mark.parametrize("name", ["image/digits.csv", "tabular/tumours.csv"])
def test_their_bytes_are_the_same_on_every_machine(name: str) -> None:
    content = template_bytes(f"scaffold/{name}")

    assert b"\r" not in content
    assert content.endswith(b"\n")
    assert content.isascii()


@pytest.mark.parametrize("name", ["image", "tabular"])
def test_origin_and_licence_travel_along(name: str) -> None:
    text = template_bytes(f"scaffold/{name}/data.md.j2").decode()

    assert "UCI Machine Learning" in text
    assert "CC BY 4.0" in text
