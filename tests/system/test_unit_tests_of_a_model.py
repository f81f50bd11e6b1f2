"""The unit tests of a model are the team's own; what others left in the temporary folder is none of their business."""

import getpass
import os
import subprocess
import sys

import pytest
from paper import CONFIG, commit, make_repository
from test_killed_anywhere import update_lock

KEPT = 3  # so many sessions pytest keeps; it deletes what is older
USES_A_FOLDER = "def test_writes(tmp_path):\n    (tmp_path / 'x').write_text('x')\n"


@pytest.fixture
def base(tmp_path):
    repository = make_repository(tmp_path / "repo")
    update_lock(tmp_path)
    (repository / "tests").mkdir()
    config = CONFIG.replace(
        "    train:\n", "    test: python -m pytest -q -p no:cacheprovider tests\n    train:\n"
    )
    commit(repository, "begin", **{"mmcicd.yaml": config, "tests/test_it.py": USES_A_FOLDER})
    return tmp_path


def run_tests(base, **variables):
    place = base / "temporary"
    place.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "stage", "test"],
        cwd=base / "repo", capture_output=True, text=True, check=False,
        env=os.environ | {"XDG_CACHE_HOME": str(base / "cache"), "TMPDIR": str(place)} | variables,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "1 passed" in done.stderr
    return place


def test_they_do_not_tidy_up_after_other_projects(base):
    others = base / "temporary" / f"pytest-of-{getpass.getuser()}"
    old = [others / f"pytest-{number}" for number in range(KEPT + 3)]
    for folder in old:
        folder.mkdir(parents=True, mode=0o700)
    others.chmod(0o700)

    place = run_tests(base)

    assert sorted(others.iterdir()) == old
    assert not [path.name for path in place.iterdir() if path.name.startswith("mmcicd-test-")]


def test_a_place_that_the_user_chose_is_used(base):
    chosen = base / "chosen"
    chosen.mkdir()
    run_tests(base, PYTEST_DEBUG_TEMPROOT=str(chosen))
    assert list(chosen.glob("pytest-of-*/pytest-*"))
