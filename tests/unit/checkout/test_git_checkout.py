import os
import subprocess
from pathlib import Path

import pytest

from mmcicd_jenkins.adapters.git.checkout import GitCheckout
from mmcicd_jenkins.errors import InputError, OutsideFailed

HOSTILE = [
    "$(touch pwned)",
    "a\nb",
    "quote\"and'quote",
    "-leading-dash",
    "tab\there",
    "ünïcödé",
    "\u202egnp.exe",
    "sp ace",
    " leading",
    "*.py",
    ":(top)x",
    "back\\slash",
]


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [
            "git",
            "-c",
            "user.name=Ada",
            "-c",
            "user.email=ada@x",
            "-c",
            "protocol.file.allow=always",
            "-C",
            str(folder),
            *arguments,
        ],
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().strip()


@pytest.fixture
def root(tmp_path):
    """A repository with one commit."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "train.py").write_text("print()\n")
    (folder / "sub").mkdir()
    (folder / "sub" / "run.sh").write_text("#!/bin/sh\n")
    (folder / "sub" / "run.sh").chmod(0o755)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "First")
    return folder


def test_the_commit_says_where_the_checkout_stands(root):
    commit = GitCheckout(root).commit()
    assert commit.sha == git(root, "rev-parse", "HEAD")
    assert commit.branch == "main"
    assert commit.author == "Ada <ada@x>"
    assert commit.time == int(git(root, "log", "-1", "--format=%ct"))


def test_files_have_their_mode_and_blob(root):
    files = GitCheckout(root).files(".")
    assert files == {
        "train.py": "100644 " + git(root, "rev-parse", "HEAD:train.py"),
        "sub/run.sh": "100755 " + git(root, "rev-parse", "HEAD:sub/run.sh"),
    }
    for path in ("sub", "sub/", "./sub", "sub/run.sh"):
        assert list(GitCheckout(root).files(path)) == ["sub/run.sh"]
    assert GitCheckout(root).files("absent") == {}


def test_files_are_those_of_the_commit_not_of_the_working_tree(root):
    before = GitCheckout(root).files(".")
    (root / "train.py").write_text("changed\n")
    (root / "new.py").write_text("new\n")
    git(root, "add", "new.py")
    assert GitCheckout(root).files(".") == before


@pytest.mark.parametrize("path", ["..", "../x", "/etc", "sub/../.."])
def test_paths_that_lead_out_are_refused(root, path):
    with pytest.raises(InputError, match="leads out"):
        GitCheckout(root).files(path)


def test_changed_names_everything_that_differs(root):
    checkout = GitCheckout(root)
    assert checkout.changed() == {}
    (root / ".gitignore").write_text("ignored\n")
    git(root, "add", ".gitignore")
    (root / "ignored").write_text("x")
    (root / "train.py").write_text("changed\n")
    (root / "sub" / "run.sh").unlink()
    (root / "folder").mkdir()
    (root / "folder" / "untracked").write_text("x")
    assert tuple(checkout.changed()) == (".gitignore", "folder/untracked", "sub/run.sh", "train.py")
    git(root, "mv", "train.py", "renamed.py")
    assert {"train.py", "renamed.py"} <= set(checkout.changed())


def test_a_mode_that_changed_is_a_change(root):
    (root / "train.py").chmod(0o755)
    assert tuple(GitCheckout(root).changed()) == ("train.py",)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_names_are_data(root, name):
    (root / name).write_text("x")
    assert tuple(GitCheckout(root).changed()) == (name,)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "x")
    checkout = GitCheckout(root)
    assert checkout.changed() == {}
    assert name in checkout.files(".")
    assert list(checkout.files(name)) == [name]
    assert not (root / "pwned").exists()


def test_a_name_that_is_not_utf_8_keeps_its_bytes(root):
    name = os.fsdecode(b"caf\xe9")
    (root / name).write_text("x")
    assert tuple(GitCheckout(root).changed()) == (name,)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "x")
    assert name in GitCheckout(root).files(".")


@pytest.mark.parametrize("branch", ["feature/x", "$(id)", "model;touch${IFS}PWN", "ünï"])
def test_hostile_branches_are_data(root, branch):
    git(root, "checkout", "--quiet", "-b", branch)
    assert GitCheckout(root).commit().branch == branch


def test_a_detached_head_has_no_branch(root):
    git(root, "checkout", "--quiet", "--detach")
    commit = GitCheckout(root).commit()
    assert commit.branch == ""
    assert commit.sha == git(root, "rev-parse", "HEAD")


def test_a_shallow_clone_is_enough(root, tmp_path):
    for number in range(3):
        (root / "train.py").write_text(f"{number}\n")
        git(root, "commit", "--quiet", "--all", "--message", "x")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{root}", "shallow")
    checkout = GitCheckout(tmp_path / "shallow")
    assert checkout.commit().sha == git(root, "rev-parse", "HEAD")
    assert checkout.files(".") == GitCheckout(root).files(".")
    assert checkout.changed() == {}


def test_a_linked_work_tree_is_a_checkout(root, tmp_path):
    git(root, "worktree", "add", "--quiet", "-b", "other", str(tmp_path / "linked"))
    checkout = GitCheckout(tmp_path / "linked")
    assert checkout.commit().branch == "other"
    (tmp_path / "linked" / "train.py").write_text("changed\n")
    assert tuple(checkout.changed()) == ("train.py",)
    assert GitCheckout(root).changed() == {}


def test_a_folder_of_a_repository_is_a_checkout(root):
    checkout = GitCheckout(root / "sub")
    assert list(checkout.files(".")) == ["run.sh"]
    (root / "train.py").write_text("outside\n")
    assert checkout.changed() == {}
    (root / "sub" / "run.sh").write_text("changed\n")
    (root / "sub" / "new").write_text("x")
    assert tuple(checkout.changed()) == ("new", "run.sh")


def test_a_submodule_is_named_as_one(root, tmp_path):
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "--quiet")
    (library / "a.py").write_text("x")
    git(library, "add", "--all")
    git(library, "commit", "--quiet", "--message", "x")
    git(root, "submodule", "--quiet", "add", str(library), "library")
    git(root, "commit", "--quiet", "--message", "x")
    checkout = GitCheckout(root)
    assert checkout.files("library") == {"library": "160000 " + git(library, "rev-parse", "HEAD")}
    (root / "library" / "a.py").write_text("changed")
    assert tuple(checkout.changed()) == ("library",)


def test_no_commit_yet_says_to_make_one(tmp_path):
    git(tmp_path, "init", "--quiet")
    for ask in (GitCheckout(tmp_path).commit, lambda: GitCheckout(tmp_path).files(".")):
        with pytest.raises(InputError, match="no commit yet") as caught:
            ask()
        assert "git commit" in caught.value.fix


def test_no_repository_says_to_make_one(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for ask in (GitCheckout(tmp_path).commit, GitCheckout(tmp_path).changed):
        with pytest.raises(InputError, match="not a git repository") as caught:
            ask()
        assert caught.value.where == str(tmp_path)
        assert "git init" in caught.value.fix


def test_no_folder_says_so(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        GitCheckout(tmp_path / "absent").commit()


def test_no_git_says_so(root, monkeypatch):
    monkeypatch.setenv("PATH", str(root))
    with pytest.raises(OutsideFailed, match="git is not installed"):
        GitCheckout(root).commit()


def test_a_variable_of_a_hook_does_not_lead_elsewhere(root, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert GitCheckout(root).commit().branch == "main"
    assert GitCheckout(root).changed() == {}


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to somebody else")
def test_a_repository_of_somebody_else_says_how_to_trust_it(root, monkeypatch):
    for path in (root, root / ".git"):
        os.chown(path, 12345, 12345)
    monkeypatch.setenv("HOME", str(root))
    monkeypatch.delenv("SUDO_UID", raising=False)
    with pytest.raises(OutsideFailed, match="does not trust") as caught:
        GitCheckout(root).commit()
    assert "safe.directory" in caught.value.fix


def test_reading_runs_no_program_that_the_repository_names(root, tmp_path):
    """A repository's own configuration may name programs; a status must not start them."""
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    git(root, "config", "core.fsmonitor", str(program))
    hooks = root / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "post-index-change").write_text(program.read_text())
    (hooks / "post-index-change").chmod(0o755)
    (root / "train.py").write_text("changed\n")
    assert tuple(GitCheckout(root).changed()) == ("train.py",)
    assert not (tmp_path / "ran").exists()


def test_the_files_are_those_of_the_commit_that_was_told(root):
    checkout = GitCheckout(root)
    first, files = checkout.commit(), checkout.files(".")
    (root / "train.py").write_text("changed\n")
    git(root, "commit", "--all", "--quiet", "--message", "Second")
    assert checkout.files(".") == files
    assert checkout.commit().sha == git(root, "rev-parse", "HEAD") != first.sha
    assert checkout.files(".") == GitCheckout(root).files(".") != files
    assert checkout.changed() == {}


def test_an_unmerged_file_is_a_change(root):
    for branch, text in (("one", "1"), ("two", "2")):
        git(root, "checkout", "--quiet", "-b", branch, "main")
        (root / "train.py").write_text(text)
        git(root, "commit", "--all", "--quiet", "--message", branch)
    with pytest.raises(subprocess.CalledProcessError) as conflict:
        git(root, "merge", "one")
    assert conflict.value.returncode == 1
    assert GitCheckout(root).changed() == {"train.py": True}
