"""An error that quotes a secret of the environment shows three stars, for people and as JSON."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = """\
models:
  m:
    data: {numbers: {url: numbers.csv, label: y, test_size: 0.4}}
    train: {command: "true", requirements: ""}
    evaluate: {command: "true"}
    gates: [accuracy >= 0.5]
"""


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_what_is_secret_here_is_not_shown(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "mmcicd.yaml").write_text(CONFIG)
    done = subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "history", "--model", "s3cret-word", *options],
        cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "X_PASSWORD": "s3cret-word"}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode != 0
    assert "s3cret-word" not in done.stdout + done.stderr
    assert "***" in done.stdout + done.stderr
    if options:
        assert json.loads(done.stdout)["exit_code"] == done.returncode
