"""`generate` on real folders: examples, updates, edits, conflicts, kills; and what it refuses."""

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mmcicd_jenkins.cli.generate import command
from mmcicd_jenkins.errors import MmcicdError
from mmcicd_jenkins.release.canonical import readable

CONFIG = """\
models:
  churn:
    data:
      customers: {url: customers.csv, label: churned, test_size: 0.2}
    train: python train.py
    evaluate: binary
    gates: [roc_auc >= 0.8]
"""
JENKINS = CONFIG + "jenkins: {agents: {default: %s}}\nenvironments: {live: {approval: {by: [ann]}}}\n"
JENKINSFILE = "jenkins/churn.Jenkinsfile"


class Result:
    def __init__(self, code: int, out: str, error: MmcicdError | None) -> None:
        self.code, self.out, self.error = code, out, error


def generate(folder: Path, *arguments: str) -> Result:
    """Run the command as the command line does; our errors carry their exit code."""
    done = CliRunner().invoke(command, [str(folder), *arguments], standalone_mode=False)
    if isinstance(done.exception, MmcicdError):
        return Result(done.exception.exit_code, done.output, done.exception)
    if done.exception:
        raise done.exception
    return Result(done.return_value or 0, done.output, None)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with its own configuration, its lock and a train script."""
    folder = tmp_path / "churn"
    folder.mkdir()
    (folder / "mmcicd.yaml").write_text(CONFIG)
    (folder / "mmcicd.lock").write_bytes(readable({"lock": 1, "data": {}, "images": {}}))
    (folder / "train.py").write_text("print('mine')\n")
    (folder / "customers.csv").write_text("a,churned\n1,0\n")
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """What git would see: `.mmcicd` is this machine's own."""
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {path: file.read_bytes() for path, file in files.items() if not path.startswith(".mmcicd/")}


def test_it_writes_what_follows_from_the_configuration(repository: Path) -> None:
    before = tree(repository)

    assert generate(repository).code == 0

    now = tree(repository)
    assert {path: now[path] for path in before} == before
    assert set(now) - set(before) == {
        "mmcicdw",
        ".gitignore",
        "README.md",
        JENKINSFILE,
        "jenkins/.generated.json",
    }
    assert (repository / ".mmcicd/schema.json").exists()
    assert os.access(repository / "mmcicdw", os.X_OK)


def test_again_changes_nothing(repository: Path) -> None:
    generate(repository)
    before = tree(repository)
    times = {p: p.stat().st_mtime_ns for p in repository.rglob("*")}

    result = generate(repository)

    assert result.code == 0
    assert "up to date" in result.out
    assert tree(repository) == before
    assert {p: p.stat().st_mtime_ns for p in repository.rglob("*")} == times
    assert generate(repository, "--check").code == 0


def test_check_lists_what_is_stale_and_changes_nothing(repository: Path) -> None:
    (repository / "mmcicd.yaml").write_text(JENKINS % "linux")
    generate(repository)
    (repository / "mmcicd.yaml").write_text(JENKINS % "big")
    before = tree(repository)

    result = generate(repository, "--check")

    assert result.code == 3
    assert result.error
    assert JENKINSFILE in result.error.where
    assert "mmcicdw" not in result.error.where
    diff = generate(repository, "--diff")
    assert "-          label 'linux'" in diff.out
    assert "+          label 'big'" in diff.out
    assert diff.code == 0
    assert generate(repository, "--check", "--diff").code == 3
    stale = json.loads(generate(repository, "--check", "--json").out)["stale"]
    assert {entry["step"] for entry in stale} == {"update"}
    assert tree(repository) == before


def test_an_edit_and_a_change_are_joined(repository: Path) -> None:
    generate(repository)
    file = repository / JENKINSFILE
    file.write_text(file.read_text().replace("numToKeepStr: '50'", "numToKeepStr: '7'"))
    assert "you edited it" in generate(repository).out

    (repository / "mmcicd.yaml").write_text(JENKINS % "big")
    result = generate(repository)

    assert result.code == 0
    assert f"merged   {JENKINSFILE}" in result.out
    text = file.read_text()
    assert "numToKeepStr: '7'" in text
    assert "label 'big'" in text
    assert generate(repository, "--check").code == 0


def test_a_conflict_is_marked_told_and_resolved_once(repository: Path) -> None:
    generate(repository)
    file = repository / JENKINSFILE
    file.write_text(file.read_text().replace("label 'linux'", "label 'mine'"))
    (repository / "mmcicd.yaml").write_text(JENKINS % "big")

    result = generate(repository)

    assert result.code == 3
    assert result.error
    assert result.error.where == JENKINSFILE
    marked = file.read_text()
    assert "<<<<<<< yours" in marked
    assert "label 'mine'" in marked
    assert "label 'big'" in marked
    assert generate(repository).code == 3
    assert generate(repository, "--check").code == 3
    assert file.read_text() == marked

    file.write_text("// all mine\n")
    assert generate(repository).code == 0
    assert file.read_text() == "// all mine\n"


def test_what_a_person_deleted_stays_deleted(repository: Path) -> None:
    generate(repository)
    for path in ("README.md", ".gitignore", JENKINSFILE):
        (repository / path).unlink()

    assert generate(repository, "--check").code == 0
    generate(repository)

    assert not (repository / "README.md").exists()
    assert not (repository / ".gitignore").exists()
    assert not (repository / JENKINSFILE).exists()


def test_files_that_were_there_are_not_taken_over(repository: Path) -> None:
    (repository / "README.md").write_text("# Ours\n")
    (repository / ".gitignore").write_text("*.log")

    generate(repository)

    assert (repository / "README.md").read_text() == "# Ours\n"
    assert (repository / ".gitignore").read_text().startswith("*.log\n.mmcicd/\n")


def test_a_model_that_is_gone_takes_its_untouched_files_along(repository: Path) -> None:
    (repository / "mmcicd.yaml").write_text(JENKINS % "linux")
    generate(repository)
    edited = repository / "jenkins/churn-monitor.Jenkinsfile"
    edited.write_text(edited.read_text() + "// mine\n")
    (repository / "mmcicd.yaml").write_text((JENKINS % "linux").replace("churn:", "leavers:"))

    result = generate(repository)

    assert "removed  jenkins/churn.Jenkinsfile" in result.out
    assert not (repository / JENKINSFILE).exists()
    assert edited.exists()
    assert (repository / "jenkins/leavers.Jenkinsfile").exists()
    assert generate(repository, "--check").code == 0


def test_a_lost_executable_bit_is_given_back(repository: Path) -> None:
    generate(repository)
    (repository / "mmcicdw").chmod(0o644)

    assert generate(repository, "--check").code == 3
    generate(repository)

    assert os.access(repository / "mmcicdw", os.X_OK)


def test_a_record_that_git_could_not_merge_is_told(repository: Path) -> None:
    generate(repository)
    record = repository / "jenkins/.generated.json"
    record.write_text("<<<<<<< HEAD\n" + record.read_text())

    result = generate(repository)

    assert result.code == 3
    assert result.error
    assert "git checkout --theirs" in result.error.fix


def test_a_forged_record_cannot_unpack_without_end(repository: Path) -> None:
    import base64
    import zlib

    bomb = base64.b64encode(zlib.compress(b"\0" * (1 << 25), 9)).decode()
    (repository / "jenkins").mkdir()
    (repository / "jenkins/.generated.json").write_text(
        json.dumps({"managed": {"mmcicdw": bomb}, "once": []})
    )

    assert generate(repository).code == 3


@pytest.mark.parametrize("path", ["../outside", "/etc/mmcicd-outside", "jenkins/../../outside"])
def test_a_forged_record_cannot_name_files_outside(repository: Path, path: str) -> None:
    import base64
    import zlib

    (repository.parent / "outside").write_text("x")
    text = base64.b64encode(zlib.compress(b"x")).decode()
    (repository / "jenkins").mkdir()
    (repository / "jenkins/.generated.json").write_text(json.dumps({"managed": {path: text}, "once": []}))

    assert generate(repository).code == 3
    assert (repository.parent / "outside").read_text() == "x"


def test_a_link_is_not_written_through(repository: Path) -> None:
    outside = repository.parent / "outside"
    outside.mkdir()
    (repository / "jenkins").symlink_to(outside)

    result = generate(repository)

    assert result.code == 3
    assert not list(outside.iterdir())


def test_a_planted_link_is_not_followed(repository: Path) -> None:
    outside = repository.parent / "outside"
    outside.write_text("theirs")
    (repository / ".mmcicdw.mmcicd-new").symlink_to(outside)

    result = generate(repository)

    assert result.code == 5
    assert result.error
    assert "mmcicdw could not be written" in result.error.what
    assert outside.read_text() == "theirs"
    assert generate(repository).code == 0


def test_a_folder_that_cannot_be_written_is_told(repository: Path) -> None:
    (repository / "mmcicdw").mkdir()

    result = generate(repository)

    assert result.code == 3
    assert result.error
    assert "mmcicdw" in result.error.what


def test_a_mistake_in_the_configuration_is_told_before_anything_is_written(repository: Path) -> None:
    (repository / "mmcicd.yaml").write_text(CONFIG.replace("binary", "binery"))
    before = tree(repository)

    assert generate(repository).code == 3
    assert tree(repository) == before


def test_jenkins_without_approvers_is_refused(repository: Path) -> None:
    (repository / "mmcicd.yaml").write_text(CONFIG + "jenkins: {}\n")

    result = generate(repository)

    assert result.code == 3
    assert result.error
    assert "who may promote" in result.error.what


def test_two_models_that_would_share_a_file_are_refused(repository: Path) -> None:
    model = CONFIG.partition("models:\n")[2]
    text = (JENKINS % "linux").replace("models:\n", "models:\n" + model.replace("churn:", "churn-release:"))
    (repository / "mmcicd.yaml").write_text(text)

    result = generate(repository)

    assert result.code == 3
    assert result.error
    assert "share jenkins/churn-release.Jenkinsfile" in result.error.what


def test_answers_are_refused_where_they_would_change_nothing(repository: Path) -> None:
    assert generate(repository, "--label", "x").code == 2
    assert generate(repository, "--model", "x").code == 2
    assert generate(repository, "--example", "image").code == 2


def test_the_next_line_can_be_typed_whatever_the_folder_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "it's $HOME"

    result = generate(folder, "--example", "image")

    (line,) = [line for line in result.out.splitlines() if line.startswith("Next: ")]
    assert shlex.split(line)[1:4] == ["cd", str(folder), "&&"]


def test_an_empty_folder_has_nothing_to_check(tmp_path: Path) -> None:
    assert generate(tmp_path, "--check").code == 3


@pytest.mark.parametrize(
    ("example", "model", "table"), [("image", "digits", "digits"), ("tabular", "tumours", "tumours")]
)
def test_an_example_is_a_whole_repository(tmp_path: Path, example: str, model: str, table: str) -> None:
    folder = tmp_path / "new"

    result = generate(folder, "--example", example)

    assert result.code == 0
    assert "Next: " in result.out
    assert set(tree(folder)) == {
        "mmcicd.yaml",
        "mmcicd.lock",
        "mmcicdw",
        ".gitignore",
        "README.md",
        "requirements.txt",
        "train.py",
        "tests/test_train.py",
        f"data/{table}.csv",
        "data/README.md",
        f"jenkins/{model}.Jenkinsfile",
        "jenkins/.generated.json",
    }
    lock = json.loads((folder / "mmcicd.lock").read_text())
    assert lock["data"][f"{model}/{table}"]["facts"]["rows"] in {1797, 569}
    before = tree(folder)
    assert generate(folder, "--example", example).code == 0
    assert generate(folder).code == 0
    assert tree(folder) == before


def test_an_example_keeps_what_a_person_changed_or_deleted(tmp_path: Path) -> None:
    generate(tmp_path, "--example", "tabular", "--model", "lumps")
    (tmp_path / "train.py").write_text("mine\n")
    (tmp_path / "tests/test_train.py").unlink()
    (tmp_path / "mmcicd.yaml").write_text((tmp_path / "mmcicd.yaml").read_text().replace("0.97", "0.95"))

    assert generate(tmp_path, "--example", "tabular", "--model", "lumps").code == 0

    assert (tmp_path / "train.py").read_text() == "mine\n"
    assert not (tmp_path / "tests/test_train.py").exists()
    assert "0.95" in (tmp_path / "mmcicd.yaml").read_text()


@pytest.mark.parametrize("place", ["generate.file-written:1", "generate.file-written:4", "generate.file-written:8",
                                   "generate.before-record"])  # fmt: skip
def test_killed_anywhere_the_same_command_finishes(tmp_path: Path, place: str) -> None:
    whole, killed = tmp_path / "a" / "r", tmp_path / "b" / "r"
    arguments = ["--example", "tabular"]
    generate(whole, *arguments)
    variables = {**os.environ, "MMCICD_TESTING": "1", "MMCICD_FAILPOINTS": f"{place}=kill"}
    command_line = [sys.executable, "-m", "mmcicd_jenkins", "generate", str(killed), *arguments]

    first = subprocess.run(command_line, env=variables, capture_output=True, check=False)
    assert first.returncode == -signal.SIGKILL
    assert generate(killed, *arguments).code == 0

    assert tree(killed) == tree(whole)


def test_several_at_once_end_in_one_state(tmp_path: Path) -> None:
    whole, shared = tmp_path / "a" / "r", tmp_path / "b" / "r"
    generate(whole, "--example", "tabular")
    command_line = [sys.executable, "-m", "mmcicd_jenkins", "generate", str(shared), "--example", "tabular"]

    started = [subprocess.Popen(command_line, stderr=subprocess.PIPE) for _ in range(3)]
    told = [process.communicate()[1] for process in started]

    assert all(b"bug" not in text for text in told), told
    assert generate(shared, "--example", "tabular").code == 0
    assert tree(shared) == tree(whole)
