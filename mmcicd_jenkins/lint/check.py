"""From the text of a Jenkinsfile to findings: read, run every rule, leave out what the file itself allows.

A file allows a finding by a comment on its line or on the line before: `// lint: allow RULE because REASON`.
Without a reason it allows nothing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from mmcicd_jenkins.lint import (  # noqa: F401  importing a file of rules registers them
    foreign,
    rules_options,
    rules_practice,
    rules_secrets,
    rules_shape,
    rules_shell,
    rules_stages,
    rules_steps,
)
from mmcicd_jenkins.lint.known import AGENTS, CONDITIONS, OPTIONS, PARAMETERS, STEPS, TRIGGERS
from mmcicd_jenkins.lint.parser import parse
from mmcicd_jenkins.lint.pipeline import File, read_file
from mmcicd_jenkins.lint.rule import RULES, Finding, Hit, Rule
from mmcicd_jenkins.lint.source import Source, read_source
from mmcicd_jenkins.lint.tree import Block, Call, calls, text_of

# More is no Jenkinsfile; Jenkins itself fails at 64 kB of one method.
LARGEST = 1_000_000
_ALLOW = re.compile(r"lint:\s*allow\s+([\w-]+(?:\s*,\s*[\w-]+)*)\s+because\s+\S")
_ORDER = {"error": 0, "warning": 1, "note": 2}


def lint_text(file: str, text: str) -> tuple[Finding, ...]:
    """Everything that the rules say about a file, in the order of its lines. Never raises."""
    if len(text) > LARGEST:
        source = read_source(file, text[:200])
        tree = Block(start=0, end=0, statements=())
        hit = Hit(
            tree, f"the file has {len(text):,} characters; that is no Jenkinsfile", "take it out of the list"
        )
        return (_finding(source, RULES["syntax"], hit),)
    parsed = read_text(file, text)
    allowed = _allowed(parsed)
    found = {
        (one.line, one.column, one.rule, one.what): one
        for rule in RULES.values()
        for one in _findings(parsed, rule)
        if one.rule not in allowed.get(one.line, ())
    }
    return tuple(
        sorted(found.values(), key=lambda one: (one.line, one.column, _ORDER[one.severity], one.rule))
    )


def read_text(file: str, text: str) -> File:
    """The structure of a Jenkinsfile."""
    source = read_source(file, text)
    tree, lexed = parse(source.text)
    return read_file(source, tree, lexed)


def plugins_used(file: File) -> Mapping[str, Sequence[str]]:
    """Plugin id -> what of the file needs it, for what the tables know."""
    found: dict[str, set[str]] = {}
    for name, plugin in _needs(file):
        if plugin:
            found.setdefault(plugin, set()).add(name)
    return {plugin: sorted(names) for plugin, names in sorted(found.items())}


def _needs(file: File) -> Iterator[tuple[str, str]]:
    tables = {
        "options": OPTIONS,
        "triggers": TRIGGERS,
        "parameters": PARAMETERS,
        "agent": AGENTS,
        "when": CONDITIONS,
    }
    for scope in file.scopes:
        for section, table in tables.items():
            for call in scope.entries(section):
                yield call.name, table.get(call.name, "")
    for call in calls(file.tree):
        if call.target is None:
            yield call.name, STEPS.get(call.name, "")
        if text_of(call.named("$class")) == "GitSCM" or _checks_out_git(call):
            yield "GitSCM", "git"


def _checks_out_git(call: Call) -> bool:
    if call.name != "checkout":
        return False
    return any(
        name in {"scmGit", "GitSCM"} for name in (c.name for c in calls(*(a.value for a in call.arguments)))
    )


def _findings(file: File, rule: Rule) -> Iterator[Finding]:
    for hit in rule.check(file):
        yield _finding(file.source, rule, hit)


def _finding(source: Source, rule: Rule, hit: Hit) -> Finding:
    line, column = source.position(hit.at.start)
    excerpt = source.line(line)
    end_line, end_column = source.position(hit.at.end)
    width = end_column - column if end_line == line else len(excerpt) - column + 1
    return Finding(
        file=source.file,
        line=line,
        column=column,
        width=max(1, width),
        rule=rule.id,
        severity=rule.severity,
        what=hit.what,
        why=rule.why,
        fix=hit.fix or rule.fix,
        excerpt=excerpt,
    )


def _allowed(file: File) -> Mapping[int, set[str]]:
    """Line -> rules that a comment allows there."""
    allowed: dict[int, set[str]] = {}
    for comment in file.comments:
        if (found := _ALLOW.search(comment.text)) is None:
            continue
        names = {name.strip() for name in found[1].split(",")}
        line = file.source.position(comment.start)[0]
        after = file.source.position(comment.end)[0] + 1
        for number in range(line, after + 1):
            allowed.setdefault(number, set()).update(names)
    return allowed
