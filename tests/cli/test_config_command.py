"""`mmcicd-jenkins config check|explain|schema` as typed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FILE = "models: {m: {train: ./t, evaluate: {command: ./e}, gates: [accuracy >= 0.9]}}\n"


def config(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = "import mmcicd_jenkins.cli as cli; cli.main()"
    return subprocess.run(
        [sys.executable, "-c", program, "config", *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "mmcicd.yaml").write_text(FILE)
    return tmp_path


def test_check_of_a_right_file(root: Path) -> None:
    done = config(root, "check")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "mmcicd.yaml is right: models m; environments staging, production\n"
    assert done.stderr == ""


def test_check_of_a_wrong_file_shows_every_mistake_with_a_caret(root: Path) -> None:
    (root / "mmcicd.yaml").write_text("models:\n  m:\n    trian: ./t\n    evaluate: binari\n")
    done = config(root, "check")
    assert done.returncode == 3
    assert done.stdout == ""
    assert "mmcicd.yaml:3:5: models.m.trian: unknown key\n" in done.stderr
    assert "3 |     trian: ./t\n" in done.stderr
    assert "|     ^^^^^\n" in done.stderr
    assert "fix: did you mean `train`?" in done.stderr
    assert "mmcicd.yaml:4:15: models.m.evaluate: expected one of" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_as_json(root: Path) -> None:
    done = config(root, "check", "--json")
    assert json.loads(done.stdout)["models"] == ["m"]
    (root / "mmcicd.yaml").write_text("models: {}\n")
    done = config(root, "check", "--json")
    assert done.returncode == 3
    told = json.loads(done.stdout)
    assert (told["exit_code"], told["problems"][0]["line"], told["problems"][0]["column"]) == (3, 1, 9)


def test_check_prints_the_shares_that_the_replicas_can_give(root: Path) -> None:
    (root / "mmcicd.yaml").write_text(
        FILE
        + "environments:\n  p:\n    kind: kubernetes\n    cluster: https://k\n    namespace: n\n    replicas: 3\n"
        "    strategy: {canary: {steps: [10% for 1h]}}\n"
    )
    done = config(root, "check")
    assert done.returncode == 0
    assert "p: 3 replicas can give a canary 25%, 40%, 50%" in done.stderr
    assert "warning" in done.stderr
    assert "3 replicas cannot give 10%" in done.stderr


def test_without_a_file_it_says_how_to_make_one(tmp_path: Path) -> None:
    done = config(tmp_path, "check")
    assert done.returncode == 3
    assert "mmcicd-jenkins generate" in done.stderr


def test_explain(root: Path) -> None:
    done = config(root, "explain", "models.m.train.command")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "models.m.train.command: ./t\n  from     file mmcicd.yaml:1:21\n  meaning  Your training"
    )
    assert config(root, "explain", "store.path", "--set", "store.path=/x").stdout.startswith(
        "store.path: /x\n"
    )
    assert len(config(root, "explain").stdout.splitlines()) > 50
    assert json.loads(config(root, "explain", "store", "--json").stdout)["keys"][1]["key"] == "store.path"


def test_explain_of_a_typo_names_the_nearest(root: Path) -> None:
    done = config(root, "explain", "store.pat")
    assert done.returncode == 2
    assert "did you mean store.path?" in done.stderr


def test_schema_is_json(root: Path) -> None:
    assert "models" in json.loads(config(root, "schema").stdout)["properties"]


def test_asking_where_the_file_is_does_not_load_pydantic(root: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from mmcicd_jenkins.config.load import find_file; find_file(Path());"
        "print([m for m in ('pydantic', 'yaml', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
