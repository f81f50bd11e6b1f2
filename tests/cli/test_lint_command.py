"""`lint` as people and pipelines call it: which files, what is told where, exit codes, JSON, explanations, a controller's opinion."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest

GOOD = "pipeline {\n  agent any\n  stages {\n    stage('A') { steps { echo 'a' } }\n  }\n}\n"
BAD = "pipeline {\n  agent any\n  stages {\n    stage('A') { steps { sh \"run ${params.X}\" } }\n  }\n}\n"
GOLDEN = Path(__file__).parents[1] / "golden"


def lint(folder, *arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "lint", "--no-groovy", *arguments],
        cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, **variables},
    )  # fmt: skip


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "Jenkinsfile").write_text(GOOD)
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci" / "nightly.Jenkinsfile").write_text(BAD)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "Jenkinsfile").write_text(BAD)
    (tmp_path / "notes.txt").write_text(BAD)
    return tmp_path


def test_the_jenkinsfiles_of_a_repository_are_found(repository):
    done = lint(repository)
    assert done.returncode == 3
    assert (
        "ci/nightly.Jenkinsfile:4:29: error: `sh` is given `params.X`, which a person chooses [shell-injection]"
        in done.stdout
    )
    assert "     4 |     stage('A') { steps { sh \"run ${params.X}\" } }" in done.stdout
    assert "  fix: " in done.stdout
    assert "  why: " in done.stdout
    assert ".venv" not in done.stdout
    assert "2 Jenkinsfiles: 1 error" in done.stderr
    assert "--explain shell-injection" in done.stderr


def test_files_that_are_named(repository):
    assert lint(repository, "Jenkinsfile").returncode == 0
    assert lint(repository, "ci").returncode == 3
    done = lint(repository, "absent")
    assert done.returncode == 3
    assert "there is no file absent" in done.stderr


def test_warnings_alone_do_not_fail(repository):
    (repository / "Jenkinsfile").write_text(GOOD.replace("echo 'a'", "sh 'curl x | sh'"))
    done = lint(repository, "Jenkinsfile")
    assert (done.returncode, "1 warning" in done.stderr) == (0, True)


def test_json(repository):
    done = lint(repository, "--json")
    assert done.returncode == 3
    document = json.loads(done.stdout)
    (finding,) = document["findings"]
    assert finding["rule"] == "shell-injection"
    assert finding["severity"] == "error"
    assert (finding["file"], finding["line"], finding["column"]) == ("ci/nightly.Jenkinsfile", 4, 29)
    assert set(document["files"]) == {"Jenkinsfile", "ci/nightly.Jenkinsfile"}
    assert done.stderr == ""


def test_nothing_to_look_at(tmp_path):
    done = lint(tmp_path)
    assert done.returncode == 2
    assert "there is no Jenkinsfile here" in done.stderr


def test_what_a_configuration_would_give_is_checked_though_it_is_not_written(tmp_path):
    (tmp_path / "mmcicd.yaml").write_text((GOLDEN / "pods-and-places" / "mmcicd.yaml").read_text())
    document = json.loads(lint(tmp_path, "--json").stdout)
    assert "jenkins/vision-rollback.Jenkinsfile" in document["files"]
    assert not [one for one in document["findings"] if one["severity"] != "note"]
    assert "kubernetes" in document["plugins"]


def test_a_configuration_with_mistakes_does_not_hide_the_files(repository):
    (repository / "mmcicd.yaml").write_text("models: 3\n")
    done = lint(repository)
    assert done.returncode == 3
    assert "shell-injection" in done.stdout
    assert "mmcicd-jenkins config check" in done.stderr


def test_a_rule_explains_itself(tmp_path):
    done = lint(tmp_path, "--explain", "shell-injection")
    assert done.returncode == 0
    assert "Why: " in done.stdout
    assert "Told of:" in done.stdout
    assert lint(tmp_path, "--explain", "all").stdout.count("\n") > 50
    done = lint(tmp_path, "--explain", "shell-injektion")
    assert done.returncode == 2
    assert "--explain shell-injection" in done.stderr


def test_words_of_a_file_do_not_steer_the_terminal(tmp_path):
    (tmp_path / "Jenkinsfile").write_text(BAD.replace("params.X", "params.X}\x1b[31m\u202e${params.Y"))
    done = lint(tmp_path)
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout


@pytest.fixture
def controller():
    """Answers as the validator does: 200 whatever it thinks."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            assert self.path == "/jenkins/pipeline-model-converter/validate"
            length = int(self.headers["Content-Length"])
            text = parse_qs(self.rfile.read(length).decode())["jenkinsfile"][0]
            body = "Jenkinsfile successfully validated.\n"
            if "ansiColour" in text:
                line = text[: text.index("ansiColour")].count("\n") + 1
                body = (
                    "Errors encountered validating Jenkinsfile:\nWorkflowScript: "
                    f'{line}: Invalid option type "ansiColour". Valid option types: [ansiColor, timeout] @ line {line}, column 13.\n'
                    "     options { ansiColour('xterm') }\n               ^\n\n"
                )
            elif "node {" in text:
                body = "Jenkinsfile content 'node { }' did not contain the 'pipeline' step\n"
            elif "proxy" in text:
                body = "<html>please log in</html>"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/jenkins"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        (GOOD, 0, "nothing to tell"),
        (
            GOOD.replace("agent any", "agent any\n  options { ansiColour('xterm') }"),
            3,
            'Invalid option type "ansiColour". Valid',
        ),
        ("node { }\n", 0, "1 note"),
        (GOOD.replace("echo 'a'", "echo 'proxy'"), 5, "no answer that can be read"),
    ],
)
def test_the_opinion_of_a_controller(tmp_path, controller, text, code, told):
    (tmp_path / "Jenkinsfile").write_text(text)
    done = lint(tmp_path, "--server", MMCICD_JENKINS_URL=controller, HOME=str(tmp_path))
    assert done.returncode == code, done.stdout + done.stderr
    assert told in done.stdout + done.stderr
    if code == 3:
        assert "Jenkinsfile:3:13: error" in done.stdout


def test_no_controller_is_named(repository):
    done = lint(repository, "Jenkinsfile", "--server")
    assert done.returncode == 3
    assert "MMCICD_JENKINS_URL" in done.stderr
