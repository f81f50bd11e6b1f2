"""Rules of options, triggers and parameters: known ones, on the right level, and what they do to a build."""

import difflib
from collections.abc import Iterator, Mapping

from mmcicd_jenkins.lint.known import AGENTS, OPTIONS, PARAMETERS, TOP_OPTIONS, TRIGGERS
from mmcicd_jenkins.lint.pipeline import File, Pipeline, Stage
from mmcicd_jenkins.lint.rule import Hit, rule
from mmcicd_jenkins.lint.rules_shape import head
from mmcicd_jenkins.lint.tree import Call, Node, calls, is_true

_ABSENT = "a name that no installed plugin provides makes the whole file invalid"


@rule(
    "option-level",
    "error",
    "an option of the pipeline in a stage",
    why="options that are properties of the job stand on top only",
    fix="move it to the options of the pipeline",
    bad="options { buildDiscarder(logRotator(numToKeepStr: '5')) }\nsteps { echo 'x' }",
    good="options { timeout(time: 5, unit: 'MINUTES') }\nsteps { echo 'x' }",
)
def option_level(file: File) -> Iterator[Hit]:
    for stage in file.stages:
        for entry in stage.entries("options"):
            if entry.name in TOP_OPTIONS:
                yield Hit(head(entry), f"`{entry.name}` is an option of the whole pipeline")


@rule(
    "option-unknown",
    "warning",
    "an option that we do not know",
    why=_ABSENT,
    fix="check the name, and that its plugin is installed (lint --server asks the controller)",
    frame="pipeline",
    bad="agent none\noptions { ansiColour('xterm') }\nstages { stage('A') { steps { echo 'a' } } }",
    good="agent none\noptions { ansiColor('xterm') }\nstages { stage('A') { steps { echo 'a' } } }",
)
def option_unknown(file: File) -> Iterator[Hit]:
    yield from _unknown(file, "options", OPTIONS, "option")


@rule(
    "trigger-unknown",
    "warning",
    "a trigger that we do not know",
    why=_ABSENT,
    fix="check the name, and that its plugin is installed (lint --server asks the controller)",
    frame="pipeline",
    bad="agent none\ntriggers { crom('H 4 * * *') }\nstages { stage('A') { steps { echo 'a' } } }",
    good="agent none\ntriggers { cron('H 4 * * *') }\nstages { stage('A') { steps { echo 'a' } } }",
)
def trigger_unknown(file: File) -> Iterator[Hit]:
    yield from _unknown(file, "triggers", TRIGGERS, "trigger")


@rule(
    "parameter-unknown",
    "warning",
    "a kind of parameter that we do not know",
    why=_ABSENT,
    fix="string, text, booleanParam, choice and password are always there",
    frame="pipeline",
    bad="agent none\nparameters { boolean(name: 'X') }\nstages { stage('A') { steps { echo 'a' } } }",
    good="agent none\nparameters { booleanParam(name: 'X') }\nstages { stage('A') { steps { echo 'a' } } }",
)
def parameter_unknown(file: File) -> Iterator[Hit]:
    yield from _unknown(file, "parameters", PARAMETERS, "parameter")


@rule(
    "agent-unknown",
    "warning",
    "a kind of agent that we do not know",
    why=_ABSENT,
    fix="label, node, docker, dockerfile and kubernetes are the usual ones",
    bad="agent { kubernets { yaml 'x' } }\nsteps { echo 'x' }",
    good="agent { kubernetes { yaml 'x' } }\nsteps { echo 'x' }",
)
def agent_unknown(file: File) -> Iterator[Hit]:
    for scope in file.scopes:
        entries = scope.entries("agent")
        if entries and not any(entry.name in AGENTS for entry in entries):
            yield Hit(
                head(entries[0]),
                f"`{entries[0].name}` is no kind of agent that we know",
                _near(entries[0].name, AGENTS),
            )


def _unknown(file: File, section: str, table: Mapping[str, str], what: str) -> Iterator[Hit]:
    for scope in file.scopes:
        for entry in scope.entries(section):
            if entry.target is None and entry.name not in table:
                yield Hit(head(entry), f"`{entry.name}` is no {what} that we know", _near(entry.name, table))


def _near(name: str, table: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(name, table, n=1)
    if not near:
        return ""
    plugin = table[near[0]]
    return f"did you mean `{near[0]}`" + (f", of plugin {plugin}?" if plugin else "?")


@rule(
    "options-form",
    "error",
    "something in options, triggers or parameters that is no call",
    why="each entry is a call such as timeout(time: 1, unit: 'HOURS')",
    fix="write it as a call, without a block",
    frame="pipeline",
    bad="agent none\noptions { timeout(time: 1, unit: 'HOURS') { echo 'x' } }\nstages { stage('A') { steps { echo 'a' } } }",
    good="agent none\noptions { timeout(time: 1, unit: 'HOURS') }\nstages { stage('A') { steps { echo 'a' } } }",
)
def options_form(file: File) -> Iterator[Hit]:
    for scope in file.scopes:
        for section in ("options", "triggers", "parameters"):
            call = scope.section(section)
            if call and call.block and not call.block.statements:
                yield Hit(head(call), f"this `{section}` is empty", "take it out")
            for statement in scope.inside(section):
                if not isinstance(statement, Call) or statement.block is not None:
                    yield Hit(head(statement), f"not an entry of `{section}`")


@rule(
    "abort-previous",
    "warning",
    "builds of every branch aborted by the next, in a pipeline that deploys",
    why="a newer commit on main would end a deployment half way",
    fix="disableConcurrentBuilds(abortPrevious: env.BRANCH_NAME != 'main')",
    frame="pipeline",
    bad="agent none\noptions { disableConcurrentBuilds(abortPrevious: true) }\nstages {\n  stage('Deploy') { steps { sh './deploy' } }\n}",
    good="agent none\noptions { disableConcurrentBuilds(abortPrevious: env.BRANCH_NAME != 'main') }\nstages {\n"
    "  stage('Deploy') {\n    options { timeout(time: 1, unit: 'HOURS') }\n    steps { sh './deploy' }\n  }\n}",
)
def abort_previous(file: File) -> Iterator[Hit]:
    for pipeline in file.pipelines:
        for entry in pipeline.entries("options"):
            aborts = entry.name == "disableConcurrentBuilds" and is_true(entry.named("abortPrevious"))
            if aborts and any(deploys(stage) for stage in pipeline.every_stage()):
                yield Hit(head(entry), "the next build aborts this one, even in the middle of a deployment")


@rule(
    "timeout-over-input",
    "warning",
    "a time limit of the whole pipeline over a question to a person",
    why="the time in which a person thinks counts; the build dies while it waits",
    fix="a timeout in each stage, and one in days on the stage that asks",
    frame="pipeline",
    bad="agent none\noptions { timeout(time: 1, unit: 'HOURS') }\nstages {\n  stage('Ask') { steps { input message: 'Go?', submitter: 'ops' } }\n}",
    good="agent none\nstages {\n  stage('Ask') {\n    options { timeout(time: 3, unit: 'DAYS') }\n"
    "    steps { input message: 'Go?', submitter: 'ops' }\n  }\n}",
)
def timeout_over_input(file: File) -> Iterator[Hit]:
    for pipeline in file.pipelines:
        if not any(asks(stage) for stage in pipeline.every_stage()):
            continue
        for entry in pipeline.entries("options"):
            if entry.name == "timeout":
                yield Hit(head(entry), "this time limit goes on while the build waits for a person")


@rule(
    "lock-while-asking",
    "warning",
    "a lock held while a person thinks",
    why="options of a stage are taken before `input` is asked, so everybody else waits too",
    fix="ask in a stage of its own, without agent; lock in the stage that deploys",
    bad="options { lock('production') }\ninput { message 'Go?' }\nsteps { sh './deploy' }",
    good="options { lock('production') }\nsteps { sh './deploy' }",
)
def lock_while_asking(file: File) -> Iterator[Hit]:
    for stage in file.stages:
        if asks(stage):
            for entry in stage.entries("options"):
                if entry.name == "lock":
                    yield Hit(head(entry), "this lock is held until somebody answers")
    for call in calls(file.tree):
        if call.name == "lock" and call.block and any(inner.name == "input" for inner in calls(call.block)):
            yield Hit(head(call), "this lock is held until somebody answers")


@rule(
    "timeout-while-asking",
    "warning",
    "one time limit for a question and for the work after it",
    why="the limit of a stage runs while a person thinks, and what is left of it cuts the work short",
    fix="ask in a stage of its own with a limit in days",
    bad="options { timeout(time: 30, unit: 'MINUTES') }\ninput { message 'Go?' }\nsteps { sh './deploy' }",
    good="options { timeout(time: 30, unit: 'MINUTES') }\nsteps { sh './deploy' }",
)
def timeout_while_asking(file: File) -> Iterator[Hit]:
    for stage in file.stages:
        works = any(call.name in {"sh", "bat", "powershell", "pwsh", "build"} for call in _steps(stage))
        if asks(stage) and works:
            for entry in stage.entries("options"):
                if entry.name == "timeout":
                    yield Hit(head(entry), "this limit covers the answer and the work")


@rule(
    "agent-while-asking",
    "warning",
    "an agent held while a person thinks",
    why="the executor is taken for as long as nobody answers",
    fix="ask in a stage of its own with no agent",
    bad="agent { label 'linux' }\nsteps { input message: 'Go?', submitter: 'ops' }",
    good="agent none\nsteps { input message: 'Go?', submitter: 'ops' }",
)
def agent_while_asking(file: File) -> Iterator[Hit]:
    for pipeline in file.pipelines:
        for stage in pipeline.every_stage():
            step = next((call for call in _steps(stage) if call.name == "input"), None)
            if step is not None and _holds_agent(stage, pipeline):
                yield Hit(head(step), "an agent waits here for a person")


def _holds_agent(stage: Stage, pipeline: Pipeline) -> bool:
    for scope in (stage, *reversed(stage.parents), pipeline):
        if (agent := scope.section("agent")) is not None:
            return "none" not in {getattr(node, "id", "") for node in agent.positional}
    return False


def asks(stage: Stage) -> bool:
    """Whether a person is asked in this stage itself."""
    return "input" in stage.sections or any(call.name == "input" for call in _steps(stage))


def deploys(stage: Stage) -> bool:
    """Whether the name of a stage says that it changes what serves."""
    words = stage.name.lower().replace("-", " ").split()
    return any(word.startswith(("deploy", "promot", "rollback", "canary", "release")) for word in words)


def _steps(stage: Stage) -> Iterator[Call]:
    roots: list[Node] = [call.block for call in stage.sections.get("steps", ()) if call.block is not None]
    return calls(*roots)


steps_of = _steps
