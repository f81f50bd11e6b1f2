"""Jenkins as the rest of the house sees it: items, builds, and questions that a build asks.

A method raises only the errors of `mmcicd_jenkins.errors`. Jobs are named by their full name, `ml/ci/churn/main`;
a branch stands in it as Jenkins writes it (`feature%2Fx`).
"""

from collections.abc import Mapping
from typing import Protocol

from mmcicd_jenkins.records import dataclass


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An item as its folder lists it."""

    name: str
    java_class: str
    description: str


class JenkinsItems(Protocol):
    """Folders and jobs."""

    def children(self, folder: str) -> tuple[Listed, ...] | None:
        """What is in a folder ("" is the top), by one request; None: there is no such folder."""

    def config(self, path: str) -> str | None:
        """The XML of an item; None: there is no such item."""

    def create(self, path: str, xml: str) -> bool:
        """False: somebody else made one of that name meanwhile; nothing was written."""

    def update(self, path: str, xml: str) -> None: ...

    def delete(self, path: str) -> None: ...


class JenkinsFacts(Protocol):
    """What the controller says of itself and of us."""

    def account(self) -> str:
        """The id of the account; "" for nobody."""

    def plugins(self) -> Mapping[str, str] | None:
        """Active plugins and their versions; None: the account may not see them."""


@dataclass(frozen=True, kw_only=True)
class Queued:
    """Where a build waits. `ours` is False when Jenkins joined it with one that waited already."""

    id: int
    ours: bool


@dataclass(frozen=True, kw_only=True)
class QueueState:
    """`number` is the build, once it has one; `gone` says that it left the queue without a build."""

    number: int | None = None
    gone: bool = False
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class BuildState:
    """`result` is "" while it runs, then SUCCESS, UNSTABLE, FAILURE, NOT_BUILT or ABORTED."""

    number: int
    url: str
    result: str
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class LogPart:
    """A piece of a log, where the next begins, and whether there will be one."""

    text: bytes
    next: int
    more: bool


class JenkinsBuilds(Protocol):
    """Starting and following. `number` 0 of a log is the scan of a multibranch project."""

    def exists(self, job: str) -> bool: ...

    def start(self, job: str, parameters: Mapping[str, str]) -> Queued | None:
        """None: there is no such job. A multibranch project starts a scan, which has no place in the queue."""

    def queued(self, item: int) -> QueueState: ...

    def build(self, job: str, number: int | None = None) -> BuildState | None:
        """A build, the last one without a number; None: there is none."""

    def log(self, job: str, number: int, start: int) -> LogPart: ...

    def stop(self, job: str, number: int) -> None: ...

    def cancel(self, item: int) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Question:
    """One field of a question; `choices` () for free text."""

    name: str
    description: str = ""
    default: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PendingInput:
    """A question that a build asks. `id` as URLs have it: its first letter is a capital."""

    id: str
    message: str
    questions: tuple[Question, ...] = ()
    known: bool = True  # False: the controller cannot say what is asked, only that something is


class JenkinsInputs(Protocol):
    """Questions of builds and their answers."""

    def pending(self, job: str, number: int) -> tuple[PendingInput, ...] | None:
        """None: this controller cannot tell (the plugin pipeline-rest-api is missing)."""

    def proceed(self, job: str, number: int, id: str, values: Mapping[str, str]) -> None:  # noqa: A002  Jenkins' word
        """Every question must be answered: Jenkins fills no defaults in.

        Raises:
            InputError: the account may not answer, or an answer is no choice; the question stands.
        """

    def abort(self, job: str, number: int, id: str) -> None:  # noqa: A002  Jenkins' word
        """Answer no: the build ends as aborted."""
