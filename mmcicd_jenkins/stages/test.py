"""Stage `test`: the team's own unit tests, in the model's environment."""

import contextlib
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mmcicd_jenkins.errors import CommandFailed, OutsideFailed
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.stages.context import Job, Outcome, Ports, how_it_ended
from mmcicd_jenkins.stages.identity import environment_of
from mmcicd_jenkins.stages.workspace import fresh_directory, make_directory

TIMEOUT_SECONDS = 3600.0
PYTEST_PLACE = "PYTEST_DEBUG_TEMPROOT"


@dataclass(frozen=True, kw_only=True)
class Facts:
    command: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    command: str
    timeout_seconds: float


def look(job: Job, ports: Ports) -> Facts:  # noqa: ARG001  every stage has the same three functions
    return Facts(command=job.model.test)


def plan(job: Job, facts: Facts) -> Plan:  # noqa: ARG001  every stage has the same three functions
    return Plan(command=facts.command, timeout_seconds=TIMEOUT_SECONDS)


def apply(plan: Plan, job: Job, ports: Ports) -> Outcome:
    if not plan.command:
        return Outcome(stage="test", sentence="no unit tests", found=True)
    environment = environment_of(job, ports)
    log = make_directory(job.workspace.root / "logs") / f"{job.model.name}-test.log"
    results = _results(fresh_directory(job.workspace.root / "tests"))
    with _own_place_for_pytest() as place:
        finished = ports.commands.run(
            plan.command,
            directory=job.root / job.model.path,
            variables={**environment.variables, **place, **results},
            log=log,
            timeout_seconds=plan.timeout_seconds,
            on_line=ports.progress.update,
        )
    if finished.status != 0:
        raise CommandFailed(
            f"the unit tests of {job.model.name} failed",
            status=finished.status,
            last_lines=finished.last_lines,
            where=f"{job.config.mark(f'models.{job.model.name}.test')}, log {log}",
            why=how_it_ended(plan.command, finished),
            fix="read the output below, mend, commit, and run again",
        )
    return Outcome(stage="test", sentence=_summary(finished.last_lines), detail={"log": str(log)})


@contextlib.contextmanager
def _own_place_for_pytest() -> Iterator[dict[str, str]]:
    """A folder for pytest's temporary files, gone afterwards; the user's own choice wins.

    Left alone, pytest ends each session with deleting what earlier sessions of this user left in /tmp, whichever
    project they were of: with many gigabytes there, three short tests take minutes.
    """
    if PYTEST_PLACE in os.environ:
        yield {}
        return
    try:
        place = tempfile.TemporaryDirectory(prefix="mmcicd-test-", ignore_cleanup_errors=True)
    except OSError as e:
        raise OutsideFailed(
            "no folder for the temporary files of the unit tests", where=tempfile.gettempdir(), why=str(e)
        ) from e
    with place as folder:
        yield {PYTEST_PLACE: folder}


def _results(folder: Path) -> dict[str, str]:
    """Where the tests may write JUnit XML for a build to show; pytest is told by its own variable, others may read ours."""
    options = f"{os.environ.get('PYTEST_ADDOPTS', '')} {shlex.quote(f'--junitxml={folder}/pytest.xml')}"
    return {"MMCICD_TEST_RESULTS": str(folder), "PYTEST_ADDOPTS": options.strip()}


def _summary(lines: tuple[str, ...]) -> str:
    """`12 passed` out of pytest's or unittest's last line; else that the command passed."""
    for line in reversed(lines):
        counts = re.findall(r"\d+ (?:passed|failed|skipped|xfailed|errors?)\b", line)
        if counts:
            return ", ".join(counts)
        unittest = re.match(r"Ran (\d+) tests?", line)
        if unittest:
            return f"{unittest.group(1)} passed"
    return "passed"
