"""Whatever a team writes into a field stays inside a literal: it reads back, and nothing around it moves."""

import dataclasses
import re
from pathlib import Path

import pytest

from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.config.model import Config
from mmcicd_jenkins.render.jenkinsfile import render_jenkinsfiles

STORY = Path(__file__).parent / "hooks-and-two-stagings" / "mmcicd.yaml"
LITERAL = re.compile(r"'((?:[^'\\]|\\.)*)'")
# A document of several lines stands between three quotes, and its lines stay apart.
TEXT = re.compile(r"'''\\\n((?:[^'\\]|\\.)*)'''")
HOSTILE = (
    "'; evil() // x",
    "$(id)",
    "${env.X}",
    "\\",
    "\\'",
    "\\u0027 + evil() + \\u0027",
    "a\n}\nstage('x') {",
    "*/ // #",
    "{{ 7 * 7 }}{% raw %}",
    "a\u2028\u202e\x00b",
    "naïve \U0001f600",
)


def with_value(config: Config, field: str, value: str) -> Config:
    """The configuration with one text of a person's in it."""
    assert config.jenkins
    if field == "hooks":
        return dataclasses.replace(config, hooks=dict.fromkeys(config.hooks, value))
    if field == "approver":
        approval = dataclasses.replace(config.production.approval, by=(value.replace(",", ""),))
        place = dataclasses.replace(config.production, approval=approval)
        return dataclasses.replace(config, environments={**config.environments, place.name: place})
    change = {field: {"default": value, "train": value} if field == "agents" else value}
    return dataclasses.replace(config, jenkins=dataclasses.replace(config.jenkins, **change))


def read(literal: str) -> str:
    """By the rules of Groovy; a test with Groovy itself is in tests/real."""
    plain = {"n": "\n", "r": "\r", "t": "\t"}
    text = re.sub(
        r"\\u([0-9a-f]{4})|\\(.)",
        lambda m: chr(int(m[1], 16)) if m[1] else plain.get(m[2], m[2]),
        literal,
    )
    return text.encode("utf-16", "surrogatepass").decode("utf-16")


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("field", ["hooks", "approver", "agents", "folder"])
def test_a_value_stays_inside_its_literal(field: str, value: str) -> None:
    config = load_config(STORY, environ={})
    calm = render_jenkinsfiles(with_value(config, field, "calm"))
    hostile = render_jenkinsfiles(with_value(config, field, value))

    for path, text in hostile.items():
        assert bare(text) == bare(calm[path])
        expected = [read(literal).replace("calm", value) for literal in literals(calm[path])]
        assert [read(literal) for literal in literals(text)] == expected


def bare(text: str) -> str:
    return LITERAL.sub("''", TEXT.sub("TEXT", text))


def literals(text: str) -> list[str]:
    return LITERAL.findall(TEXT.sub("TEXT", text))
