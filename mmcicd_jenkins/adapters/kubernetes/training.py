"""`ports.training.Trainings`: Jobs in one namespace, each keyed by its run.

The law: a Job is made by a creation that must find none, so that of two builds one makes it and both wait for it; it is
born suspended and goes on when everything that it mounts is there; what ended is removed by the `uid` that was read.
A process that is killed at any point leaves what the same call goes on from.
"""

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.errors import AlreadyExists, Conflict
from mmcicd_jenkins.errors import InputError, Interrupted, MmcicdError, OutsideFailed, Terminated
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.ports.training import Document, Ended, Order
from mmcicd_jenkins.release.trainings import Pod, newest, state_of, why_it_ended
from mmcicd_jenkins.render.training_job import CODE, CONTAINER, MANAGED, RUN

POLL_SECONDS = 1.0
# An API server that is updated is away for minutes; the training does not need it.
SILENCE_SECONDS = 600.0
_GONE_SECONDS = 60.0
_LAST_LINES = 20
# Beyond a line, which a progress bar may redraw for hours, nothing is kept.
_LONGEST_LINE = 2000


class JobTrainings:
    """Trainings in the namespace of `api`."""

    def __init__(
        self,
        api: Api,
        say: Callable[[str], None],
        passed: Mapping[str, str],
        *,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self.passed = passed
        self._api = api
        self._say = say
        self._poll = poll_seconds

    def run(self, order: Order, on_line: Callable[[str], None]) -> Ended:
        """As the port says."""
        live = self._joined(order)
        try:
            return self._followed(order, live, on_line)
        except (Terminated, Interrupted, KeyboardInterrupt):
            self._told_to_end(order)
            raise

    def forget(self, name: str) -> None:
        live = self._api.get("Job", name)
        if live is not None and _is_ours(live) and _end_of(live):
            with contextlib.suppress(Conflict):
                self._api.delete("Job", name, uid=live["metadata"]["uid"])

    def _joined(self, order: Order) -> Document:
        """The Job of this run, made if there is none and woken if it sleeps."""
        found = self._api.get("Job", order.name)
        live = (self._standing(order, found) if found is not None else None) or self._made(order)
        if live["spec"].get("suspend"):
            self._bring_objects(order, live)
            live = self._woken(order.name)
        return live

    def _standing(self, order: Order, live: Document) -> Document | None:
        """A Job that runs is joined; one that ended before we came told its end to whoever waited, and makes room."""
        if not _is_ours(live) or _note(live, RUN) != _note(order.job, RUN):
            raise InputError(
                f"Job {order.name} is not one of ours",
                where=f"namespace {self._api.namespace} of {self._api.server}",
                why="it lacks our labels, or belongs to another run",
                fix=f"kubectl delete job {order.name} --namespace={self._api.namespace}, if nobody needs it",
            )
        if (end := _end_of(live)) is None:
            self._say(f"joins the training that runs already: Job {order.name}")
            return live
        self._say(f"Job {order.name} ended before ({end[1] or end[0]}); it is started anew")
        with contextlib.suppress(Conflict):
            self._api.delete("Job", order.name, uid=live["metadata"]["uid"])
        return self._after(order.name, live["metadata"]["uid"])

    def _after(self, name: str, uid: str) -> Document | None:
        end = time.monotonic() + _GONE_SECONDS
        while time.monotonic() < end:
            live = self._api.get("Job", name)
            if live is None or live["metadata"]["uid"] != uid:
                return live
            time.sleep(self._poll)
        raise OutsideFailed(
            f"Job {name} does not go away", where=self._api.server, why="something holds it", retryable=True
        )

    def _made(self, order: Order) -> Document:
        failpoint("training.before-job")
        try:
            made = self._api.create(order.job)
        except AlreadyExists:
            found = self._api.get("Job", order.name)
            if found is None:
                raise
            self._say(f"joins the training that another build started: Job {order.name}")
            return found
        failpoint("training.after-job")
        self._say(f"Job {order.name} in namespace {self._api.namespace}")
        return made

    def _bring_objects(self, order: Order, live: Document) -> None:
        """What the Job mounts, named by whoever made it; whoever finds it asleep brings the same."""
        owner = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": order.name,
            "uid": live["metadata"]["uid"],
        }
        ours, theirs = _note(order.job, CODE), _note(live, CODE)
        for document in order.objects:
            metadata = document["metadata"]
            name = metadata["name"].replace(f"{order.name}-{ours}", f"{order.name}-{theirs}")
            owned = {**metadata, "name": name, "ownerReferences": [owner]}
            with contextlib.suppress(AlreadyExists):
                self._api.create({**document, "metadata": owned})
        failpoint("training.objects-made")

    def _woken(self, name: str) -> Document:
        while True:
            live = self._api.get("Job", name)
            if live is None:
                raise OutsideFailed(
                    f"Job {name} was deleted before it began", where=self._api.server, retryable=True
                )
            if not live["spec"].get("suspend"):
                return live
            metadata = live["metadata"]
            with contextlib.suppress(Conflict):
                return self._api.patch(
                    "Job",
                    name,
                    {"spec": {"suspend": False}},
                    uid=metadata["uid"],
                    resource_version=metadata["resourceVersion"],
                )

    def _followed(self, order: Order, live: Document, on_line: Callable[[str], None]) -> Ended:
        uid = live["metadata"]["uid"]
        log, look = _Log(self._api, on_line), _Looks(time.monotonic())
        while True:
            try:
                live_now = self._api.get("Job", order.name)
                if live_now is None or live_now["metadata"]["uid"] != uid:
                    return _gone(order.name, self._api)
                pod = newest(map(_pod, self._pods(uid)))
                log.read(pod)
                if end := _end_of(live_now):
                    return _ended(pod, end, log)
                self._tell(order, pod, uid, look)
                look.heard = time.monotonic()
            except OutsideFailed as e:
                if not e.retryable or time.monotonic() - look.heard > SILENCE_SECONDS:
                    raise
                look.say(f"the cluster does not answer: {e.what}", self._say)
            failpoint("training.waiting")
            time.sleep(self._poll)

    def _pods(self, uid: str) -> list[dict[str, Any]]:
        return self._api.list("Pod", {"batch.kubernetes.io/controller-uid": uid})

    def _tell(self, order: Order, pod: Pod | None, uid: str, look: "_Looks") -> None:
        """What keeps it from starting; when that lasts too long it is ended, for nobody else would.

        Raises:
            OutsideFailed: it did not start in its time.
        """
        state = state_of(pod, self._refused(order.name) if pod is None else "")
        look.say(state.words, self._say)
        if state.started:
            look.began = None
        elif look.began is not None and time.monotonic() - look.began > order.start_seconds:
            with contextlib.suppress(Conflict):
                self._api.delete("Job", order.name, uid=uid)
            raise OutsideFailed(
                f"the training did not start within {order.start_seconds:.0f} s",
                where=f"Job {order.name} in namespace {self._api.namespace} of {self._api.server}",
                why=state.halted or state.words,
                fix=state.fix or "raise train.job.start_timeout",
            )

    def _refused(self, name: str) -> str:
        """Why the cluster makes no pod, which only events tell."""
        with contextlib.suppress(OutsideFailed):
            for event in reversed(self._api.events(name)):
                if event.get("reason") == "FailedCreate":
                    return str(event.get("message", ""))
        return ""

    def _told_to_end(self, order: Order) -> None:
        """The training is no child of ours: it ends only when that was asked for."""
        command = f"kubectl delete job {order.name} --namespace={self._api.namespace}"
        if not order.stop_on_abort:
            self._say(f"the training goes on, and the same command finds it; to end it: {command}")
            return
        try:
            live = self._api.get("Job", order.name)
            if live is not None:
                self._api.delete("Job", order.name, uid=live["metadata"]["uid"])
            self._say("the training is told to end")
        except MmcicdError as e:
            self._say(f"the training could not be ended ({e.what}): {command}")


class _Looks:
    """What was said last, since when it does not start, and when the cluster last answered."""

    def __init__(self, now: float) -> None:
        self.began: float | None = now
        self.heard = now
        self._said = ""

    def say(self, words: str, say: Callable[[str], None]) -> None:
        if words != self._said:
            self._said = words
            say(words)


class _Log:
    """The lines of a training, pod after pod, each once: the cluster marks them with the time, to the nanosecond."""

    def __init__(self, api: Api, on_line: Callable[[str], None]) -> None:
        self._api = api
        self._on_line = on_line
        self._pod = ""
        self._seen = ""
        self.last: list[str] = []

    def read(self, pod: Pod | None) -> None:
        if pod is None or not (pod.running or pod.exit_code is not None):
            return
        if pod.name != self._pod:
            self._pod, self._seen = pod.name, ""
        for line in self._new(pod.name):
            self._on_line(line)
            self.last = [*self.last[1 - _LAST_LINES :], line]

    def _new(self, pod: str) -> Iterator[str]:
        try:
            lines = self._api.log_since(pod, CONTAINER, self._seen)
        except InputError:  # between two states of its container there is no log
            return
        for marked in lines:
            at, _, line = marked.partition(" ")
            if _TIME.fullmatch(at) and _order(at) > _order(self._seen):
                self._seen = at
                yield line[:_LONGEST_LINE]


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z")


def _order(at: str) -> tuple[str, str]:
    """Times as text: fractions are cut short where they end in zeros."""
    whole, _, fraction = at.rstrip("Z").partition(".")
    return whole, fraction.ljust(9, "0")


def _ended(pod: Pod | None, end: tuple[str, str, str], log: _Log) -> Ended:
    how, reason, message = end
    if how == "Complete":
        return Ended()
    kind, why, fix = why_it_ended(pod, reason, message)
    status = (pod.exit_code or 0) if pod else 0
    return Ended(kind=kind, status=status, why=why, fix=fix, last_lines=tuple(log.last))


def _gone(name: str, api: Api) -> Ended:
    return Ended(
        kind="gone",
        why=f"Job {name} was deleted in namespace {api.namespace} of {api.server}",
        fix="the same command again starts it anew, from its checkpoint where it has one",
    )


def _is_ours(live: Document) -> bool:
    labels = live["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in MANAGED.items())


def _note(document: Document, key: str) -> str:
    return str((document["metadata"].get("annotations") or {}).get(key, ""))


def _end_of(live: Document) -> tuple[str, str, str] | None:
    """(Complete or Failed, reason, message) of a Job that ended."""
    for condition in (live.get("status") or {}).get("conditions") or ():
        if condition.get("type") in {"Complete", "Failed"} and condition.get("status") == "True":
            return condition["type"], condition.get("reason", ""), condition.get("message", "")
    return None


def _pod(document: Mapping[str, Any]) -> Pod:
    metadata, status = document["metadata"], document.get("status") or {}
    listed = status.get("containerStatuses") or [{}]
    state = listed[0].get("state") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    unplaced: Mapping[str, Any] = next(
        (
            c
            for c in status.get("conditions") or ()
            if c.get("type") == "PodScheduled" and c.get("status") == "False"
        ),
        {},
    )
    return Pod(
        name=metadata["name"],
        made=metadata.get("creationTimestamp", ""),
        phase=status.get("phase", ""),
        running="running" in state,
        waiting=waiting.get("reason", ""),
        message=" ".join(str(waiting.get("message", "")).split()),
        refused=unplaced.get("message", ""),
        exit_code=ended.get("exitCode"),
        ended=ended.get("reason", ""),
        evicted=status.get("message", "") if status.get("phase") == "Failed" else "",
    )
