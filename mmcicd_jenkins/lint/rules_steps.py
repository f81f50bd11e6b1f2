"""Rules of steps: what may stand in `steps` and `post`, and the question to a person."""

from collections.abc import Iterator, Sequence

from mmcicd_jenkins.lint.known import BANNED_STEPS, INPUT_FIELDS
from mmcicd_jenkins.lint.pipeline import File, Stage, scripted_calls, step_blocks
from mmcicd_jenkins.lint.rule import Hit, rule
from mmcicd_jenkins.lint.rules_shape import head
from mmcicd_jenkins.lint.tree import (
    Block,
    Call,
    Compound,
    Declaration,
    Name,
    Node,
    Operation,
    Property,
    is_true,
    path_of,
    text_of,
    walk,
)

_FREE = {"script"}


@rule(
    "banned-step",
    "error",
    "a step that Declarative does not allow here",
    why="it belongs to scripted pipelines; Declarative has a section for it",
    fix="use the section, or `script { }` where nothing else will do",
    frame="steps",
    bad="node('linux') { echo 'x' }",
    good="echo 'x'",
)
def banned_step(file: File) -> Iterator[Hit]:
    for scope in file.scopes:
        for block in step_blocks(scope):
            for statement in _statements(block):
                if (
                    isinstance(statement, Call)
                    and statement.target is None
                    and statement.name in BANNED_STEPS
                ):
                    fix = BANNED_STEPS[statement.name]
                    yield Hit(head(statement), f"`{statement.name}` is not allowed in steps", fix)


@rule(
    "steps-only",
    "error",
    "Groovy code where only steps may stand",
    why='Declarative says "Expected a step"; code belongs into `script { }`',
    fix="put it into script { }",
    frame="steps",
    bad="def version = '1'\nif (version) { echo version }",
    good="script {\n  def version = '1'\n  if (version) { echo version }\n}",
)
def steps_only(file: File) -> Iterator[Hit]:
    for scope in file.scopes:
        for block in step_blocks(scope):
            for statement in _statements(block):
                if isinstance(statement, Declaration | Operation | Property | Block):
                    yield Hit(head(statement), "this is code, not a step")
                elif isinstance(statement, Compound) and statement.keyword not in {"?", "@"}:
                    yield Hit(head(statement), f"`{statement.keyword}` is code, not a step")
                elif (
                    isinstance(statement, Call)
                    and statement.target is not None
                    and not _is_variable(statement)
                ):
                    yield Hit(head(statement), "a method of an object is called outside `script`")


def _is_variable(call: Call) -> bool:
    """`docker.image(...)` and the like too are refused; a name alone with parentheses is a step."""
    return not path_of(call.target) and not isinstance(call.target, Call | Property | Name)


@rule(
    "steps-empty",
    "error",
    "steps without a step",
    why="Declarative refuses an empty block",
    fix="take it out, or say echo 'nothing to do'",
    bad="steps { }",
    good="steps { echo 'x' }",
)
def steps_empty(file: File) -> Iterator[Hit]:
    for scope in file.scopes:
        for block in step_blocks(scope):
            if not block.statements:
                yield Hit(block, "no step stands in this block")


def _statements(block: Block) -> Iterator[Node]:
    """Statements of a block and of the blocks of its steps, but for what stands in `script`."""
    for statement in block.statements:
        yield statement
        if isinstance(statement, Call) and statement.block and statement.name not in _FREE:
            yield from _statements(statement.block)


@rule(
    "input-message",
    "error",
    "a question without words",
    why="`message` is required",
    fix="message 'Promote to production?'",
    bad="input { ok 'Go' }\nsteps { echo 'x' }",
    good="input {\n  message 'Go?'\n  submitter 'ops'\n}\nsteps { echo 'x' }",
)
def input_message(file: File) -> Iterator[Hit]:
    for stage in file.stages:
        for call in stage.sections.get("input", ()):
            if call.block and not any(_is_entry(entry, "message") for entry in call.block.statements):
                yield Hit(head(call), "this `input` has no message")
    for call in _questions(file):
        if call.value("message") is None:
            yield Hit(head(call), "this `input` has no message")


@rule(
    "input-field",
    "error",
    "an unknown entry of input",
    why="`input` takes " + ", ".join(INPUT_FIELDS),
    fix="take it out",
    bad="input {\n  message 'Go?'\n  submiter 'ops'\n}\nsteps { echo 'x' }",
    good="input {\n  message 'Go?'\n  submitter 'ops'\n}\nsteps { echo 'x' }",
)
def input_field(file: File) -> Iterator[Hit]:
    for stage in file.stages:
        for entry in stage.inside("input"):
            if not any(_is_entry(entry, name) for name in INPUT_FIELDS):
                yield Hit(head(entry), "not an entry of `input`")


@rule(
    "input-submitter",
    "warning",
    "a question that everybody may answer",
    why="without `submitter` whoever may build may approve",
    fix="submitter: 'the-approvers'",
    frame="steps",
    bad="input message: 'Promote?', id: 'Promote'",
    good="input message: 'Promote?', id: 'Promote', submitter: 'ml-approvers'",
)
def input_submitter(file: File) -> Iterator[Hit]:
    for stage in file.stages:
        for call in stage.sections.get("input", ()):
            entries = call.block.statements if call.block else ()
            named = [e for e in entries if isinstance(e, Call) and e.name == "submitter"]
            if call.block and not any(text_of(e.value("x")) != "" for e in named):
                yield Hit(head(call), "nobody is named who may answer", "submitter 'the-approvers'")
    for call in _questions(file):
        submitter = call.named("submitter")
        if submitter is None or text_of(submitter) == "":
            yield Hit(head(call), "nobody is named who may answer")


@rule(
    "input-id",
    "note",
    "a question without an id",
    why="its address for scripts is then a hash that changes with its words",
    fix="id: 'Promote'",
    frame="steps",
    bad="input message: 'Promote?', submitter: 'ml-approvers'",
    good="input message: 'Promote?', id: 'Promote', submitter: 'ml-approvers'",
)
def input_id(file: File) -> Iterator[Hit]:
    for call in _questions(file):
        if call.named("id") is None:
            yield Hit(head(call), "this question has no id of its own")


@rule(
    "input-run-time",
    "warning",
    "a section input with values that earlier stages make",
    why="the section is evaluated when the pipeline starts; what a stage sets is null then",
    fix="use the step: script { input(message: ..., parameters: [...]) }",
    bad="input {\n  message \"Promote ${env.CANDIDATE}?\"\n  submitter 'ops'\n}\nsteps { echo 'x' }",
    good="steps {\n  script { input(id: 'Go', message: \"Promote ${env.CANDIDATE}?\", submitter: 'ops') }\n}",
)
def input_run_time(file: File) -> Iterator[Hit]:
    for stage in file.stages:
        for call in stage.sections.get("input", ()):
            for node in walk(*call.arguments):
                if isinstance(node, Property) and path_of(node).startswith(("env.", "params.")):
                    yield Hit(node, f"`{path_of(node)}` is read when the pipeline starts")


@rule(
    "milestone-in-parallel",
    "error",
    "a milestone in parallel branches",
    why="milestones order whole builds and refuse to run in a branch",
    fix="put it before or after the branches",
    bad="parallel {\n  stage('A') { steps { milestone 10 } }\n}",
    good="steps { milestone 10 }",
)
def milestone_in_parallel(file: File) -> Iterator[Hit]:
    for stage in file.stages:
        if stage.inside_of == "parallel" or any(
            {"parallel", "matrix"} & set(p.sections) for p in stage.parents
        ):
            for block in step_blocks(stage):
                for call in _statements(block):
                    if isinstance(call, Call) and call.name == "milestone":
                        yield Hit(head(call), "a milestone inside a branch")


@rule(
    "catch-interruptions",
    "note",
    "an abort that is taken for a failure and swallowed",
    why="catchError and warnError catch interruptions unless told otherwise, so the build goes on after an abort",
    fix="catchError(catchInterruptions: false) { ... }",
    frame="steps",
    bad="catchError { sh './report' }",
    good="catchError(catchInterruptions: false) { sh './report' }",
)
def catch_interruptions(file: File) -> Iterator[Hit]:
    for call in scripted_calls(file):
        if call.name in {"catchError", "warnError"} and call.target is None and call.block:
            told = call.named("catchInterruptions")
            if told is None or is_true(told):
                yield Hit(head(call), f"`{call.name}` swallows an abort too")


def _questions(file: File) -> Iterator[Call]:
    """`input` as a step."""
    sections = {id(call) for stage in file.stages for call in _sections(stage)}
    for call in scripted_calls(file):
        if call.name == "input" and call.target is None and id(call) not in sections and call.block is None:
            yield call


def _sections(stage: Stage) -> Sequence[Call]:
    return stage.sections.get("input", ())


def _is_entry(node: Node, name: str) -> bool:
    return isinstance(node, Call) and node.name == name and node.target is None
