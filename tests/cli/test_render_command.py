"""`render jenkinsfile`: what would be written; a template of ours becomes a team's own and is never touched again."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mmcicd_jenkins.cli.render import command
from mmcicd_jenkins.errors import MmcicdError, UsageError
from mmcicd_jenkins.render.files import OWN_TEMPLATES
from mmcicd_jenkins.render.jenkinsfile import TEMPLATES

MODEL = "{train: 'true', evaluate: {command: 'true'}, gates: [accuracy >= 0.9]}"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mmcicd.yaml").write_text(f"models:\n  one: {MODEL}\n  two: {MODEL}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def render(*arguments: str) -> str:
    done = CliRunner().invoke(command, ["jenkinsfile", *arguments], standalone_mode=False)
    if done.exception:
        raise done.exception
    return done.output


def test_it_prints_every_file_or_those_of_one_model(repository: Path) -> None:
    assert "// jenkins/one.Jenkinsfile\n" in render()
    assert "// jenkins/two.Jenkinsfile\n" in render()
    assert "jenkins/one.Jenkinsfile" not in render("--model", "two")
    assert set(json.loads(render("--json"))["files"]) == {
        "jenkins/one.Jenkinsfile",
        "jenkins/two.Jenkinsfile",
    }
    assert [p.name for p in repository.iterdir()] == ["mmcicd.yaml"]


def test_an_owned_template_wins_and_is_kept(repository: Path) -> None:
    assert "copied" in render("--eject", "--template", "ci")
    own = repository / OWN_TEMPLATES / "jenkinsfile/ci.j2"
    own.write_text(own.read_text().replace("agent none", "agent none // ours"))

    assert "agent none // ours" in render()
    assert "copied" in render("--eject")
    assert "// ours" in own.read_text()
    assert sorted(f"jenkinsfile/{p.name}" for p in own.parent.iterdir()) == sorted(TEMPLATES)
    assert json.loads(render("--eject", "--json")) == {"copied": []}


def test_a_mistake_in_an_owned_template_has_its_line(repository: Path) -> None:
    render("--eject", "--template", "ci")
    own = repository / OWN_TEMPLATES / "jenkinsfile/ci.j2"
    own.write_text("{% set parts = 1 %}\n\n{{ stage.title }}\n")

    with pytest.raises(MmcicdError) as caught:
        render()

    assert caught.value.exit_code == 3
    assert caught.value.where == f"{own}:3"


@pytest.mark.parametrize(
    "arguments", [["--model", "three"], ["--template", "ci"], ["--eject", "--template", "../../setup.cfg"]]
)
def test_wrong_usage_is_told(repository: Path, arguments: list[str]) -> None:
    with pytest.raises(UsageError):
        render(*arguments)
