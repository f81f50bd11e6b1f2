"""The page about the rules, made from the rules. A test compares it with what stands in `docs/`."""

from collections.abc import Iterator

from mmcicd_jenkins.lint import check  # noqa: F401  registers the rules
from mmcicd_jenkins.lint.rule import RULES, Rule

_INTRODUCTION = """\
# The rules of lint

This page is made from the rules: `make docs` writes it anew.

`mmcicd-jenkins lint` reads Jenkinsfiles without a controller: the generated ones, a team's own copies of the templates, and those that
were written by hand. It needs Python alone. Where Groovy 2.4 is installed, the one inside Jenkins, each file is parsed by it too.
With `--server` the validator of the controller is asked as well; it alone knows which plugins are installed.

A finding has its place, what is wrong, why it matters, and a fix. With an error the exit code is 3; warnings and notes leave it at 0.
`mmcicd-jenkins lint --explain shell-injection` prints what stands below about a rule; `--explain all` lists the rules.

A file may allow a finding, on the line of the comment or on the next, with a reason:

```groovy
// lint: allow download-runs because the mirror is ours and the script is pinned by its digest
sh 'curl -fsSL https://mirror.example/install.sh | sh'
```

What lint cannot know: which plugins a controller has, whether a label or a credential exists, and what a shared library does.
"""
_SEVERITIES = {
    "error": "Jenkins refuses the file, or somebody can run code or read a secret.",
    "warning": "It runs, and costs a GPU, an approval or a night some day.",
    "note": "Worth knowing.",
}


def reference() -> str:
    """The whole page."""
    rules = sorted(RULES.values(), key=lambda one: (list(_SEVERITIES).index(one.severity), one.id))
    rows = [f"| [`{one.id}`](#{one.id}) | {one.severity} | {_cell(one.title)} |" for one in rules]
    meanings = [f"- **{name}**: {meaning}" for name, meaning in _SEVERITIES.items()]
    parts = [
        _INTRODUCTION,
        *meanings,
        "",
        f"{len(rules)} rules:",
        "",
        "| rule | severity | tells of |",
        "|---|---|---|",
        *rows,
        "",
    ]
    return "\n".join([*parts, *(line for one in rules for line in _section(one))])


def _section(rule: Rule) -> Iterator[str]:
    yield from (f"## {rule.id}", "", f"{rule.severity.capitalize()}: {rule.title}.", "")
    yield from (f"Why: {rule.why}.", "", f"Fix: {rule.fix}", "")
    yield from (
        "Told of:",
        "",
        "```groovy",
        rule.bad,
        "```",
        "",
        "Not told of:",
        "",
        "```groovy",
        rule.good,
        "```",
        "",
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
