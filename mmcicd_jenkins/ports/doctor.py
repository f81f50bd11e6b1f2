"""What `doctor` asks of the outside world: facts, and who can tell them. Nothing here changes anything anywhere.

A fact that the account may not see is None, never a guess. A method raises only the errors of
`mmcicd_jenkins.errors`, and only where the system as a whole did not answer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Literal, Protocol

from mmcicd_jenkins.ports.rights import Question
from mmcicd_jenkins.records import dataclass

# present: it is there, and the account may not see more. failed: switched on, and it did not start.
PluginState = Literal["active", "disabled", "failed", "present", "missing"]
RegistryRight = Literal["read", "write", "delete"]


@dataclass(frozen=True, kw_only=True)
class ControllerFacts:
    """`url` is what Jenkins believes its address is, "" when nobody told it. `ahead_seconds` is its clock."""

    version: str
    account: str
    url: str
    ahead_seconds: float | None = None
    quieting_down: bool = False


@dataclass(frozen=True, kw_only=True)
class PluginFacts:
    state: PluginState
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class Node:
    """An agent as Jenkins lists it; `why` says why it is offline."""

    name: str
    labels: tuple[str, ...] = ()
    online: bool = True
    executors: int = 1
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class LabelFacts:
    """The agents behind a label expression, and the clouds that would make one."""

    nodes: tuple[Node, ...] = ()
    clouds: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Served:
    """How files of users are served: their policy ("" = none), or that they have a domain of their own."""

    policy: str
    own_domain: bool = False


@dataclass(frozen=True, kw_only=True)
class SecurityFacts:
    """`interpolation` is what happens to a secret in a Groovy string: warn (also when unset), fail or ignore."""

    pending_approvals: bool | None = None
    interpolation: str | None = None


@dataclass(frozen=True, kw_only=True)
class FolderRights:
    """What the account may do in a folder; `exists` is also false where it may not know of it."""

    exists: bool
    create: bool | None = None
    read_config: bool | None = None


class JenkinsLook(Protocol):
    """The controller and what runs builds for it."""

    def controller(self) -> ControllerFacts: ...

    def plugins(self, ids: Iterable[str]) -> Mapping[str, PluginFacts]: ...

    def nodes(self) -> tuple[Node, ...]: ...

    def label(self, expression: str) -> LabelFacts: ...

    def clouds(self) -> tuple[str, ...] | None:
        """The names of all clouds; None: the account may not see them."""


class JenkinsRights(Protocol):
    """What the account may do, and who else may do what."""

    def folder(self, path: str) -> FolderRights: ...

    def credentials(self, folder: str) -> tuple[str, ...] | None:
        """Ids in the store of a folder ("" is Jenkins' own); None: the account may not see them."""

    def served(self) -> Served | None:
        """How files of users are served; None: there is no file to look at."""

    def security(self) -> SecurityFacts: ...

    def listens(self, hook: str) -> int:
        """The status with which an address that services call answers to nobody in particular."""


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository over git. `push` None: not tried."""

    branches: Mapping[str, str] = field(default_factory=dict)
    push: bool | None = None
    why_no_push: str = ""


class GitLook(Protocol):
    """Repositories, asked and never written."""

    def repository(self, url: str, *, push: str = "") -> Repository:
        """Its branches; with `push`, whether a push to that branch would be let in: a rehearsal that sends nothing."""

    def uncommitted(self, paths: Iterable[str]) -> tuple[str, ...] | None:
        """Which of these files are not committed here as they are; None: this is no git repository."""

    def lacks(self, commit: str, paths: Iterable[str]) -> tuple[str, ...] | None:
        """Which of these files a commit does not hold as they are here; None: the commit is not here."""


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A folder, or the nearest that there is above it."""

    path: str
    writable: bool
    free_bytes: int


@dataclass(frozen=True, kw_only=True)
class Port:
    """A port of this machine; `ours` when our own server of that place listens there."""

    number: int
    free: bool
    ours: bool = False


@dataclass(frozen=True, kw_only=True)
class Gpus:
    """What the driver says: one line for each GPU, or why it says nothing."""

    names: tuple[str, ...] = ()
    installed: bool = False
    why: str = ""


class MachineLook(Protocol):
    """The machine that this process runs on."""

    def versions(self) -> Mapping[str, str]:
        """python, git and venv ("" = not there)."""

    def disk(self, folder: Path) -> Disk: ...

    def port(self, host: str, number: int, state: Path) -> Port: ...

    def gpus(self) -> Gpus: ...

    def engine(self) -> str:
        """The version of the Docker engine that commands here would use.

        Raises:
            MmcicdError: none answers, or this user may not ask it.
        """

    def index(self) -> str:
        """Ask pip's package index with pip's own settings; "" when it answers, else what pip says."""


class RegistryLook(Protocol):
    """The registry of the store, as the account of this machine sees it."""

    def reach(self) -> str:
        """As whom it is asked, and where that login is from.

        Raises:
            MmcicdError: it does not answer, shows a certificate that is not trusted, or is no registry.
        """

    def may(self, repository: str, right: RegistryRight) -> str:
        """Why the account lacks a right there; "" when it has it. Tried, with nothing left behind."""


@dataclass(frozen=True, kw_only=True)
class ClusterFacts:
    """`account` is who we are to the cluster, `ahead_seconds` its clock; `login_seconds` is for how long the login is
    good yet: None where it does not say.
    """

    version: str
    account: str = ""
    ahead_seconds: float | None = None
    login_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class NamespaceFacts:
    """`enforced` is the level of pod security that its pods are held to, "" for none."""

    exists: bool
    enforced: str = ""
    ending: bool = False


@dataclass(frozen=True, kw_only=True)
class Quota:
    """A quota that counts every pod: resource (`requests.cpu`) -> what it holds, and what is used of it."""

    name: str
    hard: Mapping[str, float]
    used: Mapping[str, float] = field(default_factory=dict)


class ClusterLook(Protocol):
    """One namespace of one cluster, as the account of this machine sees it."""

    def reach(self) -> ClusterFacts:
        """Raises:
        MmcicdError: it does not answer, or knows no such login.
        """

    def may(self, questions: Iterable[Question]) -> Mapping[Question, bool]: ...

    def rules(self) -> tuple[Question, ...] | None:
        """Every call in the namespace that the account is given, `*` for all; None: the cluster cannot list them."""

    def namespace(self) -> NamespaceFacts | None:
        """None: the account may not see it."""

    def quotas(self) -> tuple[Quota, ...] | None:
        """None: the account may not see them."""


class WebLook(Protocol):
    """Services that need no library of their own."""

    def source(self, url: str) -> int:
        """How many files a data source has; nothing is read of them.

        Raises:
            MmcicdError: it is not there, or does not answer.
        """
