"""Start a job on Jenkins, follow it and the builds that it starts, answer what it asks. Through ports alone.

The law: what was asked on Jenkins is answered only when told so; what is ended by Ctrl-C is only what was started
here; a build's result becomes the exit code that the same command would have had on a laptop.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass as mutable
from dataclasses import field
from functools import partial
from typing import Protocol, TypeVar

from mmcicd_jenkins.errors import InputError, Interrupted, OutsideFailed
from mmcicd_jenkins.ports import Clock
from mmcicd_jenkins.ports.jenkins import BuildState, JenkinsBuilds, JenkinsInputs, PendingInput
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.stages.build_log import BuildLog, Event
from mmcicd_jenkins.stages.jobs_answers import Answer, give

# Seconds between two looks: first, and when nothing has happened for long.
_SOON, _LATE = 1.0, 10.0
# A branch that a scan has just found is built within seconds; a busy controller takes longer.
_FIRST_BUILD_SECONDS = 120.0
# How long a controller may be away before following ends.
_PATIENCE_SECONDS = 600.0
# Where the controller cannot list questions, the id that our pipelines give theirs.
_OUR_INPUT = "Promote"
_CODES = {"SUCCESS": 0, "NOT_BUILT": 75, "ABORTED": 130}
_FAILURES = (1, 2, 3, 5, 7, 8)

T = TypeVar("T")


class Audience(Protocol):
    """Who is told what happens. `depth` counts builds that started builds."""

    def begins(self, job: str, number: int, depth: int) -> None: ...

    def stage(self, name: str, seconds: float, agent: str, depth: int) -> None: ...

    def waits(self, why: str) -> None: ...

    def lines(self, lines: list[str]) -> None: ...

    def asks(self, job: str, number: int, pending: PendingInput, *, for_us: bool) -> None:
        """`for_us`: an answer was given beforehand."""

    def answered(self, values: Mapping[str, str]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Started:
    """A build that exists. `ours`: it began because of us, so we may end it."""

    job: str
    number: int
    ours: bool


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a build ended. `last_lines` of its log; `scheduled` are jobs that it started and did not await."""

    state: BuildState
    exit_code: int
    last_lines: tuple[str, ...] = ()
    scheduled: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Controls:
    """What following needs."""

    builds: JenkinsBuilds
    inputs: JenkinsInputs
    clock: Clock
    audience: Audience


def start(controls: Controls, job: str, parameters: Mapping[str, str]) -> Started:
    """Start a job and wait until it has a number.

    Raises:
        InputError: there is no such job.
        Interrupted: Ctrl-C, or somebody cancelled it; what we put into the queue is taken out.
    """
    queued = controls.builds.start(job, parameters)
    if queued is None:
        raise InputError(
            f"Jenkins has no job {job}",
            why="it was never made, or the account may not see it",
            fix="mmcicd-jenkins jobs sync",
        )
    pause = _SOON
    try:
        while True:
            state = controls.builds.queued(queued.id)
            if state.number is not None:
                return Started(job=job, number=state.number, ours=queued.ours)
            if state.gone:
                raise Interrupted(f"{job} did not begin: {state.why}", fix="start it again")
            controls.audience.waits(state.why)
            controls.clock.sleep(pause)
            pause = min(pause * 1.5, _LATE)
    except KeyboardInterrupt:
        if queued.ours:
            controls.builds.cancel(queued.id)
        raise Interrupted(
            f"{job} was taken out of the queue again" if queued.ours else "interrupted"
        ) from None


def start_branch(controls: Controls, project: str, branch_job: str) -> Started:
    """Start a branch of a multibranch project; one that Jenkins does not know yet is found by a scan.

    Raises:
        InputError: no such project, or no such branch with a pipeline.
    """
    job = f"{project}/{branch_job}"
    if controls.builds.exists(job):
        return start(controls, job, {})
    if controls.builds.start(project, {}) is None:
        raise InputError(
            f"Jenkins has no job {project}",
            why="it was never made, or the account may not see it",
            fix="mmcicd-jenkins jobs sync",
        )
    controls.audience.waits("scanning the repository for branches")
    told = _scan(controls, project)
    waited = 0.0
    while waited < _FIRST_BUILD_SECONDS:
        state = controls.builds.build(job)
        if state is not None:
            return Started(job=job, number=state.number, ours=True)
        if not controls.builds.exists(job):
            break
        controls.clock.sleep(_SOON)
        waited += _SOON
    raise InputError(
        f"the scan of {project} found no branch of this name with a pipeline",
        where=job,
        why="; ".join(told[-3:]),
        fix="push the branch with its Jenkinsfile, then run the same command again",
    )


def _scan(controls: Controls, project: str) -> list[str]:
    log, at = BuildLog(), 0
    while True:
        part = controls.builds.log(project, 0, at)
        lines, _ = log.feed(part.text)
        controls.audience.lines(lines)
        if not part.more:
            return [line.strip() for line in log.last_lines if line.strip()]
        at = part.next
        controls.clock.sleep(_SOON)


def follow(controls: Controls, started: Started, answer: Answer | None = None) -> Ended:
    """Follow a build to its end.

    Raises:
        InputError: the answer is none of the choices, or Jenkins does not take it from us; the build waits on.
        Interrupted: Ctrl-C; the build is ended when we started it.
    """
    try:
        return _Following(controls, started, answer, depth=0).to_the_end()
    except KeyboardInterrupt:
        name = f"{started.job} #{started.number}"
        if not started.ours:
            raise Interrupted(f"{name} was not started here and goes on") from None
        controls.builds.stop(started.job, started.number)
        raise Interrupted(f"{name} is ended", fix="run the same command again") from None


@mutable
class _Following:
    """One build while it is followed."""

    controls: Controls
    started: Started
    answer: Answer | None
    depth: int
    log: BuildLog = field(default_factory=BuildLog)
    open: list[tuple[str, float, str]] = field(default_factory=list)
    scheduled: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    code: int | None = None
    asked: str = ""
    answered: list[str] = field(default_factory=list)
    is_asking: bool = False

    def to_the_end(self) -> Ended:
        job, number = self.started.job, self.started.number
        self.controls.audience.begins(job, number, self.depth)
        at, pause = 0, _SOON
        while True:
            part = self._patiently(partial(self.controls.builds.log, job, number, at))
            at = part.next
            lines, events = self.log.feed(part.text)
            self.controls.audience.lines(lines)
            for event in events:
                self._hear(event)
            if not part.more:
                return self._ended()
            if self.is_asking:
                self._ask()
            pause = _SOON if part.text else min(pause * 1.5, _LATE)
            self.controls.clock.sleep(pause)

    def _patiently(self, ask: Callable[[], T]) -> T:
        """A controller that restarts takes minutes, and its builds go on afterwards."""
        waited = 0.0
        while True:
            try:
                return ask()
            except OutsideFailed as e:
                if not e.retryable or waited >= _PATIENCE_SECONDS:
                    raise
                self.controls.audience.waits(f"{e.what}; trying on")
            self.controls.clock.sleep(_LATE)
            waited += _LATE

    def _now(self) -> float:
        return self.controls.clock.now().timestamp()

    def _hear(self, event: Event) -> None:
        if event.kind == "stage":
            self.open.append((event.text, self._now(), ""))
        elif event.kind == "agent" and self.open:
            name, since, _ = self.open[-1]
            self.open[-1] = (name, since, event.text)
        elif event.kind == "end" and self.open:
            name, since, agent = self.open.pop()
            self.is_asking = False
            if name not in self.skipped:
                self.controls.audience.stage(name, self._now() - since, agent, self.depth)
        elif event.kind == "skipped":
            self.skipped.append(event.text)
        elif event.kind == "scheduled":
            self.scheduled.append(event.text)
        elif event.kind == "building":
            self._hear_of_child(event)
        elif event.kind == "asks":
            self.is_asking, self.asked = True, ""
        elif event.kind == "code":
            self.code = event.number

    def _hear_of_child(self, event: Event) -> None:
        if event.text in self.scheduled:
            self.scheduled.remove(event.text)
        child = Started(job=event.text, number=event.number, ours=False)
        ended = _Following(self.controls, child, self.answer, depth=self.depth + 1).to_the_end()
        self.scheduled += ended.scheduled
        if ended.exit_code:
            self.code = ended.exit_code

    def _ask(self) -> None:
        """Show a question once; answer it when told."""
        job, number = self.started.job, self.started.number
        listed = self.controls.inputs.pending(job, number)
        if listed is None:
            listed = (PendingInput(id=_OUR_INPUT, message="", known=False),)
        for pending in listed:
            if self.asked == pending.id:
                continue
            self.asked = pending.id
            self.controls.audience.asks(job, number, pending, for_us=self.answer is not None)
            if self.answer is not None:
                self._refuse_again(pending)
                self.controls.audience.answered(give(self.controls.inputs, job, number, pending, self.answer))
                self.answered.append(pending.id)

    def _refuse_again(self, pending: PendingInput) -> None:
        """The pipeline itself did not take our answer: to repeat it would be to repeat it for ever."""
        if pending.id in self.answered:
            raise InputError(
                "the build asks again after our answer",
                where=f"{self.started.job} #{self.started.number}",
                why="; ".join(line.strip() for line in self.log.last_lines[-3:]),
                fix="another approver must answer; the build waits on",
            )

    def _ended(self) -> Ended:
        job, number = self.started.job, self.started.number
        state = self._patiently(partial(self.controls.builds.build, job, number))
        if state is None:
            raise OutsideFailed(
                "the build was deleted while it was followed",
                where=f"{job} #{number}",
            )
        return Ended(
            state=state,
            exit_code=exit_code(state, self.code),
            last_lines=tuple(self.log.last_lines),
            scheduled=tuple(self.scheduled),
        )


def exit_code(state: BuildState, told: int | None) -> int:
    """The exit code of a result. `told` is the one that the log names, where it names one.

    UNSTABLE is 4, or 6 when a code or the description says that the evidence does not decide; FAILURE is what its
    command ended with, and 5 when the log does not say: then Jenkins itself failed.
    """
    if state.result in _CODES:
        return _CODES[state.result]
    if state.result == "UNSTABLE":
        return 6 if told == 6 or "inconclusive" in state.description.lower() else 4
    return told if told in _FAILURES else OutsideFailed.exit_code
