"""The identity of a run: what changes it and what does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcicd_jenkins.config.defaults import DEFAULT_LEFT_OUT
from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.release.canonical import canonical
from mmcicd_jenkins.release.documents import from_document, to_document
from mmcicd_jenkins.release.ledger import Head, Pointer, Served
from mmcicd_jenkins.release.runs import run_id, training_files

INPUTS = {
    "files": {"train.py": "100644 aa"},
    "data": {"customers": "sha256:11"},
    "splits": {"customers": {"test_size": 0.2}},
    "parameters": {"epochs": 3},
    "seed": 0,
    "command": "python train.py",
    "environment": "sha256:22",
}


def test_same_inputs_same_run():
    assert run_id(**INPUTS) == run_id(**INPUTS, attempt=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("files", {"train.py": "100644 bb"}),
        ("files", {"train.py": "100755 aa"}),
        ("data", {"customers": "sha256:12"}),
        ("splits", {"customers": {"test_size": 0.3}}),
        ("parameters", {"epochs": 4}),
        ("parameters", {"epochs": 3.5}),
        ("seed", 1),
        ("command", "python train.py "),
        ("environment", "sha256:23"),
        ("attempt", 1),
    ],
)
def test_every_input_counts(name, value):
    assert run_id(**{**INPUTS, name: value}) != run_id(**INPUTS)


def test_what_a_training_never_reads_does_not_count():
    files = dict.fromkeys(
        ["README.md", "docs/a.png", "tests/test_a.py", "mmcicd.yaml", "mmcicd.lock", "mmcicdw", ".gitignore",
         "jenkins/churn.Jenkinsfile", "LICENSE", "train.py", "src/model.py", "data/x.csv"],
        "100644 aa",
    )  # fmt: skip
    assert set(training_files(files, ".", (), DEFAULT_LEFT_OUT)) == {"train.py", "src/model.py", "data/x.csv"}


def test_only_the_models_own_folder_counts():
    files = {"models/fraud/train.py": "a", "models/fraud2/train.py": "b", "train.py": "c"}
    assert training_files(files, "models/fraud", (), ()) == {"train.py": "a"}


def test_named_inputs_win():
    files = {"train.py": "a", "README.md": "b", "lib/x.py": "c", "other.py": "d"}
    assert set(training_files(files, ".", ("train.py", "lib"), DEFAULT_LEFT_OUT)) == {"train.py", "lib/x.py"}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON)
def test_one_byte_form_per_document(document):
    assert canonical(document) == canonical(document)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 2**60, "\ud800"])
def test_what_json_cannot_say_is_refused(bad):
    with pytest.raises(InputError):
        canonical({"x": bad})


def test_records_come_back_as_they_were():
    pointer = Pointer(environment="production", epoch=3, serving=2, served=(Served(version=2, since="2026"),))
    assert from_document(Pointer, to_document(pointer), "here") == pointer


@pytest.mark.parametrize(
    "edit",
    [
        {"seq": "1"},
        {"seq": True},
        {"seq": 1.5},
        {"extra": 1},
        {"revoked": []},
        {"revoked": {"1": 2}},
        {"model": None},
    ],
)
def test_an_edited_record_is_refused_with_its_place(edit):
    document = {**to_document(Head(model="churn")), **edit}
    with pytest.raises(IntegrityFailed) as caught:
        from_document(Head, document, "head.json")
    assert "head.json" in caught.value.where
