"""Groovy 2.4 reads the right files of the lint tests, and cannot read what lint calls syntax; lint tells what Groovy says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmcicd_jenkins.adapters.groovy import find_groovy
from mmcicd_jenkins.lint.check import lint_text
from mmcicd_jenkins.lint.rule import RULES, framed

RIGHT = Path(__file__).parents[1] / "unit" / "lint" / "right"
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        find_groovy(os.environ) is None,
        reason="Groovy is missing: apt-get install groovy (2.4, with a Java runtime)",
    ),
]
# Groovy cannot read these; lint says so too, by itself.
WRONG = {
    "text": "echo 'never closed\n",
    "brace": "pipeline {\n  agent any\n",
    "bracket": "x = [1, 2\n",
    "too many": "echo 'x'\n}\n",
    "comment": "/* never\necho 'x'\n",
    "escape": "// \\u12 x\n",
    "two": "a { } b { } c\n",
}


def test_groovy_reads_what_lint_finds_right():
    texts = {file.name: file.read_text() for file in RIGHT.iterdir()}
    texts |= {f"good {rule.id}": framed(rule.good, rule.frame) for rule in RULES.values()}
    assert not find_groovy(os.environ).mistakes(texts)


def test_groovy_cannot_read_what_lint_calls_syntax():
    wrong = {mistake.file for mistake in find_groovy(os.environ).mistakes(WRONG)}
    assert wrong >= set(WRONG) - {"two"}
    for name, text in WRONG.items():
        assert {one.rule for one in lint_text(name, text)} & {"syntax", "one-per-line"}, name


def test_the_command_tells_what_groovy_says(tmp_path):
    text = "pipeline {\n  agent any\n  stages { stage('A') { steps { echo (1 2) } } }\n}\n"
    (tmp_path / "Jenkinsfile").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "lint", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["rule"], finding["line"]) == ("groovy", 3)
    assert "unexpected token: 2" in finding["what"]
