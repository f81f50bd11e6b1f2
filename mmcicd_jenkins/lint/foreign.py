"""What others say of a file, as findings of ours: Jenkins' Groovy, and the validator of a controller."""

from collections.abc import Iterator

from mmcicd_jenkins.lint.pipeline import File
from mmcicd_jenkins.lint.rule import RULES, Finding, Hit, rule
from mmcicd_jenkins.lint.source import read_source


def _nothing(_file: File) -> Iterator[Hit]:
    """Others find these."""
    yield from ()


rule(
    "groovy",
    "error",
    "what Jenkins' own Groovy cannot parse",
    why="Jenkins reads the file with this Groovy, so nothing runs",
    fix="the words above are Groovy's; the mistake is there or a little before",
    frame="steps",
    bad="echo 'a' 'b'",
    good="echo 'a'",
)(_nothing)

rule(
    "server",
    "error",
    "what the controller does not accept",
    why="the controller knows the plugins that it has; a build would end with the same words",
    fix="the words above are Jenkins'; is the plugin installed there?",
    frame="steps",
    bad="echo message: 'x', colour: 'red'",
    good="echo 'x'",
)(_nothing)


def foreign_finding(name: str, file: str, text: str, line: int, column: int, what: str) -> Finding:
    """A finding of one of the two rules here; a place beyond the end of the file becomes its end."""
    source = read_source(file, text)
    line = max(1, min(line, len(source.line_starts)))
    excerpt = source.line(line)
    return Finding(
        file=file,
        line=line,
        column=max(1, min(column, len(excerpt) + 1)),
        width=1,
        rule=name,
        severity=RULES[name].severity,
        what=what,
        why=RULES[name].why,
        fix=RULES[name].fix,
        excerpt=excerpt,
    )
