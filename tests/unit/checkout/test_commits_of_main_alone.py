"""The trusted side goes to commits that main has, and to no other; a moved lock reaches main and nothing else does.

Real git, real remotes.
"""

import os
import signal
import subprocess
import sys

import pytest

from mmcicd_jenkins.adapters.credentials import login
from mmcicd_jenkins.adapters.git.lock_push import LockPush
from mmcicd_jenkins.adapters.git.protected_main import go_to
from mmcicd_jenkins.errors import InputError, IntegrityFailed, OutsideFailed, UsageError

IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.invalid",
    "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.invalid",
}  # fmt: skip


def git(folder, *arguments):
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, env={**os.environ, **IDENTITY}
    )  # fmt: skip
    return done.stdout.strip()


def commit(folder, text):
    (folder / "file").write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", text)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def places(tmp_path):
    """A remote, a person's clone with main and a branch, and a build's checkout of main."""
    git(tmp_path, "init", "-q", "--bare", "-b", "main", "remote.git")
    git(tmp_path, "clone", "-q", str(tmp_path / "remote.git"), "dev")
    dev = tmp_path / "dev"
    git(dev, "checkout", "-q", "-B", "main")
    commits = {"old": commit(dev, "old"), "new": commit(dev, "new")}
    git(dev, "push", "-q", "origin", "main")
    git(dev, "checkout", "-q", "-b", "evil")
    commits["evil"] = commit(dev, "evil")
    git(dev, "push", "-q", "origin", "evil")
    git(dev, "checkout", "-q", "main")
    git(tmp_path, "clone", "-q", str(tmp_path / "remote.git"), "build")
    return tmp_path, commits


def test_an_older_commit_of_main_is_gone_to_twice_as_well(places):
    base, commits = places
    for _ in range(2):
        (base / "build/file").write_text("left by another build")
        go_to(base / "build", commits["old"])
        assert (base / "build/file").read_text() == "old"
    assert git(base / "build", "rev-parse", "HEAD") == commits["old"]


@pytest.mark.parametrize("name", ["evil", "unknown"])
def test_a_commit_that_main_does_not_have_is_refused(places, name):
    base, commits = places
    before = git(base / "build", "rev-parse", "HEAD")
    with pytest.raises(IntegrityFailed, match="not on the protected branch"):
        go_to(base / "build", commits.get(name, "f" * 40))
    assert git(base / "build", "rev-parse", "HEAD") == before
    assert (base / "build/file").read_text() == "new"


@pytest.mark.parametrize("text", ["main", "HEAD~1", "--help", "", "abc123", "$(id)", "A" * 40])
def test_only_a_whole_commit_id_is_one(places, text):
    base, _ = places
    with pytest.raises(UsageError):
        go_to(base / "build", text)


def test_a_shallow_clone_cannot_tell(places):
    base, commits = places
    git(base, "clone", "-q", "--depth=1", f"file://{base}/remote.git", "shallow")
    with pytest.raises(InputError, match="shallow"):
        go_to(base / "shallow", commits["old"])


def push_of(base):
    return LockPush(base / "build", "main", login("source", {}))


def test_a_moved_lock_reaches_main_with_nothing_else(places):
    base, _ = places
    commit(base / "dev", "newer")
    git(base / "dev", "push", "-q", "origin", "main")
    push = push_of(base)
    push.start()
    assert (base / "build/file").read_text() == "newer", "the lock of the newest commit is moved"
    (base / "build/mmcicd.lock").write_text("moved")
    (base / "build/file").write_text("a training left this")
    sent = push.carry("mmcicd.lock", "Newer data of m\n\nnumbers: 3 rows more")
    assert git(base / "remote.git", "rev-parse", "main") == sent
    assert git(base / "remote.git", "show", "--name-only", "--format=%s", "main").split("\n") == [
        "Newer data of m", "", "mmcicd.lock",
    ]  # fmt: skip
    assert git(base / "remote.git", "show", "main:file") == "newer"
    assert push.carry("mmcicd.lock", "again") == "", "nothing changed, nothing is pushed"


def test_when_others_were_faster_nothing_is_pushed_and_the_next_run_begins_from_theirs(places):
    base, _ = places
    push = push_of(base)
    push.start()
    (base / "build/mmcicd.lock").write_text("moved")
    theirs = commit(base / "dev", "theirs")
    git(base / "dev", "push", "-q", "origin", "main")
    with pytest.raises(OutsideFailed, match="main moved") as failed:
        push.carry("mmcicd.lock", "Newer data")
    assert failed.value.retryable
    assert git(base / "remote.git", "rev-parse", "main") == theirs
    again = push_of(base)
    again.start()
    assert git(base / "build", "rev-parse", "HEAD") == theirs
    (base / "build/mmcicd.lock").write_text("moved")
    assert again.carry("mmcicd.lock", "Newer data") == git(base / "remote.git", "rev-parse", "main")


def test_a_checkout_without_a_remote_says_so(tmp_path):
    git(tmp_path, "init", "-q")
    with pytest.raises(InputError, match="no remote"):
        LockPush(tmp_path, "main", login("source", {}))


def test_killed_before_the_push_the_same_command_pushes(places):
    base, _ = places
    script = (
        "import sys, pathlib\n"
        "from mmcicd_jenkins.adapters.credentials import login\n"
        "from mmcicd_jenkins.adapters.git.lock_push import LockPush\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "push = LockPush(root, 'main', login('source', {}))\n"
        "push.start()\n"
        "(root / 'mmcicd.lock').write_text('moved')\n"
        "print(push.carry('mmcicd.lock', 'Newer data'))\n"
    )
    command = [sys.executable, "-c", script, str(base / "build")]
    before = git(base / "remote.git", "rev-parse", "main")
    killed = {**os.environ, "MMCICD_TESTING": "1", "MMCICD_FAILPOINTS": "retrain.before-push=kill"}
    assert subprocess.run(command, env=killed, check=False).returncode == -signal.SIGKILL
    assert git(base / "remote.git", "rev-parse", "main") == before
    sent = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    assert git(base / "remote.git", "rev-parse", "main") == sent
    assert git(base / "remote.git", "rev-parse", "main~1") == before, "once, not twice"
