"""What the ledger of one model holds, as values: head, environment pointers, events, and a change to write.

Layout of a model's branch: `head.json`, `environments/<name>.json`, `releases/<thousands>/<version>.json`,
`runs/<2 hex>/<run id>.json`, `manifests/<2 hex>/<digest>.json`, `events/<thousands>/<seq>.json`.
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.records import dataclass

GENESIS = "sha256:" + "0" * 64


@dataclass(frozen=True, kw_only=True)
class Head:
    """`seq` and `last` are number and digest of the newest event; `versions` the highest number ever reserved.

    `revoked` maps a version (as text) to why it was taken back; `model` guards against a misplaced branch. `collected`
    maps a version to when and by which rule its image was given up: its bytes are gone, or will be in a moment.
    """

    model: str
    seq: int = 0
    last: str = GENESIS
    versions: int = 0
    revoked: Mapping[str, str] = field(default_factory=dict)
    collected: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A change of an environment. `phase` is prepared, done or failed; `source` is what served before.

    `revokes` are versions that a rollback was about to take back when this operation pushed it aside. `manifest` is the
    digest of what is applied in a cluster, "" elsewhere and in old records.
    """

    op_id: str
    action: str
    source: int | None
    target: int | None
    phase: str
    epoch: int
    started: str
    ended: str
    actor: str
    reason: str
    revokes: tuple[int, ...] = ()
    manifest: str = ""


@dataclass(frozen=True, kw_only=True)
class Served:
    """A stretch in which a version served. `until` is "" while it does; `manifest` as in `Operation`."""

    version: int
    since: str
    until: str = ""
    manifest: str = ""


@dataclass(frozen=True, kw_only=True)
class Pointer:
    """What an environment serves. `epoch` rises with every decision; `frozen` says why automation stopped."""

    environment: str
    epoch: int = 0
    serving: int | None = None
    operation: Operation | None = None
    served: tuple[Served, ...] = ()
    frozen: str = ""
    automatic_rollback: str = ""  # when the last automatic rollback was decided

    def manifest_of(self, version: int) -> str:
        """What was applied for a version when it served here last; "" when that is not known."""
        return next((s.manifest for s in reversed(self.served) if s.version == version), "")


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The ledger of one model at one head. `commit` is git's name of that head, "" before the first."""

    head: Head
    pointers: Mapping[str, Pointer]
    commit: str = ""

    def pointer(self, environment: str) -> Pointer:
        return self.pointers.get(environment, Pointer(environment=environment))

    def is_revoked(self, version: int) -> bool:
        return str(version) in self.head.revoked

    def is_collected(self, version: int) -> bool:
        return str(version) in self.head.collected


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of history. `prev` is the digest of the event before; `writes` maps each file of the same
    commit to the sha256 of its bytes; `id` is random so that two writers never make the same commit. `state` is
    what the whole ledger looks like after it: the storage's own digest of each folder but `events`, {} in old ones.
    """

    seq: int
    prev: str
    id: str
    kind: str
    at: str
    actor: str
    detail: Mapping[str, object]
    writes: Mapping[str, str]
    state: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Change:
    """What one commit writes: an event of `kind`, the new head (without seq and last, which the adapter
    sets), and files by path.
    """

    kind: str
    at: str
    actor: str
    detail: Mapping[str, object]
    head: Head
    files: Mapping[str, Mapping[str, object]]


def release_path(version: int) -> str:
    return f"releases/{version // 1000:03d}/{version}.json"


def run_path(run_id: str) -> str:
    """`run_id` is a `sha256:` digest."""
    hexadecimal = run_id.removeprefix("sha256:")
    return f"runs/{hexadecimal[:2]}/{hexadecimal}.json"


def manifest_path(digest: str) -> str:
    """`digest` is a `sha256:` digest."""
    hexadecimal = digest.removeprefix("sha256:")
    return f"manifests/{hexadecimal[:2]}/{hexadecimal}.json"


def digest_of_path(path: str) -> str:
    """The digest in a path that ends in one."""
    return "sha256:" + path.rpartition("/")[2].removesuffix(".json")


def pointer_path(environment: str) -> str:
    return f"environments/{environment}.json"


def event_path(seq: int) -> str:
    return f"events/{seq // 1000:03d}/{seq}.json"


def read_time(text: str, where: str) -> datetime:
    """A time of the ledger, with its zone.

    Raises:
        IntegrityFailed: it is none, as after an edit by hand.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise IntegrityFailed(
            f"{text[:40]!r} is not a time with a zone",
            where=where,
            why="the ledger was changed by something else than mmcicd-jenkins",
            fix="mmcicd-jenkins ledger verify shows the first break; restore the branch from a copy",
        )
    return time
