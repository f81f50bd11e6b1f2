"""What a person tries before anything was released: the state of nothing, a tour where something lies already."""

import os
import subprocess
import sys

import pytest
from paper import make_repository


def cli(folder, *arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", *arguments],
        cwd=folder, capture_output=True, text=True, check=False, env=os.environ | {"NO_COLOR": "1"} | variables,
    )  # fmt: skip


def test_an_environment_that_never_served_is_not_shown_as_broken(tmp_path):
    done = cli(make_repository(tmp_path / "repo"), "status")
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()[2:]] == [
        ["double", "staging", "-"],
        ["double", "production", "-"],
    ]


@pytest.mark.parametrize("name", ["full", "file"])
def test_the_tour_wants_a_folder_of_its_own(tmp_path, name):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    done = cli(tmp_path, "demo", "--dir", name)
    assert done.returncode == 2
    assert "an empty folder of its own" in done.stderr
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "full", "mine.txt"]


def test_a_tour_that_cannot_go_on_ends_with_the_code_of_what_failed(tmp_path):
    """The first thing that it does is to make a repository, here with a git that does not work."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "git").write_text("#!/bin/sh\necho 'git is out of order' >&2\nexit 128\n")
    (bin_folder / "git").chmod(0o755)
    done = cli(tmp_path, "demo", "--dir", "tour", PATH=f"{bin_folder}:{os.environ['PATH']}")
    assert done.returncode == 5, done.stderr
    assert "git is out of order" in done.stderr


def test_data_without_a_lock_did_not_change(tmp_path):
    done = cli(make_repository(tmp_path / "repo"), "data", "check")
    assert done.returncode == 7
    assert "the data are not locked yet" in done.stderr
    assert "data update" in done.stderr
