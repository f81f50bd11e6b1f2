"""What may be part of a model, and how what may not is named.

Aspects: links, special files, names that collide or cannot travel, names an image reads as deletions,
nothing at all, unreadable places, files that change while they are read.
"""

import os
import socket

import pytest
from folders import SAVED_MODEL, write_folder

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image.digest import digest_tree
from mmcicd_jenkins.image.reading import read_file
from mmcicd_jenkins.image.tree import scan


def refusal(folder):
    with pytest.raises(InputError) as refused:
        scan(folder)
    assert refused.value.exit_code == 3
    return refused.value


def test_files_and_folders_are_listed_in_one_order(tmp_path):
    tree = scan(write_folder(tmp_path / "m", SAVED_MODEL))
    assert [file.path for file in tree.files] == sorted(
        path for path, data in SAVED_MODEL.items() if data is not None
    )
    assert tree.folders == ("assets", "variables")
    assert tree.size == sum(len(data or b"") for data in SAVED_MODEL.values())


def test_unicode_newlines_dashes_and_shell_words_are_only_names(tmp_path):
    names = ["ümläut", "新", "a\nb", "-rf", "$(id)", "';--", "a b", "..a", "\u202egpj.exe", "x" * 255]
    tree = scan(write_folder(tmp_path / "m", dict.fromkeys(names, b"x")))
    assert sorted(names) == [file.path for file in tree.files]


@pytest.mark.parametrize("target", ["saved_model.pb", "/etc/passwd", "nowhere", ".."])
def test_a_link_is_refused_by_name(tmp_path, target):
    folder = write_folder(tmp_path / "m", SAVED_MODEL)
    (folder / "variables" / "link").symlink_to(target)
    assert "variables/link" in refusal(folder).what


def test_a_pipe_and_a_socket_are_refused_by_name(tmp_path):
    folder = write_folder(tmp_path / "m", SAVED_MODEL)
    os.mkfifo(folder / "pipe")
    assert "pipe" in refusal(folder).what
    (folder / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "sock"))
        assert "sock" in refusal(folder).what


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Assets/a", "assets/b"),
        ("Vocab.txt", "vocab.TXT"),
        ("caf\u00e9", "cafe\u0301"),
        ("straße", "STRASSE"),
    ],
)
def test_names_that_are_one_name_elsewhere_are_refused(tmp_path, one, other):
    assert "one name" in refusal(write_folder(tmp_path / "m", {one: b"1", other: b"2"})).what


@pytest.mark.parametrize("name", [".wh.saved_model.pb", ".wh..wh..opq"])
def test_a_name_that_an_image_reads_as_a_deletion_is_refused(tmp_path, name):
    error = refusal(write_folder(tmp_path / "m", {**SAVED_MODEL, f"variables/{name}": b""}))
    assert name in error.what
    assert "deletion" in error.why


def test_a_name_that_is_not_utf8_is_refused_and_can_be_printed(tmp_path):
    folder = write_folder(tmp_path / "m", SAVED_MODEL)
    (folder / os.fsdecode(b"\xff\xfe")).touch()
    error = refusal(folder)
    assert "UTF-8" in error.why
    str(error).encode()


def test_an_empty_model_and_a_missing_one_say_where(tmp_path):
    (tmp_path / "m" / "assets").mkdir(parents=True)
    assert refusal(tmp_path / "m").where == str(tmp_path / "m")
    assert refusal(tmp_path / "gone").where == str(tmp_path / "gone")


def test_a_file_instead_of_a_folder_says_where(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"x")
    assert refusal(tmp_path / "model.keras").where == str(tmp_path / "model.keras")


@pytest.mark.parametrize("change", ["grow", "shrink", "rewrite", "link", "pipe", "delete"])
def test_a_file_that_changes_after_it_was_listed_is_refused(tmp_path, change):
    folder = write_folder(tmp_path / "m", SAVED_MODEL)
    tree = scan(folder)
    path = folder / "saved_model.pb"
    content = path.read_bytes()
    if change in {"link", "pipe", "delete"}:
        path.unlink()
    if change == "link":
        path.symlink_to("fingerprint.pb")
    elif change == "pipe":
        os.mkfifo(path)
    elif change != "delete":
        path.write_bytes({"grow": content + b"x", "shrink": content[1:], "rewrite": content[::-1]}[change])
    with pytest.raises(InputError) as refused:
        digest_tree(tree)
    assert "saved_model.pb" in refused.value.where


def change_while_reading(folder, change):
    buffer = memoryview(bytearray(600))
    with read_file(folder, scan(folder).files[0]) as reader:
        reader.into(buffer)
        change()
        reader.into(buffer)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path):
    folder = write_folder(tmp_path / "m", {"weights": b"a" * 1000})
    with pytest.raises(InputError, match="changed"):
        change_while_reading(folder, lambda: (folder / "weights").write_bytes(b"b" * 1000))


def test_a_file_cut_short_while_it_is_read_is_refused(tmp_path):
    folder = write_folder(tmp_path / "m", {"weights": b"a" * 1000})
    with pytest.raises(InputError, match="changed"):
        change_while_reading(folder, lambda: os.truncate(folder / "weights", 600))
