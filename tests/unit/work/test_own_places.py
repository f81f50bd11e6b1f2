"""What a checkout keeps beside itself, and how what an older version made inside it gets there."""

import fcntl
import os

import pytest

from mmcicd_jenkins.adapters.own_places import settled, settled_server
from mmcicd_jenkins.config.defaults import STORE, beside
from mmcicd_jenkins.release.desired import LOCK


@pytest.fixture
def said():
    return []


def filled(folder):
    folder.mkdir(parents=True)
    (folder / "bytes").write_text("of a model")
    return folder


def test_a_new_checkout_uses_the_place_beside_it_without_a_word(tmp_path, said):
    place = tmp_path / "repo.store"
    assert settled(place, tmp_path / "repo/.mmcicd/store", said.append) == place
    assert (said, place.exists()) == ([], False)


def test_what_an_older_version_made_moves_once_and_is_told_once(tmp_path, said):
    place, former = tmp_path / "repo.store", filled(tmp_path / "repo/.mmcicd/store")
    assert settled(place, former, said.append) == place
    assert (place / "bytes").read_text() == "of a model"
    assert said == [f"moved {former} to {place}, out of reach of git clean"]
    assert settled(place, former, said.append) == place
    assert len(said) == 1


def test_an_empty_folder_in_the_new_place_is_no_obstacle(tmp_path, said):
    place, former = tmp_path / "repo.store", filled(tmp_path / "repo/.mmcicd/store")
    place.mkdir()
    assert settled(place, former, said.append) == place
    assert (place / "bytes").exists()


def test_where_both_hold_something_the_new_one_counts_and_nothing_is_lost(tmp_path, said):
    place, former = filled(tmp_path / "repo.store"), filled(tmp_path / "repo/.mmcicd/store")
    (place / "bytes").write_text("newer")
    assert settled(place, former, said.append) == place
    assert (place / "bytes").read_text() == "newer"
    assert (former / "bytes").exists()
    assert f"{former} is not used" in said[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; run it as another user")
def test_a_folder_that_may_not_be_made_leaves_the_old_one_in_use(tmp_path, said):
    former = filled(tmp_path / "above/repo/.mmcicd/store")
    (tmp_path / "above").chmod(0o555)
    try:
        assert settled(tmp_path / "above/repo.store", former, said.append) == former
    finally:
        (tmp_path / "above").chmod(0o755)
    assert "can be deleted by git clean; move it to" in said[0]


def test_a_place_that_is_taken_by_a_file_leaves_the_old_one_in_use(tmp_path, said):
    former = filled(tmp_path / "repo/.mmcicd/store")
    (tmp_path / "repo.store").write_text("in the way")
    assert settled(tmp_path / "repo.store", former, said.append) == former
    assert "can be deleted by git clean; move it to" in said[0]


def test_the_folder_of_a_server_that_runs_stays_until_it_is_stopped(tmp_path, said):
    place, former = tmp_path / "repo.serve/production", filled(tmp_path / "repo/.mmcicd/serve/production")
    with (former / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert settled_server(place, former, said.append) == former
        assert "stop and serve again move it" in said[0]
    assert settled_server(place, former, said.append) == place
    assert (place / "bytes").exists()


@pytest.mark.parametrize(
    ("top", "root", "found"),
    [
        (None, "churn", "../churn.store"),
        ("churn", "churn", "../churn.store"),
        ("team", "team/models/churn", "../../../team-models-churn.store"),
        ("team", "team/vendored", "../../team-vendored.store"),
    ],
)
def test_the_place_is_beside_the_whole_working_tree(tmp_path, top, root, found):
    (tmp_path / root).mkdir(parents=True)
    if top is not None:
        # A linked work tree has a file there.
        (tmp_path / top / ".git").write_text("gitdir: elsewhere")
    assert beside(tmp_path / root, STORE) == found
    assert (tmp_path / root / found).resolve().parent == tmp_path
