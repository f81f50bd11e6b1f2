"""`mmcicdw` with our own wheel: its dependencies come from the package index once, then nothing is asked again."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmcicd_jenkins.render.wrapper import wrapper_text

ROOT = Path(__file__).parents[2]


pytestmark = pytest.mark.real


def copy_of_the_source(folder: Path) -> Path:
    """Building writes into the tree that it builds."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("mmcicd_jenkins", "templates"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def build_wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder)]
    done = subprocess.run(
        [*command, str(copy_of_the_source(folder / "source"))], capture_output=True, text=True, check=False
    )
    if "No matching distribution" in done.stderr:
        pytest.skip("no package index can be reached: connect to one, or set PIP_INDEX_URL")
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_it_runs_our_program_and_then_works_without_an_index(tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path)
    wrapper = tmp_path / "mmcicdw"
    wrapper.write_text(wrapper_text(wheel.name, wheel=wheel.read_bytes()), encoding="utf-8")
    wrapper.chmod(0o755)
    variables = {**os.environ, "MMCICD_CLI_HOME": str(tmp_path / "cli")}

    first = subprocess.run([wrapper, "--version"], env=variables, capture_output=True, text=True, check=False)
    offline = {**variables, "PIP_NO_INDEX": "1", "PIP_INDEX_URL": "http://127.0.0.1:9"}
    second = subprocess.run(
        [wrapper, "generate", "digits", "--example", "image"],
        env=offline, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("mmcicd-jenkins ")
    assert second.returncode == 0, second.stderr
    assert (tmp_path / "digits/mmcicd.lock").exists()
