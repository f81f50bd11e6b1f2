"""The program `store_all` in folders of its own: started, awaited, and what it left behind."""

import os
import resource
import subprocess
import sys
from pathlib import Path

from folders import SAVED_MODEL, read_folder

PROGRAM = Path(__file__).with_name("store_all.py")
MODEL = SAVED_MODEL | {"variables/weights": bytes(range(256)) * 20_000}


def start(folder, model, limit=None, **variables):
    return subprocess.Popen(
        [sys.executable, PROGRAM, folder / "store", model, folder / "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"MMCICD_TESTING": "1"} | variables,
        preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))) if limit else None,  # noqa: PLW1509
    )


def finish(process):
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err, err
    return process.returncode, out.strip()


def state(folder):
    """All that another run, tool or person can see; the cache and the lock are not part of it."""
    found = read_folder(folder)
    return {path: data for path, data in found.items() if not path.startswith("store/.mmcicd/layers/")}
