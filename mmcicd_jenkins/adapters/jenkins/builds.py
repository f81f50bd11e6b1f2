"""`ports.jenkins.JenkinsBuilds` and `JenkinsInputs`: starting builds, following them, answering what they ask.

The law: parameters and answers travel as form fields, never in an address; what Jenkins joins with a build that
waited already is not ours, and who calls must know.
"""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mmcicd_jenkins.adapters.jenkins.errors import NotThere
from mmcicd_jenkins.adapters.jenkins.names import job_path
from mmcicd_jenkins.errors import InputError, OutsideFailed
from mmcicd_jenkins.ports.jenkins import BuildState, LogPart, PendingInput, Question, Queued, QueueState

if TYPE_CHECKING:
    from mmcicd_jenkins.adapters.jenkins.server import Server

_ITEM = re.compile(r"/queue/item/(\d+)/?\Z")
# A job with parameters refuses a build without any; a name that no job has changes nothing.
_NO_PARAMETERS = {"mmcicd": "1"}


class Builds:
    """Builds of the controller behind `server`."""

    def __init__(self, server: "Server") -> None:
        self._server = server

    def exists(self, job: str) -> bool:
        try:
            self._server.ask_json(job_path(job), tree="name")
        except NotThere:
            return False
        return True

    def start(self, job: str, parameters: Mapping[str, str]) -> Queued | None:
        try:
            waiting = self._waiting(job)
            if parameters:
                answer = self._server.send(f"{job_path(job)}buildWithParameters", parameters)
            else:
                answer = self._start_plain(job)
        except NotThere:
            return None
        found = _ITEM.search(answer.headers.get("Location", ""))
        if found is None:
            return Queued(id=0, ours=True)  # a scan: it waits in a queue of its own
        # With parameters Jenkins says by 303 that it joined ours with one that waits; without it does not say.
        return Queued(id=int(found[1]), ours=answer.status_code == 201 and int(found[1]) != waiting)

    def _waiting(self, job: str) -> int:
        """The queue item that the job has already; 0 for none."""
        found = self._server.ask_json(job_path(job), tree="queueItem[id]")
        return int((found.get("queueItem") or {}).get("id", 0))

    def _start_plain(self, job: str) -> Any:
        try:
            return self._server.send(f"{job_path(job)}build", {"delay": "0sec"})
        except InputError as e:
            if isinstance(e, NotThere) or "400" not in e.what:
                raise
        return self._server.send(f"{job_path(job)}buildWithParameters", _NO_PARAMETERS)

    def queued(self, item: int) -> QueueState:
        try:
            found = self._server.ask_json(
                f"queue/item/{item}/", tree="cancelled,why,executable[number],task[name]"
            )
        except NotThere:
            # Jenkins forgets an item five minutes after it left.
            return QueueState(gone=True, why="Jenkins has forgotten it")
        executable = found.get("executable") or {}
        if executable.get("number"):
            return QueueState(number=int(executable["number"]))
        if found.get("cancelled"):
            return QueueState(gone=True, why="it was cancelled while it waited")
        return QueueState(why=found.get("why") or "")

    def build(self, job: str, number: int | None = None) -> BuildState | None:
        which = "lastBuild" if number is None else str(number)
        try:
            found = self._server.ask_json(
                f"{job_path(job)}{which}/", tree="number,url,result,building,inProgress,description"
            )
        except NotThere:
            return None
        running = found.get("building") or found.get("inProgress")
        return BuildState(
            number=int(found["number"]),
            url=found.get("url") or "",
            result="" if running else found.get("result") or "",
            description=found.get("description") or "",
        )

    def log(self, job: str, number: int, start: int) -> LogPart:
        place = f"{number}/" if number else "indexing/"
        answer = self._server.ask(f"{job_path(job)}{place}logText/progressiveText", start=start)
        size = answer.headers.get("X-Text-Size", "")
        if not size.isdigit():
            raise OutsideFailed(
                "Jenkins sends a log without saying where it ends",
                where=f"{job} {number}",
                fix="a proxy before Jenkins must let the header X-Text-Size through",
            )
        if int(size) < start:  # a scan that began anew
            return LogPart(text=b"", next=0, more=True)
        more = answer.headers.get("X-More-Data", "").lower() == "true"
        return LogPart(text=answer.content, next=int(size), more=more)

    def stop(self, job: str, number: int) -> None:
        self._server.send(f"{job_path(job)}{number}/stop")

    def cancel(self, item: int) -> None:
        try:
            self._server.send("queue/cancelItem", {"id": str(item)})
        except NotThere:
            return  # it has left the queue


class Inputs:
    """Questions that builds ask."""

    def __init__(self, server: "Server") -> None:
        self._server = server

    def pending(self, job: str, number: int) -> tuple[PendingInput, ...] | None:
        try:
            answer = self._server.ask(f"{job_path(job)}{number}/wfapi/pendingInputActions")
            found = answer.json()
        except (NotThere, ValueError):
            return None
        return tuple(_pending(entry) for entry in found)

    def proceed(self, job: str, number: int, id: str, values: Mapping[str, str]) -> None:  # noqa: A002  the port's
        answers = [{"name": name, "value": value} for name, value in values.items()]
        path = f"{job_path(job)}{number}/input/{_in_address(id)}"
        try:
            if answers:
                self._server.send(f"{path}/proceed", {"json": json.dumps({"parameter": answers})})
            else:
                self._server.send(f"{path}/proceedEmpty")
        except OutsideFailed as e:
            raise _not_accepted(e, values) from e

    def abort(self, job: str, number: int, id: str) -> None:  # noqa: A002  the port's
        self._server.send(f"{job_path(job)}{number}/input/{_in_address(id)}/abort")


def _not_accepted(error: OutsideFailed, values: Mapping[str, str]) -> Exception:
    """Jenkins answers 500 to a value that is no choice, as if it had failed itself."""
    if "(500)" not in error.what:
        return error
    told = ", ".join(f"{name}={value!r}" for name, value in values.items())
    return InputError(
        "Jenkins does not take this answer; the question stands",
        where=error.where,
        why=f"{told}: {error.why}",
        fix="take one of the choices as they are written",
    )


def _in_address(id: str) -> str:  # noqa: A002
    """Jenkins capitalises the id of an input in addresses and answers 404 to the one in the pipeline."""
    return id[:1].upper() + id[1:]


def _pending(entry: Mapping[str, Any]) -> PendingInput:
    questions = []
    for asked in entry.get("inputs") or ():
        definition = asked.get("definition") or {}
        default = definition.get("defaultVal", asked.get("defaultValue", ""))
        questions.append(
            Question(
                name=str(asked.get("name", "")),
                description=asked.get("description") or "",
                default="" if default is None else str(default),
                choices=tuple(str(choice) for choice in definition.get("choices") or ()),
            )
        )
    return PendingInput(
        id=str(entry.get("id", "")), message=entry.get("message") or "", questions=tuple(questions)
    )
