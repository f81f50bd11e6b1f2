"""A canary on paper: copies, traffic and time as a test says, behind the ports that the steps of a canary use.

The clock goes by sleeping. Traffic is what `flow` says a role answers in a second; a copy that is started again is told
by `restarts`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mmcicd_jenkins.errors import OutsideFailed, Superseded
from mmcicd_jenkins.ports import Copies, Finished, Observed, Switch
from mmcicd_jenkins.ports.rollout import CanaryState, Notes
from mmcicd_jenkins.release.canary_notes import from_text, to_text
from mmcicd_jenkins.release.traffic import LiveCounters

BEGIN = datetime(2026, 10, 2, 12, 0, tzinfo=UTC)


@dataclass
class Flow:
    """What a role answers in a second: requests, the share of errors, seconds of each answer."""

    rate: float = 100.0
    errors: float = 0.0
    seconds: float = 0.030


class Killed(BaseException):
    """As `kill -9`: no handler of ours sees it."""


@dataclass
class Paper:
    """All ports at once; `state` is what a cluster would keep."""

    stable: int = 9
    serving: int | None = 7
    flows: dict[str, Flow] = field(default_factory=lambda: {"stable": Flow(), "canary": Flow()})
    now: datetime = BEGIN
    held: dict[str, Any] | None = None
    restarts: int = 0
    fence: tuple[int, str] = (4, "before")
    lost: int = 0
    comes_up: bool = True
    on_look: Callable[["Paper"], None] | None = None
    on_call: Callable[[str], None] | None = None
    calls: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    totals: dict[str, list[float]] = field(default_factory=lambda: {"stable": [5000, 900], "canary": [0, 0]})
    finished: Finished = field(default_factory=lambda: Finished(status=0, last_lines=("fine",), seconds=0.1))
    asked: list[Mapping[str, str]] = field(default_factory=list)

    # ports
    @property
    def clock(self) -> "Paper":
        return self

    @property
    def progress(self) -> "Paper":
        return self

    @property
    def commands(self) -> "Paper":
        return self

    def canary(self, _place: object) -> "Paper":
        return self

    def live(self, _place: object) -> "Paper":
        return self

    def target(self, _place: object) -> "Paper":
        return self

    # ports.Progress
    def line(self, text: str) -> None:
        self.lines.append(text)

    def update(self, text: str, done: float | None = None) -> None:
        assert text
        assert done is None or 0 <= done <= 1

    # ports.Commands
    def run(self, command: str, *, variables: Mapping[str, str], log: Path, **_: object) -> Finished:
        self._called(f"run {command}")
        assert log.name
        self.asked.append(variables)
        return self.finished

    # ports.Target, as far as it is asked
    def observe(self, _model: str) -> Observed:
        copies = (
            (Copies(version=self.serving, role="stable", wanted=self.stable, ready=self.stable),)
            if self.serving
            else ()
        )
        return Observed(version=self.serving, state="AVAILABLE" if self.serving else "END", copies=copies)

    # ports.Clock; two names, because the time is also a field
    def sleep(self, seconds: float) -> None:
        self.pass_(seconds)

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        for role, flow in self.flows.items():
            if role == "canary" and not (self.held and self.held["copies"]):
                continue
            self.totals[role][0] += flow.rate * seconds
            self.totals[role][1] += flow.rate * flow.errors * seconds

    # ports.rollout.CanaryTarget
    def state(self, _model: str) -> CanaryState | None:
        if self.held is None:
            return None
        kept = dict(self.held)
        return CanaryState(
            **kept | {"notes": from_text(kept["notes"])},
            ready=kept["copies"],
            stable_ready=self.stable,
            restarts=self.restarts,
        )

    def advance(self, order: Switch, step: int, copies: int) -> CanaryState:
        self._called(f"advance {step} {copies}")
        self._claim(order.epoch, order.op_id)
        if not self.comes_up:
            raise OutsideFailed("canary: the server dies whenever it loads version 8")
        kept = (
            from_text(self.held["notes"])
            if self.held and self.held["epoch"] == order.epoch
            else Notes(step=step)
        )
        kept = kept if kept.step == step else Notes(step=step)
        self.held = {
            "version": order.version, "epoch": order.epoch, "op_id": order.op_id, "copies": copies,
            "notes": to_text(kept),
        }  # fmt: skip
        self.pass_(5)
        state = self.state(order.model)
        assert state is not None
        return state

    def note(self, order: Switch, notes: Notes) -> None:
        self._called(f"note {notes.verdict or ('asked' if notes.since and not notes.until else 'begun')}")
        if self.held is None or (self.held["epoch"], self.held["op_id"]) != (order.epoch, order.op_id):
            raise Superseded("the canary was taken back")
        self.held["notes"] = to_text(notes)

    def remove(self, _model: str, epoch: int, op_id: str) -> None:
        self._called("remove")
        self._claim(epoch, op_id)
        self.held = None

    # ports.rollout.LiveMetrics
    def read(self, _model: str, role: str) -> LiveCounters:
        if self.on_look and role == "stable":
            self.on_look(self)
        if self.lost:
            self.lost -= role == "stable"
            raise OutsideFailed("Prometheus does not answer", why="nothing came in time")
        requests, errors = self.totals[role]
        bound = self.flows[role].seconds
        return LiveCounters(
            requests={f"{role}#0": requests},
            errors={f"{role}#0": errors},
            latency={f"{role}#0": {bound: requests, 10 * bound: requests}},
        )

    def _claim(self, epoch: int, op_id: str) -> None:
        if (epoch, op_id) != self.fence and epoch <= self.fence[0]:
            raise Superseded("a newer decision stands in the cluster")
        self.fence = (epoch, op_id)

    def _called(self, what: str) -> None:
        self.calls.append(what)
        if self.on_call:
            self.on_call(what)


class Clock:
    """`ports.Clock` of a paper: what the steps get, because `now` is a method there."""

    def __init__(self, paper: Paper) -> None:
        self._paper = paper

    def now(self) -> datetime:
        return self._paper.now

    def sleep(self, seconds: float) -> None:
        self._paper.pass_(seconds)


def ports_of(paper: Paper) -> Any:
    """The paper with a clock of the port's shape."""

    class Ports:
        clock = Clock(paper)
        progress = commands = paper
        canary = staticmethod(paper.canary)
        live = staticmethod(paper.live)
        target = staticmethod(paper.target)

    return Ports()


def again(paper: Paper) -> Paper:
    """The same cluster for the next command, which nothing disturbs."""
    paper.on_look = paper.on_call = None
    return paper
