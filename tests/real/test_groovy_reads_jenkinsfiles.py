"""Groovy 2.4, the one inside Jenkins, reads what is generated: every file parses, every literal reads back."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.render.jenkinsfile import render_jenkinsfiles
from mmcicd_jenkins.render.literals import groovy

GOLDEN = Path(__file__).parents[1] / "golden"
HOSTILE = [
    "$(id)",
    "${env.SECRET}",
    "'; evil()",
    "'''",
    '"""',
    "\\",
    "\\\\",
    "\\'",
    "\\u0027 + evil() + \\u0027",
    "\\\\u000a",
    "\\\\\\u0041",
    "u0041",
    "a\nb\r\tc",
    "\x00\x07\x7f\x85\u2028\u2029",
    "naïve \U0001f600",
    "/* */ // x",
    "{{ x }}",
    "$",
    "\u202egnp.exe",
    "\ud800",
]

# Parses each file of its folder as Jenkins does before anything else, and lists every sh whose script is no constant.
PARSE = """
import org.codehaus.groovy.ast.*
import org.codehaus.groovy.ast.expr.*
import org.codehaus.groovy.control.*
class Shells extends CodeVisitorSupport {
  List bad = []
  int seen = 0
  void visitMethodCallExpression(MethodCallExpression call) {
    if (call.methodAsString == 'sh') {
      def map = call.arguments.expressions.find { it instanceof MapExpression }
      def script = map ? map.mapEntryExpressions.find { it.keyExpression.value == 'script' }.valueExpression : call.arguments.expressions[0]
      seen++
      if (!(script instanceof ConstantExpression)) { bad << call.lineNumber }
    }
    super.visitMethodCallExpression(call)
  }
}
new File(args[0]).eachFileMatch(~/.*\\.Jenkinsfile/) { file ->
  def unit = new CompilationUnit()
  unit.addSource(file)
  unit.compile(Phases.CONVERSION)
  def shells = new Shells()
  unit.AST.modules.each { module -> module.statementBlock.visit(shells) }
  println "${file.name} ${shells.seen} ${shells.bad}"
}
"""


def java_home() -> str:
    java = shutil.which("java")
    return os.environ.get("JAVA_HOME") or (str(Path(java).resolve().parents[1]) if java else "")


pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not shutil.which("groovy") or not java_home(),
        reason="Groovy is missing: apt-get install groovy (2.4, with a Java runtime)",
    ),
]


def run_groovy(script: Path, *arguments: str) -> str:
    variables = {**os.environ, "JAVA_HOME": java_home()}
    command = ["groovy", "-Dfile.encoding=UTF-8", str(script), *arguments]
    done = subprocess.run(command, env=variables, capture_output=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done.stdout.decode()


def test_every_literal_reads_back(tmp_path: Path) -> None:
    """As UTF-16 units, because half a pair cannot be printed."""
    lines = [
        f"println groovy.json.JsonOutput.toJson({groovy(text)}.chars.collect {{ (int) it }})"
        for text in HOSTILE
    ]
    script = tmp_path / "literals.groovy"
    script.write_text("\n".join(lines), encoding="ascii")

    units = [json.loads(line) for line in run_groovy(script).splitlines()]

    read = [b"".join(u.to_bytes(2, "big") for u in row).decode("utf-16-be", "surrogatepass") for row in units]
    assert read == HOSTILE


def test_every_jenkinsfile_parses_and_runs_only_constants(tmp_path: Path) -> None:
    script = tmp_path / "parse.groovy"
    script.write_text(PARSE, encoding="utf-8")
    folder = tmp_path / "files"
    folder.mkdir()
    for story in sorted(GOLDEN.glob("*/mmcicd.yaml")):
        for path, text in render_jenkinsfiles(load_config(story, environ={})).items():
            (folder / f"{story.parent.name}-{Path(path).name}").write_text(text, encoding="utf-8")

    lines = run_groovy(script, str(folder)).splitlines()

    assert len(lines) == len(list(folder.iterdir()))
    for line in lines:
        name, seen, bad = line.split(maxsplit=2)
        assert int(seen) > 0, name
        assert bad == "[]", f"{name}: sh with a script that is no constant in lines {bad}"
