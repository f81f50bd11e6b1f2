"""The lexer and the parser read Groovy 2.4 as Groovy does, as far as the rules need it; and whatever text they are given, they end.

We test these aspects: strings of every kind, unicode escapes, comments, calls, closures, declarations, hostile text.
"""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mmcicd_jenkins.lint.check import lint_text, plugins_used, read_text
from mmcicd_jenkins.lint.parser import parse
from mmcicd_jenkins.lint.source import read_source
from mmcicd_jenkins.lint.tree import (
    Block,
    Call,
    Constant,
    Declaration,
    GString,
    Operation,
    calls,
    path_of,
    text_of,
    walk,
)
from mmcicd_jenkins.render.literals import groovy


def tree(text):
    block, lexed = parse(read_source("x", text).text)
    assert not lexed.troubles, lexed.troubles
    return block


def only(text):
    (statement,) = tree(text).statements
    return statement


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'a'", "a"),
        ('"a"', "a"),
        ("'''a\n'b' \"c\"'''", "a\n'b' \"c\""),
        ('"""a\n"b" \'c\'"""', "a\n\"b\" 'c'"),
        (r"'\\ \' \n \t \$'", "\\ ' \n \t $"),
        (r"'\101\7'", "A\x07"),
        (r"'\u0041\uuu0042'", "AB"),
        (r"'\\u0041'", r"\u0041"),
        ("'$x ${y}'", "$x ${y}"),
        (r'"\$x"', "$x"),
        ('"100$ a"', "100$ a"),
        ("'a\\\nb'", "ab"),
        ("''", ""),
        ("''''''", ""),
    ],
)
def test_text(text, value):
    assert text_of(only(f"x = {text}").operands[1]) == value


@pytest.mark.parametrize("text", ["x = /a\\/b \\d/", "x = $/a/b \\d/$"])
def test_slashy_text_keeps_its_backslashes(text):
    assert text_of(only(text).operands[1]) == "a/b \\d"


def test_dollar_slashy_text_escapes_by_dollars():
    assert text_of(only("x = $/a$$b$/c/$").operands[1]) == "a$b/c"


@pytest.mark.parametrize("text", ["a / b / c", "a() / 2", "x[1] / 2 / y", "(a) / b", "1 / 2"])
def test_a_division_is_no_text(text):
    assert not [node for node in walk(tree(text)) if isinstance(node, Constant) and node.quote]


def test_what_a_text_interpolates():
    text = only('x = "a${params.X}b $env.Y.Z c${ [1, "${d}"].join("}") }"').operands[1]
    assert isinstance(text, GString)
    assert text.words == "a\0b \0 c\0"
    assert [path_of(node) for node in text.children()[:2]] == ["params.X", "env.Y.Z"]
    assert [call.name for call in calls(text)] == ["join"]


def test_an_escape_is_read_before_a_comment():
    block, lexed = parse(read_source("x", "// a \\u000a println 'x'").text)
    assert [call.name for call in calls(block)] == ["println"]
    assert [comment.text for comment in lexed.comments] == ["// a "]


def test_an_escaped_quote_ends_a_text():
    assert [call.name for call in calls(tree("echo 'a\\u0027 + evil() + \\u0027b'"))] == ["echo", "evil"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("sh 'x'", ["sh"]),
        ("sh('x')", ["sh"]),
        ("sh label: 'a', script: 'b'", ["sh"]),
        ("sh label: 'a',\n  script: 'b'", ["sh"]),
        ("timeout(time: 5, unit: 'HOURS') { sh 'x' }", ["timeout", "sh"]),
        ("script { x = readFile('a').trim() }", ["script", "trim", "readFile"]),
        ("def x = sh script: 'a', returnStdout: true", ["sh"]),
        ("return sh(returnStatus: true, script: 'x')", ["sh"]),
        ("if (a) sh 'x'\nelse sh 'y'", ["sh", "sh"]),
        ("if (a) { sh 'x' } else if (b) { sh 'y' } else { sh 'z' }", ["sh", "sh", "sh"]),
        ("for (x in xs) { sh 'x' }", ["sh"]),
        ("for (int i = 0; i < 3; i++) { sh 'x' }", ["sh"]),
        ("while (true) { sh 'x' }", ["sh"]),
        ("try { sh 'x' } catch (Exception e) { echo 'y' } finally { echo 'z' }", ["sh", "echo", "echo"]),
        ("try {\n sh 'x'\n}\ncatch (e) {\n echo 'y'\n}", ["sh", "echo"]),
        ("switch (x) {\n case 'a':\n  sh 'x'\n  break\n default:\n  sh 'y'\n}", ["sh", "sh"]),
        ("def f(String a, int b = 2) { sh 'x' }", ["sh"]),
        ("String f(a) {\n  return load('x')\n}", ["String", "f", "load"]),
        ("xs.each { x -> sh 'a' }", ["each", "sh"]),
        ("xs.collect { String k, v -> k }.join(',')", ["join", "collect"]),
        ("parallel(a: { sh 'x' }, b: { sh 'y' })", ["parallel", "sh", "sh"]),
        ("a\n  .b()\n  .c { d() }", ["c", "b", "d"]),
        ("@Library('x@1') _\necho 'a'", ["echo"]),
        ("import a.b.C\necho 'a'", ["echo"]),
        ("List<Map<String, String>> x = f()", ["f"]),
        ("def (a, b) = f()", ["f"]),
        ("x = a ? f() : g()", ["f", "g"]),
        ("x = a\n  ? f()\n  : g()", ["f", "g"]),
        ("x = a ?: f()", ["f"]),
        ("x = (String) f()", ["f"]),
        ("x = [a: f(), 'b': g(), (c): h()]", ["f", "g", "h"]),
        ("x = [:]\ny = []\nf()", ["f"]),
        ("x['a'] = f()", ["f"]),
        ("a = b = f()", ["f"]),
        ("x += f()", ["f"]),
        ("assert f() : 'x'", ["f"]),
        ("if (!f()) { g() }", ["f", "g"]),
        ("if (a in b && c instanceof D && e !in f) { g() }", ["g"]),
        ("x?.y?.z()", ["z"]),
        ("xs*.y()", ["y"]),
        ("x = a.&b\nc()", ["c"]),
        ("new Foo(a: 1).bar()", ["bar", "new Foo"]),
        ("x = ~/a.*/\nf()", ["f"]),
        ("if (x =~ /a(b)/) { f() }", ["f"]),
        ("a = { -> f() }", ["f"]),
        ("class A { def b() { c() } }", ["c"]),
        ("#!/usr/bin/env groovy\nf()", ["f"]),
        ("input(id: 'a', parameters: [string(name: 'x'),\n  choice(name: 'y')])", ["input", "string", "choice"]),
        ("x = 1..3\nf()", ["f"]),
        ("a(); b(); c()", ["a", "b", "c"]),
    ],
)  # fmt: skip
def test_calls_are_found(text, names):
    assert [call.name for call in calls(tree(text))] == names


def test_a_block_behind_parentheses_belongs_to_the_call():
    call = only("stage('a') { x }")
    assert text_of(call.positional[0]) == "a"
    assert isinstance(call.block, Block)


def test_a_declaration_has_its_names():
    assert [
        node.names
        for node in walk(tree("def a = 1\nint b = 2\ndef (c, d) = e"))
        if isinstance(node, Declaration)
    ] == [
        ["a"],
        ["b"],
        ["c", "d"],
    ]


@given(st.text() | st.text(alphabet="\\'\"$u0027{}/*\n "))
@example("\\u0041")
@example("\ud800")
@example("*/ ${x} // \\u000a evil()")
def test_a_literal_that_we_render_is_one_constant_of_the_same_text(text):
    """What `render` writes as a literal is read back by an independent reader, and nothing beside it moves."""
    source = read_source("x", f"a(); echo {groovy(text)}; b()")
    block, lexed = parse(source.text)
    assert not lexed.troubles
    first, echo, last = block.statements
    assert [type(one) for one in (first, echo, last)] == [Call, Call, Call]
    units = text.encode("utf-16-be", "surrogatepass")
    assert str(text_of(echo.positional[0])).encode("utf-16-be", "surrogatepass") == units


PIECES = ["pipeline", "stages", "stage('a')", "steps", "sh", "when", "post", "matrix", "axes", "input", "environment", "options", "agent",
          "script", "{", "}", "(", ")", "[", "]", "'", '"', "'''", '"""', "/", "$/", "/$", "${", "$x", "\\", "\\u000a", "\\u", "//", "/*", "*/",
          "\n", ";", ",", ":", "?", "->", "=", "+", ".", "?.", "!", "in", "as", "new", "def", "if", "else", "for", "class", "case", "@", "#!",
          "x", "1", "0x", "<", ">", "List<", "\x00", "\u2028", "\ud800", "é", "\r", "\r\n", "\ufeff", "return", "try", "env.X", "params.Y"]  # fmt: skip


@given(
    st.lists(st.sampled_from(PIECES), max_size=60).map(" ".join)
    | st.lists(st.sampled_from(PIECES), max_size=60).map("".join)
    | st.text()
)
@settings(max_examples=400, deadline=None)
@example("=/${" * 30)
@example('"${' * 100)
@example("{" * 500)
@example("(" * 500)
@example("!" * 5000)
@example("a." * 5000)
@example("a+" * 5000)
@example("a=" * 500)
@example("a?b:" * 500)
@example("if(a)" * 500)
@example("else " * 500)
@example("\\u" * 500)
@example("@a " * 500)
@example("try " * 300)
@example("".join(f"def x{n} = x{n + 1}\n" for n in range(500)) + 'sh "${x0}"')
@example("[a:" * 300)
@example("return " * 300)
@example("case " * 300)
def test_any_text_ends_without_a_traceback(text):
    for finding in lint_text("Jenkinsfile", text):
        assert finding.line >= 1
        assert finding.column >= 1
        assert finding.width >= 1
    plugins_used(read_text("Jenkinsfile", text))


@pytest.mark.parametrize(
    "piece",
    [
        '"${',
        "{",
        "(",
        "[",
        "!",
        "a=",
        "a?b:",
        "if(a)",
        "else ",
        "@a ",
        "try ",
        "[a:",
        "return ",
        "case ",
        "x(",
        "{->",
        "-",
        "a.b{",
        "f {",
    ],
)
def test_depth_is_bounded_without_the_room_that_hypothesis_makes(piece):
    assert isinstance(lint_text("Jenkinsfile", piece * 3000), tuple)


def test_a_row_of_names_set_from_each_other_ends():
    text = "".join(f"def x{n} = x{n + 1}\n" for n in range(5000)) + 'sh "${x0}"'
    assert "shell-injection" in {one.rule for one in lint_text("Jenkinsfile", text)}


def test_an_operation_keeps_both_sides():
    node = only("x = 'a' + b.c").operands[1]
    assert isinstance(node, Operation)
    assert [path_of(side) for side in node.operands] == ["", "b.c"]


def test_forty_closures_inside_each_other_are_followed():
    block, lexed = parse("f {\n" * 40 + "sh 'x'\n" + "}\n" * 40)
    assert not lexed.troubles
    assert [call.name for call in calls(block)][-1] == "sh"
