"""The evaluator end to end: the model's own Python, and what becomes of its end."""

import os
import stat
import sys
from pathlib import Path

import pytest

from mmcicd_jenkins.adapters.commands import ShellCommands
from mmcicd_jenkins.adapters.evaluator import TensorflowEvaluator
from mmcicd_jenkins.errors import CommandFailed, InputError, OutsideFailed
from mmcicd_jenkins.ports import PythonEnvironment, ScoreRequest
from mmcicd_jenkins.reports.measuring import measure


def request(root, model="one", columns=("a", "b", "c"), **other):
    return ScoreRequest(
        **{
            "model": root / model,
            "table": root / "good.csv",
            "columns": columns,
            "label": "y",
            "slices": ("colour",),
            "problem": "binary",
            "signature": "serving_default",
            "output": "",
            "threshold": 0.5,
            "batch_size": 2,
            "classes": ("0", "1"),
            **other,
        }
    )


def environment(python=sys.executable):
    return PythonEnvironment(digest="", python=str(python), variables={})


def program(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return environment(path)


@pytest.fixture
def evaluator():
    return TensorflowEvaluator(ShellCommands(), measure)


@pytest.mark.tensorflow
def test_scores_become_measures(evaluator, scored, tmp_path):
    found = evaluator.score(request(scored), environment(), tmp_path / "$(touch evil); 'out'")
    assert found.measures.overall["accuracy"].samples == 3
    assert set(found.measures.slices["colour"]) == {"red", "blue"}
    assert found.reference["output"] == "score"
    assert len(found.golden["instances"]) == 3
    assert found.report["inputs"] == {"x": ["a", "b", "c"]}
    assert not (tmp_path / "evil").exists()


@pytest.mark.tensorflow
def test_a_model_that_does_not_load_is_the_teams_failure(evaluator, scored, tmp_path):
    with pytest.raises(CommandFailed, match="does not load") as caught:
        evaluator.score(request(scored, model="broken"), environment(), tmp_path)
    assert caught.value.exit_code == 8
    assert "model.export" in caught.value.fix


def answering(document):
    """A program that writes `document` where the request asks for the result."""
    return (
        f'result=$({sys.executable} -c \'import json,sys; print(json.load(open(sys.argv[1]))["result"])\' "$3")\n'
        f"cat > \"$result\" <<'END'\n{document}\nEND"
    )


def test_an_error_of_the_table_is_an_input_error(evaluator, tmp_path):
    told = '{"error": {"kind": "input", "what": "no", "where": "t.csv:3", "why": "w", "fix": "f"}}'
    fake = program(tmp_path / "python", answering(told))
    with pytest.raises(InputError) as caught:
        evaluator.score(request(tmp_path), fake, tmp_path / "out")
    assert (caught.value.what, caught.value.where, caught.value.fix) == ("no", "t.csv:3", "f")


def test_killed_means_most_often_out_of_memory(evaluator, tmp_path):
    with pytest.raises(CommandFailed) as caught:
        evaluator.score(request(tmp_path), program(tmp_path / "python", "kill -9 $$"), tmp_path / "out")
    assert "memory" in caught.value.why
    assert "batch_size (now 2)" in caught.value.fix


def test_a_crash_shows_the_last_lines_and_the_log(evaluator, tmp_path):
    fake = program(tmp_path / "python", "echo Segmentation in libfoo >&2; kill -SEGV $$")
    with pytest.raises(CommandFailed) as caught:
        evaluator.score(request(tmp_path), fake, tmp_path / "out")
    assert "signal 11" in caught.value.why
    assert any("libfoo" in line for line in caught.value.last_lines)
    assert Path(caught.value.where).is_file()


@pytest.mark.parametrize("text", ["exit 3", "exit 0"])
def test_no_result_is_a_failure_whatever_the_status(evaluator, tmp_path, text):
    with pytest.raises(CommandFailed, match="crashed"):
        evaluator.score(request(tmp_path), program(tmp_path / "python", text), tmp_path / "out")


def test_an_older_result_is_not_mistaken_for_a_new_one(evaluator, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "scored.json").write_text('{"result": {}}')
    with pytest.raises(CommandFailed):
        evaluator.score(request(tmp_path), program(tmp_path / "python", "exit 0"), out)


def test_a_python_that_is_not_there_is_an_outside_failure(evaluator, tmp_path):
    with pytest.raises(OutsideFailed, match="cannot be started"):
        evaluator.score(request(tmp_path), environment(tmp_path / "nowhere"), tmp_path / "out")


def test_the_model_sees_no_credentials(evaluator, tmp_path, monkeypatch):
    monkeypatch.setenv("LEDGER_TOKEN", "secret-of-the-ledger")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-store")
    with pytest.raises(CommandFailed):
        evaluator.score(
            request(tmp_path), program(tmp_path / "python", f"env > {tmp_path}/seen"), tmp_path / "out"
        )
    seen = (tmp_path / "seen").read_text()
    assert "secret" not in seen
    assert f"PATH={os.environ['PATH']}" in seen
