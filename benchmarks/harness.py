"""What every benchmark shares: alternating runs of two commands, their times and peak memory, one object at the end.

Both contenders are child processes of one parent, run turn by turn on the same bytes, so that what disturbs the
machine disturbs both. This module imports nothing heavy: on Linux a child's peak memory is never less than what
its parent had when it started it.

Our package is byte-compiled first, as pip does when it installs a wheel and as it did with every peer. From a
checkout with PYTHONDONTWRITEBYTECODE set, Python would otherwise compile it anew at each start, and only ours.
"""

import argparse
import compileall
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

# What a benchmark ends with that cannot run here: neither a success nor a failure.
SKIPPED = 77

_PACKAGE = Path(__file__).parents[1] / "mmcicd_jenkins"


@dataclass(frozen=True, kw_only=True)
class Contender:
    """`command(run)` is what to run the given time; outside the clock `prepare(run)` goes before it, and `clean(run)`
    removes what it left.
    """

    name: str
    version: str
    command: Callable[[int], Sequence[str]]
    prepare: Callable[[int], None] = lambda _: None
    clean: Callable[[int], None] = lambda _: None


@dataclass(kw_only=True)
class Samples:
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    peak_rss_mb: list[float] = field(default_factory=list)

    def to_json(self, contender: Contender) -> dict[str, object]:
        return {
            "name": contender.name,
            "version": contender.version,
            "median_s": round(statistics.median(self.seconds), 4),
            "min_s": round(min(self.seconds), 4),
            "max_s": round(max(self.seconds), 4),
            "median_cpu_s": round(statistics.median(self.cpu_seconds), 4),
            "peak_rss_mb": round(max(self.peak_rss_mb), 1),
        }


def measure(command: Sequence[str]) -> tuple[float, float, float]:
    """Seconds, seconds of processor time with its children's, and peak memory in MB without theirs, of a command.

    Raises:
        SystemExit: it failed; a benchmark of something broken is worth nothing.
    """
    begin = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def alternate(contenders: Sequence[Contender], runs: int) -> list[Samples]:
    """Run each contender `runs` times, turn by turn, after one round that does not count."""
    compileall.compile_dir(_PACKAGE, quiet=1)
    samples = [Samples() for _ in contenders]
    for run in range(runs + 1):
        for contender, kept in zip(contenders, samples, strict=True):
            contender.prepare(run)
            seconds, cpu_seconds, peak = measure(contender.command(run))
            contender.clean(run)
            if run:
                kept.seconds.append(seconds)
                kept.cpu_seconds.append(cpu_seconds)
                kept.peak_rss_mb.append(peak)
    return samples


def ratio_of(ours: Samples, peer: Samples) -> float:
    return round(statistics.median(ours.seconds) / statistics.median(peer.seconds), 3)


def cpu_ratio_of(ours: Samples, peer: Samples) -> float:
    """Of processor time: what else runs on the machine lengthens both, and a disk that is busy neither."""
    return round(statistics.median(ours.cpu_seconds) / statistics.median(peer.cpu_seconds), 3)


def python_version() -> str:
    return f"Python {platform.python_version()}"


def our_version() -> str:
    return importlib.metadata.version("mmcicd-jenkins")


def tell(result: dict[str, object], as_json: bool) -> None:
    """Print the one object, or one line for a person."""
    if as_json:
        print(json.dumps(result, indent=2))
        return
    verdict = "met" if result["met"] else "missed"
    print(
        f"{result['name']}: {result['what']}, {result['size']}: ratio {result['ratio']} ({result['goal']}): {verdict}"
    )
    for other in result.get("others", ()):
        met = "met" if other["met"] else "missed"
        print(f"  against {other['peer']['name']}: ratio {other['ratio']} ({other['goal']}): {met}")


def skip(sentence: str) -> NoReturn:
    """End without a result: this machine lacks something, and the sentence says what and how to get it."""
    print(f"skipped: {sentence}", file=sys.stderr)
    raise SystemExit(SKIPPED)


def options(what: str, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """`--smoke` shows that it runs, `--json` prints the object, `--runs` counts rounds, `--folder` is where to work."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=None)
    return parser.parse_args(sys.argv[1:] if arguments is None else arguments)
