"""What Declarative knows, and which plugin brings it: options, conditions, triggers, parameters, agents, steps.

An empty plugin means core or `workflow-aggregator`. A name that is not here may come from a plugin that we do
not know, so the rules that read these tables warn and do not fail.
"""

from collections.abc import Mapping

PIPELINE_SECTIONS = (
    "agent",
    "environment",
    "libraries",
    "options",
    "parameters",
    "post",
    "stages",
    "tools",
    "triggers",
)
STAGE_SECTIONS = (
    "agent", "environment", "failFast", "input", "matrix", "options", "parallel", "post", "stages", "steps", "tools", "when",
)  # fmt: skip
MATRIX_SECTIONS = (
    "agent",
    "axes",
    "environment",
    "excludes",
    "input",
    "options",
    "post",
    "stages",
    "tools",
    "when",
)
POST_CONDITIONS = (
    "always", "changed", "fixed", "regression", "aborted", "success", "unsuccessful", "unstable", "failure", "notBuilt",
    "cleanup",
)  # fmt: skip
WHEN_FLAGS = ("beforeAgent", "beforeInput", "beforeOptions")
WHEN_NESTING = ("not", "allOf", "anyOf")
INPUT_FIELDS = ("message", "id", "ok", "submitter", "submitterParameter", "parameters")

# name -> plugin
TOP_OPTIONS: Mapping[str, str] = {
    "buildDiscarder": "", "checkoutToSubdirectory": "", "copyArtifactPermission": "copyartifact", "disableConcurrentBuilds": "",
    "disableRestartFromStage": "", "disableResume": "", "durabilityHint": "", "gitLabConnection": "gitlab-plugin",
    "githubProjectProperty": "github", "newContainerPerStage": "docker-workflow", "office365ConnectorWebhooks": "Office-365-Connector",
    "overrideIndexTriggers": "", "parallelsAlwaysFailFast": "", "preserveStashes": "", "quietPeriod": "", "rateLimitBuilds": "",
    "skipStagesAfterUnstable": "", "throttleJobProperty": "throttle-concurrents", "authorizationMatrix": "matrix-auth",
}  # fmt: skip
STAGE_OPTIONS: Mapping[str, str] = {
    "ansiColor": "ansicolor", "catchError": "", "gitlabBuilds": "gitlab-plugin", "gitlabCommitStatus": "gitlab-plugin",
    "lock": "lockable-resources", "retry": "", "skipDefaultCheckout": "", "throttle": "throttle-concurrents", "timeout": "",
    "timestamps": "timestamper", "warnError": "", "withAWS": "pipeline-aws", "withChecks": "checks-api", "withEnv": "",
}  # fmt: skip
OPTIONS = {**TOP_OPTIONS, **STAGE_OPTIONS}
CONDITIONS: Mapping[str, str] = dict.fromkeys(
    ("allOf", "anyOf", "branch", "buildingTag", "changeRequest", "changelog", "changeset", "environment", "equals", "expression",
     "isRestartedRun", "not", "tag", "triggeredBy"),
    "",
)  # fmt: skip
TRIGGERS: Mapping[str, str] = {
    "cron": "", "pollSCM": "", "upstream": "", "githubPush": "github", "gitlab": "gitlab-plugin", "bitbucketPush": "bitbucket",
    "GenericTrigger": "generic-webhook-trigger", "issueCommentTrigger": "github-pr-comment-build", "parameterizedCron": "parameterized-scheduler",
    "URLTrigger": "urltrigger", "fileTrigger": "filesystem-trigger", "gerrit": "gerrit-trigger", "ghprb": "ghprb",
}  # fmt: skip
PARAMETERS: Mapping[str, str] = {
    "booleanParam": "", "choice": "", "file": "", "password": "", "string": "", "text": "", "run": "", "credentials": "credentials",
    "gitParameter": "git-parameter", "extendedChoice": "extended-choice-parameter", "activeChoice": "uno-choice",
    "reactiveChoice": "uno-choice", "activeChoiceParam": "uno-choice", "base64File": "file-parameters", "stashedFile": "file-parameters",
    "validatingString": "validating-string-parameter", "separator": "parameter-separator", "nodeParameter": "nodelabelparameter",
    "labelParam": "nodelabelparameter",
}  # fmt: skip
AGENTS: Mapping[str, str] = {
    "any": "", "none": "", "label": "", "node": "", "docker": "docker-workflow", "dockerfile": "docker-workflow",
    "kubernetes": "kubernetes", "ecs": "amazon-ecs", "dockerContainer": "docker-plugin", "podman": "podman",
}  # fmt: skip
STEPS: Mapping[str, str] = {
    "junit": "junit", "lock": "lockable-resources", "withCredentials": "credentials-binding", "publishHTML": "htmlpublisher",
    "timestamps": "timestamper", "ansiColor": "ansicolor", "publishChecks": "checks-api", "withChecks": "checks-api",
    "withKubeConfig": "kubernetes-cli", "kubeconfig": "kubernetes-cli", "container": "kubernetes", "podTemplate": "kubernetes",
    "readJSON": "pipeline-utility-steps", "writeJSON": "pipeline-utility-steps", "readYaml": "pipeline-utility-steps",
    "writeYaml": "pipeline-utility-steps", "readProperties": "pipeline-utility-steps", "findFiles": "pipeline-utility-steps",
    "zip": "pipeline-utility-steps", "unzip": "pipeline-utility-steps", "slackSend": "slack", "emailext": "email-ext",
    "cleanWs": "ws-cleanup", "sshagent": "ssh-agent", "copyArtifacts": "copyartifact", "httpRequest": "http_request",
    "recordIssues": "warnings-ng", "recordCoverage": "coverage", "withAWS": "pipeline-aws", "withSonarQubeEnv": "sonar",
    "waitForQualityGate": "sonar", "githubNotify": "pipeline-githubnotify-step", "git": "git", "throttle": "throttle-concurrents",
}  # fmt: skip

# Not allowed where steps stand; inside `script` they are.
BANNED_STEPS: Mapping[str, str] = {
    "stage": "stages stand in `stages` or `parallel`",
    "parallel": "parallel branches are a section of a stage",
    "properties": "job properties are `options`, `parameters` and `triggers` of the pipeline",
    "node": "the agent of a stage is its section `agent`",
    "pipeline": "a pipeline stands on top of the file",
}
