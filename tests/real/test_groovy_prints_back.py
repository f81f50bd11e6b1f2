"""10,000 hostile words, written as Groovy by us: Groovy 2.4 prints them back unchanged, and runs nothing of them.

And hundreds of whole configurations with a hostile word in every field: Groovy reads the same program as for calm ones,
and the same texts as our own lexer reads.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "hostile"))

from hostile_values import MARKS, calm_config, hostile_words, strings_and_rest, utf16
from test_hostile_config_values import rendered

from mmcicd_jenkins.adapters.groovy import find_groovy
from mmcicd_jenkins.render import literals
from mmcicd_jenkins.render.jenkinsfile import render_jenkinsfiles

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        find_groovy(os.environ) is None,
        reason="Groovy is missing: apt-get install groovy (2.4, with a Java runtime)",
    ),
]

CASES = 10_000
CONFIGURATIONS = 300
# A hundred literals at a time, because a method of the JVM holds 64 kB. Each is printed as the units that Groovy holds.
PRINT_BACK = """
class Evil { static int runs = 0 }
def shell = new GroovyShell(getClass().classLoader, new Binding([evil: { Evil.runs++ }, id: { Evil.runs++ }]))
new File(args[0]).readLines('US-ASCII').collate(100).each { lines ->
  shell.evaluate('[' + lines.join(',\\n') + ']').each { println it.class.simpleName + ' ' + it.chars.collect { (int) it }.join(' ') }
}
println "runs ${Evil.runs}"
"""
# Texts and shape of every file: the shape is what is left of the tree when each text is nothing.
SHAPE = """
import org.codehaus.groovy.ast.*
import org.codehaus.groovy.ast.expr.*
import org.codehaus.groovy.control.*
import groovy.json.*
class Reader extends CodeVisitorSupport {
  List texts = []
  List shape = []
  void visitConstantExpression(ConstantExpression e) {
    if (e.value instanceof String) { texts << e.value.chars.collect { (int) it } } else { shape << "${e.value}".toString() }
  }
  void visitMethodCallExpression(MethodCallExpression e) { shape << 'call'; super.visitMethodCallExpression(e) }
  void visitGStringExpression(GStringExpression e) { shape << 'GSTRING'; super.visitGStringExpression(e) }
  void visitClosureExpression(ClosureExpression e) { shape << 'closure'; super.visitClosureExpression(e) }
  void visitMapExpression(MapExpression e) { shape << "map ${e.mapEntryExpressions.size()}".toString(); super.visitMapExpression(e) }
  void visitListExpression(ListExpression e) { shape << "list ${e.expressions.size()}".toString(); super.visitListExpression(e) }
  void visitBinaryExpression(BinaryExpression e) { shape << e.operation.text; super.visitBinaryExpression(e) }
  void visitVariableExpression(VariableExpression e) { shape << e.name }
}
new File(args[0]).eachLine('UTF-8') { line ->
  def file = new JsonSlurper().parseText(line)
  def unit = new CompilationUnit()
  unit.addSource(file.name, file.text)
  unit.compile(Phases.CONVERSION)
  def reader = new Reader()
  unit.AST.modules.each { it.statementBlock.visit(reader) }
  println JsonOutput.toJson([name: file.name, shape: reader.shape.join(' '), texts: reader.texts])
}
"""


def run_groovy(tmp_path, script, *arguments):
    groovy = find_groovy(os.environ)
    (tmp_path / "script.groovy").write_text(script)
    done = subprocess.run(
        [groovy.program, str(tmp_path / "script.groovy"), *map(str, arguments)],
        env={**os.environ, "JAVA_HOME": groovy.java_home, "JAVA_OPTS": "-Dfile.encoding=UTF-8"},
        capture_output=True, check=False, timeout=1200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout.decode()[-2000:] + done.stderr.decode()[-2000:]
    return done.stdout.decode().splitlines()


def test_ten_thousand_words_are_printed_back_and_nothing_runs(tmp_path):
    words = [word for seed in range(CASES // len(MARKS) + 2) for word in hostile_words(seed).values()][:CASES]
    assert len(words) == CASES
    (tmp_path / "literals").write_text(
        "\n".join(literals.groovy(word) for word in words) + "\n", encoding="ascii"
    )

    lines = run_groovy(tmp_path, PRINT_BACK, tmp_path / "literals")

    assert lines.pop() == "runs 0"
    assert len(lines) == CASES
    for word, line in zip(words, lines, strict=True):
        kind, *units = line.split()
        assert kind == "String"
        assert [int(unit) for unit in units] == utf16(word)


def test_hostile_configurations_are_the_calm_program_with_other_texts(tmp_path):
    config = calm_config(tmp_path)
    calm = render_jenkinsfiles(config)
    texts = {}
    with (tmp_path / "files").open("w", encoding="utf-8") as file:
        for name, text in calm.items():
            file.write(json.dumps({"name": name, "text": text}) + "\n")
        for seed in range(1_000, 1_000 + CONFIGURATIONS):
            for name, text in rendered(config, hostile_words(seed)).items():
                texts[f"{seed}:{name}"] = text
                file.write(json.dumps({"name": f"{seed}:{name}", "text": text}) + "\n")

    answers = {one["name"]: one for one in map(json.loads, run_groovy(tmp_path, SHAPE, tmp_path / "files"))}

    assert len(answers) == len(calm) + len(texts)
    for name, text in texts.items():
        answer = answers[name]
        assert answer["shape"] == answers[name.partition(":")[2]]["shape"], name
        said = {tuple(utf16(one)) for one in strings_and_rest(text)[0]}
        assert said <= {tuple(one) for one in answer["texts"]}, name
