"""What a local server is told to serve, and what it says it serves, as documents in its state directory.

`desired.json` is written by the order giver and read by the server; `actual.json` and `server.json` go the
other way. Every file is replaced as a whole. `epoch` is the fence: it never falls, also when a version is
withdrawn or a failed switch is undone.
"""

from collections.abc import Mapping
from dataclasses import field

from mmcicd_jenkins.records import dataclass

DESIRED = "desired.json"
ACTUAL = "actual.json"
SERVER = "server.json"
LOCK = "server.lock"
LOG = "server.log"
OUTPUT = "server.out"

# What a state directory takes in one request when nothing else is said: 16 MiB, ten photographs in base64.
REQUEST_BYTES = 16 * 2**20


@dataclass(frozen=True, kw_only=True)
class ServedVersion:
    """One version to serve. `directory` holds the SavedModel, relative to the state directory or absolute."""

    directory: str
    reference: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TakenBack:
    """A rollback that was done while no ledger answered: `left` was taken back, `to` serves under `epoch`."""

    left: int
    to: int
    epoch: int
    at: str
    actor: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """One model. `versions` is keyed by the version number as text; none of them means: serve nothing.

    `fallback` is what serves while `versions` cannot: a server that starts anew in the middle of a switch
    keeps the last healthy copy by it. `previous` is the healthy version before, for a way back that needs neither
    ledger nor store; `offline` are such ways back that no ledger knows yet.
    """

    epoch: int = 0
    op_id: str = ""
    versions: Mapping[str, ServedVersion] = field(default_factory=dict)
    fallback: Mapping[str, ServedVersion] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    previous: Mapping[str, ServedVersion] = field(default_factory=dict)
    offline: tuple[TakenBack, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Desired:
    """The whole order. `environment` is "" for a server that no environment owns; only such a server takes
    orders by `HandleReloadConfigRequest`.
    """

    environment: str = ""
    host: str = "127.0.0.1"
    rest_port: int = 8501
    grpc_port: int = 8500
    max_request_bytes: int = REQUEST_BYTES
    models: Mapping[str, ServedModel] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class VersionState:
    """`state` is one of TF Serving's: START, LOADING, AVAILABLE, UNLOADING, END. `error` says why it is END."""

    state: str
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelState:
    """`epoch` and `op_id` of the order that was last taken up; `serving` are the versions that answer."""

    epoch: int
    op_id: str
    serving: tuple[int, ...] = ()
    versions: Mapping[str, VersionState] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Actual:
    """`problem` says why the newest desired state could not be taken up; "" when it was."""

    pid: int
    models: Mapping[str, ModelState] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Listening:
    """Written once both ports listen, or when the server gave up: then `what` is not empty."""

    pid: int
    host: str = ""
    rest_port: int = 0
    grpc_port: int = 0
    what: str = ""
    where: str = ""
    why: str = ""
    fix: str = ""
