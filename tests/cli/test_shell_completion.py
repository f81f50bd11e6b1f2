"""What a shell gets when a person presses Tab, by the protocol of the line in docs/howto/shell-completion.md."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = """\
models:
  churn: {train: "true", evaluate: {command: "true"}, gates: [a >= 1]}
  receipts: {train: "true", evaluate: {command: "true"}, gates: [a >= 1]}
environments: {staging: {}, live: {}}
"""
PROGRAM = Path(sys.executable).with_name("mmcicd-jenkins")


def offered(folder: Path, line: str) -> list[str]:
    words = line.split(" ")
    done = subprocess.run(
        [PROGRAM],
        cwd=folder,
        env={**os.environ, "_MMCICD_JENKINS_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert not done.stderr
    return [row.removeprefix("plain,") for row in done.stdout.split()]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("mmcicd-jenkins sta", ["stage", "status"]),
        ("mmcicd-jenkins stage pro", ["propose", "promote"]),
        ("mmcicd-jenkins promote --model ", ["churn", "receipts"]),
        ("mmcicd-jenkins promote --env l", ["live"]),
        ("mmcicd-jenkins show r", ["receipts@"]),
    ],
)
def test_names_are_completed(tmp_path: Path, line: str, names: list[str]) -> None:
    (tmp_path / "mmcicd.yaml").write_text(CONFIG)
    assert offered(tmp_path, line) == names


@pytest.mark.parametrize("text", [None, "models: [", "\tmodels: &a *a"])
def test_a_broken_configuration_completes_to_nothing(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "mmcicd.yaml").write_text(text)
    assert offered(tmp_path, "mmcicd-jenkins promote --model ") == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash: apt-get install bash")
def test_bash_takes_the_line_of_the_manual() -> None:
    page = (Path(__file__).parents[2] / "docs/howto/shell-completion.md").read_text()
    assert 'eval "$(_MMCICD_JENKINS_COMPLETE=bash_source mmcicd-jenkins)"' in page
    script = 'eval "$(_MMCICD_JENKINS_COMPLETE=bash_source mmcicd-jenkins)"; complete -p mmcicd-jenkins'
    environment = {**os.environ, "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert "_mmcicd_jenkins_completion" in done.stdout
