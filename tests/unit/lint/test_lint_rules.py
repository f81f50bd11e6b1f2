"""Each rule tells of its own bad example and of nothing in its good one; the mistakes that the groundwork names are found.

We test these aspects: examples of rules, places of findings, what a file allows, mistakes in other shapes than the examples'.
"""

import pytest

from mmcicd_jenkins.lint.check import LARGEST, lint_text
from mmcicd_jenkins.lint.rule import RULES, framed

FOREIGN = {"groovy", "server"}
OURS = sorted(set(RULES) - FOREIGN)


def rules_of(text):
    return {finding.rule for finding in lint_text("Jenkinsfile", text)}


@pytest.mark.parametrize("name", OURS)
def test_the_bad_example_is_told(name):
    rule = RULES[name]
    assert name in rules_of(framed(rule.bad, rule.frame))


@pytest.mark.parametrize("name", OURS)
def test_the_good_example_is_good(name):
    rule = RULES[name]
    found = lint_text("Jenkinsfile", framed(rule.good, rule.frame))
    assert not [
        f"{one.line}: {one.what} [{one.rule}]" for one in found if one.severity != "note" or one.rule == name
    ]


def test_every_rule_explains_itself():
    for rule in RULES.values():
        assert rule.title, rule.id
        assert rule.why.rstrip(".") == rule.why != "", rule.id
        assert rule.fix, rule.id
        assert rule.bad != rule.good, rule.id


def steps(text):
    return framed(text, "steps")


def stage(text):
    return framed(text, "stage")


# What reference sections of the groundwork warn of, each in a shape of its own: (rule, text).
PLANTED = [
    ("shell-injection", steps('sh "echo ${params.TITLE}"')),
    ("shell-injection", steps("sh 'echo ' + env.CHANGE_TITLE")),
    ("shell-injection", steps('sh label: "x", script: """\n  run --branch=$BRANCH_NAME\n"""')),
    ("shell-injection", steps('script { def command = "run ${CHANGE_AUTHOR}"\n sh command }')),
    ("shell-injection", steps('script { def title = params.TITLE\n sh "echo ${title}" }')),
    ("shell-injection", steps('script { env.WHO = params.NAME\n sh(script: "hello ${env.WHO}", returnStatus: true) }')),
    ("shell-injection", steps('bat "echo ${env.GIT_BRANCH}"')),
    ("shell-injection", steps('powershell "Write-Host ${params.X}"')),
    ("shell-injection", steps("script { sh(\"deploy ${input(message: 'who?')}\") }")),
    ("shell-injection", steps("sh \"deploy ${readFile('version.txt').trim()}\"")),
    ("shell-injection", steps('sh "run ${env[\'BRANCH_NAME\']}"')),
    ("shell-injection", steps('timeout(5) { dir("x") { sh "run ${params.X}" } }')),
    ("shell-injection", steps('sh "spring -Dartifactory.password=${ARTIFACTORY_PSW}"')),
    ("shell-injection", 'node { sh "run ${env.BRANCH_NAME}" }'),
    ("shell-gstring", steps('sh "make ${env.BUILD_NUMBER}"')),
    ("shell-unquoted", steps("sh 'git checkout $CHANGE_BRANCH'")),
    ("shell-unquoted", steps("sh 'git checkout ${BRANCH_NAME}'")),
    ("user-code", steps("script { evaluate(readFile('steps.groovy')) }")),
    ("user-code", steps("script { evaluate(env.CHANGE_TITLE) }")),
    ("user-code", steps('script { load "${params.FILE}" }')),
    ("user-code", steps("writeFile file: 'run.sh', text: params.SCRIPT")),
    ("user-code", steps('writeFile(file: "run.py", text: "print(\'${env.CHANGE_TITLE}\')")')),
    ("escape-outside-text", "// model: \\u000a println 'x'\n" + stage("steps { echo 'x' }")),
    ("escape-outside-text", "/* \\u002a/ evil() */\n" + stage("steps { echo 'x' }")),
    ("escape-outside-text", steps("echo '\\u0027 + evil() + \\u0027'")),
    ("secret-in-string", steps("withCredentials([usernamePassword(credentialsId: 'r', usernameVariable: 'U', passwordVariable: 'P')]) { echo \"$P\" }")),
    ("secret-in-string", stage("environment { KEY = credentials('r') }\nsteps { sh \"login ${env.KEY_PSW}\" }")),
    ("secret-in-string", steps("withCredentials([file(credentialsId: 'k', variable: 'KUBECONFIG')]) { sh 'x ' + KUBECONFIG }")),
    ("credentials-wide", framed("agent none\nenvironment { K = credentials('prod') }\nstages { stage('A') { steps { echo 'x' } } }", "pipeline")),
    ("credentials-wide", stage("environment { K = credentials('prod') }\nstages {\n  stage('A') { steps { echo 'x' } }\n}")),
    ("input-submitter", steps("input 'Go?'")),
    ("input-submitter", steps("script { def a = input(message: 'Go?', submitter: '', id: 'Go') }")),
    ("input-submitter", stage("input {\n  message 'Go?'\n}\nsteps { echo 'x' }")),
    ("input-message", steps("script { input(id: 'Go', submitter: 'ops') }")),
    ("needs-approval", steps("script { echo Jenkins.instance.rootUrl }")),
    ("needs-approval", steps("script { Jenkins.get().save() }")),
    ("needs-approval", steps("script { currentBuild.rawBuild.getCause(Object) }")),
    ("needs-approval", steps("script { def f = new File('/etc/passwd') }")),
    ("needs-approval", steps("script { 'id'.execute() }")),
    ("needs-approval", steps("script { hudson.model.User.current() }")),
    ("download-runs", steps("sh 'wget -qO- https://x.example/i | sudo bash -s'")),
    ("download-runs", steps("sh 'bash <(curl -s https://x.example/i)'")),
    ("download-runs", steps('sh "sh -c \\"\\$(curl -fsSL https://x.example/i)\\""')),
    ("when-before-agent", stage("when { branch 'main' }\nagent { node { label 'gpu-a100'; retries 2 } }\nsteps { echo 'x' }")),
    ("when-before-agent", stage("when { not { changeRequest() } }\nagent { kubernetes { yamlFile 'p.yaml' } }\nsteps { echo 'x' }")),
    ("when-before-agent", stage("when {\n  beforeAgent false\n  branch 'x'\n}\nagent { label 'cuda' }\nsteps { echo 'x' }")),
    ("lock-while-asking", stage("options { lock('p') }\nsteps { input message: 'x', submitter: 'y' }")),
    ("lock-while-asking", steps("lock('p') { input message: 'x', submitter: 'y' }")),
    ("timeout-while-asking", stage("options { timeout(5) }\ninput { message 'x' }\nsteps { sh 'x' }")),
    ("timeout-over-input", framed("agent none\noptions { timeout(5) }\nstages { stage('A') { steps { input 'x' } } }", "pipeline")),
    ("agent-while-asking", framed("agent any\nstages { stage('A') { steps { input 'x' } } }", "pipeline")),
    ("input-run-time", stage("input {\n  message 'x'\n  parameters { choice(name: 'V', choices: env.CHOICES) }\n}\nsteps { echo 'x' }")),
    ("retry-deploy", steps("retry(3) { sh 'mmcicd-jenkins stage train --model=m' }")),
    ("retry-deploy", steps("retry(3) { sh 'kubectl apply -f x.yaml' }")),
    ("option-level", stage("options { disableConcurrentBuilds() }\nsteps { echo 'x' }")),
    ("option-level", stage("options { preserveStashes(buildCount: 5) }\nsteps { echo 'x' }")),
    ("option-level", stage("options { durabilityHint('PERFORMANCE_OPTIMIZED') }\nsteps { echo 'x' }")),
    ("option-unknown", framed("agent none\noptions { timestampz() }\nstages { stage('A') { steps { echo 'x' } } }", "pipeline")),
    ("banned-step", steps("stage('x') { echo 'y' }")),
    ("banned-step", steps("parallel(a: { echo 'x' }, b: { echo 'y' })")),
    ("banned-step", steps("properties([])")),
    ("banned-step", steps("dir('x') { node('y') { echo 'z' } }")),
    ("banned-step", stage("steps { echo 'x' }\npost { always { node('x') { echo 'y' } } }")),
    ("steps-only", steps("for (x in [1]) { echo 'x' }")),
    ("steps-only", steps("env.X = '1'")),
    ("steps-only", steps("currentBuild.setDescription('x')")),
    ("stage-body", stage("agent any")),
    ("stage-body", stage("steps { echo 'x' }\nstages { stage('A') { steps { echo 'x' } } }")),
    ("agent-on-parallel", stage("tools { maven '3' }\nparallel { stage('A') { steps { echo 'x' } } }")),
    ("agent-on-parallel", stage("agent any\nmatrix {\n  axes { axis {\n name 'A'\n values 'x'\n } }\n  stages { stage('A') { steps { echo 'x' } } }\n}")),
    ("parallel-nested", stage("matrix {\n  axes { axis {\n name 'A'\n values 'x'\n } }\n  stages { stage('A') { matrix { } } }\n}")),
    ("matrix-axes", stage("matrix {\n  axes { axis {\n name 'A'\n values env.X\n } }\n  stages { stage('A') { steps { echo 'x' } } }\n}")),
    ("matrix-axes", stage("matrix {\n  axes { axis {\n name 'A'\n values 'x'\n } }\n  excludes { exclude { axis {\n name 'B'\n values 'x'\n } } }\n  stages { stage('A') { steps { echo 'x' } } }\n}")),
    ("matrix-axes", stage("matrix {\n  stages { stage('A') { steps { echo 'x' } } }\n}")),
    ("environment-key", stage("environment { 1X = 'y' }\nsteps { echo 'x' }")),
    ("environment-key", stage("environment { export('X') }\nsteps { echo 'x' }")),
    ("one-per-line", stage("steps { echo 'x' } post { always { echo 'y' } }")),
    ("one-per-line", steps("dir('x') { echo 'a' } echo 'b'")),
    ("unknown-section", framed("agent none\nwhen { branch 'x' }\nstages { stage('A') { steps { echo 'x' } } }", "pipeline")),
    ("unknown-section", framed("agent none\nstages { stage('A') { steps { echo 'x' } } }\nsteps { echo 'x' }", "pipeline")),
    ("unknown-section", stage("echo 'x'")),
    ("agent-form", framed("agent\nstages { stage('A') { steps { echo 'x' } } }", "pipeline")),
    ("agent-form", framed("agent { label 'x'\n docker 'y' }\nstages { stage('A') { steps { echo 'x' } } }", "pipeline")),
    ("stage-name", framed("agent none\nstages { stage { steps { echo 'x' } } }", "pipeline")),
    ("post-condition", framed("agent none\nstages { stage('A') { steps { echo 'x' } } }\npost { allways { echo 'y' } }", "pipeline")),
    ("post-condition", framed("agent none\nstages { stage('A') { steps { echo 'x' } } }\npost { }", "pipeline")),
    ("syntax", "pipeline {\n  agent any\n"),
    ("syntax", steps('echo "x ${a"')),
    ("syntax", steps("echo 'x' }")),
    ("syntax", "/* never\n"),
    ("syntax", steps("echo '\\u12'")),
    ("no-pipeline", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "text"), PLANTED, ids=[f"{n}-{rule}" for n, (rule, _) in enumerate(PLANTED)]
)
def test_a_planted_mistake_is_found(rule, text):
    assert rule in rules_of(text)


def test_a_finding_points_at_what_a_person_wrote():
    text = steps("echo '\\u00e9\\u00e9' + 'x'\nsh \"run ${params.X}\"")
    (finding,) = [one for one in lint_text("a/Jenkinsfile", text) if one.rule == "shell-injection"]
    assert (finding.file, finding.line, finding.column) == ("a/Jenkinsfile", 7, 12)
    assert finding.excerpt[finding.column - 1 :][: finding.width] == '"run ${params.X}"'


def test_a_finding_behind_an_escape_on_its_line_has_the_column_of_the_file():
    text = "def a = '\\u0041'; def f = new File('x')\n"
    (finding,) = [one for one in lint_text("Jenkinsfile", text) if one.rule == "needs-approval"]
    assert finding.column == text.index("new File") + 1


@pytest.mark.parametrize(
    ("comment", "is_told"),
    [
        ("// lint: allow shell-gstring because the number is needed in the name", False),
        ("/* lint: allow download-runs, shell-gstring because of that */", False),
        ("// lint: allow shell-gstring", True),
        ("// lint: allow shell-gstring because", True),
        ("// lint: allow user-code because it is another rule", True),
    ],
)
def test_a_comment_with_a_reason_allows(comment, is_told):
    text = steps(f'{comment}\nsh "make ${{BUILD_NUMBER}}"')
    assert ("shell-gstring" in rules_of(text)) is is_told


def test_a_comment_reaches_no_further_than_the_next_line():
    text = steps('// lint: allow shell-gstring because x\necho "a"\nsh "make ${BUILD_NUMBER}"')
    assert "shell-gstring" in rules_of(text)


def test_an_enormous_file_is_not_read():
    (finding,) = lint_text("Jenkinsfile", "x" * (LARGEST + 1))
    assert finding.rule == "syntax"


def test_a_fix_names_the_nearest_name():
    (finding,) = [
        one
        for one in lint_text("x", framed(RULES["option-unknown"].bad, "pipeline"))
        if one.rule == "option-unknown"
    ]
    assert finding.fix == "did you mean `ansiColor`, of plugin ansicolor?"
