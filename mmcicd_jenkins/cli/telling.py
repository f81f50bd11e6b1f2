"""How outcomes, durations and times are told on a terminal of 80 columns."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mmcicd_jenkins.cli import report
from mmcicd_jenkins.errors import Interrupted, MmcicdError, Terminated
from mmcicd_jenkins.stages.context import Outcome

if TYPE_CHECKING:
    from mmcicd_jenkins.wiring import Bench

# The column in which durations end.
WIDTH = 78


def duration(seconds: float) -> str:
    """`0.4 s`, `44 s`, `1 m 36 s`, `2 h 5 m`."""
    if seconds < 1:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} m"


def stage_line(outcome: Outcome, seconds: float, columns: int | None = None) -> str:
    """`  train     20 epochs, val_auc 0.868        44 s`; a log has one line for it, a screen of `columns` maybe more."""
    left = f"  {outcome.stage:<9} " + " ".join(outcome.sentence.split())
    right = duration(seconds)
    width = WIDTH if columns is None else max(40, min(WIDTH, columns - 2))
    if columns is not None and len(left) + 2 + len(right) > columns:
        import textwrap  # on a terminal alone

        room = width - 2 - len(right)
        left = textwrap.fill(left, room, subsequent_indent=" " * 12, break_on_hyphens=False)
    last = len(left.rpartition("\n")[2])
    return left + " " * max(2, width - last - len(right)) + right


def say_next(text: str) -> None:
    report.say(f"Next: {text}")


def moment(iso: str) -> str:
    """`2026-11-24 08:20` of an ISO time."""
    return iso[:16].replace("T", " ")


@contextlib.contextmanager
def own_or_shared(bench: "Bench", environment: str) -> Iterator[None]:
    """Who means the cluster and forgot to say so must not believe that nothing serves there."""
    try:
        yield
    except (Interrupted, Terminated):
        raise
    except MmcicdError as e:
        if environment in bench.replaced:
            hint = f"this is {environment} of this machine; for the cluster of mmcicd.yaml: the same command with --shared"
            e.fix = "; ".join(filter(None, [hint, e.fix]))
        raise
