"""Prove a whole history, commit by commit, oldest first. Pure; constant memory per file of the ledger.

What holds: one event per commit, numbered without gaps, each naming the digest of the one before; every file
of a commit named by its event and none besides; the head always the event's own; versions and epochs never
going back; a release written once; signatures of the right zone. A cut-off end looks like a shorter history:
only a witness, a number and digest noted elsewhere, can show it.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field

from mmcicd_jenkins.errors import IntegrityFailed, MmcicdError
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.chain import (
    HEAD_PATH,
    event_digest,
    event_payload,
    head_digest,
    head_file,
    read_event,
    read_json,
    read_record,
    sha256_of,
)
from mmcicd_jenkins.release.ledger import (
    GENESIS,
    Event,
    Head,
    Pointer,
    digest_of_path,
    event_path,
    manifest_path,
    pointer_path,
    release_path,
    run_path,
)
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.release.seal import read_manifest

# Whose signature counts in whose ledger: what `ops` signs is good anywhere, what a laptop signs only at home.
ACCEPTED = {"laptop": frozenset({"laptop", "ops"}), "ops": frozenset({"ops"})}
UNSIGNED = "nobody"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One commit: the bytes of every file it changed, None for one that it removed."""

    commit: str
    files: Mapping[str, bytes | None]


@dataclass(frozen=True, kw_only=True)
class Trust:
    """How signatures are judged.

    `check(payload, signature)` gives the zone of the key or raises IntegrityFailed. `zone` is the ledger's
    own. `required` says that the zone has a trusted key: then every event must be signed, except those
    before the first signed one, which its signature covers through the chain.
    """

    check: Callable[[bytes, Mapping[str, str]], str]
    zone: str
    required: bool


@dataclass(frozen=True, kw_only=True)
class Break:
    """Where the history does not hold, and how."""

    commit: str
    place: str
    what: str
    fix: str = ""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What was found. `signers` counts events by the zone that signed them; `last` is the newest digest."""

    model: str
    events: int
    releases: int
    last: str
    signers: Mapping[str, int]
    breaks: tuple[Break, ...]


def prove(
    model: str, steps: Iterable[Step], trust: Trust, *, witness: tuple[int, str] | None = None
) -> Proof:
    """Check every commit of a model's history.

    Args:
        witness: number and digest of an event that must be in it.
    """
    prover = _Prover(model, trust, witness)
    for step in steps:
        prover.step(step)
    return prover.finish()


@dataclasses.dataclass
class _Prover:
    model: str
    trust: Trust
    witness: tuple[int, str] | None
    head: Head = field(init=False)
    commit: str = ""
    events: int = 0
    ids: set[str] = field(default_factory=set)
    epochs: dict[str, int] = field(default_factory=dict)
    written_once: set[str] = field(default_factory=set)
    named: dict[str, str] = field(default_factory=dict)  # path of a manifest -> the file that names it
    signers: dict[str, int] = field(default_factory=dict)
    breaks: list[Break] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.head = Head(model=self.model, last=GENESIS)

    def broken(self, place: str, what: str, fix: str = "") -> None:
        self.breaks.append(Break(commit=self.commit, place=place, what=what, fix=fix))

    def step(self, step: Step) -> None:
        self.commit = step.commit
        numbered = sorted(path for path in step.files if path.startswith("events/"))
        if len(numbered) != 1:
            names = ", ".join(sorted(step.files)) or "nothing"
            self.broken(names, f"a commit with {len(numbered)} events; every commit of a ledger has one")
            self._files_without_event(step)
            return
        path = numbered[0]
        data = step.files[path]
        if data is None:
            self.broken(path, "the event was removed")
            return
        try:
            event, signatures = read_event(data, path)
        except MmcicdError as e:
            self.broken(path, e.why or e.what)
            return
        self._event(event, path)
        self._signature(event, signatures, path)
        self._writes(event, step)
        self._head(event, step.files.get(HEAD_PATH))

    def _files_without_event(self, step: Step) -> None:
        """Go on from what stands there now, so that one stray commit is told once."""
        data = step.files.get(HEAD_PATH)
        with contextlib.suppress(IntegrityFailed):
            if data is not None:
                self.head = read_record(Head, data, HEAD_PATH)

    def _event(self, event: Event, path: str) -> None:
        self.events += 1
        if path != event_path(event.seq):
            self.broken(path, f"holds event {event.seq}, which belongs in {event_path(event.seq)}")
        if event.seq != self.head.seq + 1:
            self.broken(path, f"event {event.seq} follows event {self.head.seq}")
        if event.prev != self.head.last:
            self.broken(path, "does not name the digest of the event before it")
        if event.id in self.ids:
            self.broken(path, "the same event stands in the history twice")
        self.ids.add(event.id)
        if self.witness and event.seq == self.witness[0]:
            if event_digest(event) != self.witness[1]:
                self.broken(path, "is not the event that was witnessed")
            self.witness = None

    def _signature(self, event: Event, signatures: tuple[Mapping[str, str], ...], path: str) -> None:
        payload = event_payload(event)
        zones = set()
        for signature in signatures:
            try:
                zones.add(self.trust.check(payload, signature))
            except IntegrityFailed as e:
                self.broken(path, f"{e.what} ({e.where})")
        foreign = zones - ACCEPTED[self.trust.zone]
        if foreign:
            zone = ", ".join(sorted(foreign))
            self.broken(path, f"signed by a key of zone {zone}, which may not write here")
        signer = min(zones & ACCEPTED[self.trust.zone], default=UNSIGNED)
        if signer == UNSIGNED and self._vouched():
            self.broken(path, "is not signed, although events before it are")
        self.signers[signer] = self.signers.get(signer, 0) + 1

    def _vouched(self) -> bool:
        return any(zone != UNSIGNED for zone in self.signers)

    def _writes(self, event: Event, step: Step) -> None:
        own = {HEAD_PATH, event_path(event.seq)}
        for path, data in sorted(step.files.items()):
            if path in own or path.startswith("events/"):
                continue
            if path not in event.writes:
                self.broken(path, f"was changed beside event {event.seq}, which does not name it")
            elif data is None or sha256_of(data) != event.writes[path]:
                self.broken(path, f"is not what event {event.seq} wrote")
            else:
                self._file(path, data)
        for path in sorted(set(event.writes) - set(step.files) - own):
            self.broken(path, f"event {event.seq} names it, and its commit does not hold it")
        for path in sorted(self.named.keys() - self.written_once):
            self.broken(self.named[path], f"names {path}, which nobody wrote")
        self.named.clear()

    def _file(self, path: str, data: bytes) -> None:
        try:
            if path.startswith("environments/"):
                self._pointer(read_record(Pointer, data, path), path)
            elif path.startswith(("releases/", "runs/", "manifests/")):
                if path in self.written_once:
                    self.broken(path, "was written a second time; it never changes")
                self.written_once.add(path)
                self._own_place(path, data)
        except IntegrityFailed as e:
            self.broken(path, e.why or e.what)

    def _pointer(self, pointer: Pointer, path: str) -> None:
        if pointer_path(pointer.environment) != path:
            self.broken(path, f"is about {pointer.environment}")
        before = self.epochs.get(path, 0)
        if pointer.epoch < before:
            self.broken(path, f"epoch {pointer.epoch} follows epoch {before}")
        self.epochs[path] = max(before, pointer.epoch)
        applied = {served.manifest for served in pointer.served}
        if pointer.operation is not None:
            applied.add(pointer.operation.manifest)
        self.named |= {manifest_path(digest): path for digest in applied if digest}

    def _own_place(self, path: str, data: bytes) -> None:
        if path.startswith("manifests/"):
            read_manifest(read_json(data, path), digest_of_path(path), path)
        elif path.startswith("releases/"):
            release = read_record(Release, data, path)
            if release.model != self.model or release_path(release.version) != path:
                self.broken(path, f"holds {release.model} version {release.version}")
        else:
            run = read_record(_Run, data, path)
            if run_path(run.run_id) != path:
                self.broken(path, "holds another run")
            reserved = f"version {run.version}"
            if reserved in self.written_once:
                self.broken(path, f"{reserved} was given to two runs")
            self.written_once.add(reserved)

    def _head(self, event: Event, data: bytes | None) -> None:
        before = self.head
        self.head = Head(model=self.model, seq=event.seq, last=event_digest(event), versions=before.versions)
        if data is None:
            self.broken(HEAD_PATH, f"was not written with event {event.seq}")
            return
        try:
            head = read_record(Head, data, HEAD_PATH)
        except IntegrityFailed as e:
            self.broken(HEAD_PATH, e.why or e.what)
            return
        if head_file(head) != data or event.writes.get(HEAD_PATH) != head_digest(head):
            self.broken(HEAD_PATH, f"is not what event {event.seq} wrote")
        if (head.model, head.seq, head.last) != (self.head.model, self.head.seq, self.head.last):
            self.broken(HEAD_PATH, f"does not name event {event.seq}")
        if head.versions < before.versions:
            self.broken(HEAD_PATH, f"the highest version went back from {before.versions} to {head.versions}")
        self.head = Head(model=self.model, seq=event.seq, last=self.head.last, versions=head.versions)

    def finish(self) -> Proof:
        if self.witness:
            self.broken(
                event_path(self.witness[0]), f"was witnessed, but the history ends at event {self.head.seq}"
            )
        if self.trust.required and self.events and not self._vouched():
            self.broken(
                event_path(self.head.seq),
                f"no event is signed, although keys of zone {self.trust.zone} are trusted",
                "the next event that a trusted key signs vouches for all before it: run, promote or rollback",
            )
        return Proof(
            model=self.model,
            events=self.events,
            releases=sum(path.startswith("releases/") for path in self.written_once),
            last=self.head.last,
            signers=dict(sorted(self.signers.items())),
            breaks=tuple(self.breaks),
        )


@dataclass(frozen=True, kw_only=True)
class _Run:
    run_id: str
    version: int
