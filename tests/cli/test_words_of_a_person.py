"""What a person in a hurry types and reads: a stage's name as a command, a hand-written configuration, odd parameters."""

import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.generate import command as generate

CONFIG = """\
models:
  sums:
    data: {numbers: {url: numbers.csv, label: y, test_size: 0.2}}
    train: ./train.sh
    evaluate: regression
    gates: [rmse <= 3]
"""


def test_a_stage_typed_as_a_command_is_shown_the_way() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mmcicd_jenkins", "monitor"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "mmcicd-jenkins stage monitor" in done.stderr


def test_a_table_has_one_line_for_each_row() -> None:
    lines = report.table([("a", "one\n two"), ("b", "three")]).splitlines()
    assert lines == ["a  one two", "b  three"]


def test_generate_on_a_configuration_written_by_hand_tells_the_lock_and_what_is_next(tmp_path: Path) -> None:
    (tmp_path / "mmcicd.yaml").write_text(CONFIG)
    (tmp_path / "train.sh").write_text("#!/bin/sh\n")
    (tmp_path / "numbers.csv").write_text("x,y\n" + "".join(f"{n},{n}\n" for n in range(50)))
    first = CliRunner().invoke(generate, [str(tmp_path)], standalone_mode=False)
    assert "wrote    mmcicd.lock" in first.output
    assert "git add -A && git commit" in first.output
    again = CliRunner().invoke(generate, [str(tmp_path)], standalone_mode=False)
    assert again.output == "Everything is up to date.\n"
