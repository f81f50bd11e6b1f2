"""The hold of one step of a canary: look again and again, until the looks decide. Changes nothing but the notes.

What a look means is `release.canary`'s to say. The counters at the beginning of the step are kept beside the canary, so
that a command which goes on after a kill judges by all the traffic of the step.
"""

import dataclasses
from collections.abc import Mapping
from datetime import datetime, timedelta

from mmcicd_jenkins.config.model import CanaryStep, Environment
from mmcicd_jenkins.errors import InputError, OutsideFailed, Superseded
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.ports import Switch
from mmcicd_jenkins.ports.rollout import CanaryState, CanaryTarget
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.canary import Action, Check, Look, Outcome, Tally, decide, judge, outcome_of, told
from mmcicd_jenkins.release.canary_notes import Notes
from mmcicd_jenkins.release.ledger import read_time
from mmcicd_jenkins.release.shares import percent
from mmcicd_jenkins.release.traffic import LiveCounters, between
from mmcicd_jenkins.stages import canary_command
from mmcicd_jenkins.stages.context import Job, Ports

ROLES = ("stable", "canary")
# How often a log is told the numbers while a step holds.
TOLD_SECONDS = 60.0
# How often the bar of a terminal moves.
SLICE_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Course:
    """One canary: what is to serve, where, beside which version.

    `patience_seconds`: so long from now may be waited for traffic beyond the time of a step; None: nobody said so, and a
    step that was undecided holds for its time once more.
    """

    order: Switch
    place: Environment
    stable: int
    patience_seconds: float | None = None

    def count(self, index: int) -> str:
        return f"step {index + 1} of {len(self.place.strategy.steps)}"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a step ended, with the notes that stood and the reason in words."""

    action: Action
    notes: Notes
    reason: str


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """One look with what it means; `error` when nobody could be asked."""

    look: Look
    share: float
    checks: tuple[Check, ...] = ()
    error: str = ""

    @property
    def outcome(self) -> Outcome:
        return Outcome.ERROR if self.error else outcome_of(self.checks)

    @property
    def reason(self) -> str:
        said = dict.fromkeys(check.reason for check in self.checks if check.outcome is self.outcome)
        return self.error or "; ".join(said)


def target_of(course: Course, ports: Ports) -> CanaryTarget:
    target = ports.canary(course.place)
    if target is None:
        raise InputError(
            f"an environment of kind {course.place.kind} has no canary",
            where=course.place.name,
            fix="strategy: rolling",
        )
    return target


def is_own(state: CanaryState, order: Switch) -> bool:
    return (state.epoch, state.op_id, state.version) == (order.epoch, order.op_id, order.version)


class Hold:
    """One step, from its ready copies to its end."""

    def __init__(self, course: Course, index: int, job: Job, ports: Ports) -> None:
        self._course = course
        self._index = index
        self._job = job
        self._ports = ports
        self._target = target_of(course, ports)
        self._strategy = course.place.strategy
        self._step: CanaryStep = self._strategy.steps[index]
        self._patient_until = ports.clock.now() + timedelta(seconds=course.patience_seconds or 0.0)
        self._past: dict[str, list[LiveCounters]] = {role: [] for role in ROLES}
        self._told = (Outcome.PASSED, ports.clock.now() - timedelta(days=1))

    def through(self, state: CanaryState) -> Verdict:
        """Look until it is decided.

        Raises:
            Superseded: the canary is gone, or another one's.
        """
        notes, tally = self._resumed(state.notes), Tally()
        while True:
            seen, notes = self._look(notes)
            over = bool(notes.until) and self._now() >= _time(notes.until)
            if over and seen.outcome is Outcome.PASSED and self._strategy.command:
                seen = self._with_command(seen, notes)
            action, tally = decide(tally, seen.outcome, self._strategy.limits, over=over)
            if action is Action.ASK and self._now() < self._patient_until:
                action, tally = Action.WAIT, dataclasses.replace(tally, inconclusive=0, late=0)
            self._tell(seen, notes, tally, final=action is not Action.WAIT)
            failpoint("canary.looked")
            if action is not Action.WAIT:
                line = told(seen.share, self._index + 1, len(self._strategy.steps), seen.look, seen.outcome)
                reason = seen.reason if action in {Action.ASK, Action.GIVE_UP} else f"{seen.reason}; {line}"
                return Verdict(action=action, notes=notes, reason=reason)
            self._wait(notes)

    def _resumed(self, notes: Notes) -> Notes:
        """What an earlier command kept. After a person was asked, the step holds for its time once more, or is patient."""
        for role in ROLES:
            if notes.since and role in notes.readings:
                self._past[role].append(notes.readings[role])
        if notes.since and not notes.until:
            seconds = self._step.hold_seconds if self._course.patience_seconds is None else 0.0
            return self._noted(dataclasses.replace(notes, until=self._in(seconds), reason=""))
        return notes

    def _look(self, notes: Notes) -> tuple[_Seen, Notes]:
        """The first look that is answered begins the step: counters are compared with it."""
        empty = Look(wanted=0, ready=0)
        try:
            state = self._require_ours()
            readings = self._read()
        except OutsideFailed as e:
            why = ": ".join(filter(None, [e.what, e.why]))
            return _Seen(look=empty, share=self._step.share, error=why), notes
        if not notes.since:
            notes = self._noted(self._begun(state, readings))
        for role, counters in readings.items():
            self._past[role].append(counters)
        look = Look(
            canary=between(self._past["canary"]),
            stable=between(self._past["stable"]),
            wanted=state.copies,
            ready=state.ready,
            restarts=max(0, state.restarts - notes.restarts),
        )
        checks = judge(self._strategy.checks, look, min_requests=self._strategy.min_requests)
        share = state.copies / max(1, state.copies + state.stable_ready)
        return _Seen(look=look, share=share, checks=checks), notes

    def _require_ours(self) -> CanaryState:
        state = self._target.state(self._course.order.model)
        if state is None or not is_own(state, self._course.order):
            raise Superseded(
                f"the canary of version {self._course.order.version} was taken back",
                where=self._course.place.name,
                why="another command has ended it"
                if state is None
                else f"version {state.version} stands there",
                fix="mmcicd-jenkins status",
            )
        return state

    def _read(self) -> Mapping[str, LiveCounters]:
        if not self._strategy.checks:
            return {}
        live = self._ports.live(self._course.place)
        return {role: live.read(self._course.order.model, role) for role in ROLES}

    def _begun(self, state: CanaryState, readings: Mapping[str, LiveCounters]) -> Notes:
        return Notes(
            step=self._index,
            since=self._in(0.0),
            until=self._in(self._step.hold_seconds),
            restarts=state.restarts,
            readings=readings,
        )

    def _noted(self, notes: Notes) -> Notes:
        failpoint("canary.before-note")
        self._target.note(self._course.order, notes)
        failpoint("canary.after-note")
        return notes

    def _with_command(self, seen: _Seen, notes: Notes) -> _Seen:
        asked = canary_command.Asked(
            version=self._course.order.version,
            stable=self._course.stable,
            share=seen.share,
            step=self._index + 1,
            since=notes.since,
        )
        check = canary_command.ask(self._strategy.command, asked, self._course.place, self._job, self._ports)
        return dataclasses.replace(seen, checks=(*seen.checks, check))

    def _tell(self, seen: _Seen, notes: Notes, tally: Tally, *, final: bool) -> None:
        """A line when something is new, and once a minute; the last word of a step always."""
        outcome, last = self._told
        now = self._now()
        due = (now - last).total_seconds() >= TOLD_SECONDS
        if not (final or due or outcome is not seen.outcome):
            return
        self._told = (seen.outcome, now)
        line = told(seen.share, self._index + 1, len(self._strategy.steps), seen.look, seen.outcome)
        if seen.error:
            line = f"canary {percent(seen.share)}, {self._course.count(self._index)}: error: {seen.error}"
        elif seen.outcome is not Outcome.PASSED and seen.reason:
            line += f": {seen.reason}"
        if seen.outcome is Outcome.FAILED and not final:
            # One bad look decides nothing, and nobody should run because of it.
            line += f" (look {tally.failed} of {self._strategy.limits.failed} in a row that end it)"
        left = self._left(notes)
        self._ports.progress.line(line if final or not left else f"{line}, {left} left")

    def _wait(self, notes: Notes) -> None:
        """Until the next look, or the end of the step when that is sooner."""
        seconds = self._strategy.every_seconds
        if notes.until and (left := (_time(notes.until) - self._now()).total_seconds()) > 0:
            seconds = min(seconds, left)
        end = self._now() + timedelta(seconds=seconds)
        while (rest := (end - self._now()).total_seconds()) > 0:
            self._ports.progress.update(self._moving(notes), self._done(notes))
            self._ports.clock.sleep(min(rest, SLICE_SECONDS))

    def _moving(self, notes: Notes) -> str:
        left = self._left(notes)
        name = f"canary {percent(self._step.share)}, {self._course.count(self._index)}"
        return f"{name}, {left} left" if left else f"{name}, waits for traffic"

    def _done(self, notes: Notes) -> float | None:
        if not notes.until:
            return None
        whole = (_time(notes.until) - _time(notes.since)).total_seconds()
        gone = (self._now() - _time(notes.since)).total_seconds()
        return min(1.0, max(0.0, gone / whole)) if whole > 0 else 1.0

    def _left(self, notes: Notes) -> str:
        """`12 m`, `40 s`; "" when the time is over or has not begun."""
        seconds = (_time(notes.until) - self._now()).total_seconds() if notes.until else 0.0
        if seconds <= 0:
            return ""
        return f"{seconds / 60:.0f} m" if seconds >= 90 else f"{max(1, round(seconds))} s"

    def _now(self) -> datetime:
        return self._ports.clock.now()

    def _in(self, seconds: float) -> str:
        """With parts of a second: steps of tests, and of nobody else, are that short."""
        return (self._now() + timedelta(seconds=seconds)).isoformat()


def _time(text: str) -> datetime:
    return read_time(text, "the notes beside the canary")
