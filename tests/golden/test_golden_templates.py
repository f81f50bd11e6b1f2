"""Templates are short and flat, and no branch of them is unseen by the stories.

Branches are seen by way of what teams do: own a copy of the templates, here with a mark on each side of each
`if` and in the body of each `for`.
"""

import dataclasses
import re
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.config.model import Config
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.render import kubernetes
from mmcicd_jenkins.render.files import OWN_TEMPLATES
from mmcicd_jenkins.render.jenkinsfile import TEMPLATES, render_jenkinsfiles
from mmcicd_jenkins.render.scaffold import Answers, first_config

ROOT = Path(str(resources.files("mmcicd_jenkins.templates")))
OURS = sorted(
    p.relative_to(ROOT).as_posix()
    for kind in ("jenkinsfile", "kubernetes", "scaffold")
    for p in ROOT.glob(f"{kind}/**/*.j2")
)
STORIES = sorted(Path(__file__).parent.glob("*/mmcicd.yaml"))
# Programs of their own, not layouts, and what cannot be cut: an object, a configuration of nginx.
LONG = ("train.py.j2", "test_train.py.j2", "mmcicdw.j2", "kubernetes/deployment.j2", "kubernetes/proxy.j2")
BROKEN = "{{ a_name_of_nothing }}"
TAG = re.compile(r"{%-?\s*(if|elif|else|endif|for|endfor)\b[^%]*%}")


@pytest.mark.parametrize("name", OURS)
def test_a_template_is_short_and_flat(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    depth = deepest = 0
    for tag in TAG.findall(text):
        depth += {"if": 1, "for": 1, "endif": -1, "endfor": -1}.get(tag, 0)
        deepest = max(deepest, depth)

    assert deepest <= 2
    assert len(text.splitlines()) <= (120 if name.endswith(LONG) else 80)


def test_every_template_that_can_be_owned_is_listed() -> None:
    assert {name for name in OURS if not name.startswith("scaffold/")} == {*TEMPLATES, *kubernetes.TEMPLATES}


def marked(name: str, text: str) -> tuple[str, set[str]]:
    """The template with a mark behind each tag that begins a side, and an `else` where there was none."""
    marks: set[str] = set()
    sides: list[bool] = []

    def mark(tag: re.Match[str]) -> str:
        word, here = tag.group(1), f"@{name}:{text.count(chr(10), 0, tag.start()) + 1}:{tag.group(1)}@"
        if word in {"if", "for"}:
            sides.append(word == "for")
        has_else = sides[-1]
        if word in {"endif", "endfor"}:
            sides.pop()
        if word == "else":
            sides[-1] = True
        if word == "endfor" or (word == "endif" and has_else):
            return tag.group()
        marks.add(here)
        return f"{{% else %}}{here}{tag.group()}" if word == "endif" else tag.group() + here

    return TAG.sub(mark, text), marks


def test_every_branch_is_rendered_by_some_story(tmp_path: Path) -> None:
    wanted: set[str] = set()
    rendered = ""
    for story in STORIES:
        copy = tmp_path / story.parent.name
        shutil.copytree(story.parent, copy)
        for name in TEMPLATES:
            text, marks = marked(name, (ROOT / name).read_text(encoding="utf-8"))
            wanted |= marks
            file = copy / OWN_TEMPLATES / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        rendered += "".join(render_jenkinsfiles(load_config(copy / "mmcicd.yaml", environ={})).values())

    assert wanted
    assert {mark for mark in wanted if mark not in rendered} == set()


def broken(text: str) -> Iterator[str]:
    """The template with one side of one `if`, or the body of one `for`, that cannot be rendered."""
    for tag in TAG.finditer(text):
        if tag.group(1) != "endif":
            yield f"{text[: tag.end()]}{BROKEN}{text[tag.end() :]}"
        else:
            yield f"{text[: tag.start()]}{{% else %}}{BROKEN}{text[tag.start() :]}"


@pytest.mark.parametrize("name", kubernetes.TEMPLATES)
def test_every_branch_of_an_object_is_rendered_by_some_story(name: str, tmp_path: Path) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    own = tmp_path / OWN_TEMPLATES / name
    own.parent.mkdir(parents=True)
    configs = [
        dataclasses.replace(load_config(story, environ={}), root=tmp_path)
        for story in STORIES
        if "kind: kubernetes" in story.read_text(encoding="utf-8")
    ]
    for variant in [*broken(text), BROKEN + text]:
        own.write_text(variant, encoding="utf-8")
        assert any(is_refused(config) for config in configs), variant


def is_refused(config: Config) -> bool:
    try:
        kubernetes.check_own_templates(config)
    except InputError as e:
        assert "a_name_of_nothing" in e.why
        return True
    return False


@pytest.mark.parametrize(("label", "group"), [("churned", "customer id"), ("it's: #1", ""), ("", "")])
def test_a_first_configuration_says_what_was_answered(tmp_path: Path, label: str, group: str) -> None:
    answers = Answers(
        model="churn",
        train="python 'my train'.py --x=#1",
        source="t",
        url="s3://b/a b.csv",
        label=label,
        group_by=group,
        problem="binary" if label else None,
        command="" if label else "./judge 'it' # all",
    )
    (tmp_path / "mmcicd.yaml").write_bytes(first_config(answers).content)

    (model,) = load_config(tmp_path / "mmcicd.yaml", environ={}).models.values()

    assert (model.train.command, model.data[0].url) == (answers.train, answers.url)
    assert (model.data[0].label, model.data[0].group_by) == (label, group)
    assert (model.evaluate.problem, model.evaluate.command) == (answers.problem, answers.command)
    assert [rule.is_absolute for rule in model.gates] == [True, False]
