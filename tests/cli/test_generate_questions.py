"""`generate` in a team's own repository: it asks on a terminal, takes flags elsewhere, and leaves their files alone."""

import json
import os
import select
from pathlib import Path

import pytest
from click.testing import CliRunner
from own_terminal import on_terminal

from mmcicd_jenkins.cli.generate import command
from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.errors import MmcicdError

ROWS = [f"{n % 40},{n % 7},{n * 1.5},{int(n % 7 == 0)}" for n in range(400)]
TABLE = "\n".join(["customer_id,visits,spent,churned", *ROWS]) + "\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "churn"
    (folder / "data").mkdir(parents=True)
    (folder / "train.py").write_text("# mine\n")
    (folder / "requirements.txt").write_text("numpy\n")
    (folder / "data/customers.csv").write_text(TABLE)
    return folder


def generate(folder: Path, *arguments: str) -> tuple[int, str, MmcicdError | None]:
    done = CliRunner().invoke(command, [str(folder), *arguments], standalone_mode=False)
    if isinstance(done.exception, MmcicdError):
        return done.exception.exit_code, done.output, done.exception
    if done.exception:
        raise done.exception
    return done.return_value or 0, done.output, None


def test_flags_answer_everything(repository: Path) -> None:
    arguments = ["--model", "leavers", "--train", "python train.py", "--data", "data/customers.csv"]
    arguments += ["--label", "churned", "--group-by", "customer_id", "--evaluate", "binary"]

    code, out, _ = generate(repository, *arguments)

    assert code == 0
    assert "400 rows, 4 columns" in out
    assert (
        'train.py is untouched; it should\n  read    os.environ["MMCICD_DATA_DIR"] + "/customers/train.csv"'
        in out
    )
    assert 'model.export(os.environ["MMCICD_MODEL_DIR"])' in out
    (model,) = load_config(repository, environ={}).models.values()
    (source,) = model.data
    assert (model.name, source.name, source.url) == ("leavers", "customers", "data/customers.csv")
    assert (source.label, source.group_by, source.test_size) == ("churned", "customer_id", 0.2)
    assert model.evaluate.problem == "binary"
    assert any(rule.is_absolute for rule in model.gates)
    assert (repository / "train.py").read_text() == "# mine\n"
    lock = json.loads((repository / "mmcicd.lock").read_text())
    assert lock["data"]["leavers/customers"]["facts"]["label_counts"] == {"0": 342, "1": 58}


def test_yes_takes_what_the_data_suggest(repository: Path) -> None:
    code, out, _ = generate(repository, "--yes")

    assert code == 0
    assert "churned: two values, 14" in out
    (model,) = load_config(repository, environ={}).models.values()
    assert (model.name, model.data[0].label, model.data[0].group_by) == ("churn", "churned", "customer_id")


@pytest.mark.parametrize(
    ("script", "mode", "command_line"),
    [
        ("train.sh", 0o755, "./train.sh"),
        ("train.sh", 0o644, "sh train.sh"),
        ("model/train.py", 0o644, "python model/train.py"),
        ("$(touch owned)/train.py", 0o644, "python '$(touch owned)/train.py'"),
        ("-x/train.py", 0o644, "python ./-x/train.py"),
        (".venv/train.py", 0o644, "python train.py"),
    ],
)
def test_the_train_script_is_found(repository: Path, script: str, mode: int, command_line: str) -> None:
    (repository / "train.py").unlink()
    (repository / script).parent.mkdir(exist_ok=True)
    (repository / script).write_text("")
    (repository / script).chmod(mode)

    _, _, error = generate(repository, "--data", "data/customers.csv")

    assert error
    assert f"--train would be {command_line!r}" in error.why


def test_off_a_terminal_every_missing_answer_is_named_at_once(repository: Path) -> None:
    code, _, error = generate(repository, "--data", "data/customers.csv", "--label", "churned")

    assert code == 2
    assert error
    assert all(flag in error.what for flag in ("--model", "--train", "--group-by"))
    assert "'customer_id'" in error.why
    assert not (repository / "mmcicd.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--data", "gone.csv", "--yes"], 3, "gone.csv"),
        (["--label", "nope", "--yes"], 3, "no column 'nope'"),
        (["--group-by", "nope", "--yes"], 3, "no column 'nope'"),
        (["--model", "../x", "--yes"], 3, "cannot be the name of a model"),
        (["--model", "-x", "--yes"], 3, "cannot be the name of a model"),
        (["--label", "", "--yes"], 3, "no column ''"),
    ],
)
def test_an_answer_that_does_not_fit_is_told(
    repository: Path, arguments: list[str], code: int, told: str
) -> None:
    result, _, error = generate(repository, *arguments)

    assert result == code
    assert error
    assert told in error.what + error.where
    assert not (repository / "mmcicd.yaml").exists()


def test_nothing_together_and_an_own_evaluation(repository: Path) -> None:
    (repository / "judge.sh").write_text("#!/bin/sh\n")
    (repository / "judge.sh").chmod(0o755)

    code, _, _ = generate(repository, "--yes", "--group-by", "", "--evaluate", "./judge.sh")

    assert code == 0
    (model,) = load_config(repository, environ={}).models.values()
    assert model.data[0].group_by == ""
    assert model.evaluate.command == "./judge.sh"


def test_the_same_flags_again_finish_what_a_mistake_stopped(repository: Path) -> None:
    arguments = ["--yes", "--train", "python later.py"]
    code, _, error = generate(repository, *arguments)
    assert code == 3
    assert error
    assert "later.py" in error.what
    (repository / "later.py").write_text("")

    assert generate(repository, *arguments)[0] == 0
    assert (repository / "mmcicd.lock").exists()
    assert (repository / "mmcicdw").exists()
    assert generate(repository, *arguments)[0] == 2
    assert generate(repository)[0] == 0


def test_other_flags_do_not_change_a_configuration_that_is_there(repository: Path) -> None:
    (repository / "mmcicd.yaml").write_text("models: {}\n")

    assert generate(repository, "--yes", "--label", "churned")[0] == 2
    assert (repository / "mmcicd.yaml").read_text() == "models: {}\n"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert generate(tmp_path / "gone", "--yes")[0] == 3
    assert not (tmp_path / "gone").exists()


def test_without_data_it_asks_for_them(tmp_path: Path) -> None:
    code, _, error = generate(tmp_path, "--yes")

    assert code == 2
    assert error
    assert "--data" in error.fix


def talk(folder: Path, answers: list[tuple[str, str]]) -> tuple[int, str]:
    """Run on a pseudo terminal; each answer is typed when its question has appeared."""
    with on_terminal(folder, "generate") as (process, master):
        seen, waiting = _answer(master, answers)
    assert not waiting, f"was never asked {waiting[0]}: {seen}"
    return process.returncode, seen.replace("\r\n", "\n")


def _answer(master: int, answers: list[tuple[str, str]]) -> tuple[str, list[tuple[str, str]]]:
    """All that appears until the other side ends, and the answers that were not wanted."""
    seen, waiting, asked = "", list(answers), 0
    while True:
        ready, _, _ = select.select([master], [], [], 60)
        assert ready, f"nothing happened after: {seen}"
        try:
            chunk = os.read(master, 4096)
        except OSError:
            return seen, waiting
        if not chunk:
            return seen, waiting
        seen += chunk.decode()
        while waiting and waiting[0][0] in seen[asked:]:
            question, answer = waiting.pop(0)
            asked = seen.index(question, asked) + len(question)
            os.write(master, answer.encode() + b"\n")


def test_on_a_terminal_enter_is_mostly_enough(repository: Path) -> None:
    code, seen = talk(
        repository,
        [
            ("Model [churn]:", ""),
            ("Train command [python train.py]:", ""),
            ("Data [data/customers.csv]:", "nowhere.csv"),
            ("Data [data/customers.csv]:", ""),
            ("Label [churned]:", ""),
            ("Keep rows together by [customer_id]:", ""),
        ],
    )

    assert code == 0, seen
    assert "400 rows, 4 columns" in seen
    assert "Wrote mmcicd.yaml, mmcicd.lock, mmcicdw, jenkins/churn.Jenkinsfile and" in seen
    assert "Next: " in seen
    (model,) = load_config(repository, environ={}).models.values()
    assert model.data[0].group_by == "customer_id"


def test_an_answer_that_does_not_fit_is_asked_for_again(repository: Path) -> None:
    code, seen = talk(
        repository,
        [
            ("Model [churn]:", "Leavers!"),
            ("Model [churn]:", "leavers"),
            ("Train command [", ""),
            ("Data [data/customers.csv]:", ""),
            ("Label [churned]:", "chrned"),
            ("Label [churned]:", ""),
            ("Keep rows together by [customer_id]:", "nobody"),
            ("Keep rows together by [customer_id]:", "none"),
        ],
    )

    assert code == 0, seen
    assert "cannot be the name of a model; use lower-case letters" in seen
    assert "the data have no column 'chrned' to be the label: the columns are: customer_id, visits" in seen
    (model,) = load_config(repository, environ={}).models.values()
    assert (model.name, model.data[0].label, model.data[0].group_by) == ("leavers", "churned", "")


def test_ctrl_c_leaves_nothing_behind(repository: Path) -> None:
    before = {p: p.read_bytes() for p in repository.rglob("*") if p.is_file()}

    code, _ = talk(repository, [("Model [churn]:", "\x03")])

    assert code == 130
    assert {p: p.read_bytes() for p in repository.rglob("*") if p.is_file()} == before
