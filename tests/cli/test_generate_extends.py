"""`generate --extends` with a real git repository as the platform: copied, pinned, moved, and every way it can fail."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PLATFORM = """\
environments:
  staging: {}
  production: {approval: {by: [ml-approvers]}}
jenkins:
  url: https://jenkins.acme.example
  folder: ml
  source: {github: acme/churn}
locked: [environments.production.approval]
"""
IDENTITY = ["-c", "user.name=T", "-c", "user.email=t@example.invalid"]


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *IDENTITY, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


def commit(folder: Path, text: str, name: str = "platform.yaml") -> str:
    (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "shared")
    return git(folder, "rev-parse", "HEAD").strip()


@pytest.fixture
def platform(tmp_path: Path) -> Path:
    folder = tmp_path / "it's a platform"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, PLATFORM)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "churn"
    folder.mkdir()
    (folder / "train.py").write_text("# mine\n")
    (folder / "mmcicd.yaml").write_text(
        "# yaml-language-server: $schema=.mmcicd/schema.json\n# ours\nmodels:\n  churn:\n    train: python train.py\n"
        "    evaluate: {command: ./e}\n    gates: [accuracy >= 0.9]\n"
    )
    return folder


def generate(root: Path, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "generate", *arguments],
        cwd=root, check=False, capture_output=True, text=True, env=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "this is a bug" not in done.stderr
    return done.stdout + done.stderr


def test_it_is_copied_pinned_and_named_in_the_file(root, platform):
    head = git(platform, "rev-parse", "HEAD").strip()
    said = generate(root, "--extends", str(platform))
    assert f"mmcicd.yaml: 1 line added. Jenkins and 2 environments come from platform {head[:7]}." in said
    lines = (root / "mmcicd.yaml").read_text().splitlines()
    assert lines[:2] == ["# yaml-language-server: $schema=.mmcicd/schema.json", "# ours"]
    assert lines[2].startswith("extends: ")
    assert (root / "mmcicd.platform.yaml").read_text() == PLATFORM
    assert json.loads((root / "mmcicd.lock").read_text())["platform"]["commit"] == head
    assert (root / "jenkins/churn-promote.Jenkinsfile").exists(), (
        "the jobs of ops come with the shared section"
    )
    before = {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}
    assert "Nothing changed there" in generate(root, "--extends", str(platform))
    generate(root, "--check")
    assert before == {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_it_moves_only_when_told(root, platform):
    generate(root, "--extends", str(platform))
    newer = commit(platform, PLATFORM.replace("folder: ml", "folder: models"))
    generate(root)
    assert "folder: ml\n" in (root / "mmcicd.platform.yaml").read_text()
    assert f"come from platform {newer[:7]}" in generate(root, "--extends", str(platform))
    assert "folder: models" in (root / "mmcicd.platform.yaml").read_text()


def test_a_branch_and_a_file_of_their_own_are_followed(root, platform):
    git(platform, "checkout", "-qb", "v3")
    head = commit(platform, "store: {path: ../three}\n", "ours.yaml")
    git(platform, "checkout", "-q", "main")
    text = (root / "mmcicd.yaml").read_text()
    (root / "mmcicd.yaml").write_text(f'extends: {{url: "{platform}", ref: v3, file: ours.yaml}}\n{text}')
    assert f"Store come from platform {head[:7]}" in generate(root, "--extends", str(platform))
    assert (root / "mmcicd.platform.yaml").read_text() == "store: {path: ../three}\n"


@pytest.mark.parametrize(
    ("break_it", "code", "says"),
    [
        (lambda p: (p / ".git").rename(p / "gone"), 5, "no git repository"),
        (lambda p: commit(p, "a: [\n"), 3, "mmcicd.platform.yaml:"),
        (lambda p: commit(p, "locked: [models.churn.train]\n"), 3, "no key"),
        (lambda p: commit(p, "models: {}\n"), 3, "does not belong into a platform file"),
        (
            lambda p: git(p, "mv", "platform.yaml", "other.yaml") + git(p, *["commit", "-qm", "x"]),
            3,
            "no file",
        ),
    ],
)
def test_what_is_wrong_is_told_and_the_repository_works_as_before(root, platform, break_it, code, says):
    before = (root / "mmcicd.yaml").read_bytes()
    break_it(platform)
    assert says in generate(root, "--extends", str(platform), code=code)
    assert (root / "mmcicd.yaml").read_bytes() == before
    assert not (root / "mmcicd.lock").exists()


def test_another_platform_than_the_files_is_refused(root, platform):
    generate(root, "--extends", str(platform))
    assert "extends" in generate(root, "--extends", "ssh://git@git.acme.example/x.git", code=2)


@pytest.mark.parametrize("url", ["--upload-pack=touch pwned", "ext::sh -c 'touch pwned'", ""])
def test_a_hostile_address_runs_nothing(root, url):
    done = subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "generate", f"--extends={url}"],
        cwd=root, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode in {3, 5}
    assert "this is a bug" not in done.stderr
    assert not (root / "pwned").exists()


def test_it_cannot_only_look(root, platform):
    assert "cannot only look" in generate(root, "--extends", str(platform), "--check", code=2)
