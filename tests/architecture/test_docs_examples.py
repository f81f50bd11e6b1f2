"""Examples in the documentation work: configurations load, documents are accepted, scripts run."""

import importlib
import json
import os
import re
import subprocess
import sys

import pytest
import yaml
from markdown_pages import ROOT, fences, page

from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.config.places import script_of
from mmcicd_jenkins.errors import MmcicdError
from mmcicd_jenkins.reports.metrics_file import read_metrics_file


def test_configurations_load(tmp_path):
    shown = [f for f in fences("yaml") if "models" in (yaml.safe_load(f.text) or {})]

    def check(fence):
        root = tmp_path / re.sub(r"\W", "-", fence.place)
        make_files_of(yaml.safe_load(fence.text), root)
        (root / "mmcicd.yaml").write_text(fence.text)
        load_config(root, environ={})

    assert shown
    assert not mistakes(check, shown)


def mistakes(check, shown):
    wrong = []
    for fence in shown:
        try:
            check(fence)
        except MmcicdError as e:
            wrong.append(f"{fence.place}: {e.what}, {e.where}")
    return "\n".join(wrong)


def make_files_of(document, root):
    """The files that a configuration names, empty."""
    for model in document["models"].values():
        folder = root / model.get("path", ".")
        train = model["train"] if isinstance(model["train"], dict) else {"command": model["train"]}
        names = [folder / (script_of(train["command"]) or "any"), root / (train.get("requirements") or "any")]
        sources = model.get("data", {}).values()
        names += [root / s["schema"] for s in sources if isinstance(s, dict) and "schema" in s]
        for name in names:
            name.parent.mkdir(parents=True, exist_ok=True)
            name.touch()


def test_other_yaml_and_json_can_be_read():
    for fence in fences("yaml"):
        yaml.safe_load(fence.text)
    for fence in fences("json"):
        json.loads(fence.text)


def test_metrics_files_are_accepted(tmp_path):
    shown = [
        f
        for f in page("docs/howto/evaluate-your-own-way.md").fences
        if f.language == "json" and '"samples"' in f.text
    ]
    file = tmp_path / "metrics.json"

    for fence in shown:
        file.write_text(fence.text)
        assert read_metrics_file(file).overall, fence.place


def test_scripts_have_no_syntax_errors():
    for fence in fences("python"):
        compile(fence.text, fence.place, "exec")
    for fence in fences("sh"):
        done = subprocess.run(["sh", "-n"], input=fence.text, text=True, capture_output=True, check=False)
        assert not done.returncode, f"{fence.place}: {done.stderr}"


def test_examples_of_the_python_api_run(tmp_path, monkeypatch):
    sys.path.insert(0, str(ROOT / "tests" / "system"))
    paper = importlib.import_module("paper")
    root = paper.make_repository(tmp_path / "double")
    monkeypatch.chdir(root)
    monkeypatch.setenv("MODEL_FIXTURE", str(paper.MODEL))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lock = [sys.executable, "-m", "mmcicd_jenkins", "data", "update"]
    subprocess.run(lock, check=True, capture_output=True)
    paper.commit(root)
    names = {}

    for fence in page("docs/howto/python-api.md").fences:
        if fence.language == "python":
            exec(compile("\n" * (fence.line - 1) + fence.text, fence.page.name, "exec"), names)  # noqa: S102  our own page


@pytest.mark.tensorflow
@pytest.mark.parametrize("number", [0, 1])
def test_train_scripts_of_the_guide_train(number, tmp_path):
    script = [f for f in page("docs/howto/write-a-train-script.md").fences if f.language == "python"][number]
    data, model, metrics = tmp_path / "data" / "points", tmp_path / "model", tmp_path / "metrics.jsonl"
    data.mkdir(parents=True)
    (data / "train.csv").write_text("x1,x2,label\n" + "".join(f"{x},{x % 7},{x % 2}\n" for x in range(64)))
    (tmp_path / "params.json").write_text('{"epochs": 2}')
    variables = {
        "MMCICD_DATA_DIR": str(data.parent),
        "MMCICD_MODEL_DIR": str(model),
        "MMCICD_PARAMS": str(tmp_path / "params.json"),
        "MMCICD_CHECKPOINT_DIR": str(tmp_path / "checkpoints"),
        "MMCICD_METRICS": str(metrics),
        "MMCICD_SEED": "7",
    }

    subprocess.run(
        [sys.executable, "-c", script.text], env={**os.environ, **variables}, check=True, capture_output=True
    )

    assert (model / "saved_model.pb").is_file()
    assert [json.loads(line)["epoch"] for line in metrics.read_text().splitlines()] == [1, 2]


def test_public_names_are_documented():
    import mmcicd_jenkins

    text = page("docs/howto/python-api.md").text
    assert not [
        name for name in mmcicd_jenkins.__all__ if f"`{name}`" not in text and f"`{name}(" not in text
    ]
    assert all(getattr(mmcicd_jenkins, name) for name in mmcicd_jenkins.__all__)
