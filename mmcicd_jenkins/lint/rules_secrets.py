"""Rules of secrets: where they are bound, who sees them, and that none is written down."""

import re
from collections.abc import Iterator, Mapping

from mmcicd_jenkins.lint.pipeline import File, Scope, Stage, scripted_calls
from mmcicd_jenkins.lint.rule import Hit, rule
from mmcicd_jenkins.lint.rules_shape import head
from mmcicd_jenkins.lint.tree import (
    Call,
    Collection,
    GString,
    Name,
    Node,
    Operation,
    Property,
    path_of,
    text_of,
    walk,
)

_SECRET_NAME = re.compile(r"(?:^|_)(?:PASSWORD|PASSWD|PSW|SECRET|TOKEN|API_KEY|ACCESS_KEY|PRIVATE_KEY)$")
_SECRET_TEXT = re.compile(r"[A-Za-z0-9+_=.~!@#%^&*-]{8,}")


@rule(
    "credentials-wide",
    "warning",
    "a secret in the environment of more than one stage",
    why="every step of every stage sees it, those of a pull request's own scripts too",
    fix="withCredentials([...]) { } around the one command, or environment of the one stage that needs it",
    frame="pipeline",
    bad="agent none\nenvironment { TOKEN = credentials('registry') }\nstages { stage('A') { steps { sh 'make' } } }",
    good="agent none\nstages {\n  stage('A') {\n    environment { TOKEN = credentials('registry') }\n    steps { sh 'make' }\n  }\n}",
)
def credentials_wide(file: File) -> Iterator[Hit]:
    for scope in file.scopes:
        is_wide = not isinstance(scope, Stage) or bool(scope.children)
        for name, value in _bound_in_environment(scope):
            if is_wide:
                yield Hit(head(value), f"`{name}` is seen by every stage inside")


@rule(
    "secret-in-string",
    "error",
    "a secret that Groovy puts into a text",
    why="it then stands in the process list, in the metadata of the step, and in the log where masking misses it",
    fix="'single quotes', so that the shell reads it: \"$TOKEN\"",
    frame="steps",
    bad="withCredentials([string(credentialsId: 'registry', variable: 'TOKEN')]) {\n  sh \"login --token=${TOKEN}\"\n}",
    good="withCredentials([string(credentialsId: 'registry', variable: 'TOKEN')]) {\n  sh 'login --token-file=\"$TOKEN\"'\n}",
)
def secret_in_string(file: File) -> Iterator[Hit]:
    for names, roots in _secrets(file):
        for node in walk(*roots):
            joins = isinstance(node, GString) or (isinstance(node, Operation) and node.operator == "+")
            for part in node.children() if joins else ():
                name = path_of(part).removeprefix("env.")
                if isinstance(part, Name | Property) and name in names:
                    yield Hit(node, f"the secret `{name}` is put into a text")


@rule(
    "secret-literal",
    "warning",
    "what looks like a secret, written into the file",
    why="whoever reads the repository has it, for ever, in its history",
    fix="keep it in Jenkins: credentials('id')",
    bad="environment { REGISTRY_PASSWORD = 'hunter2hunter2' }\nsteps { sh 'make' }",
    good="environment { REGISTRY_PASSWORD = credentials('registry') }\nsteps { sh 'make' }",
)
def secret_literal(file: File) -> Iterator[Hit]:
    for scope in file.scopes:
        for statement in scope.inside("environment"):
            if isinstance(statement, Operation) and statement.operator == "=":
                name, value = path_of(statement.operands[0]), text_of(statement.operands[1]) or ""
                if _SECRET_NAME.search(name) and _SECRET_TEXT.fullmatch(value):
                    yield Hit(statement.operands[1], f"`{name}` stands here in plain text")


def _secrets(file: File) -> Iterator[tuple[set[str], list[Node]]]:
    """Names of secrets, with the nodes in which they are known."""
    for scope in file.scopes:
        bound = {name for name, _ in _bound_in_environment(scope)}
        if bound:
            names = {name + end for name in bound for end in ("", "_USR", "_PSW")}
            yield names, [scope.block]
    for call in scripted_calls(file):
        if call.name == "withCredentials" and call.target is None and call.block is not None:
            names = set(_variables(call).values())
            if names:
                yield names, [call.block]


def _bound_in_environment(scope: Scope) -> Iterator[tuple[str, Call]]:
    for statement in scope.inside("environment"):
        if isinstance(statement, Operation) and len(statement.operands) == 2:
            name, value = statement.operands
            if isinstance(name, Name) and isinstance(value, Call) and value.name == "credentials":
                yield name.id, value


def _variables(call: Call) -> Mapping[str, str]:
    """`passwordVariable` and its like -> the name of the variable; a user's name is no secret."""
    found: dict[str, str] = {}
    for node in walk(*(argument for argument in call.arguments if argument.value is not call.block)):
        entries = (
            node.entries if isinstance(node, Collection) else node.arguments if isinstance(node, Call) else ()
        )
        for entry in entries:
            if entry.name and entry.name.lower().endswith("variable") and entry.name != "usernameVariable":
                found[f"{entry.name}-{entry.start}"] = text_of(entry.value) or ""
    return found
