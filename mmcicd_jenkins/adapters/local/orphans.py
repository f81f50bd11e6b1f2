"""A server whose state directory was deleted while it ran: it serves on, but nothing can reach it through its files.

The kernel still knows it: it holds the deleted lock open. Found through /proc, so on Linux; elsewhere there is none
to be found, and its ports stay taken until a person ends it.
"""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from mmcicd_jenkins.release.desired import LOCK

POLL_SECONDS = 0.05


def find_orphan(root: Path) -> int | None:
    """The process that serves for `root` although `root` was deleted, None when there is none of ours."""
    held = f"{os.path.realpath(root)}/{LOCK} (deleted)"
    for process in Path("/proc").glob("[0-9]*"):
        # Another user's process, or one that ended meanwhile.
        with suppress(OSError):
            if any(str(link.readlink()) == held for link in (process / "fd").iterdir()):
                return int(process.name)
    return None


def end_orphan(pid: int, drain_seconds: float) -> None:
    """First politely, so that requests are answered."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + drain_seconds
        while time.monotonic() < deadline and _lives(pid):
            time.sleep(POLL_SECONDS)


def _lives(pid: int) -> bool:
    """Whether it runs; one that ended but that its parent has not collected holds nothing any more."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except (OSError, IndexError):
        return False
