"""Properties of what reads foreign bytes: tables divide without loss, secrets leave in no form, noise is told.

Each case is drawn at random; none may end in anything but the promised result or one of our errors.
"""

import base64
import csv
import io
import json
import tempfile
from collections import Counter
from pathlib import Path
from urllib.parse import quote

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mmcicd_jenkins.adapters.data.sources import FsspecSources
from mmcicd_jenkins.adapters.environments.requirements import read_requirements
from mmcicd_jenkins.adapters.models.formats import recognise
from mmcicd_jenkins.adapters.models.saved_model import read_signatures
from mmcicd_jenkins.adapters.redaction import Redactor
from mmcicd_jenkins.config.data_schema import read_schema
from mmcicd_jenkins.errors import ConfigInvalid, InputError

CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=12)
ROWS = st.lists(st.tuples(st.sampled_from("abcdefgh"), CELL, CELL), min_size=1, max_size=40)


def written(rows: list[tuple[str, str, str]], quoting: int, end: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, quoting=quoting, lineterminator=end)
    writer.writerow(("group", "one", "two"))
    writer.writerows(rows)
    return text.getvalue().encode()


def parsed(path: Path) -> list[tuple[str, ...]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [tuple(row) for row in csv.reader(file) if row]


@settings(deadline=None, max_examples=150)
@given(
    ROWS,
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.booleans(),
)
def test_a_table_divides_without_loss(
    rows, quoting: int, end: str, cut_last_end: bool, grouped: bool
) -> None:
    content = written(rows, quoting, end)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.csv")
        path.write_bytes(content.removesuffix(end.encode()) if cut_last_end else content)
        sources = FsspecSources(Path(folder, "cache"))
        facts = sources.look(str(path), "group")
        assert facts.rows == len(rows)
        try:
            split = sources.split(
                path, Path(folder, "parts"), test_size=0.4, group_by="group" if grouped else "", salt="s"
            )
        except InputError as e:
            assert e.what.endswith("part is empty")
            return
        (head, *train), (also, *test) = parsed(split.train), parsed(split.test)
        assert head == also == ("group", "one", "two")
        assert Counter(train + test) == Counter(parsed(path)[1:])
        assert (len(train), len(test)) == (split.train_rows, split.test_rows)
        key = (lambda row: row[0]) if grouped else (lambda row: row)
        assert {key(row) for row in train}.isdisjoint(key(row) for row in test)


@settings(deadline=None, max_examples=200)
@given(
    st.binary(max_size=300), st.sampled_from(["t.csv", "t.tsv", "t.jsonl", "t.csv.gz", "t.parquet", "t.bin"])
)
@example(b'"a\n', "t.csv")
@example(b"\r\r\r", "t.csv")
@example(b"[" * 300, "t.jsonl")
def test_noise_instead_of_a_table_is_told(content: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        try:
            facts = FsspecSources(Path(folder, "cache")).look(str(path))
        except InputError as e:
            assert e.where
        else:
            assert facts.size == len(content)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200))
def test_noise_instead_of_a_model_is_told(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "saved_model.pb")
        path.write_bytes(content)
        recognise(path)
        (Path(folder, "graph.pb")).write_bytes(content)
        recognise(Path(folder, "graph.pb"))
        try:
            read_signatures(Path(folder))
        except InputError as e:
            assert e.why


@settings(deadline=None, max_examples=200)
@given(
    st.text(st.characters(codec="utf-8"), min_size=8, max_size=40),
    st.binary(max_size=7),
    st.binary(max_size=7),
)
def test_a_secret_leaves_in_no_form(secret: str, before: bytes, after: bytes) -> None:
    raw = secret.encode()
    hide = Redactor({"DB_PASSWORD": secret}).hide
    assert raw not in hide(before + raw + after)
    assert quote(raw, safe="").encode() not in hide(before + quote(raw, safe="").encode() + after)
    assert json.dumps(secret).encode() not in hide(json.dumps(secret).encode())
    encoded = base64.b64encode(before + raw + after)
    core = base64.b64encode(before + raw)[: 4 * (len(before + raw) // 3)][4 * (-(-len(before) // 3)) :]
    assert not core or core not in hide(encoded)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=200))
@example("-r\n--requirement\n-e\n-c=\n\\\n")
@example("-r /dev/null\x00")
def test_any_requirements_text_is_read_or_told(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "requirements.txt")
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            first = read_requirements(path)
        except InputError as e:
            assert e.where
        else:
            assert read_requirements(path) == first


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=200) | st.text(alphabet="abc:{}[]-, \n%0123", max_size=120).map(str.encode))
def test_any_schema_is_read_or_told(content: bytes) -> None:
    try:
        read_schema(content, "s.yaml")
    except ConfigInvalid as e:
        assert all(problem.line >= 1 and problem.what for problem in e.problems)
