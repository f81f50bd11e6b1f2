"""Asks every environment of every model at once, with one deadline for all: ten that do not answer take as long as one.

Threads that ask are daemons: what hangs is given up, and told as such in its own row.
"""

import queue
import threading
import time
from collections.abc import Mapping, Sequence

from mmcicd_jenkins.cli.status_lines import UNKNOWN, Line, Seen, make_line
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import MmcicdError
from mmcicd_jenkins.ports import Observed
from mmcicd_jenkins.release.ledger import Pointer, Snapshot
from mmcicd_jenkins.release.monitor_memory import remembered
from mmcicd_jenkins.wiring import Bench

SECONDS = 20.0
# A row makes a few calls; the reason of one that fails must come before the deadline of all.
CALL_SECONDS = 8.0
_THREADS = 32

Question = tuple[str, Environment]


class Look:
    """One look after another at the same repository. `options` is what the named commands need beside their own."""

    def __init__(self, bench: Bench, *, options: str = "", seconds: float = SECONDS) -> None:
        self._bench = bench
        self._options = options
        self._seconds = seconds
        self.snapshots: dict[str, Snapshot] = {}

    def read_ledger(self) -> None:
        for name in self._bench.config.models:
            self.snapshots[name] = self._bench.ledger.snapshot(name)

    def lines(self) -> list[Line]:
        """A row for each model and environment, in the order of the file."""
        config = self._bench.config
        questions = [(name, place) for name in config.models for place in config.environments.values()]
        seen = self._ask(questions)
        return [self._line(model, place, seen[position]) for position, (model, place) in enumerate(questions)]

    def _line(self, model: str, place: Environment, seen: Seen) -> Line:
        pointer = self._pointer(model, place)
        if seen.observed.epoch > pointer.epoch:
            # The ledger may have moved since it was read.
            self.snapshots[model] = self._bench.ledger.snapshot(model)
            pointer = self._pointer(model, place)
        return make_line(model, place.name, pointer, seen)

    def _pointer(self, model: str, place: Environment) -> Pointer:
        return self.snapshots[model].pointer(place.name)

    def _ask(self, questions: Sequence[Question]) -> Mapping[int, Seen]:
        waiting: queue.SimpleQueue[tuple[int, Question]] = queue.SimpleQueue()
        answers: queue.SimpleQueue[tuple[int, Seen]] = queue.SimpleQueue()
        for numbered in enumerate(questions):
            waiting.put(numbered)

        def work() -> None:
            while True:
                try:
                    position, question = waiting.get_nowait()
                except queue.Empty:
                    return
                answers.put((position, self._observe(*question)))

        for _ in range(min(_THREADS, len(questions))):
            threading.Thread(target=work, daemon=True, name="status").start()
        silent = f"no answer within {self._seconds:g} s"
        seen = {position: self._unknown(silent) for position in range(len(questions))}
        end = time.monotonic() + self._seconds
        for _ in questions:
            try:
                position, answer = answers.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                break
            seen[position] = answer
        return seen

    def _observe(self, model: str, place: Environment) -> Seen:
        try:
            observed = self._bench.target(place).observe(model)
            canary = None
            if any(each.role == "canary" for each in observed.copies):
                canary = self._bench.ports.canary(place)
            state = canary.state(model) if canary else None
            monitor = self._monitor(model, place, observed.version)
        except MmcicdError as e:
            return self._unknown(": ".join(filter(None, [e.what, e.why])))
        except Exception as e:  # noqa: BLE001 - one row's bug must not hide the others, and a thread has nobody to tell
            return self._unknown(f"a bug of ours: {type(e).__name__}: {e}")
        return Seen(
            observed=observed,
            canary=state,
            steps=len(place.strategy.steps),
            options=self._options,
            monitor=monitor,
        )

    def _monitor(self, model: str, place: Environment, version: int | None) -> str:
        """What the last look of a monitor raised an alarm about; nothing where nobody may read its memory."""
        try:
            kept = self._bench.ports.monitor_memory(place).read(model)
        except MmcicdError:
            return ""
        memory = remembered(kept.document, version)
        return memory.said if memory.action in {"alert", "rollback", "freeze"} else ""

    def _unknown(self, why: str) -> Seen:
        return Seen(observed=Observed(version=None, state=UNKNOWN, reason=why), options=self._options)
