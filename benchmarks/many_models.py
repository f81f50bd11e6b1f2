"""A repository of many models for benchmarks, and the same jobs as jenkins-job-builder is told them.

Ours makes of each model a multibranch project and four pipelines. Its counterpart here has a template for each of
these five, with the same sources, parameters and script paths, the rollback script inline as ours has it.
"""

import subprocess
import sys
from pathlib import Path

PEER = "jenkins-job-builder==6.5.0"
PEER_NAME, PEER_VERSION = PEER.split("==")
JOBS_PER_MODEL = 5
_REMOTE = "https://git.example/ml/models.git"


def our_repository(folder: Path, models: int) -> Path:
    """A folder with an `mmcicd.yaml` of so many models."""
    folder.mkdir(parents=True)
    lines = [
        f"  model-{n:04}: {{train: 'true', evaluate: {{command: 'true'}}, gates: [accuracy >= 0.9]}}\n"
        for n in range(models)
    ]
    (folder / "mmcicd.yaml").write_text(
        f"models:\n{''.join(lines)}"
        "environments:\n  staging: {kind: local}\n  production: {kind: local, approval: {by: [ml-approvers]}}\n"
        f"jenkins: {{folder: ml, source: {{git: '{_REMOTE}'}}}}\n"
    )
    return folder


def rollback_script(repository: Path, models: int) -> str:
    """The inline script that ours gives a model, so that both post texts of the same length."""
    name = f"model-{models - 1:04}"
    command = [sys.executable, "-m", "mmcicd_jenkins", "render", "jenkinsfile", "--model", name, "--json"]
    done = subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True)
    import json

    text: str = json.loads(done.stdout)["files"][f"jenkins/{name}-rollback.Jenkinsfile"]
    return text


def their_definitions(folder: Path, models: int, script: str) -> Path:
    """The same jobs for the peer; its folders must be there, since its workers do not wait for them."""
    folder.mkdir(parents=True)
    indented = "".join(
        f"      {line}\n".replace("{", "{{").replace("}", "}}") for line in script.splitlines()
    )
    parameters = {
        "release": ["COMMIT"],
        "promote": ["VERSION", "REASON"],
        "rollback": ["VERSION", "REASON"],
        "monitor": [],
    }
    text: list[str] = []
    text.append(
        "- job-template:\n    name: 'ml/ci/{model}'\n    project-type: multibranch\n"
        "    periodic-folder-trigger: 1d\n    number-to-keep: 20\n    days-to-keep: 14\n"
        "    script-path: 'jenkins/{model}.Jenkinsfile'\n"
        f"    scm: [{{git: {{url: '{_REMOTE}'}}}}]\n"
    )
    for kind, names in parameters.items():
        listed = "".join(f"      - string: {{{{name: {n}, description: Text., default: ''}}}}\n".replace("{{", "{").replace("}}", "}") for n in names)  # fmt: skip
        source = (
            f"    sandbox: true\n    dsl: |\n{indented}"
            if kind == "rollback"
            else f"    script-path: 'jenkins/{{model}}-{kind}.Jenkinsfile'\n    lightweight-checkout: true\n"
            f"    pipeline-scm: {{scm: [{{git: {{url: '{_REMOTE}', branches: [refs/heads/main]}}}}]}}\n"
        )
        timed = "    triggers: [{timed: 'H/5 * * * *'}]\n" if kind == "monitor" else ""
        text.append(
            f"- job-template:\n    name: 'ml/ops/{{model}}-{kind}'\n    project-type: pipeline\n"
            + (f"    parameters:\n{listed}" if names else "")
            + timed
            + source
        )
    every = "".join(f"        - model-{n:04}\n" for n in range(models))
    templates = "".join(f"        - 'ml/ops/{{model}}-{kind}'\n" for kind in parameters)
    text.append(
        f"- project:\n    name: all\n    model:\n{every}    jobs:\n        - 'ml/ci/{{model}}'\n{templates}"
    )
    (folder / "jobs.yaml").write_text("".join(text))
    return folder


def their_settings(folder: Path, url: str, user: str, token: str) -> Path:
    """The peer's own configuration file."""
    file = folder / "jenkins_jobs.ini"
    file.write_text(
        f"[job_builder]\nkeep_descriptions=False\n[jenkins]\nurl={url}\nuser={user}\npassword={token}\nquery_plugins_info=False\n"
    )
    return file
