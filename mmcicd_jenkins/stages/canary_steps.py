"""The steps of a canary, between the intent and the switch of a promotion: copies, a hold, a decision, the next one.

The law: the stable copies are not touched; what was decided is noted beside the canary before it is acted on; killed
anywhere, or told to end, the same command goes on where it was. Only a canary that passed every step lets the
switch begin.
"""

import dataclasses

from mmcicd_jenkins.config.model import CanaryStep, Environment
from mmcicd_jenkins.errors import GateRefused, Inconclusive, OutsideFailed
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.ports import Switch
from mmcicd_jenkins.release.canary import Action
from mmcicd_jenkins.release.canary_notes import Notes
from mmcicd_jenkins.release.shares import nearest_share, percent
from mmcicd_jenkins.stages.canary_hold import Course, Hold, Verdict, is_own, target_of
from mmcicd_jenkins.stages.context import Job, Ports

PASSED, FAILED = "passed", "failed"
# What brings a version that has not served there.
FORWARD = ("deploy", "promote")


def course_of(
    order: Switch, place: Environment, serving: int | None, action: str, ports: Ports
) -> Course | None:
    """The canary that a move begins with; None where it has none, or where none is left to run.

    A way back has none, and neither has a version that comes to where nothing healthy serves: there is nothing to
    compare it with, and nobody is served meanwhile.
    """
    if place.kind == "local" or place.strategy.kind != "canary" or action not in FORWARD:
        return None
    if serving is None or serving == order.version:
        return None
    course = Course(order=order, place=place, stable=serving)
    if has_passed(course, ports) or ports.target(place).observe(order.model).version != serving:
        return None
    return course


def has_passed(course: Course, ports: Ports) -> bool:
    """Whether the canary of this very order has passed every step already."""
    state = target_of(course, ports).state(course.order.model)
    return state is not None and is_own(state, course.order) and state.notes.verdict == PASSED


def run_steps(course: Course, job: Job, ports: Ports) -> None:
    """Go through the steps that are left.

    Raises:
        GateRefused: a check failed; the canary is gone.
        Inconclusive: the evidence does not decide; the canary stays, and the same command goes on.
        OutsideFailed: it did not come up, or cannot be judged; the canary of the latter is gone.
        Superseded: a newer decision stands, or the canary was taken back.
    """
    steps = _Steps(course, job, ports)
    steps.refuse_judged()
    for index in range(steps.first, len(course.place.strategy.steps)):
        steps.step(index)
    steps.passed()


class _Steps:
    """One command's way through the steps of one canary."""

    def __init__(self, course: Course, job: Job, ports: Ports) -> None:
        self._course = course
        self._order = course.order
        self._job = job
        self._ports = ports
        self._target = target_of(course, ports)
        found = self._target.state(course.order.model)
        self._found = found if found is not None and is_own(found, course.order) else None

    @property
    def first(self) -> int:
        """The step at which an earlier command was cut off."""
        return min(self._found.notes.step, len(self._course.place.strategy.steps) - 1) if self._found else 0

    def refuse_judged(self) -> None:
        """One that failed, and whose command was killed before it could say so."""
        if self._found is not None and self._found.notes.verdict == FAILED:
            self._end()
            raise self._refused(self._found.notes.reason)

    def step(self, index: int) -> None:
        step = self._course.place.strategy.steps[index]
        self._ports.progress.update(f"canary {percent(step.share)}, {self._course.count(index)}: copies come")
        failpoint("canary.before-copies")
        state = self._target.advance(self._order, index, self._copies(index, step))
        failpoint("canary.after-copies")
        verdict = Hold(self._course, index, self._job, self._ports).through(state)
        if verdict.action is Action.FAIL:
            raise self._fail(verdict)
        if verdict.action is Action.ASK:
            raise self._ask(verdict)
        if verdict.action is Action.GIVE_UP:
            raise self._give_up(verdict)

    def _copies(self, index: int, step: CanaryStep) -> int:
        """As many as the share takes beside the stable ones that serve; a step that has begun keeps its number."""
        state = self._target.state(self._order.model)
        if state is None or not is_own(state, self._order):
            stable = self._stable_ready()
        elif state.notes.step == index and state.copies:
            return state.copies
        else:
            stable = state.stable_ready
        return nearest_share(step.share, stable or self._course.place.replicas)[0]

    def _stable_ready(self) -> int:
        copies = self._ports.target(self._course.place).observe(self._order.model).copies
        return sum(each.ready for each in copies if each.role == "stable")

    def passed(self) -> None:
        failpoint("canary.before-passed")
        last = len(self._course.place.strategy.steps) - 1
        self._target.note(self._order, Notes(step=last, verdict=PASSED))
        failpoint("canary.after-passed")

    def _fail(self, verdict: Verdict) -> GateRefused:
        """The verdict is noted first: killed now, the same command ends what it began."""
        failed = dataclasses.replace(verdict.notes, verdict=FAILED, reason=verdict.reason)
        self._target.note(self._order, failed)
        failpoint("canary.failed")
        self._end()
        return self._refused(verdict.reason)

    def _refused(self, reason: str) -> GateRefused:
        return GateRefused(
            f"version {self._order.version} failed as a canary; {self._course.stable} serves on",
            where=self._course.place.name,
            why=reason,
            fix="commit what makes it better: a new version",
        )

    @property
    def _about(self) -> str:
        return f" --model {self._order.model} --env {self._course.place.name}"

    def _ask(self, verdict: Verdict) -> Inconclusive:
        """Copies and intent stay. The traffic that was counted counts on."""
        self._target.note(self._order, dataclasses.replace(verdict.notes, until="", reason=verdict.reason))
        failpoint("canary.asked")
        return Inconclusive(
            f"Inconclusive: {verdict.reason}",
            where=f"{self._course.place.name}, {self._course.count(verdict.notes.step)}",
            why=f"the canary of version {self._order.version} stays beside {self._course.stable} until a person decides",
            fix=f"mmcicd-jenkins promote --shared{self._about} --version {self._order.version} waits once more; "
            f"mmcicd-jenkins stage canary{self._about} --answer 'take back' ends it",
        )

    def _give_up(self, verdict: Verdict) -> OutsideFailed:
        """Nobody can see how it does, so it must not serve anybody."""
        self._end()
        return OutsideFailed(
            f"the canary of version {self._order.version} cannot be judged; {self._course.stable} serves on",
            where=self._course.place.name,
            why=verdict.reason,
            fix=f"when what is named answers again: mmcicd-jenkins promote --shared{self._about}",
        )

    def _end(self) -> None:
        failpoint("canary.before-remove")
        self._target.remove(self._order.model, self._order.epoch, self._order.op_id)
        failpoint("canary.after-remove")
