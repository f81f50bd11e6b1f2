"""Rules of practice: what is legal and costs a GPU, an approval or a night."""

from collections.abc import Iterator

from mmcicd_jenkins.lint.pipeline import File, Pipeline, Stage, scripted_calls
from mmcicd_jenkins.lint.rule import Hit, rule
from mmcicd_jenkins.lint.rules_options import asks, deploys, steps_of
from mmcicd_jenkins.lint.rules_shape import head
from mmcicd_jenkins.lint.tree import (
    Call,
    Constant,
    GString,
    Name,
    Node,
    Property,
    calls,
    is_true,
    path_of,
    text_of,
    walk,
)

_COSTLY_LABELS = ("gpu", "cuda", "a100", "h100", "h200", "v100", "tpu", "train")
_COSTLY_AGENTS = {"kubernetes", "docker", "dockerfile", "podman", "ecs"}
# What the sandbox refuses until an administrator approves it.
_UNAPPROVED = ("currentBuild.rawBuild", "Jenkins.instance", "Jenkins.get", "jenkins.model", "hudson.model", "User.current",
               "groovy.json.JsonSlurperClassic")  # fmt: skip
_UNAPPROVED_NEW = {"new File", "new URL", "new JsonSlurperClassic", "new ProcessBuilder"}


@rule(
    "when-before-agent",
    "warning",
    "a condition that is asked on an expensive agent",
    why="without `beforeAgent true` the agent is taken first, a GPU for instance, only to find that nothing is to do",
    fix="when { beforeAgent true; ... }, each on a line of its own",
    bad="when { branch 'main' }\nagent { label 'gpu' }\nsteps { echo 'x' }",
    good="when {\n  beforeAgent true\n  branch 'main'\n}\nagent { label 'gpu' }\nsteps { echo 'x' }",
)
def when_before_agent(file: File) -> Iterator[Hit]:
    for stage in file.stages:
        call = stage.section("when")
        if call is None or not _is_costly(stage):
            continue
        flags = {entry.name for entry in stage.entries("when") if is_true(entry.value("value"))}
        if not flags & {"beforeAgent", "beforeInput", "beforeOptions"}:
            yield Hit(head(call), f"stage {stage.name!r} takes its agent before it asks whether to run")


def _is_costly(stage: Stage) -> bool:
    for entry in [
        *stage.entries("agent"),
        *(c for e in stage.entries("agent") if e.block for c in calls(e.block)),
    ]:
        if entry.name in _COSTLY_AGENTS:
            return True
        label = text_of(entry.value("label")) or ""
        if entry.name == "label" and any(word in label.lower() for word in _COSTLY_LABELS):
            return True
    return False


@rule(
    "timeout-missing",
    "warning",
    "training or deployment without an end",
    why="a hung training holds its GPU, a hung deployment its lock, until a person looks",
    fix="options { timeout(time: 12, unit: 'HOURS') }",
    frame="pipeline",
    bad="agent none\nstages {\n  stage('Train') {\n    agent { label 'gpu' }\n    steps { sh './train' }\n  }\n}",
    good="agent none\nstages {\n  stage('Train') {\n    options { timeout(time: 12, unit: 'HOURS') }\n"
    "    agent { label 'gpu' }\n    steps { sh './train' }\n  }\n}",
)
def timeout_missing(file: File) -> Iterator[Hit]:
    for pipeline in file.pipelines:
        for stage in pipeline.every_stage():
            works = any(call.name in {"sh", "bat", "powershell", "pwsh"} for call in steps_of(stage))
            if works and (_trains(stage) or deploys(stage)) and not _has_end(stage, pipeline):
                yield Hit(head(stage.call), f"stage {stage.name!r} has no time limit")


def _trains(stage: Stage) -> bool:
    return any(word.startswith(("train", "retrain", "fit")) for word in stage.name.lower().split())


def _has_end(stage: Stage, pipeline: Pipeline) -> bool:
    scopes = (stage, *stage.parents, pipeline)
    if any(entry.name == "timeout" for scope in scopes for entry in scope.entries("options")):
        return True
    return any(call.name == "timeout" for call in steps_of(stage))


@rule(
    "retry-deploy",
    "warning",
    "training or deployment that is blindly repeated",
    why="retry repeats what fails for a reason: hours of GPU, or a deployment over a newer one",
    fix="retry(count: 2, conditions: [agent(), nonresumable()]) repeats only what a lost agent broke",
    bad="options { retry(3) }\nsteps { sh 'mmcicd-jenkins stage deploy' }",
    good="agent { node { label 'ops'; retries 2 } }\nsteps { sh 'mmcicd-jenkins stage deploy' }",
)
def retry_deploy(file: File) -> Iterator[Hit]:
    for stage in file.stages:
        for entry in stage.entries("options"):
            if (
                entry.name == "retry"
                and entry.named("conditions") is None
                and _changes_much(stage, list(steps_of(stage)))
            ):
                yield Hit(head(entry), f"stage {stage.name!r} is repeated whatever made it fail")
        for call in steps_of(stage):
            inside = list(calls(call.block)) if call.name == "retry" and call.block else []
            if inside and call.named("conditions") is None and _changes_much(stage, inside):
                yield Hit(head(call), "this is repeated whatever made it fail")


def _changes_much(stage: Stage, steps: list[Call]) -> bool:
    if not any(step.name in {"sh", "bat", "powershell", "pwsh", "build"} for step in steps):
        return False
    if deploys(stage) or _trains(stage):
        return True
    scripts = " ".join(text_of(step.value("script")) or "" for step in steps if step.name == "sh")
    return any(
        word in scripts
        for word in ("stage deploy", "stage train", "stage promote", "kubectl apply", "helm upgrade")
    )


@rule(
    "restart-skips-approval",
    "warning",
    "a deployment that a restart reaches without its approval",
    why='"Restart from Stage" begins at the deployment and nobody is asked',
    fix="options { disableRestartFromStage() } on top",
    frame="pipeline",
    bad="agent none\nstages {\n  stage('Ask') { steps { input message: 'Go?', submitter: 'ops' } }\n"
    "  stage('Deploy') {\n    options { timeout(time: 1, unit: 'HOURS') }\n    steps { sh './deploy' }\n  }\n}",
    good="agent none\noptions { disableRestartFromStage() }\nstages {\n"
    "  stage('Ask') { steps { input message: 'Go?', submitter: 'ops' } }\n"
    "  stage('Deploy') {\n    options { timeout(time: 1, unit: 'HOURS') }\n    steps { sh './deploy' }\n  }\n}",
)
def restart_skips_approval(file: File) -> Iterator[Hit]:
    for pipeline in file.pipelines:
        if any(entry.name == "disableRestartFromStage" for entry in pipeline.entries("options")):
            continue
        asked = False
        for stage in pipeline.stages:
            if asked and deploys(stage):
                yield Hit(head(stage.call), f"a restart from {stage.name!r} asks nobody")
            asked = asked or asks(stage)


@rule(
    "lock-holds-agent",
    "note",
    "a lock that is waited for on an agent",
    why="as a step it holds the agent while it waits; as an option of the stage it is taken before the agent",
    fix="options { lock(resource: '...') }",
    bad="agent { label 'linux' }\nsteps {\n  lock('production') { sh './deploy' }\n}",
    good="agent { label 'linux' }\noptions { lock('production') }\nsteps { sh './deploy' }",
)
def lock_holds_agent(file: File) -> Iterator[Hit]:
    for stage in file.stages:
        if stage.section("agent") is not None:
            for call in steps_of(stage):
                if call.name == "lock" and call.block:
                    yield Hit(head(call), "an agent waits here for a lock")


@rule(
    "kubernetes-deprecated",
    "note",
    "fields of a pod agent that the plugin no longer wants",
    why="`label` and `containerTemplate` print a warning in every build and will go",
    fix="write the pod as `yaml` or `yamlFile`",
    bad="agent { kubernetes { label 'pod' } }\nsteps { echo 'x' }",
    good="agent { kubernetes { yamlFile 'pod.yaml' } }\nsteps { echo 'x' }",
)
def kubernetes_deprecated(file: File) -> Iterator[Hit]:
    for scope in file.scopes:
        for entry in scope.entries("agent"):
            if entry.name == "kubernetes" and entry.block:
                for field in entry.block.statements:
                    if isinstance(field, Call) and field.name in {"label", "containerTemplate"}:
                        yield Hit(head(field), f"`{field.name}` of a pod agent is deprecated")


@rule(
    "causes-contains",
    "warning",
    "a text looked for among causes",
    why="getBuildCauses() gives objects; a text is never among them, so this is always false",
    fix="currentBuild.getBuildCauses('hudson.model.Cause$UserIdCause') filters by class",
    frame="steps",
    bad="script { if (currentBuild.getBuildCauses().contains('UserIdCause')) { echo 'x' } }",
    good="script { if (currentBuild.getBuildCauses('hudson.model.Cause$UserIdCause')) { echo 'x' } }",
)
def causes_contains(file: File) -> Iterator[Hit]:
    for call in scripted_calls(file):
        target = call.target
        if call.name == "contains" and isinstance(target, Call) and target.name == "getBuildCauses":
            yield Hit(call, "this comparison is always false")


@rule(
    "needs-approval",
    "error",
    "what the sandbox refuses",
    why="the build stops until an administrator approves the call, and an approval holds for everybody",
    fix="currentBuild.getBuildCauses(), env and params give most of it; else do it in the command that `sh` runs",
    frame="steps",
    bad="script { echo currentBuild.rawBuild.log }",
    good="script { echo currentBuild.currentResult }",
)
def needs_approval(file: File) -> Iterator[Hit]:
    for node in walk(file.tree):
        name = path_of(node) if isinstance(node, Property) else node.id if isinstance(node, Name) else ""
        if isinstance(node, Call):
            name = f"{path_of(node.target)}.{node.name}" if path_of(node.target) else node.name
        if name in _UNAPPROVED_NEW or any(
            name == known or name.endswith("." + known) for known in _UNAPPROVED
        ):
            yield Hit(node, f"`{name}` needs an approval by an administrator")
        elif isinstance(node, Call) and node.name == "execute" and _is_text(node.target):
            yield Hit(node, "a command is run on the controller itself", "run it by `sh` on an agent")


def _is_text(node: Node | None) -> bool:
    return isinstance(node, GString) or (isinstance(node, Constant) and bool(node.quote))
