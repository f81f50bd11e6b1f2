"""The whole outside world on one page. Stages see these protocols; `wiring` decides what stands behind them.

Those of ledger and store are in `ports.ledger` and `ports.store`, those of single commands in `ports.doctor`, `ports.jenkins`, `ports.offline`.

A method raises only the errors of `mmcicd_jenkins.errors`. A port has few methods, none that some
adapter would leave empty; what can be derived from them is a function elsewhere.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from mmcicd_jenkins.image.descriptor import Descriptor
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.measures import Measures
from mmcicd_jenkins.release.operations import Concern
from mmcicd_jenkins.release.records import GateReport


class Clock(Protocol):
    """Time as decisions see it: UTC with a zone, seconds."""

    def now(self) -> datetime: ...

    def sleep(self, seconds: float) -> None: ...


class Progress(Protocol):
    """What a person sees meanwhile: a bar on a terminal, plain lines in a log. Goes to stderr."""

    def line(self, text: str) -> None: ...

    def update(self, text: str, done: float | None = None) -> None:
        """The state of the current step; `done` is a fraction between 0 and 1 when it is known."""


@dataclass(frozen=True, kw_only=True)
class Commit:
    """Where the checkout stands. `branch` is "" on a detached HEAD; `time` is the commit's own, in seconds."""

    sha: str
    branch: str
    time: int
    author: str


class Checkout(Protocol):
    """The git working tree that holds `mmcicd.yaml`. Never changed by a stage."""

    def commit(self) -> Commit: ...

    def files(self, path: str) -> Mapping[str, str]:
        """Tracked files under `path` at HEAD: path relative to the root -> git blob id and mode."""

    def packed(self, commit: str) -> tuple[bytes, str]:
        """A commit with all its files as a git pack, and the folder of `mmcicd.yaml` in it ("" is its root)."""

    def changed(self) -> Mapping[str, bool]:
        """Paths that differ from HEAD, ignored ones left out -> whether git knows them (False: untracked)."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A command that ended: `status` as in `subprocess`, negative for a signal; the end of its output.

    `why` says what the status means where it has a meaning of its own: not found, killed, timed out.
    """

    status: int
    last_lines: tuple[str, ...]
    seconds: float
    timed_out: bool = False
    why: str = ""


class Commands(Protocol):
    """Runs the team's own commands."""

    def run(
        self,
        command: str,
        *,
        directory: Path,
        variables: Mapping[str, str],
        log: Path,
        timeout_seconds: float,
        on_line: Callable[[str], None] | None = None,
    ) -> Finished:
        """Run `command` by `/bin/sh -c` in its own process group, its output to `log` and `on_line`.

        SIGTERM and SIGINT are forwarded to the group; then `Terminated` or `Interrupted` is raised.
        """


@dataclass(frozen=True, kw_only=True)
class PythonEnvironment:
    """Where a model's commands run. `variables` (PATH, VIRTUAL_ENV) are added to theirs; `digest` is part of
    the run id; `packages` are `name==version`, sorted.
    """

    digest: str
    python: str
    variables: Mapping[str, str]
    packages: tuple[str, ...] = ()
    made: bool = False


class Environments(Protocol):
    """Python environments made from requirements, once per digest and machine."""

    def digest(self, requirements: Path | None) -> str: ...

    def ensure(
        self,
        requirements: Path | None,
        on_line: Callable[[str], None],
        say: Callable[[str], None] | None = None,
    ) -> PythonEnvironment:
        """`on_line` gets what the installer prints, `say` (if not given: it too) what a person must know."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table. `kind` is `integer`, `number` or `text`; ranges only for numbers."""

    name: str
    kind: str
    missing: int = 0
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()  # the distinct values of a text column, when they are few


@dataclass(frozen=True, kw_only=True)
class SourceFacts:
    """What a data source holds: the digest of its bytes and, for a table, its columns and row count."""

    digest: str
    size: int
    files: int
    rows: int | None = None
    columns: tuple[Column, ...] = ()
    version: str = ""  # the object version, where the storage has versions
    label_counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Split:
    """A source divided: what training may see (under the data directory) and what it never sees.

    `warning` is a sentence when the shares are far from what was asked.
    """

    train: Path
    test: Path | None
    train_rows: int
    test_rows: int
    warning: str = ""


class DataSources(Protocol):
    """Local paths, https, s3, gs and every other fsspec URL."""

    def look(self, url: str, label: str = "") -> SourceFacts:
        """Read the source where it is and describe it."""

    def fetch(self, url: str, digest: str, progress: Callable[[int, int], None], version: str = "") -> Path:
        """The bytes with exactly `digest`, from the cache or the source; `version` is the lock's.

        Raises:
            IntegrityFailed: the source holds other bytes and the old ones are nowhere.
        """

    def holds(self, url: str, digest: str) -> bool | None:
        """Whether a source on this machine still has these bytes: by its times, by its digest when they changed.

        None for one elsewhere, which is not asked, and for one that cannot be read.
        """

    def split(
        self, source: Path, directory: Path, *, test_size: float, group_by: str, salt: str
    ) -> Split: ...


@dataclass(frozen=True, kw_only=True)
class ScoreRequest:
    """Score a model on a test table. `columns` is the lock's order, the label left out."""

    model: Path
    table: Path
    columns: tuple[str, ...]
    label: str
    slices: tuple[str, ...]
    problem: str
    signature: str
    output: str
    threshold: float
    batch_size: int
    classes: tuple[str, ...]  # of the lock's label, in order; () for regression


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What scoring gave: measures, the documents for the report, golden requests, a reference for drift."""

    measures: Measures
    report: Mapping[str, object]
    golden: Mapping[str, object]
    reference: Mapping[str, object]


class Evaluator(Protocol):
    def score(self, request: ScoreRequest, environment: PythonEnvironment, directory: Path) -> Scored:
        """Stream the test table through the model's signature; predictions land in `directory`."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where a model answers. `rest` is `http://host:port`, `grpc` is `host:port`."""

    rest: str
    grpc: str


@dataclass(frozen=True, kw_only=True)
class GoldenResult:
    """Golden requests asked: how many matched by each protocol, seconds of each REST answer, what differed."""

    asked: int
    matched_rest: int
    matched_grpc: int
    seconds: tuple[float, ...]
    differences: tuple[str, ...] = ()
    where: str = ""  # the address that was asked


class ModelClient(Protocol):
    """A client of TF Serving's surface."""

    def ask_golden(self, endpoint: Endpoint, model: str, golden: Mapping[str, object]) -> GoldenResult: ...

    def metrics(self, endpoint: Endpoint) -> str:
        """The Prometheus text of the server."""


@dataclass(frozen=True, kw_only=True)
class Copies:
    """How many copies of one version run. `role` is stable, canary or preview; `ready` ones take requests."""

    version: int
    role: str
    wanted: int
    ready: int


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What an environment says of one model: the version that answers (None: none), its state, its fence.

    `copies` are counted where an environment has several: who serves which share. `departure` says what stands there
    otherwise than it was applied, although the version answers; "" when nothing does.
    """

    version: int | None
    state: str
    epoch: int = 0
    reason: str = ""
    copies: tuple[Copies, ...] = ()
    departure: str = ""


@dataclass(frozen=True, kw_only=True)
class Switch:
    """An order to a target: serve this and only this version, unless a newer epoch stands.

    `manifest` and `seal`: rendered documents and the signature over them, which ride in a cluster for the way back.
    """

    model: str
    version: int
    epoch: int
    op_id: str
    layers: tuple[Descriptor, ...]
    reference: Mapping[str, object] = field(default_factory=dict)
    takes_back: bool = False  # what served before is bad and must not be kept for a way back
    manifest: tuple[Mapping[str, object], ...] = ()
    seal: Mapping[str, object] = field(default_factory=dict)


class Target(Protocol):
    """An environment that serves models."""

    def observe(self, model: str) -> Observed: ...

    def switch(self, order: Switch) -> None:
        """Load the version, and only when it answers drop the old one; returns when it serves alone.

        Raises:
            Superseded: the target carries a newer epoch.
            OutsideFailed: the version did not become available; the old one serves on.
        """

    def withdraw(self, model: str, epoch: int) -> None:
        """Serve nothing for this model (a first release taken back)."""

    def endpoint(self, model: str) -> Endpoint: ...

    def stop(self) -> bool:
        """Stop what was started here; False when nothing ran."""


class Signer(Protocol):
    """Signs and checks ledger events and releases (DSSE with Ed25519)."""

    def sign(self, payload_type: str, payload: bytes) -> Mapping[str, str] | None:
        """A signature as `{keyid, sig}`; None when this machine has no key."""

    def check(self, payload_type: str, payload: bytes, signature: Mapping[str, str]) -> str:
        """The zone of the key that signed.

        Raises:
            IntegrityFailed: unknown key or wrong signature.
        """


class SavedModels(Protocol):
    """What lies in a model directory, read without TensorFlow and without running it."""

    def signature(self, directory: Path, name: str) -> Mapping[str, object]:
        """The inputs and outputs of a signature: `{"inputs": {name: {dtype, shape}}, "outputs": {...}}`.

        Raises:
            InputError: no SavedModel there, it cannot be parsed, or it lacks the signature.
        """

    def concerns(self, directory: Path, allowed: Collection[str]) -> tuple[Concern, ...]:
        """What does not belong into a model that a server loads; `allowed` are operations that the team lets pass.

        Raises:
            InputError: no SavedModel there, or it cannot be parsed.
        """

    def diagnose(self, directory: Path, checkout: Path, since: float) -> tuple[str, str]:
        """Why there is no SavedModel: what training wrote instead, and the line that would export one."""


@dataclass(frozen=True, kw_only=True)
class EvaluationRecord:
    """All that a report tells. `curves` is the JSONL of the training, `lineage` label -> text."""

    model: str
    problem: str
    gates: GateReport
    measures: Measures
    baseline: Measures | None
    report: Mapping[str, object]
    curves: Path | None
    lineage: Mapping[str, str]
    environment: tuple[str, ...]


class Reports(Protocol):
    """Documents for people: report.html with its images, report.md, gates.xml (JUnit)."""

    def write(self, directory: Path, record: EvaluationRecord) -> Path:
        """Returns the path of report.html."""

    def read_metrics(self, path: Path) -> Measures:
        """The metrics.json of the team's own evaluation command.

        Raises:
            InputError: not JSON, too big, or not metrics.
        """
