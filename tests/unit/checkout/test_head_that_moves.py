"""HEAD is asked for often. It is read from the files in which git keeps it, and every way to move it is noticed."""

import os
import shutil
import subprocess

import pytest

from mmcicd_jenkins.adapters.git.checkout import GitCheckout
from mmcicd_jenkins.errors import InputError

IDENTITY = ["-c", "user.name=Ada", "-c", "user.email=ada@example.invalid", "-c", "protocol.file.allow=always"]


def git(folder, *arguments):
    done = subprocess.run(
        ["git", *IDENTITY, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(folder, text):
    (folder / "file").write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", text)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def root(tmp_path):
    """Two commits on main; `side` is at the first."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "one")
    git(folder, "branch", "side")
    commit(folder, "two")
    return folder


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What git is asked, one line each, from now on."""
    tools, said = tmp_path / "tools", tmp_path / "asked"
    tools.mkdir()
    real = shutil.which("git")
    (tools / "git").write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {said}\nexec {real} "$@"\n')
    (tools / "git").chmod(0o755)
    said.touch()
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    return said


MOVES = {
    "commit": lambda r: commit(r, "three"),
    "amend": lambda r: git(r, "commit", "--quiet", "--amend", "--message", "other words"),
    "empty commit": lambda r: git(r, "commit", "--quiet", "--allow-empty", "--message", "nothing"),
    "checkout of a branch": lambda r: git(r, "checkout", "--quiet", "side"),
    "checkout of a commit": lambda r: git(r, "checkout", "--quiet", "HEAD~1"),
    "reset": lambda r: git(r, "reset", "--quiet", "--hard", "HEAD~1"),
    "rebase": lambda r: git(r, "-c", "user.name=Bob", "rebase", "--quiet", "--force-rebase", "--root"),
    "update-ref": lambda r: git(r, "update-ref", "refs/heads/main", "side"),
    "packed and then moved": lambda r: (git(r, "pack-refs", "--all"), git(r, "update-ref", "HEAD", "side")),
    "moved and then packed": lambda r: (git(r, "update-ref", "HEAD", "side"), git(r, "pack-refs", "--all")),
    "branch deleted under it": lambda r: (
        git(r, "branch", "again"), git(r, "symbolic-ref", "HEAD", "refs/heads/side"), git(r, "branch", "-qD", "main"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True], ids=["loose", "packed"])
@pytest.mark.parametrize("how", MOVES)
def test_a_moved_head_is_noticed(root, how, packed):
    if packed:
        git(root, "pack-refs", "--all")
    checkout = GitCheckout(root)
    before = checkout.commit()
    assert checkout.commit() is before
    MOVES[how](root)
    now = checkout.commit()
    assert now.sha == git(root, "rev-parse", "HEAD") != before.sha
    branch = git(root, "rev-parse", "--abbrev-ref", "HEAD")
    assert now.branch == ("" if branch == "HEAD" else branch)


def test_a_ref_of_the_same_size_and_time_is_noticed(root):
    checkout = GitCheckout(root)
    before = checkout.commit()
    ref = root / ".git/refs/heads/main"
    times = ref.stat()
    ref.write_text(git(root, "rev-parse", "side") + "\n")
    os.utime(ref, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert checkout.commit().sha == git(root, "rev-parse", "side") != before.sha


def test_a_branch_of_the_same_commit_is_told_by_its_name(root):
    checkout = GitCheckout(root)
    assert checkout.commit().branch == "main"
    git(root, "checkout", "--quiet", "-b", "same")
    assert checkout.commit().branch == "same"
    git(root, "checkout", "--quiet", "--detach")
    assert checkout.commit().branch == ""


@pytest.mark.parametrize("how", ["loose", "packed", "detached", "a link to a branch"])
def test_a_head_that_stays_costs_no_process(root, asked, how):
    if how == "packed":
        git(root, "pack-refs", "--all")
        assert not (root / ".git/refs/heads/main").exists()
    if how == "detached":
        git(root, "checkout", "--quiet", "--detach")
    if how == "a link to a branch":
        git(root, "symbolic-ref", "refs/heads/linked", "refs/heads/main")
        git(root, "symbolic-ref", "HEAD", "refs/heads/linked")
    checkout = GitCheckout(root)
    first, files = checkout.commit(), checkout.files(".")
    asked.write_text("")
    assert checkout.commit() == first
    assert checkout.files(".") == files
    assert asked.read_text() == ""


def test_packing_refs_moves_nothing(root):
    checkout = GitCheckout(root)
    before = checkout.commit()
    git(root, "pack-refs", "--all")
    assert checkout.commit() == before


def test_a_linked_work_tree_has_a_head_of_its_own(root, tmp_path):
    linked = tmp_path / "linked"
    git(root, "worktree", "add", "--quiet", str(linked), "side")
    here, there = GitCheckout(root), GitCheckout(linked)
    main, side = here.commit(), there.commit()
    assert (main.branch, side.branch) == ("main", "side")
    moved = commit(linked, "three")
    assert there.commit().sha == moved
    assert here.commit() is main
    commit(root, "four")
    assert there.commit().sha == moved
    assert here.commit().sha == git(root, "rev-parse", "HEAD") != main.sha
    git(linked, "pack-refs", "--all")
    git(linked, "checkout", "--quiet", "--detach", "main")
    assert there.commit().sha == here.commit().sha
    assert there.commit().branch == ""


def test_a_submodule_is_a_checkout(root, tmp_path):
    git(root, "submodule", "--quiet", "add", str(root), "inner")
    checkout = GitCheckout(root / "inner")
    before = checkout.commit()
    assert before.sha == git(root, "rev-parse", "HEAD")
    assert checkout.commit() is before
    assert checkout.commit().sha != commit(root / "inner", "three") == checkout.commit().sha


def test_a_folder_with_a_new_line_in_its_name_is_a_checkout(root):
    odd = root.rename(root.with_name("odd\nname"))
    checkout = GitCheckout(odd)
    before = checkout.commit()
    assert before.branch == "main"
    assert checkout.commit() == before
    assert checkout.commit().sha != commit(odd, "three") == checkout.commit().sha


def test_a_repository_made_anew_in_the_same_place_is_read_anew(root):
    checkout = GitCheckout(root)
    before = checkout.commit()
    shutil.rmtree(root / ".git")
    git(root, "init", "--quiet", "--initial-branch=other")
    with pytest.raises(InputError, match="no commit yet"):
        checkout.commit()
    sha = commit(root, "new")
    assert checkout.commit().sha == sha != before.sha
    assert checkout.commit().branch == "other"


@pytest.mark.parametrize("content", ["", "garbage\n", "ref: refs/heads/../../HEAD\n", "0" * 39 + "\n"])
def test_a_damaged_ref_is_not_taken_for_a_commit(root, content):
    checkout = GitCheckout(root)
    checkout.commit()
    (root / ".git/refs/heads/main").write_text(content)
    with pytest.raises(Exception, match=r".") as failed:
        checkout.commit()
    assert type(failed.value).__module__ == "mmcicd_jenkins.errors"


def test_a_store_of_refs_that_is_not_files_is_left_to_git(root, tmp_path):
    made = tmp_path / "tables"
    made.mkdir()
    done = subprocess.run(["git", "init", "--quiet", "--ref-format=reftable"], cwd=made, capture_output=True, check=False)  # fmt: skip
    if done.returncode:
        pytest.skip("this git keeps refs in files alone; reftable came with git 2.45")
    commit(made, "one")
    checkout = GitCheckout(made)
    before = checkout.commit()
    assert checkout.commit() == before
    assert checkout.commit().sha != commit(made, "two") == checkout.commit().sha
