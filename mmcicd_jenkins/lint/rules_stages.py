"""Rules of a stage: its name, its one body, when it runs, its matrix, its environment."""

import difflib
import re
from collections.abc import Iterator, Sequence

from mmcicd_jenkins.lint.known import CONDITIONS, POST_CONDITIONS, WHEN_FLAGS, WHEN_NESTING
from mmcicd_jenkins.lint.pipeline import File, Scope, Stage, matrices
from mmcicd_jenkins.lint.rule import Hit, rule
from mmcicd_jenkins.lint.rules_shape import head
from mmcicd_jenkins.lint.tree import (
    Block,
    Call,
    Collection,
    Constant,
    Name,
    Node,
    Operation,
    is_true,
    text_of,
)

_KEY = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@rule(
    "stage-name",
    "error",
    "a stage without a literal name",
    why="Declarative reads the names before it can compute anything",
    fix="stage('Name') { ... }",
    frame="pipeline",
    bad="agent none\nstages { stage(\"Build ${env.X}\") { steps { echo 'x' } } }",
    good="agent none\nstages { stage('Build') { steps { echo 'x' } } }",
)
def stage_name(file: File) -> Iterator[Hit]:
    for stage in file.stages:
        if not stage.name.strip():
            yield Hit(head(stage.call), "the name of this stage is no plain text")


@rule(
    "stage-duplicate",
    "error",
    "two stages of one name",
    why="results, restarts and logs are kept by name; Declarative refuses the file",
    fix="give one of them another name",
    frame="pipeline",
    bad="agent none\nstages {\n  stage('A') { steps { echo 'x' } }\n  stage('A') { steps { echo 'y' } }\n}",
    good="agent none\nstages {\n  stage('A') { steps { echo 'x' } }\n  stage('B') { steps { echo 'y' } }\n}",
)
def stage_duplicate(file: File) -> Iterator[Hit]:
    for pipeline in file.pipelines:
        for row in [pipeline.stages, *(stage.children for stage in pipeline.every_stage())]:
            seen: set[str] = set()
            for stage in row:
                if stage.name and stage.name in seen:
                    yield Hit(head(stage.call), f"a second stage {stage.name!r} beside the first")
                seen.add(stage.name)


@rule(
    "stage-body",
    "error",
    "a stage with no body or with two",
    why="a stage has exactly one of `steps`, `stages`, `parallel` and `matrix`",
    fix="keep one; more work is more stages",
    bad="steps { echo 'x' }\nparallel {\n  stage('A') { steps { echo 'a' } }\n}",
    good="parallel {\n  stage('A') { steps { echo 'a' } }\n}",
)
def stage_body(file: File) -> Iterator[Hit]:
    for stage in file.stages:
        bodies = stage.bodies
        if not bodies:
            what = f"stage {stage.name!r} has nothing to do"
            yield Hit(head(stage.call), what, "give it `steps { ... }`")
        for extra in bodies[1:]:
            call = stage.sections[extra][0]
            yield Hit(head(call), f"stage {stage.name!r} has `{bodies[0]}` and `{extra}`")


@rule(
    "agent-on-parallel",
    "error",
    "an agent or tools on a stage of parallel branches",
    why="the branches run elsewhere; Declarative refuses it",
    fix="move it into the stages inside",
    bad="agent { label 'linux' }\nparallel {\n  stage('A') { steps { echo 'a' } }\n}",
    good="parallel {\n  stage('A') {\n    agent { label 'linux' }\n    steps { echo 'a' }\n  }\n}",
)
def agent_on_parallel(file: File) -> Iterator[Hit]:
    for stage in file.stages:
        if {"parallel", "matrix"} & set(stage.sections):
            for name in {"agent", "tools"} & set(stage.sections):
                call = stage.sections[name][0]
                if not (name == "agent" and _is_none(call)):
                    yield Hit(head(call), f"`{name}` stands on a stage that only holds branches")


def _is_none(call: Call) -> bool:
    return bool(call.positional) and isinstance(call.positional[0], Name) and call.positional[0].id == "none"


@rule(
    "parallel-nested",
    "error",
    "parallel or matrix inside parallel or matrix",
    why="Declarative runs one level of branches",
    fix="make a sequence of stages inside the branch, or one flat list of branches",
    bad="parallel {\n  stage('A') {\n    parallel {\n      stage('B') { steps { echo 'b' } }\n    }\n  }\n}",
    good="parallel {\n  stage('A') {\n    stages {\n      stage('B') { steps { echo 'b' } }\n    }\n  }\n}",
)
def parallel_nested(file: File) -> Iterator[Hit]:
    for stage in file.stages:
        around = [parent for parent in stage.parents if {"parallel", "matrix"} & set(parent.sections)]
        for name in ("parallel", "matrix"):
            if around and name in stage.sections:
                yield Hit(
                    head(stage.sections[name][0]), f"`{name}` inside the branches of {around[-1].name!r}"
                )


@rule(
    "fail-fast",
    "error",
    "failFast without branches",
    why="only a stage with `parallel` or `matrix` has branches to end",
    fix="take it out",
    bad="failFast true\nsteps { echo 'x' }",
    good="failFast true\nparallel {\n  stage('A') { steps { echo 'a' } }\n}",
)
def fail_fast(file: File) -> Iterator[Hit]:
    for stage in file.stages:
        if "failFast" in stage.sections and not {"parallel", "matrix"} & set(stage.sections):
            yield Hit(head(stage.sections["failFast"][0]), "`failFast` on a stage without branches")


@rule(
    "when-empty",
    "error",
    "a when without a condition",
    why="Declarative refuses it",
    fix="name a condition, such as branch 'main'",
    bad="when { beforeAgent true }\nsteps { echo 'x' }",
    good="when {\n  beforeAgent true\n  branch 'main'\n}\nsteps { echo 'x' }",
)
def when_empty(file: File) -> Iterator[Hit]:
    for scope in _with_when(file):
        call = scope.section("when")
        if (
            call
            and call.block
            and not [entry for entry in scope.entries("when") if entry.name not in WHEN_FLAGS]
        ):
            yield Hit(head(call), "this `when` names no condition")


@rule(
    "when-condition",
    "error",
    "a condition that Declarative does not know",
    why="an unknown condition makes the whole file invalid",
    fix="expression { ... } holds any condition in Groovy",
    bad="when { brunch 'main' }\nsteps { echo 'x' }",
    good="when { branch 'main' }\nsteps { echo 'x' }",
)
def when_condition(file: File) -> Iterator[Hit]:
    for scope in _with_when(file):
        for statement in _conditions(scope.inside("when")):
            name = statement.name if isinstance(statement, Call) and statement.target is None else ""
            if name not in CONDITIONS and name not in WHEN_FLAGS:
                near = difflib.get_close_matches(name, [*CONDITIONS, *WHEN_FLAGS], n=1)
                what = f"`{name}` is no condition" if name else "this is no condition"
                yield Hit(head(statement), what, f"did you mean `{near[0]}`?" if near else "")


@rule(
    "when-nesting",
    "error",
    "not, allOf or anyOf with the wrong number of conditions",
    why="`not` turns exactly one condition round; `allOf` and `anyOf` need at least one",
    fix="not { anyOf { ...; ... } }",
    bad="when {\n  not {\n    branch 'a'\n    branch 'b'\n  }\n}\nsteps { echo 'x' }",
    good="when {\n  not { branch 'a' }\n}\nsteps { echo 'x' }",
)
def when_nesting(file: File) -> Iterator[Hit]:
    for scope in _with_when(file):
        for statement in _conditions(scope.inside("when")):
            if isinstance(statement, Call) and statement.name in WHEN_NESTING and statement.block:
                count = len(statement.block.statements)
                if count == 0 or (statement.name == "not" and count > 1):
                    yield Hit(head(statement), f"`{statement.name}` holds {count} conditions")


def _with_when(file: File) -> Iterator[Scope]:
    for stage in file.stages:
        yield stage
        yield from matrices(stage)


def _conditions(statements: Sequence[Node]) -> Iterator[Node]:
    """Conditions, those inside of others too."""
    for statement in statements:
        yield statement
        if isinstance(statement, Call) and statement.name in WHEN_NESTING and statement.block:
            yield from _conditions(statement.block.statements)


@rule(
    "post-condition",
    "error",
    "a post section that Declarative cannot read",
    why="`post` holds blocks named " + ", ".join(POST_CONDITIONS),
    fix="always { ... }, success { ... }, failure { ... }, cleanup { ... }",
    bad="steps { echo 'x' }\npost { finally { echo 'y' } }",
    good="steps { echo 'x' }\npost { cleanup { echo 'y' } }",
)
def post_condition(file: File) -> Iterator[Hit]:
    for scope in _with_post(file):
        call = scope.section("post")
        if call and call.block and not call.block.statements:
            yield Hit(head(call), "this `post` is empty")
        for statement in scope.inside("post"):
            name = statement.name if isinstance(statement, Call) and statement.target is None else ""
            if name not in POST_CONDITIONS:
                near = difflib.get_close_matches(name, POST_CONDITIONS, n=1)
                fix = f"did you mean `{near[0]}`?" if near else ""
                yield Hit(
                    head(statement),
                    f"`{name}` is no condition of `post`" if name else "no condition of `post`",
                    fix,
                )


def _with_post(file: File) -> Iterator[Scope]:
    yield from file.scopes
    for stage in file.stages:
        yield from matrices(stage)


@rule(
    "environment-key",
    "error",
    "an environment entry that is no assignment to a name",
    why="a variable has a name of letters, digits and underscores and is set with =",
    fix="NAME = 'value'",
    bad="environment { 'my-name' = 'x' }\nsteps { echo 'x' }",
    good="environment { MY_NAME = 'x' }\nsteps { echo 'x' }",
)
def environment_key(file: File) -> Iterator[Hit]:
    for scope in _with_post(file):
        call = scope.section("environment")
        if call and call.block and not call.block.statements:
            yield Hit(head(call), "this `environment` sets nothing")
        for statement in scope.inside("environment"):
            is_set = isinstance(statement, Operation) and statement.operator == "="
            key = statement.operands[0] if isinstance(statement, Operation) and is_set else None
            if not (isinstance(key, Name) and _KEY.fullmatch(key.id)):
                yield Hit(head(statement), "not a variable that is set")


@rule(
    "environment-value",
    "error",
    "an environment value that is no text",
    why="Declarative takes quoted text, joined text and function calls",
    fix="put it in quotes",
    bad="environment { PLACES = ['a', 'b'] }\nsteps { echo 'x' }",
    good="environment { PLACES = 'a,b' }\nsteps { echo 'x' }",
)
def environment_value(file: File) -> Iterator[Hit]:
    for scope in _with_post(file):
        for statement in scope.inside("environment"):
            if isinstance(statement, Operation) and isinstance(statement.operands[-1], Collection | Block):
                yield Hit(statement.operands[-1], "an environment variable holds text")


@rule(
    "matrix-axes",
    "error",
    "a matrix that cannot be laid out",
    why="`axes` needs axes with different names and literal values; `excludes` names axes that are there",
    fix="axes { axis { name 'MODEL'; values 'a', 'b' } }",
    bad="matrix {\n  axes { axis { name 'MODEL' } }\n  stages { stage('A') { steps { echo 'a' } } }\n}",
    good="matrix {\n  axes {\n    axis {\n      name 'MODEL'\n      values 'a', 'b'\n    }\n  }\n"
    "  stages { stage('A') { steps { echo 'a' } } }\n}",
)
def matrix_axes(file: File) -> Iterator[Hit]:
    for stage in file.stages:
        for matrix in matrices(stage):
            yield from _matrix(matrix)


def _matrix(matrix: Scope) -> Iterator[Hit]:
    for needed in ("axes", "stages"):
        if needed not in matrix.sections:
            yield Hit(head(matrix.call), f"this matrix has no `{needed}`")
    names: list[str] = []
    for axis in matrix.entries("axes"):
        name = _axis_name(axis)
        values = _entry(axis, "values")
        if not name:
            yield Hit(head(axis), "this axis has no literal name")
        elif name in names:
            yield Hit(head(axis), f"a second axis {name!r}")
        names.append(name)
        if values is None or not values.positional:
            yield Hit(head(axis), f"axis {name!r} has no values")
        elif not all(isinstance(value, Constant) and value.quote for value in values.positional):
            yield Hit(head(values), f"the values of axis {name!r} must be plain text")
    for exclude in matrix.entries("excludes"):
        for excluded in exclude.block.statements if exclude.block else ():
            name = _axis_name(excluded) if isinstance(excluded, Call) else ""
            if name not in names:
                yield Hit(head(excluded), f"there is no axis {name!r} to exclude")


def _entry(axis: Call, name: str) -> Call | None:
    statements = axis.block.statements if axis.block else ()
    return next((s for s in statements if isinstance(s, Call) and s.name == name), None)


def _axis_name(axis: Call) -> str:
    entry = _entry(axis, "name")
    return (text_of(entry.positional[0]) or "") if entry and entry.positional else ""


@rule(
    "changeset-never",
    "warning",
    "changeset where nothing was checked out yet",
    why="with `skipDefaultCheckout` and `beforeAgent` the condition is asked before any checkout and is always false",
    fix="decide what changed in a step of an earlier stage",
    frame="pipeline",
    bad="agent none\noptions { skipDefaultCheckout() }\nstages {\n  stage('A') {\n    when {\n      beforeAgent true\n"
    "      changeset 'models/**'\n    }\n    agent { label 'x' }\n    steps { echo 'x' }\n  }\n}",
    good="agent none\nstages {\n  stage('A') {\n    when { branch 'main' }\n    agent { label 'x' }\n    steps { echo 'x' }\n  }\n}",
)
def changeset_never(file: File) -> Iterator[Hit]:
    for pipeline in file.pipelines:
        if not any(entry.name == "skipDefaultCheckout" for entry in pipeline.entries("options")):
            continue
        for stage in pipeline.every_stage():
            yield from _changesets(stage)


def _changesets(stage: Stage) -> Iterator[Hit]:
    entries = [entry for entry in _conditions(stage.inside("when")) if isinstance(entry, Call)]
    if any(entry.name == "beforeAgent" and is_true(entry.value("value")) for entry in entries):
        yield from (
            Hit(head(entry), "`changeset` is always false here")
            for entry in entries
            if entry.name == "changeset"
        )
