"""Rules of the file and of the pipeline: syntax, one pipeline on top, which sections stand where."""

import difflib
from collections.abc import Iterator, Sequence

from mmcicd_jenkins.lint.known import MATRIX_SECTIONS, PIPELINE_SECTIONS, STAGE_SECTIONS
from mmcicd_jenkins.lint.pipeline import (
    CONTAINERS,
    File,
    Pipeline,
    Scope,
    is_pipeline,
    matrices,
    scripted_calls,
)
from mmcicd_jenkins.lint.rule import Hit, rule
from mmcicd_jenkins.lint.tree import Call, Collection, Compound, Declaration, Name, Node, Span

# Sections that are a value, not a block.
_VALUES = {"agent", "failFast"}
# A text that is no Groovy at all would be told once for each of its characters.
_MOST = 20


@rule(
    "syntax",
    "error",
    "what Groovy cannot read",
    why="Jenkins reads the whole file before it starts anything, so nothing runs",
    fix="mend it",
    frame="steps",
    bad="echo 'never closed",
    good="echo 'closed'",
)
def syntax(file: File) -> Iterator[Hit]:
    for trouble in [one for one in file.troubles if one.rule == "syntax"][:_MOST]:
        yield Hit(Span(trouble.at, trouble.at + 1), trouble.what, trouble.fix)
    for at in file.source.broken_escapes[:_MOST]:
        here = _decoded(file, at)
        yield Hit(
            Span(here, here + 2), "\\u without four hexadecimal digits", "write \\\\u for a backslash and a u"
        )


@rule(
    "one-per-line",
    "error",
    "two sections or statements on one line",
    why='Groovy takes the second for an argument of the first; Jenkins says "Expected a symbol"',
    fix="begin it on a line of its own",
    bad="when { branch 'main' } steps { echo 'x' }",
    good="when { branch 'main' }\nsteps { echo 'x' }",
)
def one_per_line(file: File) -> Iterator[Hit]:
    for trouble in file.troubles:
        if trouble.rule == "one-per-line":
            yield Hit(Span(trouble.at, trouble.at + 1), trouble.what, trouble.fix)


@rule(
    "pipeline-top",
    "error",
    "a pipeline inside another block",
    why="Declarative reads `pipeline` only on top of the file",
    fix="take it out of the block around it",
    frame="file",
    bad="node {\n  pipeline {\n    agent any\n    stages { stage('A') { steps { echo 'a' } } }\n  }\n}",
    good="pipeline {\n  agent any\n  stages { stage('A') { steps { echo 'a' } } }\n}",
)
def pipeline_top(file: File) -> Iterator[Hit]:
    top = {id(pipeline.call) for pipeline in file.pipelines}
    for call in scripted_calls(file):
        if is_pipeline(call) and id(call) not in top:
            yield Hit(_head(call), "this pipeline stands inside another block")


@rule(
    "pipeline-count",
    "error",
    "a second pipeline in a file",
    why="a run executes one pipeline; Jenkins stops at the second",
    fix="put it in a file of its own",
    frame="file",
    bad="pipeline {\n  agent any\n  stages { stage('A') { steps { echo 'a' } } }\n}\n"
    "pipeline {\n  agent any\n  stages { stage('B') { steps { echo 'b' } } }\n}",
    good="pipeline {\n  agent any\n  stages { stage('A') { steps { echo 'a' } } }\n}",
)
def pipeline_count(file: File) -> Iterator[Hit]:
    for pipeline in file.pipelines[1:]:
        yield Hit(_head(pipeline.call), "a second pipeline in this file")


@rule(
    "no-pipeline",
    "note",
    "a file without a declarative pipeline",
    why="only the rules about shells and secrets can say something about a scripted file",
    fix="nothing, if that is wanted",
    frame="file",
    bad="node { sh 'make' }",
    good="pipeline {\n  agent any\n  stages { stage('A') { steps { echo 'a' } } }\n}",
)
def no_pipeline(file: File) -> Iterator[Hit]:
    if not any(is_pipeline(call) for call in scripted_calls(file)):
        yield Hit(Span(0, 1), "no declarative pipeline in this file")


@rule(
    "agent-missing",
    "error",
    "a pipeline that does not say where it runs",
    why="`agent` is required on top",
    fix="agent none, and an agent in each stage that needs one",
    frame="pipeline",
    bad="stages { stage('A') { steps { echo 'a' } } }",
    good="agent none\nstages { stage('A') { steps { echo 'a' } } }",
)
def agent_missing(file: File) -> Iterator[Hit]:
    yield from _missing(file, "agent")


@rule(
    "stages-missing",
    "error",
    "a pipeline without stages",
    why="`stages` is required on top",
    fix="stages { stage('Name') { steps { ... } } }",
    frame="pipeline",
    bad="agent none",
    good="agent none\nstages { stage('A') { steps { echo 'a' } } }",
)
def stages_missing(file: File) -> Iterator[Hit]:
    yield from _missing(file, "stages")


def _missing(file: File, section: str) -> Iterator[Hit]:
    for pipeline in file.pipelines:
        if section not in pipeline.sections:
            yield Hit(_head(pipeline.call), f"this pipeline has no section `{section}`")


@rule(
    "unknown-section",
    "error",
    "a section where it does not belong",
    why="Declarative refuses the whole file",
    fix="move it to where it belongs, or into `steps`",
    bad="triggers { cron('H 4 * * *') }\nsteps { echo 'x' }",
    good="steps { echo 'x' }",
)
def unknown_section(file: File) -> Iterator[Hit]:
    for scope, legal, place in _scopes(file):
        for name, found in scope.sections.items():
            if name not in legal:
                for call in found:
                    yield Hit(_head(call), f"`{name}` is no section of a {place}", _hint(name, legal))
        for other in scope.others:
            yield Hit(_head(other), _other(other, place))


def _other(node: Node, place: str) -> str:
    if isinstance(node, Name):
        return f"`{node.id}` is no section of a {place}"
    return f"only sections stand directly in a {place}"


def _hint(name: str, legal: Sequence[str]) -> str:
    if name in legal or (name in PIPELINE_SECTIONS and legal is not PIPELINE_SECTIONS):
        return f"move `{name}` to the pipeline"
    if name in STAGE_SECTIONS:
        return f"move `{name}` into a stage"
    near = difflib.get_close_matches(name, legal, n=1)
    if near:
        return f"did you mean `{near[0]}`?"
    return "put it into `steps`" if "steps" in legal else "put it into the steps of a stage"


@rule(
    "section-twice",
    "error",
    "a section that stands twice",
    why="Declarative refuses it",
    fix="make one of the two",
    bad="steps { echo 'a' }\nsteps { echo 'b' }",
    good="steps {\n  echo 'a'\n  echo 'b'\n}",
)
def section_twice(file: File) -> Iterator[Hit]:
    for scope, legal, place in _scopes(file):
        for name, found in scope.sections.items():
            if name in legal:
                for call in found[1:]:
                    yield Hit(_head(call), f"`{name}` stands twice in this {place}")


@rule(
    "section-block",
    "error",
    "a section without its block",
    why="every section but `agent` and `failFast` is a block of its own",
    fix="write it with { }",
    bad="steps echo 'x'",
    good="steps { echo 'x' }",
)
def section_block(file: File) -> Iterator[Hit]:
    for scope, legal, _ in _scopes(file):
        for name, found in scope.sections.items():
            for call in found:
                asks = name == "input" and bool(call.positional)
                if name in legal and name not in _VALUES and call.block is None and not asks:
                    yield Hit(_head(call), f"`{name}` needs a block")


@rule(
    "stages-empty",
    "error",
    "stages without a stage, or with something else",
    why="a pipeline needs at least one stage, and only stages stand in `stages` and `parallel`",
    fix="stage('Name') { ... }",
    frame="pipeline",
    bad="agent none\nstages { echo 'x' }",
    good="agent none\nstages { stage('A') { steps { echo 'x' } } }",
)
def stages_empty(file: File) -> Iterator[Hit]:
    for scope, _, _ in _scopes(file):
        for name in CONTAINERS:
            for section in scope.sections.get(name, ()):
                yield from _only_stages(section)


def _only_stages(section: Call) -> Iterator[Hit]:
    statements = section.block.statements if section.block else ()
    if section.block is not None and not statements:
        yield Hit(_head(section), f"`{section.name}` holds no stage")
    for statement in statements:
        if not (isinstance(statement, Call) and statement.name in {"stage", "failFast"}):
            yield Hit(_head(statement), f"only stages stand in `{section.name}`")


@rule(
    "agent-form",
    "error",
    "an agent that Declarative cannot read",
    why="it is `agent any`, `agent none` or `agent { one type }`",
    fix="agent { label 'linux' }",
    bad="agent 'linux'\nsteps { echo 'x' }",
    good="agent { label 'linux' }\nsteps { echo 'x' }",
)
def agent_form(file: File) -> Iterator[Hit]:
    for scope, _, _ in _scopes(file):
        for call in scope.sections.get("agent", ()):
            if call.block is not None:
                yield from _agent_block(call)
                continue
            word = call.positional[0] if call.positional else None
            if not (isinstance(word, Name) and word.id in {"any", "none"}):
                yield Hit(_head(call), "an agent is `any`, `none` or a block")
    for scope, _, place in _scopes(file):
        for other in scope.others:
            if isinstance(other, Name) and other.id == "agent":
                yield Hit(other, f"the agent of this {place} is not said")


def _agent_block(call: Call) -> Iterator[Hit]:
    types = [entry for entry in call.block.statements if isinstance(entry, Call)] if call.block else []
    known = [one for one in types if one.name in {"label", "node", "docker", "dockerfile", "kubernetes"}]
    if call.block is not None and not call.block.statements:
        yield Hit(_head(call), "this agent is empty", "agent any")
    for extra in known[1:]:
        yield Hit(_head(extra), f"an agent has one type; this has `{known[0].name}` and `{extra.name}`")


def _scopes(file: File) -> Iterator[tuple[Scope, Sequence[str], str]]:
    """Every block of sections with what is legal in it and what it is called."""
    for scope in file.scopes:
        is_top = isinstance(scope, Pipeline)
        yield scope, PIPELINE_SECTIONS if is_top else STAGE_SECTIONS, "pipeline" if is_top else "stage"
    for stage in file.stages:
        for matrix in matrices(stage):
            yield matrix, MATRIX_SECTIONS, "matrix"


def _decoded(file: File, offset: int) -> int:
    """The offset in the decoded text of an offset in the file."""
    shift = 0
    for here, there in file.source.moved:
        if there > offset:
            break
        shift = there - here
    return offset - shift


def _head(node: Node) -> Span:
    """The word with which a statement begins, so that a caret does not underline a whole block."""
    length = len(node.name) if isinstance(node, Call) and node.target is None else 1
    if isinstance(node, Collection | Compound | Declaration):
        length = max(1, min(node.end - node.start, 20))
    return Span(node.start, node.start + max(1, length))


head = _head
