"""All cases of `scored_models.py`, scored once for the whole session."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("scored_models.py")


@pytest.fixture(scope="session")
def scored(tmp_path_factory):
    root = tmp_path_factory.mktemp("scored")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(root)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return root
