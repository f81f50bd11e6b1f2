"""A model that was exported again as it was is read, not made again; nothing that only looks the same passes for it."""

import itertools
import os
import shutil
import threading
import time

import pytest
from folders import write_folder

from mmcicd_jenkins.adapters.known_layers import KnownLayers
from mmcicd_jenkins.adapters.layout.store import OciLayoutStore
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image.layer import pack_layer, plan_layers
from mmcicd_jenkins.image.samples import sampled
from mmcicd_jenkins.image.tree import scan

BIG = 3_000_000
CONTENT = bytes(itertools.islice(itertools.cycle(range(251)), BIG))


@pytest.fixture
def model(tmp_path):
    return write_folder(tmp_path / "model", {"weights": CONTENT})


@pytest.fixture
def known(tmp_path):
    return KnownLayers(tmp_path / "known")


def plan_of(model):
    return plan_layers(scan(model))[0]


def remember(known, model):
    plan = plan_of(model)
    packed = pack_layer(model, plan, "gzip", lambda _: None)
    # As if it had been written while it was read: by its stats it is not remembered.
    known.keep(model, plan, "gzip", packed, 0)
    return packed


def rewrite(model, content):
    """A new file, as an export makes it."""
    (model / "weights.new").write_bytes(content)
    (model / "weights.new").replace(model / "weights")


def flipped(at):
    return CONTENT[:at] + bytes([CONTENT[at] ^ 1]) + CONTENT[at + 1 :]


def found(known, model, compression="gzip", on_read=None):
    return known.find(model, plan_of(model), compression, on_read)


def test_equal_content_in_new_files_is_the_known_layer(known, model):
    packed = remember(known, model)
    rewrite(model, CONTENT)
    assert found(known, model) == packed
    assert found(known, model, "none") is None


def test_another_folder_with_equal_content_is_the_known_layer(known, model, tmp_path):
    packed = remember(known, model)
    shutil.copytree(model, tmp_path / "export", copy_function=shutil.copyfile)
    assert found(known, tmp_path / "export") == packed


def test_what_was_compared_once_is_then_known_without_reading(known, model):
    packed = remember(known, model)
    rewrite(model, CONTENT)
    time.sleep(0.1)
    read = []
    assert found(known, model, on_read=read.append) == packed
    assert sum(read) == BIG
    assert found(known, model, on_read=read.append) == packed
    assert sum(read) == BIG


@pytest.mark.parametrize("at", [0, 4095, BIG - 1, BIG - 4096])
def test_a_change_at_an_end_costs_no_reading(known, model, at):
    remember(known, model)
    rewrite(model, flipped(at))
    read = []
    assert found(known, model, on_read=read.append) is None
    assert read == []


@pytest.mark.parametrize("at", [4096, 100_000, BIG // 2, BIG - 4097])
def test_a_change_between_the_samples_is_seen_by_the_whole_digest(known, model, at):
    remember(known, model)
    before = sampled(model, plan_of(model).files)
    rewrite(model, flipped(at))
    after = sampled(model, plan_of(model).files)
    read = []
    assert found(known, model, on_read=read.append) is None
    # Either the samples showed it, or everything was read.
    assert sum(read) == (BIG if before == after else 0)


def test_a_change_that_no_sample_shows_is_refused(known, model):
    remember(known, model)
    before = sampled(model, plan_of(model).files)
    rewrite(model, flipped(4096))
    assert sampled(model, plan_of(model).files) == before
    assert found(known, model) is None


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"\0"])
def test_a_file_that_shrank_or_grew_is_another(known, model, content):
    remember(known, model)
    rewrite(model, content)
    assert found(known, model) is None


def test_a_moved_file_and_a_new_folder_make_another_layer(known, model):
    remember(known, model)
    (model / "sub").mkdir()
    (model / "weights").rename(model / "sub" / "weights")
    assert found(known, model) is None


def test_small_files_are_compared_whole(known, tmp_path):
    model = write_folder(tmp_path / "small", {"a": b"1" * 40_000, "b": b""})
    packed = remember(known, model)
    (model / "a").write_bytes(b"1" * 20_000 + b"2" + b"1" * 19_999)
    read = []
    assert found(known, model, on_read=read.append) is None
    assert read == []
    (model / "a").write_bytes(b"1" * 40_000)
    assert found(known, model) == packed


def test_a_file_that_changes_while_it_is_compared_is_refused_by_name(known, model):
    remember(known, model)
    rewrite(model, CONTENT)

    def write(_count):
        with (model / "weights").open("r+b") as file:
            file.seek(BIG - 10)
            file.write(b"changed")

    with pytest.raises(InputError, match="changed while it was being stored"):
        found(known, model, on_read=write)


def test_a_file_that_turns_into_a_pipe_or_a_link_is_refused(known, model):
    remember(known, model)
    rewrite(model, CONTENT)
    plan = plan_of(model)
    (model / "weights").unlink()
    os.mkfifo(model / "weights")
    with pytest.raises(InputError):
        known.find(model, plan, "gzip")
    (model / "weights").unlink()
    (model / "weights").symlink_to("/dev/zero")
    with pytest.raises(InputError):
        known.find(model, plan, "gzip")


def test_a_file_that_is_gone_after_packing_is_not_remembered_and_no_error(known, model):
    plan = plan_of(model)
    packed = pack_layer(model, plan, "gzip", lambda _: None)
    (model / "weights").unlink()
    known.keep(model, plan, "gzip", packed, 0)
    rewrite(model, CONTENT)
    assert found(known, model) is None


def test_a_damaged_entry_is_none(known, model, tmp_path):
    packed = remember(known, model)
    (entry,) = (tmp_path / "known").iterdir()
    rewrite(model, CONTENT)
    content = entry.read_bytes()
    for at in range(0, len(content), 7):
        entry.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
        assert found(known, model) is None
    entry.write_bytes(content)
    assert found(known, model) == packed


def test_two_at_once_find_the_same(known, model):
    packed = remember(known, model)
    rewrite(model, CONTENT)
    results = []
    threads = [threading.Thread(target=lambda: results.append(found(known, model))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [packed] * 4


def test_a_layout_keeps_its_layers_of_a_new_export_and_makes_lost_ones_again(tmp_path, model):
    store = OciLayoutStore(tmp_path / "store")
    first = store.put_model(model)
    rewrite(model, CONTENT)
    blob = tmp_path / "store" / "blobs" / "sha256" / first.layers[0].blob.digest.removeprefix("sha256:")
    inode = blob.stat().st_ino
    assert store.put_model(model) == first
    assert blob.stat().st_ino == inode
    blob.unlink()
    rewrite(model, CONTENT)
    assert store.put_model(model) == first
    assert blob.stat().st_size == first.layers[0].blob.size


def test_a_layout_makes_another_layer_of_a_change_that_no_sample_shows(tmp_path, model):
    store = OciLayoutStore(tmp_path / "store")
    first = store.put_model(model)
    rewrite(model, flipped(4096))
    changed = store.put_model(model)
    assert changed.digest != first.digest
    assert changed.layers[0].blob.digest != first.layers[0].blob.digest
    store.extract([one.blob for one in changed.layers], tmp_path / "out")
    assert (tmp_path / "out" / "weights").read_bytes() == flipped(4096)
