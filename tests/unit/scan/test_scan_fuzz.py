"""Whatever stands in saved_model.pb: an answer or an error for people, soon, and never a model that passes by accident."""

import contextlib

from graph_bytes import RESTORE, SAVE, TABLE, call, function, meta, model, node, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmcicd_jenkins.adapters.models.scan import scan_model
from mmcicd_jenkins.errors import InputError

SEED = model(
    meta(
        [
            node("saver_filename", "Placeholder"),
            node("asset", "Placeholder"),
            node("table", "HashTableV2"),
            call("i", "initialise", "asset", "table"),
            call("s", "save", "saver_filename", "x"),
            call("r", "restore", "saver_filename"),
            node("x", "Placeholder"),
        ],
        [SAVE, RESTORE, TABLE],
        saver="saver_filename:0",
        assets={"asset:0": "words.txt"},
        signatures={"serving_default": ({"x": "x:0"}, {"y": "x:0"})},
    )
)
EVIL = model(
    meta([node("x", "Placeholder"), call("y", "f", "x")], [function("f", ["a"], node("n", "ReadFile", "a"))])
)
WORDS = [
    b"ReadFile",
    b"saver_filename",
    b"save",
    b"asset",
    b"Identity",
    b"\x00",
    b"\xff" * 9,
    b"\x0a",
    b"\x12",
    b"\x2a",
]

few = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def scanned(folder, content):
    with contextlib.suppress(InputError):
        return scan_model(write(folder, content))
    return None


@few
@given(st.binary(max_size=400))
def test_any_bytes(tmp_path, content):
    scanned(tmp_path, content)


@few
@given(st.data())
def test_a_changed_model(tmp_path, data):
    content = bytearray(data.draw(st.sampled_from([SEED, EVIL])))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "insert", "repeat"]))
        if kind == "flip":
            content[at] ^= data.draw(st.integers(1, 255))
        elif kind == "cut":
            del content[at : at + data.draw(st.integers(1, 20))]
        elif kind == "insert":
            content[at:at] = data.draw(st.sampled_from(WORDS))
        else:
            content[at:at] = content[at : at + 60]
        if not content:
            return
    scanned(tmp_path, bytes(content))


@few
@given(st.integers(0, len(EVIL) - 1))
def test_what_was_cut_off_is_an_error(tmp_path, end):
    assert scanned(tmp_path, EVIL[:end]) in (None, ())


def test_the_seeds_are_what_they_should_be(tmp_path):
    assert scanned(tmp_path, SEED) == ()
    assert [c.operation for c in scanned(tmp_path, EVIL)] == ["ReadFile"]
