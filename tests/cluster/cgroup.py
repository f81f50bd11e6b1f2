"""Our control group: who is in it is ours, and what is ours can be found and ended without any list of pids.

A daemon enters its own group before it becomes itself, so neither a kill at any moment nor a lost file leaves one
that is not found again. Containers get theirs from the kubelet, below the same one.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from place import NAME, Trouble


@cache
def hierarchies() -> tuple[Path, ...]:
    """Every mounted hierarchy that we make a group in; the first one is where our processes are counted."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    unified = [Path(m[1]) for m in mounts if m[2] == "cgroup2"]
    whole = [
        p for p in unified if {"cpu", "memory", "pids"} <= set((p / "cgroup.controllers").read_text().split())
    ]
    if whole:
        return (whole[0],)
    first = {Path(m[1]): m[3].split(",") for m in mounts if m[2] == "cgroup"}
    counting = [place for place, options in first.items() if "pids" in options]
    if not counting:
        raise Trouble(
            "This machine has no control groups that count processes; without them no node can run."
        )
    # What the newer kind is left with on such a machine, containers enter as well.
    return (counting[0], *(place for place in (*first, *unified) if place != counting[0]))


def ours() -> Path:
    return hierarchies()[0] / NAME


def make() -> None:
    for place in hierarchies():
        (place / NAME).mkdir(exist_ok=True)


def members(group: Path) -> Iterator[int]:
    for listed in sorted(group.rglob("cgroup.procs")):
        # A container may end between the two.
        with contextlib.suppress(OSError):
            yield from map(int, listed.read_text().split())


def words(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    return []


def find(part: str) -> int | None:
    """The daemon of this name, if it runs."""
    for pid in members(ours() / part):
        if Path((words(pid) or [""])[0]).name == part:
            return pid
    return None


def start(part: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
    group = ours() / part
    group.mkdir(exist_ok=True)
    entry = group / "cgroup.procs"

    def enter() -> None:
        entry.write_text(str(os.getpid()))

    with log.open("ab") as output:
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
            env=environment,
            preexec_fn=enter,  # noqa: PLW1509 - this program has one thread
        )


def kill_all() -> None:
    """End everything in our group, containers included, at once."""
    end = time.monotonic() + 30
    while left := list(members(ours())):
        if time.monotonic() > end:
            raise Trouble(f"These processes of the cluster do not end: {', '.join(map(str, left))}.")
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def remove() -> None:
    for place in hierarchies():
        group = place / NAME
        for folder in sorted((f for f in group.rglob("*") if f.is_dir()), reverse=True):
            _remove(folder)
        if group.exists():
            _remove(group)


def _remove(group: Path) -> None:
    """A group is busy for some moments after its last process was killed."""
    end = time.monotonic() + 10
    while True:
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return
