"""Several processes at once, killed ones, stopped ones."""

import os
import signal
import threading
import time

import pytest
from ledger_support import (
    bare_repository,
    failpoint,
    git,
    git_daemon,
    open_ledger,
    proof,
    reserve_version,
    run_id,
    start_worker,
    versions,
)

from mmcicd_jenkins.errors import OutsideFailed


def assert_whole(url, repository, events):
    found = proof(url, "m")
    assert found.breaks == ()
    assert found.events == events
    git(repository, "fsck", "--full", "--strict")
    assert not list(repository.rglob("*.lock"))


def test_sixteen_processes_lose_no_version_and_make_none_twice(tmp_path):
    """The first of them also make the repository, at once."""
    url = tmp_path / "ledger.git"
    workers = [start_worker(url, 2 * n, 2 * n + 1) for n in range(16)]
    given = [version for worker in workers for version in versions(worker)]
    assert sorted(given) == list(range(1, 33))
    assert_whole(url, url, 32)
    assert [p.name for p in tmp_path.iterdir()] == ["ledger.git"]
    assert open_ledger(url).version_of_run("m", run_id(3)) in given


def test_processes_that_reserve_for_the_same_run_get_the_same_version(url):
    workers = [start_worker(url, 7) for _ in range(4)]
    assert [versions(worker) for worker in workers] == [[1]] * 4
    assert proof(url, "m").events == 1


def test_four_writers_on_one_remote(tmp_path):
    repository = bare_repository(tmp_path / "ledger.git")
    with git_daemon(tmp_path) as address:
        url = f"{address}/ledger.git"
        workers = [start_worker(url, 2 * n, 2 * n + 1) for n in range(4)]
        assert sorted(v for w in workers for v in versions(w)) == list(range(1, 9))
        assert_whole(url, repository, 8)


@pytest.mark.parametrize("place", ["ledger.before-push", "ledger.after-push"])
def test_a_killed_writer_run_again_writes_exactly_once(url, place):
    killed = start_worker(url, 1, **failpoint(place, "kill"))
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert versions(start_worker(url, 1)) == [1]
    assert versions(start_worker(url, 2)) == [2]
    assert proof(url, "m").events == 2


def test_a_writer_killed_anywhere_leaves_nothing_that_stops_the_next(tmp_path):
    url = tmp_path / "ledger.git"
    for round_ in range(12):
        worker = start_worker(url, *range(100 * round_, 100 * round_ + 50))
        worker.stdout.readline()
        time.sleep(0.02 * round_ % 0.07)
        worker.kill()
        worker.communicate()
    assert versions(start_worker(url, 9999))
    found = proof(url, "m")
    assert found.breaks == ()
    git(url, "fsck", "--full", "--strict")


def test_a_stopped_writer_that_wakes_after_another_wrote_decides_again(url):
    stopped = start_worker(url, 1, **failpoint("ledger.before-push", "stop"))
    os.waitid(os.P_PID, stopped.pid, os.WSTOPPED | os.WNOWAIT)
    # The same run, then another one: the sleeper must neither write its run twice nor take the number.
    assert versions(start_worker(url, 1)) == [1]
    assert versions(start_worker(url, 2)) == [2]
    stopped.send_signal(signal.SIGCONT)
    assert versions(stopped) == [1]
    assert proof(url, "m").events == 2
    assert proof(url, "m").breaks == ()


def test_a_lock_that_a_killed_git_left_is_cleared(tmp_path):
    url = tmp_path / "ledger.git"
    reserve_version(open_ledger(url), "m", run_id(1))
    lock = url / "refs/heads/mmcicd/m.lock"
    lock.write_text("")
    os.utime(lock, (time.time() - 60, time.time() - 60))
    assert reserve_version(open_ledger(url), "m", run_id(2)) == 2
    assert not lock.exists()


def test_a_lock_that_somebody_holds_is_waited_for(tmp_path):
    url = tmp_path / "ledger.git"
    reserve_version(open_ledger(url), "m", run_id(1))
    lock = url / "refs/heads/mmcicd/m.lock"
    lock.write_text("")
    release = threading.Timer(0.5, lock.unlink)
    release.start()
    assert reserve_version(open_ledger(url), "m", run_id(2)) == 2
    release.join()


def test_a_lock_that_somebody_keeps_is_not_broken(tmp_path):
    url = tmp_path / "ledger.git"
    reserve_version(open_ledger(url), "m", run_id(1))
    lock = url / "refs/heads/mmcicd/m.lock"
    lock.write_text("")
    with pytest.raises(OutsideFailed, match="nothing was written") as caught:
        reserve_version(open_ledger(url, budget_seconds=0.5), "m", run_id(2))
    assert caught.value.retryable
    assert lock.exists()
    assert open_ledger(url).snapshot("m").head.versions == 1


def test_it_works_where_nobody_configured_git(tmp_path):
    bare = {
        "HOME": str(tmp_path / "nobody"),
        "XDG_CONFIG_HOME": str(tmp_path / "nobody"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "EMAIL": "",
        "GIT_DIR": "/nonexistent",
        "GIT_INDEX_FILE": "/nonexistent",
        "GIT_AUTHOR_DATE": "rubbish",
        "LC_ALL": "de_DE.UTF-8",
        "LANGUAGE": "de",
    }
    assert versions(start_worker(tmp_path / "ledger.git", 1, **bare)) == [1]


def test_without_git_the_error_says_so(tmp_path):
    worker = start_worker(tmp_path / "ledger.git", 1, PATH=str(tmp_path))
    _, err = worker.communicate(timeout=60)
    assert worker.returncode == 5
    assert b"git is not installed" in err


def test_a_hook_of_the_repository_is_not_run(tmp_path):
    url = bare_repository(tmp_path / "ledger.git")
    for name in ("reference-transaction", "update", "post-update", "pre-push"):
        hook = url / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        hook.chmod(0o755)
    assert reserve_version(open_ledger(url), "m", run_id(1)) == 1
    assert not (tmp_path / "ran").exists()


def test_a_server_that_refuses_the_write_is_told_as_one(tmp_path):
    url = bare_repository(tmp_path / "ledger.git")
    hook = url / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'only release managers push here' >&2\nexit 1\n")
    hook.chmod(0o755)
    with git_daemon(tmp_path) as address, pytest.raises(OutsideFailed, match="refused the write") as caught:
        reserve_version(open_ledger(f"{address}/ledger.git"), "m", run_id(1))
    assert not caught.value.retryable


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutsideFailed) as caught:
        reserve_version(open_ledger(tmp_path / "file" / "ledger.git"), "m", run_id(1))
    assert str(tmp_path / "file") in caught.value.where


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere: run as another user")
def test_a_folder_that_may_not_be_written(tmp_path):
    url = tmp_path / "ledger.git"
    reserve_version(open_ledger(url), "m", run_id(1))
    for folder in (url / "mmcicd", url / "objects"):
        folder.chmod(0o500)
    try:
        with pytest.raises(OutsideFailed) as caught:
            reserve_version(open_ledger(url), "m", run_id(2))
        assert str(url) in caught.value.where
        assert open_ledger(url).snapshot("m").head.versions == 1
    finally:
        for folder in (url / "mmcicd", url / "objects"):
            folder.chmod(0o700)
