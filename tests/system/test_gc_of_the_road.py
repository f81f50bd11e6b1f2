"""`gc` on a repository with a history: the plan first, then only what nothing needs; what it takes is refused with its date.

Killed anywhere, the same command again ends where an undisturbed one does.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from paper import commit, make_repository
from test_killed_anywhere import drive, end_state, update_lock

RETENTION = "retention: {runs: 1ms, minimum: 1ms}\n"


def gc(base, *arguments, **variables):
    environment = {**os.environ, "XDG_CACHE_HOME": str(base / "cache"), "MMCICD_TESTING": "1", **variables}
    return subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", *arguments],
        cwd=base / "repo", env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """Versions 1, 2 and 3 served in production, one after the other; one run was refused."""
    base = tmp_path_factory.mktemp("gc") / "base"
    root = make_repository(base / "repo")
    (root / "mmcicd.yaml").write_text(RETENTION + (root / "mmcicd.yaml").read_text())
    update_lock(base)
    commit(root, "begin")
    for factor in ("0.80", "0.81", "0.40", "0.82"):
        commit(root, f"factor {factor}", factor_txt=factor, note=factor)
        done = drive(base, "road")
        assert done.returncode == (4 if factor == "0.40" else 0), done.stderr
        if done.returncode == 0:
            assert drive(base, "promote").returncode == 0
    return base


@pytest.fixture
def base(history, tmp_path):
    shutil.copytree(history, tmp_path / "base", symlinks=True)
    return tmp_path / "base"


def plan_of(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def blobs(base):
    return {path.name for path in (base / "repo.store/blobs/sha256").iterdir()}


def test_without_yes_it_only_tells(base):
    before, state = blobs(base), end_state(base)
    plan = plan_of(gc(base, "gc", "--keep", "1", "--json"))
    assert plan["done"] is False
    assert plan["collect"] == {"double": [1]}
    kinds = [each["what"] for each in plan["remove"]]
    assert kinds.count("image") == 1
    assert kinds.count("run") == 2, "of version 1, and the refused one"
    assert kinds.count("evaluation") == 3, "the first was scored twice, with and without the second's code"
    assert kinds.count("verification") == 0, "all three say the same, so they are one with three names"
    assert kinds.count("attachment") >= 1
    assert plan["bytes"] > 0
    told = gc(base, "gc", "--keep", "1")
    assert "double 1" in told.stdout
    assert "--yes" in told.stderr
    assert (blobs(base), end_state(base)) == (before, state)


def test_the_defaults_remove_no_image_of_a_release(base):
    plan = plan_of(gc(base, "gc", "--json"))
    assert plan["collect"] == {}
    assert {each["what"] for each in plan["remove"]} == {"run", "evaluation"}


def test_what_is_young_stays(base):
    assert plan_of(gc(base, "gc", "--keep", "1", "--older-than", "1d", "--json"))["remove"] == []


def test_the_rest_serves_and_goes_back_and_the_collected_is_refused(base):
    before = blobs(base)
    done = plan_of(gc(base, "gc", "--keep", "1", "--yes", "--json"))
    assert done["collect"] == {"double": [1]}
    assert done["freed"] > 0
    assert done["spared"] == []
    assert blobs(base) < before
    assert plan_of(gc(base, "gc", "--keep", "1", "--json"))["remove"] == []

    audit = gc(base, "ledger", "verify", "--images")
    assert audit.returncode == 0, audit.stderr
    assert "collected" in gc(base, "history").stdout
    for command in (
        ("promote", "--version", "1", "--yes", "--reason", "back"),
        ("rollback", "--env", "production", "--version", "1"),
        ("serve", "double@1"),
    ):
        refused = gc(base, *command)
        assert refused.returncode == 3, refused.stderr
        assert "no longer kept" in refused.stderr
        assert "retention.releases: 1" in refused.stderr
        assert "Traceback" not in refused.stderr
    back = drive(base, "rollback")
    assert back.returncode == 0, back.stderr
    assert end_state(base)["pointers"]["production"][0] == 2
    assert drive(base, "road").returncode == 0, "the newest run is found, not trained again"


@pytest.mark.parametrize("place", ["ledger.before-push", "ledger.after-push", "gc.after-record", "gc.after-remove", "gc.blob-freed:1", "gc.blob-freed:3"])  # fmt: skip
def test_killed_anywhere_the_same_command_finishes(history, base, place, tmp_path):
    shutil.copytree(history, tmp_path / "undisturbed", symlinks=True)
    plan_of(gc(tmp_path / "undisturbed", "gc", "--keep", "1", "--yes", "--json"))
    killed = gc(base, "gc", "--keep", "1", "--yes", MMCICD_FAILPOINTS=f"{place}=kill")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    plan_of(gc(base, "gc", "--keep", "1", "--yes", "--json"))
    assert end_state(base) == end_state(tmp_path / "undisturbed")
    assert blobs(base) == blobs(tmp_path / "undisturbed")


GO_BACK = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from paper import on_paper
from mmcicd_jenkins.stages import run_stage
from mmcicd_jenkins.wiring import open_bench
bench = open_bench(Path(sys.argv[1]))
run_stage("rollback", bench.job("double", version=1, reason="because"), on_paper(bench))
"""


def test_a_rollback_that_comes_before_the_record_wins(base):
    """gc is about to write down that version 1 is given up when a person goes back to it."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(base / "cache"), "MMCICD_TESTING": "1"}
    command = [sys.executable, "-m", "mmcicd_jenkins", "gc", "--keep", "1", "--yes", "--json"]
    with subprocess.Popen(
        command, cwd=base / "repo", env={**environment, "MMCICD_FAILPOINTS": "ledger.before-push=stop"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as collecting:  # fmt: skip
        os.waitid(os.P_PID, collecting.pid, os.WSTOPPED | os.WNOWAIT)
        subprocess.run(
            [sys.executable, "-c", GO_BACK, str(base / "repo"), str(Path(__file__).parent)], env=environment, check=True
        )  # fmt: skip
        collecting.send_signal(signal.SIGCONT)
        out, said = collecting.communicate(timeout=120)
    assert collecting.returncode == 0, said
    assert json.loads(out)["collect"] == {}
    assert end_state(base)["pointers"]["production"][0] == 1
    assert drive(base, "smoke").returncode == 0
    audit = gc(base, "ledger", "verify", "--images")
    assert audit.returncode == 0, audit.stderr


def test_a_build_of_a_branch_may_not(base):
    refused = gc(base, "gc", "--shared", BRANCH_NAME="feature/x")
    assert refused.returncode == 2
    assert "where releases are decided" in refused.stderr


@pytest.mark.parametrize(("arguments", "told"), [
    (("--older-than", "soon"), "--older-than"), (("--local", "--keep", "3"), "--local"), (("--model", "none"), "no model"),
])  # fmt: skip
def test_wrong_usage_is_told(base, arguments, told):
    refused = gc(base, "gc", *arguments)
    assert refused.returncode == 2
    assert told in refused.stderr


def test_what_this_machine_can_make_again(base):
    runs = base / "repo/.mmcicd/runs"
    old, busy = runs / "00000000", base / "cache/mmcicd/environments/abc"
    for folder in (old, busy):
        folder.mkdir(parents=True)
        (folder / "report.html").write_text("x" * 1000)
        for path in (folder / "report.html", folder):
            os.utime(path, (1, 1))
    (busy.parent / "abc.lock").touch()
    with subprocess.Popen(["sleep", "60"], env={**os.environ, "VIRTUAL_ENV": str(busy)}) as user:
        told = plan_of(gc(base, "gc", "--local", "--json"))
        assert [each["path"] for each in told["remove"]] == [str(old)]
        assert old.exists()
        assert plan_of(gc(base, "gc", "--local", "--yes", "--json"))["freed"] == 1000
        assert not old.exists()
        user.kill()
    assert plan_of(gc(base, "gc", "--local", "--yes", "--json"))["freed"] == 1000
    assert not list(busy.parent.glob("abc*"))
    assert len(list(runs.iterdir())) == 4, "the young ones"
