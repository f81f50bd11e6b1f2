"""What a build shows of a stage, as small files in a folder: Jenkins reads them, because a log is read by nobody.

`said.txt` is the sentence of the build; the others answer one question of the pipeline each, by being there. The
law: one line without a secret, short enough for a list of builds; an old file never speaks for a new command.
"""

import os
import re
from pathlib import Path
from typing import Any

from mmcicd_jenkins.adapters.redaction import Redactor
from mmcicd_jenkins.cli import report
from mmcicd_jenkins.errors import Interrupted, MmcicdError, Terminated
from mmcicd_jenkins.stages.context import Job, Outcome, Ports
from mmcicd_jenkins.stages.standing import standing, still_serving
from mmcicd_jenkins.stages.workspace import write_atomically
from mmcicd_jenkins.wiring import Bench

# A list of builds shows about three lines of it.
LONGEST = 400
SAID = "said.txt"


class Summary:
    """The folder of one command; without a folder nothing is written."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder) if folder else None
        if self.folder is not None and self.folder.is_dir():
            for name in (
                SAID,
                "trained.txt",
                "released.txt",
                "kept.txt",
                "promote.txt",
                "choices.txt",
                "message.txt",
                "act.txt",
            ):
                (self.folder / name).unlink(missing_ok=True)  # fmt: skip

    def write(self, name: str, text: str) -> None:
        if self.folder is not None:
            write_atomically(self.folder / name, text.encode("utf-8", "replace"))

    def say(self, sentence: str) -> None:
        """The sentence of the build; nothing where there is nothing to say."""
        told = one_line(sentence)
        if told:
            self.write(SAID, told + "\n")

    def failed(self, error: MmcicdError, model: str) -> None:
        """A command that failed. A build that is ended by a person or a clock needs no words for it."""
        if isinstance(error, Interrupted | Terminated):
            self.say(f"{model}: stopped; nothing is lost")
            return
        why = f": {error.why}" if error.why else ""
        about = "" if model in error.what.split() else f"{model}: "
        self.say(f"{about}{error.what}{why}")

    def told(self, outcome: Outcome, job: Job, ports: Ports) -> None:
        """A command that ended well, or whose gate said no."""
        name = job.model.name
        if outcome.stage == "data":
            self._told_data(job, ports)
        elif outcome.stage == "evaluate":
            self._told_evaluate(outcome, job, ports)
        elif outcome.stage == "propose":
            self.say(_proposed(outcome, job, ports))
            if outcome.detail.get("waits"):
                self.write("promote.txt", f"{outcome.detail['version']}\n")
        elif outcome.stage == "promote":
            self.say(_promoted(outcome, job))
            if outcome.detail.get("kept"):
                self.write("kept.txt", "kept\n")
        elif outcome.stage == "monitor":
            self._told_monitor(outcome, job)
        elif outcome.stage in {"deploy", "canary", "rollback"}:
            self.say(
                outcome.sentence[:1].upper() + outcome.sentence[1:] if outcome.found else outcome.sentence
            )
        elif outcome.exit_code:
            self.say(f"{name}: {outcome.sentence}. {still_serving(job, ports)}")

    def _told_monitor(self, outcome: Outcome, job: Job) -> None:
        self.say(outcome.sentence[:1].upper() + outcome.sentence[1:] if outcome.found else outcome.sentence)
        if outcome.detail["action"] == "rollback" and job.looks_only:
            self.write("act.txt", "act\n")
        if self.folder is not None:
            write_watched(self.folder, outcome, job)

    def _told_data(self, job: Job, ports: Ports) -> None:
        stands = standing(job, ports)
        if stands.trained:
            self.write("trained.txt", "trained\n")
            since = (
                f" since {stands.version}" if stands.version is not None else f", run {stands.run} is stored"
            )
            self.say(f"{job.model.name}: nothing to train{since}")

    def _told_evaluate(self, outcome: Outcome, job: Job, ports: Ports) -> None:
        name = job.model.name
        gates = outcome.detail.get("gates")
        reason = str(gates.get("reason", "")) if isinstance(gates, dict) else ""
        if outcome.exit_code:
            word = outcome.sentence.partition(":")[0]
            self.say(f"{name}: {word}, no version made. {reason}. {still_serving(job, ports)}")
            return
        stands = standing(job, ports)
        if stands.served:
            self.write("released.txt", "released\n")
            self.say(f"{name}: nothing to train since {stands.version}")
        else:
            self.say(f"{name}: passed, {reason}")

    def ask(self, choices: tuple[str, ...], message: str) -> None:
        """What the form shows."""
        if not choices:
            self.say(message)
            return
        self.write("choices.txt", "".join(f"{one_line(choice)}\n" for choice in choices))
        self.write("message.txt", one_line(message) + "\n")


def write_watched(folder: Path, outcome: Outcome, job: Job) -> Path:
    """The picture of what a monitor saw, and why it decided as it did."""
    from mmcicd_jenkins.release.monitor_memory import Point
    from mmcicd_jenkins.reports.watched import WatchedRecord, write_watched_report

    detail: Any = outcome.detail
    monitor = job.place.monitor
    record = WatchedRecord(
        model=job.model.name,
        environment=job.place.name,
        version=detail["version"],
        verdict=outcome.verdict,
        action=detail["action"],
        said=outcome.sentence,
        checks=detail["checks"],
        points=[Point(at=at, requests=n, bad=bad, p99=p99) for at, n, bad, p99 in detail["points"]],
        since=detail["since"],
        until=detail["watched_until"],
        availability=monitor.availability,
        latency_p99_seconds=monitor.latency_p99_seconds,
    )
    return write_watched_report(folder, record)


def _proposed(outcome: Outcome, job: Job, ports: Ports) -> str:
    if not outcome.detail.get("waits"):
        return f"{job.model.name}: {outcome.sentence}"
    snapshot = ports.ledger.snapshot(job.model.name)
    serving = [(place.name, snapshot.pointer(place.name).serving) for place in job.config.before_production]
    told = ", ".join(f"{name} serves {version}" for name, version in serving if version is not None)
    by = ", ".join(job.config.production.approval.by)
    return "; ".join(filter(None, [told, f"{job.config.production.name} waits for {by or 'a person'}"]))


def _promoted(outcome: Outcome, job: Job) -> str:
    if outcome.found:
        return outcome.sentence
    detail = outcome.detail
    why = f", {job.reason}" if job.reason else ""
    return f"{detail['environment']} {detail['from'] or 'nothing'} -> {detail['version']}, approved by {job.actor}{why}"


def one_line(text: str) -> str:
    hidden = Redactor(os.environ).hide(" ".join(report.plain(text).split()).encode()).decode()
    tidy = re.sub(r"\.(?: *\.)+", ".", hidden).strip()
    return tidy if len(tidy) <= LONGEST else tidy[: LONGEST - 3].rstrip() + "..."


def write_questions(
    folder: Path, versions: tuple[int, ...], serving: int | None, job: Job, bench: Bench
) -> None:
    """What a person looks at before the answer: the report of the first choice, and how it differs."""
    from mmcicd_jenkins.reports.diff import diff_markdown, diff_releases
    from mmcicd_jenkins.stages.asking import write_report

    write_report(folder, versions[0], job, bench.ports)
    old = None if serving is None else bench.ledger.release(job.model.name, serving)
    new = bench.ledger.release(job.model.name, versions[0])
    if old is not None and new is not None:
        write_atomically(folder / "diff.md", diff_markdown(diff_releases(old, new)).encode())
