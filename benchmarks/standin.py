"""A controller to benchmark against: the stand-in of the tests in a process of its own, and who sent it how much.

It keeps jobs in memory and answers at once, so what is measured is the tool, not Jenkins.
"""

import base64
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER, TOKEN = "admin", "11aa"
_SUPPORT = Path(__file__).parents[1] / "tests" / "support"


@contextmanager
def controller() -> Iterator[str]:
    """The address of a controller that lives as long as the block."""
    variables = {**os.environ, "PYTHONPATH": str(_SUPPORT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "jenkins_standin"], stdout=subprocess.PIPE, text=True, env=variables
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def requests_until_now(url: str) -> int:
    """How many requests the controller had; counting is none."""
    with urllib.request.urlopen(f"{url}standin/requests") as answer:
        return int(json.load(answer)["requests"])


def forget_all(url: str) -> None:
    urllib.request.urlopen(urllib.request.Request(f"{url}standin/forget", method="POST")).close()


def make_folders(url: str, *paths: str) -> None:
    login = base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
    for path in paths:
        above, _, name = path.rpartition("/")
        place = "".join(f"job/{part}/" for part in above.split("/") if part)
        request = urllib.request.Request(
            f"{url}{place}createItem?name={name}",
            data=b"<com.cloudbees.hudson.plugins.folder.Folder/>",
            headers={"Authorization": f"Basic {login}", "Content-Type": "application/xml"},
        )
        urllib.request.urlopen(request).close()
