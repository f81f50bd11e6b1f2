"""The harness tests import their paper controller by name, and compare traces with files."""

import difflib
import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
TRACES = Path(__file__).parent / "traces"


@pytest.fixture(scope="session", autouse=True)
def groovy_is_there():
    from mmcicd_jenkins.adapters.groovy import find_groovy

    if find_groovy(os.environ) is None or not shutil.which("git"):
        pytest.skip("Groovy is missing: apt-get install groovy (2.4, with a Java runtime)")


@pytest.fixture
def same_trace():
    """Compare a build with its file in `traces/`; every difference is told at the end, so that one run shows them all."""
    wrong = []

    def compare(name, ended, result):
        file = TRACES / f"{name}.txt"
        if ended.refused:
            wrong.append(f"{name}: the harness refused: {ended.refused}\n{ended.text}")
            return
        if os.environ.get("UPDATE_TRACES") and not os.environ.get("CI"):
            TRACES.mkdir(exist_ok=True)
            file.write_text(ended.text)
        expected = file.read_text() if file.exists() else ""
        if expected != ended.text:
            lines = difflib.unified_diff(
                expected.splitlines(),
                ended.text.splitlines(),
                f"traces/{file.name}",
                "this build",
                lineterm="",
            )
            wrong.append("\n".join(lines))
        if ended.result != result:
            wrong.append(f"{name} is {ended.result}, not {result}: {ended.description}")

    yield compare
    assert not wrong, "\n".join([*wrong, "", (Path(__file__).parent / "README.md").read_text()])
