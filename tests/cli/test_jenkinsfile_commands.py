"""Every command in a generated Jenkinsfile is one that the command line understands, with and without parameters."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from mmcicd_jenkins.cli import COMMANDS
from mmcicd_jenkins.cli.frame import LazyGroup
from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.render.jenkinsfile import render_jenkinsfiles

STORIES = sorted((Path(__file__).parents[1] / "golden").glob("*/mmcicd.yaml"))
SCRIPT = re.compile(r"returnStatus: true, script: '((?:[^'\\]|\\\\)*)'\)")
# A line may use a variable of its parameters, of its approval, or of its machine.
GIVEN = ("COMMIT", "VERSION", "REASON", "MMCICD_CHOICE", "MMCICD_REASON")
HOSTILE = 'it\'s $(id) `id` "x" --help\n;'
COMMIT = "0123456789" * 4


def lines() -> set[str]:
    texts = (
        text for story in STORIES for text in render_jenkinsfiles(load_config(story, environ={})).values()
    )
    found = {line.replace("\\\\", "\\") for text in texts for line in SCRIPT.findall(text)}
    return {line for line in found if "mmcicd" in line and " --summary=" in line}


def words(line: str, folder: Path, **variables: str) -> list[str]:
    """What /bin/sh makes of the line, with the program replaced by something that prints its words."""
    line = re.sub(r"(\./mmcicdw|mmcicd-jenkins)(?= )", r"printf '%s\\0'", line, count=1)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), **variables}
    done = subprocess.run(["/bin/sh", "-xec", line], env=environment, cwd=folder, capture_output=True, check=True)  # fmt: skip
    return done.stdout.decode().split("\0")[:-1]


def parsed(arguments: list[str]) -> dict[str, Any]:
    """What the command line understands."""
    group: Any = LazyGroup(COMMANDS)
    name, *rest = arguments
    command = group.get_command(click.Context(group), name)
    assert command is not None
    if isinstance(command, click.Group):
        name, *rest = rest
        command = command.get_command(click.Context(command), name)
        assert command is not None
    params: dict[str, Any] = command.make_context(name, list(rest)).params
    return params


def given() -> Iterator[dict[str, str]]:
    yield {}
    yield dict.fromkeys(GIVEN, "")
    yield {
        "COMMIT": COMMIT,
        "VERSION": "7",
        "REASON": HOSTILE,
        "MMCICD_CHOICE": "7 | x",
        "MMCICD_REASON": HOSTILE,
    }


@pytest.mark.parametrize("line", sorted(lines()))
def test_the_command_line_takes_it(line: str, tmp_path: Path) -> None:
    for variables in given():
        params = parsed(words(line, tmp_path, **variables))
        assert params["folder"] == ".mmcicd/jenkins"
        if "REASON" in line:
            reason = variables.get("MMCICD_REASON" if "MMCICD_REASON" in line else "REASON", "")
            assert params["reason"] == reason
        if '"$VERSION"' in line:
            assert params["version"] == (int(variables["VERSION"]) if variables.get("VERSION") else None)
        if "COMMIT" in line:
            assert params["commit"] == variables.get("COMMIT", "")


def test_a_choice_that_looks_like_an_option_is_none(tmp_path: Path) -> None:
    line = next(line for line in lines() if "MMCICD_CHOICE" in line)
    params = parsed(words(line, tmp_path, MMCICD_CHOICE="--help", MMCICD_REASON="--dry-run"))
    assert (params["choice"], params["reason"], params["dry_run"]) == ("--help", "--dry-run", False)


def test_a_rollback_finds_the_program_where_the_wrapper_keeps_it(tmp_path: Path) -> None:
    """On a day without a package index it is the one that was installed before."""
    line = next(line for line in lines() if "stage rollback" in line)
    program = tmp_path / ".cache/mmcicd/cli/1-2/bin/mmcicd-jenkins"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    program.chmod(0o755)
    (program.parents[1] / "ready").touch()
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "VERSION": "3"}
    done = subprocess.run(["/bin/sh", "-xec", line], env=environment, cwd=tmp_path, capture_output=True, check=True)  # fmt: skip
    assert done.stdout.decode().startswith("stage|rollback|")
    assert done.stdout.decode().endswith("|--version=3|")


def test_what_a_former_build_said_is_gone(tmp_path: Path) -> None:
    (tmp_path / ".mmcicd/jenkins").mkdir(parents=True)
    (tmp_path / ".mmcicd/jenkins/said.txt").write_text("old")
    words(next(iter(lines())), tmp_path)
    assert not (tmp_path / ".mmcicd/jenkins").exists()


def test_the_lines_are_found() -> None:
    named = {re.search(r"stage ([a-z]+) --model|(data update) --model", line) for line in lines()}
    assert {match[1] or match[2] for match in named if match} == {
        "prepare", "test", "data", "train", "evaluate", "package", "verify", "deploy", "smoke", "propose", "promote",
        "canary", "rollback", "monitor", "data update",
    }  # fmt: skip
