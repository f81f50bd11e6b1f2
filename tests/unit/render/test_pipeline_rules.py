"""What must hold in every generated pipeline, whatever the configuration: a file that breaks one is not approved.

We test these aspects: shells are literals; approvals name who; nothing waits while it holds an agent or a lock;
who has no rights is given no credentials; a plan cannot sign; a rollback needs nothing; the top of a file tells
its plugins.
"""

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.config.model import Config, Pod
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.render.agents import pod_yaml
from mmcicd_jenkins.render.coordinates import coordinates
from mmcicd_jenkins.render.jenkinsfile import render_jenkinsfiles
from mmcicd_jenkins.render.plugins import plugins_of

GOLDEN = Path(__file__).parents[2] / "golden"
STORIES = sorted(GOLDEN.glob("*/mmcicd.yaml"))
LITERAL = r"'(?:[^'\\]|\\.)*'"
SHELL = re.compile(rf"sh\(label: {LITERAL}, returnStatus: true, script: {LITERAL}\)$")


def config(story: str) -> Config:
    return load_config(GOLDEN / story / "mmcicd.yaml", environ={})


def files(kind: str = "") -> list[tuple[str, str]]:
    """Every generated file, or those of one pipeline; CI files end in the name of a model."""
    rendered = [
        (f"{story.parent.name}/{path}", text)
        for story in STORIES
        for path, text in render_jenkinsfiles(load_config(story, environ={})).items()
    ]
    return [(name, text) for name, text in rendered if name.endswith(f"{kind}.Jenkinsfile")]


def stages(text: str) -> dict[str, str]:
    """Title -> text of each top-level stage."""
    parts = re.split(rf"^    stage\(({LITERAL})\) \{{$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(("name", "text"), files())
def test_a_shell_is_one_literal_with_a_label(name: str, text: str) -> None:
    shells = [line.strip() for line in text.splitlines() if re.search(r"\bsh\b *\(|\bsh [\"'l]", line)]
    assert shells, name
    for line in shells:
        assert SHELL.search(line), line
    assert len(shells) <= len(stages(text))


@pytest.mark.parametrize(("name", "text"), files())
def test_no_text_leaves_room_for_values(name: str, text: str) -> None:
    """Double quotes are where Groovy fills values in; outside literals there are none."""
    code = "\n".join(line for line in text.splitlines() if not line.startswith("//"))
    bare = re.sub(LITERAL, "''", re.sub(r"'''\\\n(?:[^'\\]|\\.)*'''", "''", code))
    assert '"' not in bare, name
    assert "$" not in bare, name
    assert "/*" not in bare, name


@pytest.mark.parametrize(("name", "text"), files())
def test_every_stage_ends_and_no_command_is_tried_blindly(name: str, text: str) -> None:
    for title, stage in stages(text).items():
        assert "timeout(time: " in stage or title == "'Release'", (name, title)
    assert "retry(" not in text
    assert text.count("retries 2") == len(re.findall(r"^      agent \{", text, re.MULTILINE))


@pytest.mark.parametrize(("name", "text"), files())
def test_conditions_come_before_agents_and_locks(name: str, text: str) -> None:
    for title, stage in stages(text).items():
        if "      when {" in stage and "      agent {" in stage:
            assert "beforeAgent true" in stage, (name, title)
            assert "beforeOptions true" in stage, (name, title)
        for match in re.finditer(r"^( *)lock\(", stage, re.MULTILINE):
            assert len(match[1]) == 8, "a lock is an option: as a step it would hold the agent"


@pytest.mark.parametrize(("name", "text"), files())
def test_parameters_and_clocks_are_in_the_jobs(name: str, text: str) -> None:
    assert not re.search(r"^ *(parameters|triggers) \{", text, re.MULTILINE), name


@pytest.mark.parametrize(("name", "text"), files())
def test_exit_codes_mean_the_same_everywhere(name: str, text: str) -> None:
    ours = [stage for stage in stages(text).values() if "--summary=" in stage]
    for stage in ours:
        assert "if (code == 4 || code == 6) { unstable(said) }" in stage
        assert "if (code == 75) { currentBuild.result = 'NOT_BUILT'; error(said) }" in stage
        assert "if (code == 130 || code == 143) { currentBuild.result = 'ABORTED'; error(said) }" in stage
        assert "else if (code != 0) { error(said) }" in stage
        assert "currentBuild.description = said" in stage


@pytest.mark.parametrize(("name", "text"), [f for f in files("-promote") if "stage('Approve')" in f[1]])
def test_a_plan_that_nobody_approved_cannot_sign(name: str, text: str) -> None:
    assert "MMCICD_SIGNING_KEY" not in stages(text)["'Plan'"], name
    assert "MMCICD_SIGNING_KEY" in text or "platform" not in name
