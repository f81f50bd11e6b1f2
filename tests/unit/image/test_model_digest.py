"""The model digest depends on paths, sizes and bytes, and on nothing else."""

import hashlib
import os

import pytest
from folders import SAVED_MODEL, write_folder
from hypothesis import given
from hypothesis import strategies as st

from mmcicd_jenkins.image.digest import FileDigest, digest_tree, model_digest
from mmcicd_jenkins.image.tree import scan


def test_its_form_is_fixed_for_ever():
    files = [
        FileDigest(path="ü", size=0, sha256=hashlib.sha256(b"").hexdigest()),
        FileDigest(path="a\nb", size=1, sha256=hashlib.sha256(b"x").hexdigest()),
    ]
    lines = (
        '["a\\nb",1,"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"]\n'
        '["ü",0,"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]\n'
    )
    assert model_digest(files) == "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


def test_times_modes_owners_place_and_empty_folders_do_not_count(tmp_path):
    one = write_folder(tmp_path / "one", SAVED_MODEL)
    other = write_folder(tmp_path / "deep" / "other", SAVED_MODEL | {"assets.extra": None})
    for path in other.rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            os.utime(path, (1, 1))
    assert digest_tree(scan(one)) == digest_tree(scan(other))


@pytest.mark.parametrize(
    "change",
    [{"saved_model.pb": b"\x08\x02graph"}, {"new": b""}, {"fingerprint.pb": b""}, {"assets/vocab": b"a"}],
)
def test_every_byte_and_every_file_counts(tmp_path, change):
    one = write_folder(tmp_path / "one", SAVED_MODEL)
    other = write_folder(tmp_path / "other", SAVED_MODEL | change)
    assert digest_tree(scan(one)) != digest_tree(scan(other))


def test_a_renamed_file_counts(tmp_path):
    one = write_folder(tmp_path / "one", {"a": b"x", "b": b"y"})
    other = write_folder(tmp_path / "other", {"a": b"y", "b": b"x"})
    assert digest_tree(scan(one)) != digest_tree(scan(other))


@given(
    st.lists(
        st.builds(
            FileDigest, path=st.text(min_size=1), size=st.integers(0), sha256=st.text("0f", min_size=1)
        ),
        unique_by=lambda file: file.path,
    ),
    st.randoms(),
)
def test_the_order_of_listing_does_not_count(files, random):
    shuffled = list(files)
    random.shuffle(shuffled)
    assert model_digest(shuffled) == model_digest(files)
