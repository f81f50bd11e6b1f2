"""From a table and scores to measures: labels of all kinds, slices, and what does not fit."""

import gzip
import json
import math

import numpy as np
import pytest
from tables import measured, request, write_table

from mmcicd_jenkins.config.metrics import METRICS
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.release.canonical import canonical
from mmcicd_jenkins.reports.measuring import MOST_SLICES, measure

SIGMOID = [[0.9], [0.2], [0.7], [0.4]]


def test_binary_labels_are_words_in_the_locks_order(tmp_path):
    found, report, reference = measured(
        tmp_path / "t.csv", {"y": ["yes", "no", "yes", "yes"]}, SIGMOID, "binary", classes=("no", "yes")
    )
    assert found.overall["recall"].value == pytest.approx(2 / 3)
    assert report["confusion"] == [[1, 0], [1, 2]]
    assert reference["kind"] == "score"
    assert sum(reference["counts"]) == 4


def test_a_two_column_softmax_is_binary_too(tmp_path):
    columns = {"y": ["1", "0", "1", "1"]}
    two = [[1 - p, p] for (p,) in SIGMOID]
    one = measured(tmp_path / "a.csv", columns, SIGMOID, "binary", classes=("0", "1"))
    other = measured(tmp_path / "b.csv", columns, two, "binary", classes=("0", "1"))
    assert {k: v.value for k, v in one[0].overall.items()} == pytest.approx(
        {k: v.value for k, v in other[0].overall.items()}
    )
    assert one[2]["counts"] == other[2]["counts"]


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        (["1.0", "0", "1", "1e0"], ("0", "1")),
        (["True", "FALSE", "true", "true"], ("false", "true")),
        (["1", "0", "1", "1"], ("no", "yes")),
        (["1", "0", "1", "1"], ()),
    ],
)
def test_labels_are_found_by_value_where_text_differs(tmp_path, cells, classes):
    found, _, _ = measured(tmp_path / "t.csv", {"y": cells}, SIGMOID, "binary", classes=classes)
    assert found.overall["recall"].value == pytest.approx(2 / 3)


@pytest.mark.parametrize("cell", ["maybe", "", "2", "-1", "nan"])
def test_an_unknown_label_names_its_line(tmp_path, cell):
    with pytest.raises(InputError) as caught:
        measured(tmp_path / "t.csv", {"y": ["1", "0", cell, "1"]}, SIGMOID, "binary", classes=("0", "1"))
    assert caught.value.where == f"{tmp_path / 't.csv'}:4"
    assert caught.value.exit_code == 3


def test_slices_have_measures_of_their_own(tmp_path):
    columns = {"y": ["1", "0", "1", "1"], "country": ["BR", "DE", "BR", ""]}
    found, _, _ = measured(
        tmp_path / "t.csv", columns, SIGMOID, "binary", classes=("0", "1"), slices=("country", "country")
    )
    assert set(found.slices["country"]) == {"BR", "DE", ""}
    assert found.slices["country"]["BR"]["recall"].value == 1.0
    assert found.slices["country"]["BR"]["recall"].samples == 2
    assert found.slices["country"]["DE"]["roc_auc"].value is None


def test_too_many_slices_are_an_identifier(tmp_path):
    rows = MOST_SLICES + 1
    columns = {"y": ["1"] * rows, "id": [str(i) for i in range(rows)]}
    with pytest.raises(InputError, match="too many to slice by"):
        measured(tmp_path / "t.csv", columns, [[0.5]] * rows, "binary", classes=("0", "1"), slices=("id",))


def test_multiclass_with_measures_of_single_classes(tmp_path):
    scores = np.eye(3)[[0, 1, 2, 0]]
    found, report, reference = measured(
        tmp_path / "t.csv",
        {"y": ["cat", "dog", "owl", "dog"]},
        scores,
        "multiclass",
        classes=("cat", "dog", "owl"),
    )
    assert found.overall["recall:dog"].value == 0.5
    assert found.overall["accuracy"].value == 0.75
    assert reference == {"kind": "class", "edges": [0.5, 1.5], "counts": [2, 1, 1]}
    assert [row["rows"] for row in report["per_class"]] == [1, 2, 1]


def test_multilabel_cells_hold_several_classes(tmp_path):
    cells = ["red|round", "", "round", " red | flat "]
    scores = [[0.1, 0.9, 0.9], [0.1, 0.1, 0.1], [0.2, 0.1, 0.8], [0.9, 0.9, 0.7]]
    found, report, _ = measured(
        tmp_path / "t.csv",
        {"y": cells},
        scores,
        "multilabel",
        classes=("", "red", "red|round", "red|flat", "round"),
    )
    assert report["classes"] == ["flat", "red", "round"]
    assert found.overall["accuracy"].value == 0.75
    assert found.overall["precision:round"].value == pytest.approx(2 / 3)


def test_regression(tmp_path):
    found, report, reference = measured(
        tmp_path / "t.csv", {"y": ["1.5", "2", "-3e0"]}, [[1.0], [2.0], [-3.0]], "regression"
    )
    assert found.overall["mae"].value == pytest.approx(0.5 / 3)
    assert report["pairs"] == [[1.5, 1.0], [2.0, 2.0], [-3.0, -3.0]]
    assert reference["kind"] == "value"


@pytest.mark.parametrize("cell", ["", "much", "nan", "inf"])
def test_a_target_that_is_no_number_names_its_line(tmp_path, cell):
    with pytest.raises(InputError) as caught:
        measured(tmp_path / "t.csv", {"y": ["1", cell]}, [[1.0], [2.0]], "regression")
    assert caught.value.where.endswith("t.csv:3")


def test_logits_are_told_from_probabilities(tmp_path):
    with pytest.raises(InputError, match="not probabilities") as caught:
        measured(tmp_path / "t.csv", {"y": ["1", "0"]}, [[0.3], [-2.5]], "binary", classes=("0", "1"))
    assert "logits" in caught.value.why
    assert caught.value.where.endswith("t.csv:3")


def test_scores_that_are_not_numbers_make_nan_and_say_how_many(tmp_path):
    found, report, _ = measured(
        tmp_path / "t.csv", {"y": ["1", "0"]}, [[math.nan], [0.5]], "binary", classes=("0", "1")
    )
    assert report["unusable"] == 1
    assert all(math.isnan(m.value) for m in found.overall.values())
    canonical(report)


@pytest.mark.parametrize(
    ("problem", "classes", "columns", "said"),
    [
        ("binary", ("0", "1"), 3, "needs 1 or 2"),
        ("binary", ("a", "b", "c"), 1, "binary problem has two classes"),
        ("multiclass", ("a", "b", "c"), 2, "needs 3"),
        ("regression", (), 2, "needs 1"),
    ],
)
def test_a_wrong_width_is_told(tmp_path, problem, classes, columns, said):
    with pytest.raises(InputError) as caught:
        measured(tmp_path / "t.csv", {"y": ["1"]}, [[0.1] * columns], problem, classes=classes)
    assert said in caught.value.what


def test_no_rows_at_all_is_no_number_and_no_exception(tmp_path):
    table = write_table(tmp_path / "t.csv", {"y": []})
    for problem, classes, width in (
        ("binary", ("0", "1"), 1),
        ("multiclass", ("a", "b", "c"), 3),
        ("regression", (), 1),
    ):
        found, report, reference = measure(request(table, problem, classes), np.zeros((0, width), np.float32))
        assert {m.value for m in found.overall.values()} == {None}
        assert reference == {}
        canonical(report)


def test_a_table_that_changed_meanwhile_is_refused(tmp_path):
    for scores in ([[0.5]], [[0.5]] * 3):
        with pytest.raises(InputError, match="changed while"):
            measured(tmp_path / "t.csv", {"y": ["1", "0"]}, scores, "binary", classes=("0", "1"))


@pytest.mark.parametrize(
    ("text", "line"),
    [(b"y,a\n1,2\n1\n", 3), (b'y,a\n"1,2\n', 2), (b"y,a\n1,\xff\n", None), (b'y,a\n1,"x"z\n', 2)],
)
def test_a_row_that_cannot_be_read_names_its_line(tmp_path, text, line):
    table = tmp_path / "t.csv"
    table.write_bytes(text)
    with pytest.raises(InputError) as caught:
        measure(request(table, "binary", ("0", "1")), np.full((9, 1), 0.5, np.float32))
    assert caught.value.where.startswith(f"{table}:{line or ''}")


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("t.jsonl", b'{"y": 1}\n[2]\n', 2),
        ("t.jsonl", b'{"y": 1}\n\n{"y": \n', 3),
        ("t.csv.gz", b"no gzip at all", 1),
        ("t.csv.gz", gzip.compress(b"y\n1\n" * 9999, mtime=0)[:-20], None),
    ],
)
def test_a_damaged_file_is_an_input_error(tmp_path, name, content, line):
    table = tmp_path / name
    table.write_bytes(content)
    with pytest.raises(InputError) as caught:
        measure(request(table, "binary", ("0", "1")), np.full((9, 1), 0.5, np.float32))
    assert caught.value.where.startswith(f"{table}:{line or ''}")


def test_a_row_of_several_lines_is_told_by_its_first(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text('y,a\n1,"x\ny"\n\n7,"x\ny\nz"\n')
    with pytest.raises(InputError) as caught:
        measure(request(table, "binary", ("0", "1")), np.full((2, 1), 0.5, np.float32))
    assert caught.value.where == f"{table}:5"


def test_a_missing_column_names_those_that_are_there(tmp_path):
    table = write_table(tmp_path / "t.csv", {"y": ["1"], "a": ["2"]})
    with pytest.raises(InputError) as caught:
        measure(request(table, "binary", ("0", "1"), slices=("country",)), np.full((1, 1), 0.5, np.float32))
    assert "country" in caught.value.what
    assert "y, a" in caught.value.why


def test_parquet_and_tsv_give_what_csv_gives(tmp_path):
    pa = pytest.importorskip(
        "pyarrow", reason="pyarrow is not installed: pip install 'mmcicd-jenkins[parquet]'"
    )
    import pyarrow.parquet as pq

    columns = {"y": [1, 0, 1, 1], "country": ["BR", "DE", "BR", 'é|"x"']}
    expected = measured(
        tmp_path / "t.csv", columns, SIGMOID, "binary", classes=("0", "1"), slices=("country",)
    )
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    write_table(tmp_path / "t.tsv", columns, delimiter="\t")
    lines = [json.dumps(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
    (tmp_path / "t.jsonl").write_text("\n\n".join(lines))
    (tmp_path / "t.CSV.gz").write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes()))
    (tmp_path / "t.ndjson.gz").write_bytes(gzip.compress((tmp_path / "t.jsonl").read_bytes()))
    for name in ("t.parquet", "t.tsv", "t.jsonl", "t.CSV.gz", "t.ndjson.gz"):
        asked = request(tmp_path / name, "binary", ("0", "1"), slices=("country",))
        assert measure(asked, np.array(SIGMOID, np.float32)) == expected


def test_quantile_bins_of_ties_still_separate(tmp_path):
    scores = [[0.0]] * 90 + [[1.0]] * 10
    _, _, reference = measured(
        tmp_path / "t.csv", {"y": ["1", "0"] * 50}, scores, "binary", classes=("0", "1")
    )
    assert reference["counts"] == [90, 10]
    assert len(reference["edges"]) == 1


def test_the_report_document_is_strict_json(tmp_path):
    random = np.random.default_rng(0)
    scores = random.dirichlet(np.ones(12), 500)
    _, report, _ = measured(
        tmp_path / "t.csv",
        {"y": random.integers(0, 12, 500).tolist()},
        scores,
        "multiclass",
        classes=tuple(map(str, range(12))),
    )
    assert json.loads(canonical(report)) is not None
    assert len(canonical(report)) < 200_000


@pytest.mark.parametrize("problem", sorted(METRICS))
def test_what_the_configuration_lets_a_gate_name_is_what_is_measured(tmp_path, problem):
    cells, classes, scores = {
        "binary": (["0", "1"], ("0", "1"), [[0.2], [0.8]]),
        "multiclass": (["a", "b"], ("a", "b"), [[0.2, 0.8], [0.6, 0.4]]),
        "multilabel": (["a|b", ""], ("a|b", ""), [[0.2, 0.8], [0.6, 0.4]]),
        "regression": (["1", "2"], (), [[1.0], [2.5]]),
    }[problem]
    found, _, _ = measured(tmp_path / "t.csv", {"y": cells}, scores, problem, classes=classes)
    assert {name for name in found.overall if ":" not in name} == set(METRICS[problem])
