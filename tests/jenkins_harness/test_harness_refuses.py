"""The harness itself: what it does not know it refuses, and what it knows it does as Jenkins does.

One Groovy process for all pipelines; each is a few lines inside one frame.
"""

import json
import os
import subprocess

import pytest
from paper_controller import HERE, run_document

pytestmark = pytest.mark.real

ON_AGENT = "agent { node { label 'linux'; retries 2 } }"


def pipeline(stages, options="skipDefaultCheckout()"):
    return f"pipeline {{\n  agent none\n  options {{\n    {options}\n  }}\n  stages {{\n{stages}\n  }}\n}}\n"


def stage(steps, sections="", name="A"):
    return f"stage('{name}') {{\n{sections}\nsteps {{\n{steps}\n}}\n}}"


def run(tmp_path, text, **settings):
    (tmp_path / "Jenkinsfile").write_text(text)
    job = {
        "name": "x", "file": str(tmp_path / "Jenkinsfile"), "params": {}, "env": {"PATH": os.environ["PATH"]}, "labels": ["linux"],
        "credentials": {"both": {"kind": "usernamePassword", "username": "ann", "password": "s3cret"}, "blob": {"kind": "file", "content": "x: 1"}},
        "workspaces": str(tmp_path / "workspaces"), "fresh": True, "artifacts": str(tmp_path / "archive"),
        "stashes": str(tmp_path / "stashes"), "log": str(tmp_path / "log"), "answers": [], "causes": [],
    }  # fmt: skip
    return run_document(job | settings)


REFUSED = {
    "an unknown step": (pipeline(stage("slackSend 'x'")), "unknown slackSend"),
    "an unknown section": (pipeline(stage("echo 'x'", "tools { maven '3' }")), "no section here: tools"),
    "an unknown option": (pipeline(stage("echo 'x'"), "ansiColor('xterm')"), "unknown ansiColor"),
    "a top option in a stage": (pipeline(stage("echo 'x'", "options { skipStagesAfterUnstable() }")), "stands on top only"),
    "an unknown argument": (pipeline(stage("sh script: 'true', encoding: 'x'", ON_AGENT)), "unknown argument encoding"),
    "a script that Groovy fills in": (pipeline(stage('sh "echo ${env.PATH}"', ON_AGENT)), "Groovy filled in"),
    "an unknown variable": (pipeline(stage("echo NOWHERE")), "unknown variable NOWHERE"),
    "an unknown condition": (pipeline(stage("echo 'x'", "when { changeset 'x' }")), "unknown changeset"),
    "an agent before its condition": (pipeline(stage("echo 'x'", f"when {{ branch 'y' }}\n{ON_AGENT}")), "takes an agent before"),
    "a question on an agent": (pipeline(stage("input(id: 'G', message: 'm', submitter: 'x')", ON_AGENT)), "holds an agent"),
    "a question with a lock": (
        pipeline(stage("input(id: 'G', message: 'm', submitter: 'x')", "options { lock(resource: 'r') }")), "holds the locks",
    ),
    "a question to everybody": (pipeline(stage("input(id: 'G', message: 'm')")), "missing argument submitter"),
    "a question that nobody answers": (pipeline(stage("input(id: 'G', message: 'm', submitter: 'x')")), "nobody answers"),
    "an unknown label": (pipeline(stage("echo 'x'", "agent { node { label 'gpu'; retries 2 } }")), "no agent has the label"),
    "a second stage of the name": (pipeline(stage("echo 'x'") + "\n" + stage("echo 'y'")), "two stages"),
    "a milestone backwards": (pipeline(stage("milestone 5\nmilestone 5")), "milestone 5 after 5"),
    "what the sandbox refuses": (pipeline(stage("script { echo currentBuild.rawBuild.toString() }")), "needs an approval"),
    "an unknown property of the build": (pipeline(stage("script { echo currentBuild.keepLog }")), "keepLog"),
    "a new object": (pipeline(stage("script { new File('x') }")), "ConstructorCallExpression"),
    "no pipeline": ("def x = 1\n", "no pipeline"),
    "two pipelines": (pipeline(stage("echo 'x'")) * 2, "second pipeline"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path, name):
    text, told = REFUSED[name]
    ended = run(tmp_path, text)
    assert told in ended.refused, ended


def test_a_shell_needs_an_agent(tmp_path):
    ended = run(tmp_path, pipeline(stage("sh 'true'")))
    assert ended.result == "FAILURE"
    assert "FilePath is missing" in ended.text


def test_credentials_are_there_inside_their_block_alone(tmp_path):
    look = 'sh \'echo "who=$WHO pass=${#PASS} file=$(cat "$FILE" 2>/dev/null)" >> seen; echo "$FILE" > path\''
    steps = (
        "withCredentials([usernamePassword(credentialsId: 'both', usernameVariable: 'WHO', passwordVariable: 'PASS'), "
        f"file(credentialsId: 'blob', variable: 'FILE')]) {{\n{look}\n}}\n{look.replace('> path', '> /dev/null')}\n"
        "script { echo readFile('seen') }\nsh 'test ! -e \"$(cat path)\"'"
    )
    ended = run(tmp_path, pipeline(stage(steps, ON_AGENT)))
    assert ended.result == "SUCCESS", ended
    assert "echo who=ann pass=6 file=x: 1\nwho= pass=0 file=" in ended.text
    assert "s3cret" not in ended.text


@pytest.mark.parametrize(
    ("binding", "told"),
    [
        ("string(credentialsId: 'none', variable: 'X')", "Could not find credentials entry with ID 'none'"),
        ("string(credentialsId: 'both', variable: 'X')", "is of kind usernamePassword, not string"),
    ],
)
def test_credentials_that_are_wrong(tmp_path, binding, told):
    ended = run(tmp_path, pipeline(stage(f"withCredentials([{binding}]) {{ sh 'true' }}", ON_AGENT)))
    assert (ended.result, told in ended.text) == ("FAILURE", True)


def test_a_result_only_gets_worse_and_post_sees_it(tmp_path):
    steps = "unstable('first')\nscript { currentBuild.result = 'SUCCESS' }"
    post = "post {\nsuccess { echo 'good' }\nunstable { echo 'so so' }\ncleanup { echo 'last' }\nalways { echo 'first' }\n}"
    ended = run(
        tmp_path,
        pipeline(stage(steps, post) + "\n" + stage("echo 'never'", name="B"), "skipStagesAfterUnstable()"),
    )
    assert ended.result == "UNSTABLE"
    assert [line.strip() for line in ended.trace if "echo" in line] == [
        "echo first",
        "echo so so",
        "echo last",
    ]
    assert "stage B: left out, unstable" in ended.text


def test_files_pass_between_stages_by_a_stash_alone(tmp_path):
    first = stage(
        "sh 'mkdir d; echo 1 > d/a.txt; echo 2 > b.log'\nstash name: 's', includes: '**/*.txt'", ON_AGENT
    )
    second = stage("sh 'test ! -e d'\nunstash 's'\nsh 'test -f d/a.txt; test ! -e b.log'", ON_AGENT, name="B")
    assert run(tmp_path, pipeline(first + "\n" + second)).result == "SUCCESS"


def test_the_shell_stops_at_the_first_failure(tmp_path):
    ended = run(tmp_path, pipeline(stage("sh 'false; echo on > went'", ON_AGENT)))
    assert (ended.result, "exit code 1" in ended.text) == ("FAILURE", True)
    assert "+ false" in (tmp_path / "log").read_text()


def test_the_document_is_one_json_line(tmp_path):
    """What the tests read is what a person gets by hand."""
    (tmp_path / "Jenkinsfile").write_text(pipeline(stage("echo 'x'")))
    (tmp_path / "job.json").write_text(json.dumps({"name": "x", "file": str(tmp_path / "Jenkinsfile")}))
    from mmcicd_jenkins.adapters.groovy import find_groovy

    groovy = find_groovy(os.environ)
    done = subprocess.run(
        [groovy.program, HERE / "harness.groovy", HERE / "parts", tmp_path / "job.json"],
        env={**os.environ, "JAVA_HOME": groovy.java_home}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["trace"] == ["stage A", "  echo x", "result SUCCESS"]
