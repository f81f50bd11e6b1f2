"""`mmcicd.lock`: written and read back, checked strictly, differences told."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcicd_jenkins.config.lock import Lock, LockedSource, changes, load_lock, lock_bytes, read_lock
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.ports import Column, SourceFacts

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
TABLE = SourceFacts(
    digest=DIGEST,
    size=11_400_000,
    files=1,
    rows=48_211,
    columns=(
        Column(name="age", kind="integer", low=18.0, high=93.0),
        Column(name="country", kind="text", missing=3, values=("BR", "DE")),
        Column(name="churned", kind="integer", low=0.0, high=1.0),
    ),
    version="v1",
    label_counts={"0": 860, "1": 140},
)
LOCK = Lock(
    data={"churn/customers": LockedSource(url="s3://b/c.csv", facts=TABLE)},
    images={"tf/serving:2.20": DIGEST},
)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    (tmp_path / "mmcicd.lock").write_bytes(lock_bytes(LOCK))
    assert load_lock(tmp_path) == LOCK
    assert load_lock(tmp_path).source("churn", "customers") == LOCK.data["churn/customers"]
    assert load_lock(tmp_path).source("churn", "other") is None


def test_no_file_is_an_empty_lock(tmp_path: Path) -> None:
    assert load_lock(tmp_path) == Lock()
    assert read_lock(lock_bytes(Lock())) == Lock()


def test_one_lock_has_one_form() -> None:
    turned = Lock(
        data=dict(reversed([*LOCK.data.items(), ("a/b", LOCK.data["churn/customers"])])), images=LOCK.images
    )
    assert lock_bytes(turned) == lock_bytes(LOCK.with_source("a", "b", LOCK.data["churn/customers"]))
    assert lock_bytes(LOCK).endswith(b"}\n")


def test_only_keeps_what_the_configuration_has() -> None:
    assert (
        LOCK.with_source("a", "b", LOCK.data["churn/customers"]).only(frozenset({"churn/customers"})) == LOCK
    )


def edited(path: str, value: object) -> bytes:
    document = json.loads(lock_bytes(LOCK))
    *above, last = path.split("/")
    at = document
    for part in above:
        at = at[part.replace("|", "/")]
    at[last.replace("|", "/")] = value
    return json.dumps(document).encode()


FACTS = "data/churn|customers/facts"
EDITED = {
    "version of the format": (edited("lock", 2), "lock", "expected 1"),
    "unknown field": (edited("extra", 1), "extra", "unknown field"),
    "data is a list": (edited("data", []), "data", "expected an object"),
    "source without facts": (
        edited("data/churn|customers", {"url": "x"}),
        "data.churn/customers",
        "facts is missing",
    ),
    "digest": (edited(f"{FACTS}/digest", "sha256:1"), "facts.digest", "64 hex digits"),
    "size as text": (edited(f"{FACTS}/size", "11"), "facts.size", "expected int"),
    "negative rows": (edited(f"{FACTS}/rows", -1), "facts.rows", "no negative"),
    "kind of a column": (
        edited(f"{FACTS}/columns", [{"name": "a", "kind": "blob"}]),
        "columns[0].kind",
        "'blob'",
    ),
    "field of a column": (edited(f"{FACTS}/columns", [{"name": "a"}]), "columns[0]", "kind is missing"),
    "unknown fact": (edited(f"{FACTS}/colour", "red"), "facts", "unknown field colour"),
    "image": (edited("images/x", "latest"), "images.x", "64 hex digits"),
    "not an object": (b"[]", "", "expected an object"),
    "cut": (lock_bytes(LOCK)[:200], "line ", "it is not JSON"),
    "not a number": (b'{"lock": NaN}', "", "NaN is not a number"),
    "twice": (b'{"lock": 1, "lock": 1}', "", "stands there twice"),
    "deep": (b"[" * 100_000, "", "it is not JSON"),
    "bytes": (b"\xff\xfe", "", "it is not JSON"),
    "large": (b" " * 5_000_001, "", "larger than 5 MB"),
}


@pytest.mark.parametrize("name", EDITED)
def test_an_edited_lock_is_refused_with_its_field(name: str) -> None:
    content, where, why = EDITED[name]
    with pytest.raises(InputError) as caught:
        read_lock(content)
    error = caught.value
    assert "mmcicd.lock is not what was written there" in error.what
    assert error.where.startswith("mmcicd.lock")
    assert where in error.where
    assert why in error.why
    assert "data update" in error.fix


def test_a_merge_conflict_has_its_own_sentence() -> None:
    mine = lock_bytes(LOCK).replace(b'    "churn', b'<<<<<<< HEAD\n    "churn', 1)
    with pytest.raises(InputError, match="merge conflicts") as caught:
        read_lock(mine)
    assert caught.value.where == "mmcicd.lock:3:1"
    assert "data update" in caught.value.fix


@given(content=st.binary(max_size=120) | st.text(max_size=60).map(str.encode))
@settings(max_examples=100, deadline=None)
def test_any_bytes_end_in_our_error(content: bytes) -> None:
    with pytest.raises(InputError):
        read_lock(content)


def moved(**facts: object) -> Lock:
    values = {**vars(TABLE), "digest": OTHER, **facts}
    return Lock(data={"churn/customers": LockedSource(url="s3://b/c.csv", facts=SourceFacts(**values))})


def told(new: Lock) -> list[str]:
    return [line.removeprefix("churn/customers: ") for line in changes(Lock(data=LOCK.data), new)]


def test_nothing_changed() -> None:
    assert changes(LOCK, LOCK) == []


def test_rows_columns_labels_and_bytes() -> None:
    columns = (
        Column(name="age", kind="number"),
        Column(name="country", kind="text", missing=9),
        Column(name="region", kind="text"),
    )
    assert told(moved(rows=50_000, size=12_000_000, columns=columns, label_counts={"0": 800, "1": 200})) == [
        "rows 48,211 -> 50,000 (+1,789)",
        "column age is number, was integer",
        "column churned removed",
        "column country misses 9 values, was 3",
        "column region added (text)",
        "label 0 86.0% -> 80.0%",
        "label 1 14.0% -> 20.0%",
        "bytes sha256:aaaaaaaaaaaa -> sha256:bbbbbbbbbbbb, 11.4 MB -> 12.0 MB",
    ]


def test_other_bytes_of_the_same_shape() -> None:
    assert told(moved()) == ["bytes sha256:aaaaaaaaaaaa -> sha256:bbbbbbbbbbbb, same size"]
    assert told(moved(columns=TABLE.columns[::-1]))[0] == "columns in another order"
    assert told(moved(digest=DIGEST, version="v2")) == ["described anew, same bytes"]


def test_sources_and_images_that_come_and_go() -> None:
    assert changes(Lock(), LOCK) == [
        "churn/customers: new, 48,211 rows, 3 columns, 11.4 MB",
        "image tf/serving:2.20: none -> sha256:aaaaaaaaaaaa",
    ]
    assert changes(LOCK, Lock(images=LOCK.images)) == ["churn/customers: gone"]


def test_values_that_came_and_went() -> None:
    before = (Column(name="site", kind="text", values=("A", "B")), Column(name="note", kind="text"))
    after = (
        Column(name="site", kind="text", values=("B", "E")),
        Column(name="note", kind="text", values=("x",)),
    )
    old = Lock(data={"m/s": LockedSource(url="u", facts=facts_with(before))})
    new = Lock(data={"m/s": LockedSource(url="u", facts=facts_with(after))})
    assert changes(old, new) == ["m/s: column site has a new value E", "m/s: column site has no A any more"]


def facts_with(columns: tuple[Column, ...]) -> SourceFacts:
    return SourceFacts(digest="sha256:" + "0" * 64, size=1, files=1, rows=2, columns=columns)
