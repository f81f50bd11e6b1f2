"""The whole pipeline on disks that are really full or read-only: told in one sentence, and finished once there is room."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "system"))

from paper import MODEL, commit, make_repository
from test_killed_anywhere import update_lock

from mmcicd_jenkins.adapters.layout import files as layout_files

pytestmark = pytest.mark.real


def mount(*arguments):
    if os.getuid() != 0:
        pytest.skip("mounting a small disk needs root: sudo make test-real")
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this machine does not let root mount: run on a machine of your own")


@contextlib.contextmanager
def mounted(folder, *arguments):
    folder.mkdir(parents=True, exist_ok=True)
    mount(*arguments, folder)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def small(folder):
    return mounted(folder, "-t", "tmpfs", "-o", "size=200k", "tmpfs")


@contextlib.contextmanager
def read_only(folder):
    with mounted(folder, "--bind", folder):
        mount("-o", "remount,ro,bind", folder)
        yield


def fill(folder, leave=0):
    ballast = folder / "ballast"
    ballast.unlink(missing_ok=True)
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    os.truncate(ballast, max(0, ballast.stat().st_size - leave))
    return ballast


@pytest.fixture
def base(tmp_path):
    make_repository(tmp_path / "repo")
    update_lock(tmp_path)
    commit(tmp_path / "repo", "begin")
    return tmp_path


def run(base, code, until="package", **more):
    done = subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "run", "--until", until],
        cwd=base / "repo", capture_output=True, text=True, check=False,
        env={**os.environ, "XDG_CACHE_HOME": str(base / "cache"), "MODEL_FIXTURE": str(MODEL), **more},
    )  # fmt: skip
    assert done.returncode in code, done.stderr
    assert "this is a bug" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("name", ["repo/.mmcicd", "repo.store"])
def test_a_folder_that_fills_up_at_any_point(base, name):
    with small(base / name) as workspace:
        # The store takes no folder in which it finds what is foreign.
        inside = workspace / layout_files.OURS if name == "repo.store" else workspace
        inside.mkdir(exist_ok=True)
        for kilobytes in range(0, 200, 8):
            ballast = fill(inside, leave=1024 * kilobytes)
            # 8: the full disk met the team's own command first, and its words are shown.
            said = run(base, (0, 5, 8)).lower()
            assert "version 1" in said or "space" in said or "room" in said, (kilobytes, said)
            ballast.unlink()
        assert "version 1" in run(base, (0,))


def test_a_cache_that_is_full(base):
    shutil.rmtree(base / "cache", ignore_errors=True)
    with small(base / "cache") as cache:
        ballast = fill(cache)
        assert "no room for the data" in run(base, (5,), until="data")
        ballast.unlink()
        assert "version 1" in run(base, (0,))


@pytest.mark.parametrize("name", ["repo/.mmcicd", "repo.ledger.git", "repo.store", "repo"])
def test_a_read_only_folder_is_named_and_the_same_command_finishes(base, name):
    run(base, (0,))
    commit(base / "repo", "better", **{"factor.txt": "0.90"})
    with read_only(base / name):
        said = run(base, (5,))
        assert "Read-only file system" in said
        assert f"where  {base / name}" in said
    assert "version 2" in run(base, (0,))
