"""`lint`: are the Jenkinsfiles of a repository right, the generated and those written by hand."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from mmcicd_jenkins.adapters.groovy import Groovy, find_groovy
from mmcicd_jenkins.adapters.jenkins.files import find_jenkinsfiles, named_jenkinsfiles, read_jenkinsfile
from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.options import json_option
from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.config.model import Config
from mmcicd_jenkins.config.problems import render_problem, visible
from mmcicd_jenkins.errors import ConfigInvalid, InputError, OutsideFailed, Problem, UsageError
from mmcicd_jenkins.lint.check import lint_text, plugins_used, read_text
from mmcicd_jenkins.lint.foreign import foreign_finding
from mmcicd_jenkins.lint.rule import RULES, Finding, Rule
from mmcicd_jenkins.render.jenkinsfile import render_jenkinsfiles
from mmcicd_jenkins.render.kubernetes import check_own_templates

URL = "MMCICD_JENKINS_URL"
_COLOURS = {"error": "red", "warning": "yellow", "note": "blue"}


@click.command(
    name="lint",
    help="Check Jenkinsfiles without a controller: structure, injection, secrets, and what costs a GPU or a night. "
    "Without FILES every Jenkinsfile of the repository is checked, and those that mmcicd.yaml would give. "
    "Exits 3 when there is an error. A comment `// lint: allow RULE because REASON` allows a finding on its line "
    "or on the next.\n\nExample: mmcicd-jenkins lint\n\nExample: mmcicd-jenkins lint --explain shell-injection",
)
@click.argument("files", nargs=-1, metavar="[FILES]...")
@click.option(
    "--server",
    is_flag=True,
    help="Ask the controller's validator too; it knows the plugins that are installed.",
)
@click.option(
    "--groovy/--no-groovy", default=True, help="Parse with Groovy 2.4 too when it is installed. Default: yes."
)
@click.option(
    "--explain", metavar="RULE", help="Tell what a rule is about, with an example; `all` lists them."
)
@json_option
def command(files: tuple[str, ...], server: bool, groovy: bool, explain: str | None, as_json: bool) -> int:
    if explain is not None:
        return _explain(explain, as_json=as_json)
    config = _config()
    texts = _named(files) if files else _of_repository(config)
    if config and not files:
        check_own_templates(config)
    findings = [finding for file, text in texts.items() for finding in lint_text(file, text)]
    if groovy and (parser := find_groovy(os.environ)) is not None:
        findings += _by_groovy(parser, texts, findings)
    if server:
        findings += _by_server(config, texts)
    findings.sort(key=lambda one: (one.file, one.line, one.column))
    _tell(findings, texts, as_json=as_json)
    return InputError.exit_code if any(one.severity == "error" for one in findings) else 0


def _config() -> Config | None:
    try:
        return load_config(Path.cwd(), environ={})
    except ConfigInvalid as e:
        report.say(
            f"{e.where}: mmcicd.yaml has mistakes, so what it would give is not checked: mmcicd-jenkins config check"
        )
    except InputError:
        pass  # a repository with Jenkinsfiles alone
    return None


def _named(files: Sequence[str]) -> Mapping[str, str]:
    return {str(path): read_jenkinsfile(path) for path in named_jenkinsfiles(files)}


def _of_repository(config: Config | None) -> Mapping[str, str]:
    """The Jenkinsfiles on disk, and those of mmcicd.yaml that are not there."""
    root = config.root if config else Path.cwd()
    texts = {report.relative(path): read_jenkinsfile(path) for path in find_jenkinsfiles(root)}
    for path, text in render_jenkinsfiles(config).items() if config else ():
        texts.setdefault(report.relative(root / path), text)
    if not texts:
        raise UsageError("there is no Jenkinsfile here", fix="mmcicd-jenkins lint FILE")
    return texts


def _by_groovy(parser: Groovy, texts: Mapping[str, str], findings: Sequence[Finding]) -> list[Finding]:
    """What Groovy cannot parse, where we have said nothing of the kind."""
    told = {(one.file, one.line) for one in findings if one.rule in {"syntax", "one-per-line"}}
    try:
        mistakes = parser.mistakes(texts)
    except OutsideFailed as e:
        report.say(f"checked without Groovy: {e.what}")
        return []
    return [
        foreign_finding("groovy", m.file, texts[m.file], m.line, m.column, m.what)
        for m in mistakes
        if (m.file, m.line) not in told
    ]


def _by_server(config: Config | None, texts: Mapping[str, str]) -> list[Finding]:
    from mmcicd_jenkins.adapters.jenkins.validator import Validator

    url = os.environ.get(URL) or (config.jenkins.url if config and config.jenkins else "")
    validator = Validator(url, os.environ)
    return [
        foreign_finding("server", file, text, opinion.line, opinion.column, opinion.what)
        for file, text in texts.items()
        for opinion in validator.opinions(text)
    ]


def _tell(findings: Sequence[Finding], texts: Mapping[str, str], *, as_json: bool) -> None:
    plugins: dict[str, set[str]] = {}
    for file, text in texts.items():
        for plugin, needed_by in plugins_used(read_text(file, text)).items():
            plugins.setdefault(plugin, set()).update(needed_by)
    if as_json:
        report.emit(
            {
                "findings": [finding.to_json() for finding in findings],
                "files": list(texts),
                "plugins": {name: sorted(needed_by) for name, needed_by in sorted(plugins.items())},
            }
        )
        return
    for finding in findings:
        report.out(_text(finding))
    counts = [
        f"{count} {severity}{'s' if count != 1 else ''}"
        for severity in _COLOURS
        if (count := sum(one.severity == severity for one in findings))
    ]
    report.say(
        f"{len(texts)} Jenkinsfile{'s' if len(texts) != 1 else ''}: {', '.join(counts) or 'nothing to tell'}"
    )
    if plugins:
        report.say(
            f"steps and options of theirs need, beside workflow-aggregator: {', '.join(sorted(plugins))}"
        )
    if counts:
        report.say(f"Next: mmcicd-jenkins lint --explain {findings[0].rule}")


def _text(finding: Finding) -> str:
    problem = Problem(
        file=finding.file,
        line=finding.line,
        column=finding.column,
        width=finding.width,
        what=f"{finding.severity}: {finding.what} [{finding.rule}]",
        fix="",
        excerpt=finding.excerpt,
    )
    return f"{render_problem(problem)}\n  why: {visible(finding.why)}\n  fix: {visible(finding.fix)}"


def _explain(name: str, *, as_json: bool) -> int:
    if name == "all":
        rows = [(rule.id, rule.severity, rule.title) for rule in RULES.values()]
        if as_json:
            report.emit({"rules": [_rule_json(rule) for rule in RULES.values()]})
        else:
            report.out(report.table(rows, head=("RULE", "SEVERITY", "TELLS OF")))
        return 0
    if name not in RULES:
        import difflib

        near = difflib.get_close_matches(name, RULES, n=1)
        raise UsageError(f"there is no rule {name!r}", fix=f"--explain {near[0] if near else 'all'}")
    rule = RULES[name]
    if as_json:
        report.emit(_rule_json(rule))
        return 0
    report.out(f"{rule.id} ({rule.severity}): {rule.title}\n\nWhy: {rule.why}.\nFix: {rule.fix}")
    for label, example in (("Told of", rule.bad), ("Not told of", rule.good)):
        report.out(f"\n{label}:\n" + "\n".join(f"    {line}" for line in example.splitlines()))
    return 0


def _rule_json(rule: Rule) -> dict[str, object]:
    names = ("id", "severity", "title", "why", "fix", "bad", "good")
    return {name: getattr(rule, name) for name in names}
