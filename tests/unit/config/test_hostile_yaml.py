"""Files made to hurt: each ends in one of our errors, with a sentence, without being expanded."""

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.config.marks import MAX_PROBLEMS
from mmcicd_jenkins.config.problems import render_problem
from mmcicd_jenkins.config.scalars import scalar
from mmcicd_jenkins.config.yaml_reader import read_document
from mmcicd_jenkins.errors import ConfigInvalid, InputError

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)
HOSTILE = {
    "alias bomb": (BOMB.encode(), "`&a` is an anchor"),
    "alias to itself": (b"models: &m {a: *m}\n", "`&m` is an anchor"),
    "merge key": (b"models: {<<: {a: 1}}\n", "'<<' cannot be the name"),
    "deep lists": (b"[" * 400_000, "nested deeper than 32 levels"),
    "deep mappings": (b"{a: " * 200_000, "nested deeper than 32 levels"),
    "deep blocks": ("".join(" " * n + "a:\n" for n in range(1000)).encode(), "nested deeper than 32 levels"),
    "deep keys": (b"? " * 300_000, "cannot be a key"),
    "one byte too much": (b"#" * 1_000_001, "larger than 1 MB"),
    "zip of nothing": (b"\x00" * 100, "an unseen character (U+0000)"),
    "utf-16": ("models: {}".encode("utf-16"), "is not UTF-8"),
    "latin-1": ("models: {a: {train: \xe9}}".encode("latin-1"), "is not UTF-8"),
    "lone surrogate": (b'models: {a: {train: "\\ud800"}}\n', "wrong escape"),
    "a long key": (b"x" * 900_000 + b": 1\n", ""),
    "many keys": (b"".join(b"k%d: 1\n" % n for n in range(15_000)), "unknown key"),
    "many duplicates": (b"a: 1\n" * 60_000, "stands here twice"),
    "many list items": (b"models: [" + b"1," * 400_000 + b"]\n", "more than 20,000 values"),
    "a long number": (b"models: {a: {train: " + b"9" * 200_000 + b"}}\n", "more digits"),
    "a python object": (b"models: !!python/object/apply:os.system [id]\n", "is a tag"),
    "a binary": (b"models: !!binary aGk=\n", "is a tag"),
    "a name with a path": (b"models: {../../etc: {train: x, evaluate: {command: x}}}\n", "cannot be the name"),
    "a name with a command": (b"models: {'$(id)': {train: x, evaluate: {command: x}}}\n", "cannot be the name"),
    "a name with a dash ahead": (b"models: {-rf: {train: x, evaluate: {command: x}}}\n", "cannot be the name"),
    "a name with a newline": (b'models: {"a\\nb": {train: x, evaluate: {command: x}}}\n', "cannot be the name"),
    "a name in look-alikes": ("models: {fr\u0430ud: {train: x, evaluate: {command: x}}}\n".encode(), "cannot be the"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file(name: str, write) -> None:
    content, what = HOSTILE[name]
    with pytest.raises(ConfigInvalid) as caught:
        load_config(write(content), environ={})
    problems = caught.value.problems
    assert 1 <= len(problems) <= MAX_PROBLEMS
    assert any(what in p.what for p in problems), problems[:3]
    for problem in problems[:5]:
        told = render_problem(problem)
        assert all(c.isprintable() or c in "\n\t" for c in told)
        assert len(told) < 3000


def test_a_key_read_differently_elsewhere_is_refused_where_text_is_expected() -> None:
    assert [scalar(t) for t in ("no", "Yes", "ON", "null", "~", "")] == [False, True, True, None, None, None]
    assert [scalar(t) for t in ("1.10", "1e-3", "-7", "0")] == [1.1, 0.001, -7, 0]
    # What YAML 1.1 makes octal, sexagesimal, dates and digits in groups of, stays the text that it is.
    assert [scalar(t) for t in ("0777", "12:30", "2024-01-01", "1_000", "0x1f")] == [
        "0777", "12:30", "2024-01-01", "1_000", "0x1f",
    ]  # fmt: skip


def quietly(content: bytes, root: Path) -> None:
    (root / "mmcicd.yaml").write_bytes(content)
    try:
        load_config(root, environ={})
    except InputError as e:
        assert e.what


FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SOUP = st.lists(
    st.sampled_from(
        ["models", "churn", "train", "data", "gates", ":", ": ", "- ", "\n", "  ", "{", "}", "[", "]", ",", "&a ", "*a",
         "!!str ", "|\n", "> \n", '"', "'", "? ", "#", "%", "1.10", "no", "~", "\t", "\r\n", "é", "\u2028", "---\n", "<<"]
    ),
    max_size=40,
).map("".join)  # fmt: skip


@given(content=st.binary(max_size=200))
@FUZZ
def test_any_bytes_end_in_our_errors(content: bytes, tmp_path_factory) -> None:
    quietly(content, tmp_path_factory.mktemp("bytes"))


@given(text=SOUP)
@FUZZ
def test_any_soup_of_yaml_ends_in_our_errors(text: str, tmp_path_factory) -> None:
    quietly(text.encode(), tmp_path_factory.mktemp("soup"))


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["15m", "4Gi", "70%", "roc_auc >= 0.8", "binary", "local", "kubernetes", "python train.py"]),
)  # fmt: skip
KEYS = st.sampled_from(
    ["models", "environments", "store", "ledger", "image", "jenkins", "hooks", "a", "data", "train", "evaluate", "gates",
     "serving", "test", "kind", "strategy", "canary", "steps", "checks", "monitor", "slo", "windows", "approval", "by",
     "url", "label", "test_size", "group_by", "command", "params", "path", "source", "agents", "credentials", "max"]
)  # fmt: skip
TREES = st.recursive(
    SCALARS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(KEYS, inside, max_size=5),
    max_leaves=25,
)


@given(models=TREES, rest=st.dictionaries(KEYS, TREES, max_size=4))
@FUZZ
def test_any_tree_of_known_keys_ends_in_our_errors(models: object, rest: dict, tmp_path_factory) -> None:
    right = {"train": "x", "evaluate": "binary"}
    text = yaml.safe_dump(
        {**rest, "models": {"a": {**right, **models} if isinstance(models, dict) else models}}
    )
    quietly(text.encode(), tmp_path_factory.mktemp("tree"))


PLATFORM = (Path(__file__).parent / "files" / "platform.yaml").read_text()
EDITS = st.lists(
    st.tuples(
        st.integers(0, len(PLATFORM)),
        st.integers(0, 40),
        st.sampled_from(
            ["", " ", "\n", "{", "}", "[", "]", ":", "- ", "no", "0", "-1", "1.10", "x", "'", "&a ", "null"]
        ),
    ),
    min_size=1,
    max_size=3,
)


@given(edits=EDITS)
@FUZZ
def test_any_edit_of_a_real_file_ends_in_our_errors(edits: list, tmp_path_factory) -> None:
    text = PLATFORM
    for start, length, put in edits:
        text = text[:start] + put + text[start + length :]
    quietly(text.encode(), tmp_path_factory.mktemp("edit"))


def test_both_parsers_of_the_library_give_the_same_marks(monkeypatch) -> None:
    quick = read_document(PLATFORM.encode(), "f")
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    assert read_document(PLATFORM.encode(), "f") == quick


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
@FUZZ
def test_marks_stay_inside_the_file(text: str) -> None:
    document = read_document(text.encode(), "f")
    for _, problem in document.problems:
        assert 1 <= problem.line <= text.count("\n") + 2
        assert problem.column >= 1
    for mark in document.values.values():
        assert mark.line <= len(document.lines)
