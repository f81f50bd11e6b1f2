"""A model that does more than compute: refused where it was trained, and again where it is released, whoever trained it."""

import json
import shutil

import pytest
from graph_bytes import meta, model, node
from paper import MODEL, commit, git, make_repository, on_paper
from test_killed_anywhere import drive, end_state, update_lock

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.stages import run_stage, scoring
from mmcicd_jenkins.wiring import open_bench

EVIL = model(meta([node("x", "Placeholder"), node("y", "ReadFile", "x")], signatures={
    "serving_default": ({"x": "x:0"}, {"y": "y:0"}),
}))  # fmt: skip


@pytest.fixture
def base(tmp_path):
    base = tmp_path / "base"
    make_repository(base / "repo")
    update_lock(base)
    commit(base / "repo", "begin")
    return base


@pytest.fixture
def evil(tmp_path):
    folder = tmp_path / "evil"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(EVIL)
    return folder


def allow(base, *operations):
    path = base / "repo" / "mmcicd.yaml"
    path.write_text(path.read_text() + f"    serving: {{allow_ops: [{', '.join(operations)}]}}\n")
    git(base / "repo", "commit", "-qam", "allow")


def test_training_ends_with_the_operation_its_node_and_what_to_do(base, evil):
    done = drive(base, "train", MODEL_FIXTURE=str(evil))
    assert done.returncode == 3
    told = json.loads(done.stderr.splitlines()[-1])
    assert "operation ReadFile" in told["error"]
    assert "node y" in told["where"]
    assert "reads a file" in told["why"]
    assert "models.double.serving.allow_ops: [ReadFile]" in told["fix"]


def test_what_the_team_allows_goes_on(base, evil):
    allow(base, "ReadFile")
    done = drive(base, "train", MODEL_FIXTURE=str(evil))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["assets/vectorizer.pkl", "model.keras"])
def test_files_that_run_are_named(base, tmp_path, name):
    folder = tmp_path / "with-files"
    shutil.copytree(MODEL, folder)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"x")
    done = drive(base, "train", MODEL_FIXTURE=str(folder))
    assert done.returncode == 3
    assert name in done.stderr
    assert "MMCICD_MODEL_DIR" in done.stderr


def test_what_ci_stored_is_looked_at_again_before_it_is_evaluated(base, evil):
    """As when a branch put a run under main's name: the side that releases goes by its own rules."""
    allow(base, "ReadFile")
    assert drive(base, "train", MODEL_FIXTURE=str(evil)).returncode == 0
    # The run is found by what went into it, and what may serve does not go into it.
    git(base / "repo", "revert", "--no-edit", "HEAD")
    assert drive(base, "train", MODEL_FIXTURE=str(evil)).returncode == 0
    done = drive(base, "evaluate")
    assert done.returncode == 3
    assert "ReadFile" in done.stderr


def test_an_evaluated_model_is_looked_at_again_before_it_becomes_an_image(base, evil, monkeypatch):
    allow(base, "ReadFile")
    shutil.copytree(MODEL, evil, dirs_exist_ok=True, ignore=shutil.ignore_patterns("saved_model.pb"))
    for step in ("train", "evaluate"):
        done = drive(base, step, MODEL_FIXTURE=str(evil))
        assert done.returncode == 0, done.stderr
    git(base / "repo", "revert", "--no-edit", "HEAD")
    monkeypatch.setenv("XDG_CACHE_HOME", str(base / "cache"))
    bench = open_bench(base / "repo")
    ports = on_paper(bench)
    job = bench.job("double")
    assert scoring.find_scored(job, ports, run_digest(job, ports)) is not None
    with pytest.raises(InputError, match="ReadFile"):
        run_stage("package", job, ports)
    assert not [tag for tag in end_state(base)["tags"] if tag.startswith("double-")]


def run_digest(job, ports):
    from mmcicd_jenkins.stages.identity import identify

    return str(identify(job, ports).trained("double").document["model_digest"])
