"""`demo`: the guided tour, on a repository of its own in a temporary folder, by the commands that a user types.

Everything that is shown is done: the tour runs this same command line in subprocesses, a client asks production
all the time, and the numbers at the end are that client's.
"""

import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

import click

from mmcicd_jenkins.cli import demo_edits as edits
from mmcicd_jenkins.cli import report
from mmcicd_jenkins.cli.demo_tour import Tour
from mmcicd_jenkins.errors import OutsideFailed, Terminated, UsageError
from mmcicd_jenkins.wiring import cache_folder

MODEL = "digits"


@click.command(
    epilog="Example: mmcicd-jenkins demo",
    help="The guided tour: a model from a git commit to production, a worse one refused, a better one promoted, "
    "a rollback, and a bad one that monitoring takes back. Needs git; makes a folder of its own and stops "
    "its servers at the end.",
)
@click.option("--dir", "directory", type=click.Path(path_type=Path), help="An empty folder to work in.")
@click.option("--keep", is_flag=True, help="Leave the servers running.")
def command(directory: Path | None, keep: bool) -> int:
    if shutil.which("git") is None:
        raise OutsideFailed("the tour needs git", fix="install git (Debian: apt-get install git)")
    if directory is not None and directory.exists() and not _is_empty(directory):
        raise UsageError(
            "the tour needs an empty folder of its own",
            where=str(directory),
            fix="name a new one, or leave --dir out",
        )
    folder = directory.absolute() if directory else Path(tempfile.mkdtemp(prefix="mmcicd-demo-"))
    tour = Tour(folder / MODEL, MODEL)
    try:
        for chapter in (_first_model, _worse_model, _better_model, _roll_back, _bad_in_the_wild):
            chapter(tour)
        tour.stop_client()
        return _summary(tour, keep=keep, ours=directory is None)
    except (KeyboardInterrupt, Terminated):
        report.say(f"What the tour made lies in {folder}")
        raise
    finally:
        tour.stop_client()
        if not keep:
            tour.cli("stop", quiet=True, codes=None)


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _first_model(tour: Tour) -> None:
    tour.chapter("A repository with a model, made by generate, and 1,797 handwritten digits")
    tour.repository.parent.mkdir(parents=True, exist_ok=True)
    tour.cli("generate", str(tour.repository), "--example", "image", inside=False)
    edits.own_ports(tour.repository)
    tour.commit("A model that reads digits")
    tour.chapter("From the commit to staging")
    tour.cli("run")
    tour.chapter("A person promotes it: version 1 serves, and a client begins to ask")
    tour.switch("promote version 1", "promote", "--yes", "--reason", "first model")
    tour.start_client(edits.requests(tour.workspace / "golden" / f"{MODEL}.json"))


def _worse_model(tour: Tour) -> None:
    tour.chapter("A commit that makes the model worse: refused, production keeps serving")
    edits.worse(tour.repository)
    tour.commit("Learn much more slowly")
    tour.cli("run", codes=(4,))


def _better_model(tour: Tour) -> None:
    tour.chapter("A better one: version 2")
    edits.better(tour.repository)
    tour.commit("More filters, more epochs")
    tour.cli("run")
    tour.switch("promote version 2", "promote", "--yes", "--reason", "reads more digits right")


def _roll_back(tour: Tour) -> None:
    tour.chapter("Somebody presses rollback: version 1 serves again, version 2 is revoked")
    tour.wait_for_requests(40)
    tour.switch("roll back to version 1", "rollback", "--reason", "support sees odd answers")


def _bad_in_the_wild(tour: Tour) -> None:
    tour.chapter("A version that passes every gate, but refuses what only live traffic has")
    edits.strict(tour.repository)
    tour.commit("Refuse pixels brighter than white")
    tour.cli("run")
    tour.switch("promote version 3", "promote", "--yes", "--reason", "stricter input checks")
    tour.chapter("monitor notices, and takes it back without a person")
    tour.switch(
        "monitor takes version 3 back", "stage", "monitor", "--env", "production", "--for", "90", codes=(4,)
    )
    tour.wait_for_requests(40)


def _summary(tour: Tour, *, keep: bool, ours: bool) -> int:
    tour.chapter("What the client saw")
    seen = tour.client_summary()
    rows = [
        (switch.what, f"{seen.requests_during(switch):,}", f"{seen.failed_during(switch)}")
        for switch in tour.switches
    ]
    report.out(report.table(rows, head=("SWITCH", "REQUESTS", "FAILED BY IT")))
    report.out(
        f"{seen.sent:,} requests in all; {seen.failed_of('3'):,} were refused by version 3 itself, "
        f"{seen.failed - seen.failed_of('3'):,} failed otherwise."
    )
    tour.chapter("What the ledger says")
    tour.cli("status", codes=None)
    tour.cli("history", "--limit", "30")
    report.say("")
    report.say(f"Report: {tour.newest_report()}")
    label = "Next:"
    for command, reason in _next(tour, keep=keep, ours=ours):
        report.say(f"{label:<7} " + (f"{command:<40} # {reason}" if reason else command))
        label = ""
    report.say(f"The model's environment, about 2 GB, stays in {cache_folder(os.environ)} for the next tour.")
    return 0 if seen.failed == seen.failed_of("3") else 1


def _next(tour: Tour, *, keep: bool, ours: bool) -> list[tuple[str, str]]:
    """What to type now, and why; it works in the shell that started the tour, whose PATH need not know us."""
    lines = [(f"cd {shlex.quote(str(tour.repository))}", "")]
    beside = Path(sys.executable).parent
    if shutil.which(tour.program) != str(beside / tour.program):
        lines.append((f'export PATH={shlex.quote(str(beside))}:"$PATH"', ""))
    if keep:
        lines.append((f"{tour.program} stop", "stop the servers"))
    else:
        lines.append((f"{tour.program} serve --env production", "start it again; stop ends it"))
    lines.append((f"{tour.program} diff {MODEL}@1 {MODEL}@3", ""))
    lines.append((f"{tour.program} generate", "in a repository of your own"))
    if ours:
        lines.append((f"rm -rf {shlex.quote(str(tour.repository.parent))}", "when you are done"))
    return lines
