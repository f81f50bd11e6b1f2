"""Every command in a generated Jenkinsfile is one that the command line understands, with and without parameters."""

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from mmcicd_jenkins.cli import COMMANDS
from mmcicd_jenkins.cli.frame import LazyGroup
from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.render.jenkinsfile import render_jenkinsfiles

STORIES = sorted((Path(__file__).parents[1] / "golden").glob("*/mmcicd.yaml"))
SCRIPT = re.compile(r"returnStatus: true, script: '([^'\\]*)'\)")


def commands() -> set[str]:
    texts = (
        text for story in STORIES for text in render_jenkinsfiles(load_config(story, environ={})).values()
    )
    return {line for text in texts for line in SCRIPT.findall(text)}


def words(line: str, **variables: str) -> list[str]:
    """What /bin/sh makes of the line, with the wrapper replaced by something that prints its words."""
    line = line.replace("./mmcicdw", "printf '%s\\0'", 1)
    done = subprocess.run(["/bin/sh", "-xec", line], env=variables, capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("line", sorted(commands()))
def test_the_command_line_takes_it(line: str) -> None:
    hostile = 'it\'s $(id) `id` "x" --help\n;'
    for variables in (
        {},
        {"VERSION": "", "REASON": ""},
        {"VERSION": "7", "APPROVED_VERSION": "7", "REASON": hostile, "APPROVED_REASON": hostile},
    ):
        name, *arguments = words(line, **variables)
        group = LazyGroup(COMMANDS)
        command = group.get_command(click.Context(group), name)
        assert command
        parsed = command.make_context(name, list(arguments))
        if "REASON" in line:
            assert parsed.params["reason"] == variables.get("REASON", "")
            assert parsed.params["version"] == (
                int(variables["VERSION"]) if variables.get("VERSION") else None
            )


def test_the_lines_are_found() -> None:
    assert {shlex.split(line)[2] for line in commands()} == {
        "prepare", "test", "data", "train", "evaluate", "package", "verify", "deploy", "smoke", "propose", "promote",
        "rollback", "monitor",
    }  # fmt: skip
