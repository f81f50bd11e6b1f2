"""What the scorer answers: columns to inputs by name, rows to scores, and every mismatch in words.

One TensorFlow process scores all cases; the tests read its answers.
"""

import json

import numpy as np
import pytest
from scored_models import ROWS

pytestmark = pytest.mark.tensorflow


def sigmoid(x):
    return 1 / (1 + np.exp(-np.array(x, np.float64)))


@pytest.fixture
def result(scored):
    def found(name):
        return json.loads((scored / f"{name}.result.json").read_text())["result"]

    return found


@pytest.fixture
def error(scored):
    def found(name):
        return json.loads((scored / f"{name}.result.json").read_text())["error"]

    return found


def scores(scored, name):
    return np.fromfile(scored / f"{name}.f32", "<f4")


TOTALS = [sum(row[:3]) for row in ROWS]


@pytest.mark.parametrize("name", ["one", "one-reordered", "tsv", "jsonl", "ndjson", "gzip", "image"])
def test_one_input_gets_all_columns_in_order(scored, result, name):
    assert result(name)["rows"] == 3
    assert scores(scored, name) == pytest.approx(sigmoid(TOTALS), abs=1e-6)


def test_the_order_is_the_one_that_was_asked_for(result):
    assert result("one-reordered")["inputs"] == {"x": ["c", "a", "b"]}
    assert [0.5, 2.0, -1.0] in result("one")["golden"]["instances"]
    assert [-1.0, 0.5, 2.0] in result("one-reordered")["golden"]["instances"]


def test_inputs_are_fed_by_name_and_dtype(scored, result):
    assert result("named")["inputs"] == {"a": ["a"], "b": ["b"], "colour": ["colour"]}
    assert scores(scored, "named") == pytest.approx(sigmoid([row[0] - row[1] for row in ROWS]), abs=1e-6)
    assert scores(scored, "named-jsonl").tolist() == scores(scored, "named").tolist()
    assert scores(scored, "named-text").tolist() == [1.0, 0.0, 1.0]


def test_a_wide_input_takes_numbered_columns(scored, result):
    assert result("pair")["inputs"] == {"left": ["left_0", "left_1"], "right": ["right"]}
    assert scores(scored, "pair").tolist() == [6.0, 15.0]


def test_missing_numbers_are_nan_and_reach_no_golden_request(scored, result):
    assert np.isnan(scores(scored, "holes")).all()
    assert np.isnan(scores(scored, "lacking")).tolist() == [True, False]
    assert result("holes")["golden"]["instances"] == []


def test_whole_numbers_may_be_written_as_decimals(scored, result):
    assert result("whole")["columns"] == 3
    assert scores(scored, "whole").tolist() == [1.0, 2.0, 3.0]


def test_no_rows_is_an_answer(scored, result):
    assert result("empty")["rows"] == 0
    assert len(scores(scored, "empty")) == 0


def test_golden_rows_are_chosen_by_content_not_by_batches(result):
    first, second = result("many")["golden"], result("many-again")["golden"]
    assert len(first["instances"]) == 20
    assert first["instances"] == second["instances"]
    assert np.array(first["outputs"]) == pytest.approx(np.array(second["outputs"]), abs=1e-6)


def test_a_golden_document_says_how_to_ask(result):
    golden = result("named")["golden"]
    assert golden["inputs"] == {
        "a": {"dtype": "float32", "shape": [None, 1]},
        "b": {"dtype": "float32", "shape": [None]},
        "colour": {"dtype": "string", "shape": [None]},
    }
    assert golden["output"] == "score"
    assert {"a": [0.5], "b": 2.0, "colour": "red"} in golden["instances"]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("bad-width", ["x float32(None, 5)", "table columns (3): a, b, c"]),
        ("bad-names", ["b, colour", "a float32(None, 1)", "table columns (2): a, c"]),
        ("bad-text-in-matrix", ["x float32(None, 3)", "table columns (4): a, b, c, colour"]),
        ("bad-columns", ["income", "columns there: a, b, c, colour, y"]),
        ("bad-signature", ["no signature classify", "signatures there: serving_default"]),
        ("bad-output", ["no output probability", "outputs there: score"]),
        ("two-outputs", ["2 outputs", "outputs there: is_red, score"]),
        ("bad-cube", ["output cube", "[2, 3, 1] for 2 rows"]),
        ("bad-text-output", ["output word", "for 2 rows"]),
        ("bad-word", ["column b is 'seven'", "word.csv:3"]),
        ("bad-half", ["column b is '2.5'", "half.csv:2", "int32"]),
        ("bad-list", ["list.jsonl:2"]),
        ("bad-short", ["short.csv:3", "2 fields, the header has 4"]),
        ("bad-quotes", ["quotes.csv:3"]),
        ("bad-bytes", ["bytes.csv:", "utf-8"]),
    ],
)
def test_what_does_not_fit_is_an_input_error(error, name, parts):
    found = error(name)
    assert found["kind"] == "input"
    text = json.dumps(found, ensure_ascii=False)
    assert [part for part in parts if part not in text] == []


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("bad-model", ["does not load", "broken"]),
        ("no-model", ["does not load", "nowhere"]),
        ("fragile", ["fails on rows", "good.csv:4", "division"]),
    ],
)
def test_a_model_that_fails_is_told_from_a_table_that_does_not_fit(error, name, parts):
    found = error(name)
    assert found["kind"] == "model"
    text = json.dumps(found)
    assert [part for part in parts if part not in text] == []


def test_a_failed_scoring_leaves_no_scores_that_look_whole(scored, error):
    error("bad-word")
    assert not (scored / "bad-word.f32").exists()
