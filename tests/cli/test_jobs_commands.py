"""`jobs` from the command line against a stand-in: what is printed where, and with which code it ends."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner
from jenkins_standin import Ask, Say, Script, Standin

from mmcicd_jenkins.cli.jobs import command
from mmcicd_jenkins.errors import MmcicdError

CONFIG = """\
models:
  churn: {train: 'true', evaluate: {command: 'true'}, gates: [accuracy >= 0.9]}
environments:
  staging: {kind: local}
  production: {kind: local, approval: {by: [alice]}}
jenkins: {folder: ml, source: {git: 'https://git.example/a.git'}}
"""


class Desk:
    def __init__(self, standin: Standin, folder: Path) -> None:
        self.standin, self.folder, self.user = standin, folder, "admin"
        (folder / "mmcicd.yaml").write_text(CONFIG)

    def __call__(self, *arguments: str, code: int = 0, **variables: str) -> SimpleNamespace:
        """Run `jobs ...` here; an error is told as `cli.report` tells it."""
        account = {
            "MMCICD_JENKINS_URL": self.standin.url,
            "MMCICD_JENKINS_USER": self.user,
            "MMCICD_JENKINS_TOKEN": self.standin.accounts[self.user],
        }
        done = CliRunner().invoke(command, arguments, env={**account, **variables}, standalone_mode=False)
        ended, told = done.return_value, done.stderr
        if isinstance(done.exception, MmcicdError):
            error = done.exception
            ended = error.exit_code
            told += "\n".join((error.what, error.where, error.why, error.fix))
        elif isinstance(done.exception, click.UsageError):
            ended = 2
        elif done.exception:
            raise done.exception
        assert ended == code, done.stdout + told
        assert self.standin.accounts[self.user] not in done.stdout + told
        return SimpleNamespace(stdout=done.stdout, stderr=told)


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Standin() as standin:
        yield Desk(standin, tmp_path)


def test_a_dry_run_shows_the_plan_and_posts_nothing(jobs) -> None:
    done = jobs("sync", "--dry-run")
    assert "create  ml/ops/churn-promote" in done.stdout
    assert done.stderr.endswith("9 to create\n")
    assert jobs.standin.count()["POST"] == 0


def test_sync_then_nothing_then_an_edit(jobs) -> None:
    assert "created  ml/ci/churn" in jobs("sync").stdout
    assert jobs("sync").stderr.endswith("9 unchanged.\n")
    assert jobs("diff").stderr == "9 unchanged\n"
    item = jobs.standin.item("ml/ops/churn-release")
    item.tree.find(".//hudson.plugins.git.BranchSpec/name").text = "refs/heads/evil"
    assert jobs("diff", "--marks").stdout == ""
    told = jobs("diff", code=3).stdout.splitlines()
    assert told[1].split()[:2] == ["change", "ml/ops/churn-release"]
    assert told[2:] == ["        - name: refs/heads/evil", "        + name: refs/heads/main"]
    document = json.loads(jobs("diff", "--json", code=3).stdout)
    (changed,) = [entry for entry in document["jobs"] if entry["do"] == "update"]
    assert changed["differences"][0]["found"] == "refs/heads/evil"
    assert "changed  ml/ops/churn-release" in jobs("sync", "--deep").stdout


def test_a_job_of_somebody_else_is_told_with_the_way_out(jobs) -> None:
    jobs("sync")
    description = jobs.standin.item("ml/ops/churn-promote").tree.find("description")
    description.text = "mine"
    done = jobs("sync", code=3)
    assert "refuse  ml/ops/churn-promote" in done.stdout
    assert "--adopt" in done.stdout
    jobs("sync", "--adopt")
    jobs("sync")


def test_a_missing_plugin_is_told_before_and_after(jobs) -> None:
    jobs.standin.items.plugins -= {"matrix-auth"}
    done = jobs("sync")
    assert "matrix-auth is not there" in done.stderr
    jobs.standin.items.plugins |= {"matrix-auth"}
    assert "ml/ops" in jobs("sync").stdout


def test_what_jenkins_dropped_is_an_outside_failure(jobs) -> None:
    jobs.standin.faults["/pluginManager/api/json"] = [403]
    jobs.standin.items.plugins -= {"matrix-auth"}
    done = jobs("sync", code=5)
    assert "Jenkins did not keep" in done.stderr
    assert "the plugin matrix-auth is missing" in done.stderr


def test_prune_shows_first_and_asks(jobs) -> None:
    jobs("sync")
    (jobs.folder / "mmcicd.yaml").write_text(CONFIG.replace("churn", "fraud"))
    jobs("sync")
    assert "ml/ops/churn-promote" in jobs("prune", "--dry-run").stdout
    assert "nobody answers here" in jobs("prune", code=2).stderr
    assert "churn-promote" in jobs.standin.item("ml/ops").children
    assert "deleted 5" in jobs("prune", "--yes").stderr
    assert "churn-promote" not in jobs.standin.item("ml/ops").children
    assert "Nothing to delete." in jobs("prune").stderr


def test_a_repository_that_is_not_here_is_read_from_its_address(jobs, tmp_path_factory) -> None:
    other = tmp_path_factory.mktemp("other")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@localhost", "-C", str(other)]
    (other / "mmcicd.yaml").write_text(CONFIG.replace(", source: {git: 'https://git.example/a.git'}", ""))
    for arguments in (["init", "-qb", "trunk"], ["add", "-A"], ["commit", "-qm", "All"]):
        subprocess.run([*git, *arguments], check=True)
    address = f"file://{other}"
    jobs("sync", "--repo", address)
    assert jobs.standin.item("ml/ci/churn").tree.findtext(".//remote") == address
    assert (
        "a password stands in the address" in jobs("sync", "--repo", "https://a:b@x.invalid/y", code=3).stderr
    )
    assert f"{address}/nothing" in jobs("sync", "--repo", f"{address}/nothing", code=5).stderr


@pytest.mark.parametrize(
    ("variables", "code", "words"),
    [({"MMCICD_JENKINS_TOKEN": "11wrong"}, 5, "does not know admin"), ({"MMCICD_JENKINS_TOKEN": ""}, 3, "is not"),
     ({"MMCICD_JENKINS_URL": "http://127.0.0.1:1/"}, 5, "cannot be reached"),
     ({"MMCICD_JENKINS_URL": "ftp://x"}, 3, "not the address of a Jenkins")],
)  # fmt: skip
def test_no_way_in_is_told_as_what_it_is(jobs, variables, code, words) -> None:
    assert words in jobs("sync", code=code, **variables).stderr


def test_without_a_section_for_jenkins_it_says_what_to_write(jobs) -> None:
    (jobs.folder / "mmcicd.yaml").write_text(CONFIG.rpartition("jenkins:")[0])
    assert "jenkins: {source: {git: URL}}" in jobs("sync", code=3).stderr


# --- run


def stage(name: str) -> Say:
    return Say(f"[Pipeline] stage\n[Pipeline] {{ ({name})\n[Pipeline] }}\n[Pipeline] // stage\n")


ASK = Ask(
    "Promote",
    "churn to production?",
    "alice",
    {"VERSION": ["8 | recall 0.83", "none | keep 7"], "REASON": ""},
)


def test_a_promotion_is_started_answered_and_ends_with_its_outcome(jobs) -> None:
    jobs("sync")
    item = jobs.standin.item("ml/ops/churn-promote")
    item.script = Script(
        [stage("Plan"), ASK, stage("Promote")], description="production 7 -> 8, approved by alice"
    )
    jobs.user = "alice"
    done = jobs("run", "promote", "--version", "8", "--reason", "better", "--approve")
    assert done.stderr.splitlines()[0] == "ml/ops/churn-promote #1"
    assert "  answered: VERSION=8 | recall 0.83, REASON=better" in done.stderr
    assert done.stderr.endswith("passed: production 7 -> 8, approved by alice\n")
    assert item.builds[1].parameters == {"VERSION": "8", "REASON": "better"}
    document = json.loads(jobs("run", "promote", "--answer", "none", "--reason", "no", "--json").stdout)
    assert (document["build"], document["result"], document["exit_code"]) == (2, "SUCCESS", 0)


def test_an_approval_is_shown_with_the_line_that_answers_it(jobs) -> None:
    jobs("sync")
    item = jobs.standin.item("ml/ops/churn-promote")
    item.script = Script([ASK])
    assert jobs("run", "promote", "--no-wait").stdout == "ml/ops/churn-promote #1\n"
    done = jobs("run", "promote", "--build", "1", "--answer", "8", "--reason", "x", code=3)
    assert "You need to be alice" in done.stderr
    jobs.user = "alice"
    assert "aborted" in jobs("run", "promote", "--build", "1", "--refuse", code=130).stderr


@pytest.mark.parametrize(
    ("result", "log", "code", "word"),
    [("UNSTABLE", "", 4, "refused"), ("NOT_BUILT", "", 75, "superseded"), ("ABORTED", "", 130, "aborted"),
     ("FAILURE", "ERROR: exit code 7; the log says what\n", 7, "failed"),
     ("FAILURE", "ERROR: release #4: exit code 7; the log says what\n", 7, "failed"), ("FAILURE", "java.lang.Error\n", 5, "failed")],
)  # fmt: skip
def test_an_outcome_is_the_exit_code(jobs, result, log, code, word) -> None:
    jobs("sync")
    jobs.standin.item("ml/ops/churn-rollback").script = Script([Say(log)], result, "what it says")
    done = jobs("run", "rollback", "--reason", "odd", code=code)
    assert f"{word}: what it says" in done.stderr
    if word == "failed":
        assert log.strip() in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["ci", "--version", "8"], ["rollback", "--approve"], ["promote", "--approve", "--refuse"], ["promote", "--branch", "x"],
     ["ci", "--model", "nobody"], ["deploy"]],
)  # fmt: skip
def test_options_that_mean_nothing_are_refused(jobs, arguments) -> None:
    jobs("run", *arguments, code=2)
    assert jobs.standin.requests == []
