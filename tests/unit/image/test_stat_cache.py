"""An unchanged model is not read again, and nothing that the cache says can make a digest wrong."""

import hashlib
import os
import time

import pytest
from folders import SAVED_MODEL, write_folder

from mmcicd_jenkins.adapters.layout.store import OciLayoutStore
from mmcicd_jenkins.adapters.stat_cache import StatCache
from mmcicd_jenkins.image.layer import pack_layer, plan_layers
from mmcicd_jenkins.image.tree import scan

OLD = 1_700_000_000_123_456_789


def aged(folder):
    """Give every file a time that lies well before now. Its change time cannot be set, so wait a moment."""
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, ns=(OLD, OLD))
    time.sleep(0.05)
    return folder


@pytest.fixture
def model(tmp_path):
    return aged(write_folder(tmp_path / "model", SAVED_MODEL))


@pytest.fixture
def plan(model):
    (plan,) = plan_layers(scan(model))
    return plan


@pytest.fixture
def packed(model, plan):
    return pack_layer(model, plan, "gzip", lambda _: None)


@pytest.fixture
def cache(tmp_path):
    return StatCache(tmp_path / "cache")


def entry(tmp_path):
    (path,) = (tmp_path / "cache").iterdir()
    return path


def test_an_unchanged_model_is_not_read_again(tmp_path, model):
    (model / "weights").write_bytes(bytes(5_000_000))
    aged(model)
    store = OciLayoutStore(tmp_path / "store")
    reading = []
    first = store.put_model(model, lambda done, _total: reading.append(done))
    assert len(reading) > 5
    # Reading would count in steps; an unchanged layer is one step.
    steps = []
    assert store.put_model(model, lambda done, _total: steps.append(done)) == first
    assert steps == [5_000_000, first.size]


def test_what_was_put_is_got_for_the_same_files_only(cache, plan, packed, model):
    cache.put(plan, "gzip", packed, time.time_ns())
    assert cache.get(plan, "gzip") == packed
    assert cache.get(plan, "none") is None
    (model / "saved_model.pb").write_bytes(SAVED_MODEL["saved_model.pb"])
    os.utime(model / "saved_model.pb", ns=(OLD, OLD))
    (other,) = plan_layers(scan(model))
    assert cache.get(other, "gzip") is None


def test_a_new_empty_folder_is_another_layer(cache, plan, packed, model):
    cache.put(plan, "gzip", packed, time.time_ns())
    (model / "assets.extra").mkdir()
    (other,) = plan_layers(scan(model))
    assert cache.get(other, "gzip") is None


@pytest.mark.parametrize("age_ns", [0, 1, 10_000_000, 19_000_000, -5_000_000_000])
def test_a_file_too_young_to_show_a_later_write_is_not_remembered(cache, plan, packed, age_ns):
    newest = max(max(file.mtime_ns, file.ctime_ns) for file in plan.files)
    cache.put(plan, "gzip", packed, newest + age_ns)
    assert cache.get(plan, "gzip") is None


def test_where_times_have_no_fractions_a_file_must_be_older(cache, packed, model):
    for path in model.rglob("*"):
        if path.is_file():
            os.utime(path, (OLD // 10**9, OLD // 10**9))
    (plan,) = plan_layers(scan(model))
    newest = max(file.ctime_ns for file in plan.files)
    cache.put(plan, "gzip", packed, newest + 2_000_000_000)
    assert cache.get(plan, "gzip") is None
    cache.put(plan, "gzip", packed, newest + 3_000_000_000)
    assert cache.get(plan, "gzip") == packed


def test_a_write_with_the_time_set_back_is_noticed(tmp_path, model):
    store = OciLayoutStore(tmp_path / "store")
    before = store.put_model(model)
    file = model / "saved_model.pb"
    file.write_bytes(bytes(len(SAVED_MODEL["saved_model.pb"])))
    os.utime(file, ns=(OLD, OLD))
    assert store.put_model(model) != before


def test_every_flipped_byte_of_an_entry_makes_it_worthless(cache, plan, packed, tmp_path):
    cache.put(plan, "gzip", packed, time.time_ns())
    content = entry(tmp_path).read_bytes()
    for at in range(len(content)):
        entry(tmp_path).write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        assert cache.get(plan, "gzip") is None
    entry(tmp_path).write_bytes(content)
    assert cache.get(plan, "gzip") == packed


@pytest.mark.parametrize(
    "payload", [b"", b"{}", b"[]", b"null", b'{"files": 1}', b'{"files": [[1]]}', b"\xff", b"[" * 9999]
)
def test_an_entry_that_is_none_is_worthless(cache, plan, packed, tmp_path, payload):
    cache.put(plan, "gzip", packed, time.time_ns())
    entry(tmp_path).write_bytes(hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)
    assert cache.get(plan, "gzip") is None


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(plan, packed, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    cache = StatCache(tmp_path / "file" / "cache")
    cache.put(plan, "gzip", packed, time.time_ns())
    assert cache.get(plan, "gzip") is None


def test_a_remembered_layer_that_the_store_lost_is_made_again(tmp_path, model):
    store = OciLayoutStore(tmp_path / "store")
    first = store.put_model(model)
    for path in (tmp_path / "store" / "blobs" / "sha256").iterdir():
        path.unlink()
    assert store.put_model(model) == first
    store.extract([layer.blob for layer in first.layers], tmp_path / "out")
