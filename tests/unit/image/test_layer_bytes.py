"""Layers are the same bytes everywhere, readable by every tar and gzip, and divided by size alone.

Aspects: fixed digests, other process / folder / umask / locale / zone, long and foreign names, sizes beyond
8 GiB, the rule by size, buffers and blocks of every fill, progress, a sink that fails.
"""

import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile

import pytest
from folders import SAVED_MODEL, write_folder
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image import layer, tar
from mmcicd_jenkins.image.container import BLOCK, container
from mmcicd_jenkins.image.digest import digest_tree, model_digest
from mmcicd_jenkins.image.layer import BIG, layer_of_bytes, pack_layer, plan_layers
from mmcicd_jenkins.image.tree import ModelFile, ModelTree, scan

# A change here is a change of every digest ever written. Do not update it; find out what changed.
FIXED = {
    "gzip": "sha256:8e3f5189f1835af0a4202a261c49a10b9229e465f0b758ad2c221318124bcca8",
    "none": "sha256:a1df9511d392bb128d3c475bfe8348b2035778a283ca75996152462316a11730",
}


def packed(folder, compression="gzip"):
    """Each layer's bytes and record."""
    result = []
    for plan in plan_layers(scan(folder)):
        parts = []
        record = pack_layer(folder, plan, compression, lambda pieces, to=parts: to.extend(map(bytes, pieces)))
        result.append((b"".join(parts), record))
    return result


def listed(blob):
    with tarfile.open(fileobj=io.BytesIO(blob)) as opened:
        return {member.name: member for member in opened}


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_the_bytes_are_fixed_for_ever(tmp_path, compression):
    content = SAVED_MODEL | {"long/" + "n" * 200: b"x", "ü": b""}
    ((blob, record),) = packed(write_folder(tmp_path / "m", content), compression)
    assert record.layer.blob.digest == FIXED[compression]
    assert "sha256:" + hashlib.sha256(blob).hexdigest() == record.layer.blob.digest
    assert record.layer.blob.size == len(blob)


def test_the_tar_inside_is_what_the_config_will_name(tmp_path):
    folder = write_folder(tmp_path / "m", SAVED_MODEL)
    ((zipped, record),) = packed(folder)
    ((plain, other),) = packed(folder, "none")
    assert gzip.decompress(zipped) == plain
    assert record.layer.diff_id == other.layer.diff_id == "sha256:" + hashlib.sha256(plain).hexdigest()


def test_another_process_with_other_surroundings_makes_the_same(tmp_path):
    folder = write_folder(tmp_path / "m", SAVED_MODEL | {"ü": b"1"})
    script = (
        "import os, sys; os.umask(0o077)\n"
        "from pathlib import Path\n"
        "from mmcicd_jenkins.adapters.layout.store import OciLayoutStore\n"
        "print(OciLayoutStore(Path(sys.argv[1])).put_model(Path(sys.argv[2])))\n"
    )
    seen = set()
    for number, variables in enumerate(
        [
            {"TZ": "Asia/Tokyo", "LC_ALL": "C"},
            {"TZ": "America/Lima", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "7"},
        ]
    ):
        copy = write_folder(tmp_path / f"copy{number}", {}) / "m"
        subprocess.run(["cp", "-r", folder, copy], check=True)
        for path in copy.rglob("*"):
            os.utime(path, (number, number))
        done = subprocess.run(
            [sys.executable, "-c", script, tmp_path / f"store{number}", copy],
            cwd=copy.parent,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        seen.add(done.stdout)
    assert len(seen) == 1


def test_every_tar_reads_owners_times_and_modes_that_never_vary(tmp_path):
    folder = write_folder(tmp_path / "m", SAVED_MODEL)
    (folder / "saved_model.pb").chmod(0o4777)
    ((blob, _),) = packed(folder)
    members = listed(blob)
    assert list(members)[:3] == ["srv", "srv/mmcicd", "srv/mmcicd/model"]
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members.values()} == {(0, 0, "", "", 1)}
    assert {m.mode for m in members.values() if m.isdir()} == {0o755}
    assert {m.mode for m in members.values() if m.isreg()} == {0o644}
    assert "srv/mmcicd/model/assets" in members


def test_long_and_foreign_names_come_back_through_another_reader(tmp_path):
    names = ["n" * 255, "/".join(["d" * 200] * 5) + "/f", "ü" * 120, "新/モデル", "a\nb", "x" * 84, "y" * 85]
    ((blob, _),) = packed(write_folder(tmp_path / "m", dict.fromkeys(names, b"x")))
    files = {name for name, member in listed(blob).items() if member.isreg()}
    assert files == {f"srv/mmcicd/model/{name}" for name in names}


@pytest.mark.parametrize("size", [0, 8 * 2**30 - 1, 8 * 2**30, 2**43])
def test_a_header_tells_any_size(size):
    header = tar.file_header("srv/mmcicd/model/weights", size)
    with tarfile.open(fileobj=io.BytesIO(header + tar.END)) as opened:
        assert opened.next().size == size


def test_big_files_have_layers_of_their_own(tmp_path):
    folder = write_folder(tmp_path / "m", SAVED_MODEL)
    for name in ("variables/b", "variables/a", "deep/er/c"):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
        os.truncate(target, BIG)
    plans = plan_layers(scan(folder))
    assert [[file.path for file in plan.files] for plan in plans[:-1]] == [
        ["deep/er/c"],
        ["variables/a"],
        ["variables/b"],
    ]
    assert plans[0].folders == ("deep", "deep/er")
    assert {file.path for file in plans[-1].files} == {
        path for path, data in SAVED_MODEL.items() if data is not None
    }


def test_a_changed_asset_changes_kilobytes_and_not_the_weights(tmp_path):
    folder = write_folder(tmp_path / "m", SAVED_MODEL)
    (folder / "weights").touch()
    os.truncate(folder / "weights", BIG)
    before = packed(folder)
    (folder / "assets" / "vocab.txt").write_text("new")
    after = packed(folder)
    changed = [b for (b, one), (_, other) in zip(after, before, strict=True) if one.layer != other.layer]
    assert sum(map(len, changed)) < 200_000
    assert len(changed) == 1


def test_there_are_never_more_layers_than_docker_takes():
    files = tuple(
        ModelFile(path=f"shard-{n:04}", size=BIG, mtime_ns=0, ctime_ns=0, inode=n, device=0)
        for n in range(1000)
    )
    plans = plan_layers(ModelTree(root=None, files=files, folders=()))
    assert len(plans) <= layer.MOST_BIG_LAYERS + 1
    assert tuple(file for plan in plans for file in plan.files) == files


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_the_file_digests_of_the_same_pass_give_the_model_digest(tmp_path, compression):
    folder = write_folder(tmp_path / "m", SAVED_MODEL)
    files = [file for _, record in packed(folder, compression) for file in record.files]
    assert model_digest(files) == digest_tree(scan(folder))


@given(st.lists(st.integers(0, 3 * 16 * BLOCK + 2), max_size=4), st.sampled_from(["gzip", "none"]))
@settings(max_examples=25, deadline=None)
def test_buffers_of_every_fill_hold_the_same_tar(sizes, compression):
    content = b"".join(
        tar.file_header(str(n), size) + b"\xa5" * size + tar.padding(size) for n, size in enumerate(sizes)
    )
    blob, record = layer_of_bytes(content, compression)
    plain = gzip.decompress(blob) if compression == "gzip" else blob
    assert plain == content + tar.END
    assert record.diff_id == "sha256:" + hashlib.sha256(plain).hexdigest()
    assert record.blob.digest == "sha256:" + hashlib.sha256(blob).hexdigest()


def test_progress_counts_every_byte_once(tmp_path):
    folder = write_folder(tmp_path / "m", {"a": bytes(3_000_000), "b": b"", "c": b"1"})
    counts = []
    for plan in plan_layers(scan(folder)):
        pack_layer(folder, plan, "none", lambda _: None, counts.append)
    assert sum(counts) == 3_000_001


def test_a_sink_that_fails_ends_the_pass_with_its_own_error(tmp_path):
    folder = write_folder(tmp_path / "m", {"a": bytes(9_000_000)})
    written = []

    def sink(pieces):
        written.append(pieces)
        if len(written) > 3:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        pack_layer(folder, plan_layers(scan(folder))[0], "gzip", sink)
    assert len(written) < 9


@pytest.mark.parametrize("compression", ["zstd", "", "GZIP", "fast"])
def test_what_cannot_be_pinned_is_refused(compression):
    with pytest.raises(InputError, match="compression"):
        container(compression, lambda _: None)
