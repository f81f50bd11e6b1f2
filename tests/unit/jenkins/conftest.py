"""Configurations and a stand-in controller for the tests of jobs."""

from pathlib import Path

import pytest
from jenkins_standin import Standin

from mmcicd_jenkins.config.load import load_config

MODEL = "{train: 'true', evaluate: {command: 'true'}, gates: [accuracy >= 0.9]}"


@pytest.fixture
def make_config(tmp_path: Path):
    """`make_config(models=("a",), **keys)` with what stands in the section jenkins."""

    def make(
        *models: str, jenkins: str = "folder: ml, source: {git: 'https://git.example/a.git'}", more: str = ""
    ):
        listed = "".join(f"  {name}: {MODEL}\n" for name in models or ("churn",))
        (tmp_path / "mmcicd.yaml").write_text(
            f"models:\n{listed}"
            "environments:\n  staging: {kind: local}\n"
            "  production: {kind: local, approval: {by: [ml-approvers]}, rollback: {by: [ml-oncall]}}\n"
            f"jenkins: {{{jenkins}}}\n{more}"
        )
        return load_config(tmp_path, environ={})

    return make


@pytest.fixture
def standin():
    with Standin() as server:
        yield server
