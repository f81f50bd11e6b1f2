"""No finding where nothing is wrong: files in the style of the world's Jenkinsfiles, and everything that we generate.

The files in `right/` are our own; tests/real lets Groovy 2.4 read them too.
"""

from pathlib import Path

import pytest

from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.lint.check import lint_text, plugins_used, read_text
from mmcicd_jenkins.render.jenkinsfile import render_jenkinsfiles

RIGHT = sorted((Path(__file__).parent / "right").iterdir())
STORIES = sorted((Path(__file__).parents[2] / "golden").glob("*/mmcicd.yaml"))


def told(file, text):
    return [
        f"{one.line}:{one.column} {one.rule}: {one.what}"
        for one in lint_text(file, text)
        if one.severity != "note"
    ]


@pytest.mark.parametrize("file", RIGHT, ids=lambda file: file.name)
def test_a_right_file_is_quiet(file):
    assert not told(file.name, file.read_text())


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.parent.name)
def test_what_we_generate_is_quiet(story):
    for path, text in render_jenkinsfiles(load_config(story, environ={})).items():
        assert not told(path, text)


@pytest.mark.parametrize(
    ("name", "plugins"),
    [
        ("Jenkinsfile.maven", {"email-ext": ["emailext"], "junit": ["junit"], "timestamper": ["timestamps"]}),
        ("Jenkinsfile.promote", {"credentials-binding": ["withCredentials"], "lockable-resources": ["lock"]}),
        (
            "Jenkinsfile.kubernetes",
            {"kubernetes": ["container", "kubernetes"], "lockable-resources": ["lock"]},
        ),
    ],
)
def test_the_plugins_that_a_file_needs(name, plugins):
    text = (Path(__file__).parent / "right" / name).read_text()
    assert plugins_used(read_text(name, text)) == plugins
