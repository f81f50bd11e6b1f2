"""`convert` from a terminal: what it refuses and how it says so. `tests/unit/work/test_convert.py` converts."""

import json
import pickle
import subprocess
import sys
from pathlib import Path


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mmcicd_jenkins", "convert", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_help_has_an_example_and_loads_no_tensorflow() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    assert "Example: mmcicd-jenkins convert frozen.pb" in shown.stdout


def test_what_the_file_is_stands_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(pickle.dumps([1.0]))
    refused = run(tmp_path / "model.keras", tmp_path / "target")
    assert (refused.returncode, refused.stdout) == (3, "")
    assert "this is a Python pickle, as scikit-learn writes it; it cannot be converted" in refused.stderr
    told = json.loads(run(tmp_path / "absent.pb", tmp_path / "target", "--json").stdout)
    assert (told["error"], told["exit_code"]) == ("there is no such file", 3)
    assert not (tmp_path / "target").exists()


def test_an_input_without_a_tensor_is_wrong_usage(tmp_path: Path) -> None:
    refused = run(tmp_path / "graph.pb", tmp_path / "target", "--input", "=x:0")
    assert refused.returncode == 2
    assert "'=x:0' names no tensor" in refused.stderr
