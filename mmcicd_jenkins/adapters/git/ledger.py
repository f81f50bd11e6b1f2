"""The ledger of `ports.ledger.Ledger` in git: one branch per model, one commit per event.

A write decides on the newest head, makes its commit aside and moves the branch by compare-and-swap; when the
branch moved, it decides again. When an answer was lost it first looks whether its own event, known by a
random id, is there already. Layout: `release.ledger`; chain and signatures: `release.chain`.
"""

import dataclasses
import random
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING

from mmcicd_jenkins.adapters.credentials import Login
from mmcicd_jenkins.adapters.git.answers import Answer, Kind
from mmcicd_jenkins.adapters.git.cli import TIMEOUT_SECONDS
from mmcicd_jenkins.adapters.git.objects import Entry, Objects
from mmcicd_jenkins.adapters.git.places import Place
from mmcicd_jenkins.adapters.git.remote import place_of
from mmcicd_jenkins.errors import IntegrityFailed, MmcicdError, OutsideFailed
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.ports import Clock, Signer
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release import chain
from mmcicd_jenkins.release.ledger import (
    Change,
    Event,
    Head,
    Pointer,
    Snapshot,
    event_path,
    manifest_path,
    release_path,
    run_path,
)
from mmcicd_jenkins.release.names import check_name
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.release.seal import Manifest, read_manifest

if TYPE_CHECKING:  # only `ledger verify` proves
    from mmcicd_jenkins.release.proof import Step

BRANCHES = "refs/heads/mmcicd/"
BUDGET_SECONDS = 120.0
# Full jitter between nothing and a ceiling that doubles from the first to the last of these.
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0
# How often in a row a connection may fail before anything was sent.
CONNECTION_TRIES = 4
# What the last call gets when the budget is nearly used up: enough to read back whether it was written.
LAST_CALL_SECONDS = 2.0
_EVENT_BATCH = 64
# Each event leaves about ten loose objects.
TIDY_EVERY = 250


def branch_of(model: str) -> str:
    return BRANCHES + check_name(model, "model")


class GitLedger:
    """A ledger in the repository at `url`.

    Args:
        root: the folder that a relative path starts from.
        login: for a repository behind an address.
        signer: signs each event; leaves it unsigned on a machine without a key.
        budget_seconds: how long one write may go on deciding and pushing.
        call_seconds: how long one call of git may take.
    """

    def __init__(
        self,
        url: str,
        *,
        signer: Signer,
        clock: Clock,
        root: Path = Path(),
        login: Login | None = None,
        budget_seconds: float = BUDGET_SECONDS,
        call_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._place: Place = place_of(url, root, login)
        self._signer = signer
        self._clock = clock
        self._budget_seconds = budget_seconds
        self._call_seconds = call_seconds
        self._seen: dict[str, str] = {}
        self._read: dict[str, Snapshot] = {}

    def models(self) -> tuple[str, ...]:
        """The models that have a history here."""
        return tuple(sorted(b.removeprefix(BRANCHES) for b in self._place.branches(BRANCHES)))

    def snapshot(self, model: str) -> Snapshot:
        branch_of(model)
        return self._newest(model, _Patience(self._clock, self._budget_seconds))

    def release(self, model: str, version: int) -> Release | None:
        data = self._immutable(model, release_path(version))
        return None if data is None else chain.read_record(Release, data, f"{model} {release_path(version)}")

    def version_of_run(self, model: str, run_id: str) -> int | None:
        data = self._immutable(model, run_path(run_id))
        return None if data is None else chain.read_record(_Run, data, f"{model} {run_path(run_id)}").version

    def manifest(self, model: str, digest: str) -> Manifest | None:
        path = manifest_path(digest)
        data = self._immutable(model, path)
        where = f"{model} {path}"
        return None if data is None else read_manifest(chain.read_json(data, where), digest, where)

    def events(self, model: str, limit: int | None = None) -> Iterator[Event]:
        """Newest first; reads as it goes."""
        snapshot = self.snapshot(model)
        last = max(0, snapshot.head.seq - limit) if limit is not None else 0
        at, later = snapshot.head.seq, None
        while at > last:
            numbers = range(at, max(last, at - _EVENT_BATCH), -1)
            files = self._place.objects.files(snapshot.commit, [event_path(n) for n in numbers])
            for number, data in zip(numbers, files, strict=True):
                where = f"{model} {event_path(number)}"
                event = _event(data, where)
                later = event if later is None else chain.check_follows(later, event, where)
                yield event
            at = numbers[-1] - 1

    def sealed_by(self, model: str) -> str:
        snapshot = self.snapshot(model)
        if not snapshot.commit:
            return ""
        path = event_path(snapshot.head.seq)
        data = self._place.objects.files(snapshot.commit, [path])[0] or b""
        return chain.signer_of(data, f"{model} {path}", self._signer.check)

    def steps(self, model: str) -> "Iterator[Step]":
        """Every commit, oldest first, for `release.proof`; the one read that needs the whole history."""
        from mmcicd_jenkins.adapters.git.history import steps

        branch = branch_of(model)
        place = self._place.whole()
        commit = place.head(branch, self._call_seconds)
        return steps(place.objects, commit) if commit else iter(())

    def commit(self, model: str, decide: Callable[[Snapshot], Change | None]) -> Snapshot:
        write = _Write(
            branch=branch_of(model), model=model, patience=_Patience(self._clock, self._budget_seconds)
        )
        self._place.prepare()
        with self._place.turn(write.branch):
            while True:
                snapshot = self._newest(model, write.patience)
                if self._has_landed(write, snapshot):
                    return snapshot
                write.patience.check()
                change = decide(snapshot)
                if change is None:
                    return snapshot
                written = self._attempt(write, snapshot, change)
                if written is not None:
                    return written

    def _attempt(self, write: "_Write", snapshot: Snapshot, change: Change) -> Snapshot | None:
        """One commit and one swap; None when it is to be decided again."""
        made, commit = self._make_commit(snapshot, chain.draft(snapshot, change, write.event_id))
        failpoint("ledger.before-push")
        answer = self._place.swap(
            write.branch, snapshot.commit, commit, write.patience.call(self._call_seconds)
        )
        write.tried.add(made.event.seq)
        if answer.kind is Kind.DONE:
            failpoint("ledger.after-push")
            self._seen[write.model] = commit
            if made.event.seq % TIDY_EVERY == 0:
                self._place.tidy()
            return chain.after(snapshot, made, commit)
        write.patience.after_push(answer)
        return None

    def _make_commit(self, snapshot: Snapshot, made: chain.Draft) -> tuple[chain.Draft, str]:
        _refuse_rewrites(self._place.objects, snapshot, made)
        objects = self._place.objects
        tree = objects.write_tree(snapshot.commit, made.files)
        made = chain.sealed(made, _state(objects.entries(tree, [""])[""]))
        signature = self._signer.sign(chain.PAYLOAD_TYPE, chain.event_payload(made.event))
        files = {
            event_path(made.event.seq): chain.event_file(made.event, [signature] if signature else []),
            chain.HEAD_PATH: chain.head_file(made.head),
        }
        kind = "".join(filter(str.isprintable, made.event.kind))
        message = f"{kind} {made.event.seq}\n\n{made.event.id}\n"
        seconds = int(self._clock.now().timestamp())
        return made, objects.write_commit(snapshot.commit, objects.write_tree(tree, files), message, seconds)

    def _has_landed(self, write: "_Write", snapshot: Snapshot) -> bool:
        """Whether one of our own attempts is in the history, whatever the answers were."""
        numbers = sorted(n for n in write.tried if n <= snapshot.head.seq)
        files = (
            self._place.objects.files(snapshot.commit, [event_path(n) for n in numbers]) if numbers else []
        )
        return any(
            _event(data, f"{write.model} {event_path(n)}").id == write.event_id
            for n, data in zip(numbers, files, strict=True)
        )

    def _newest(self, model: str, patience: "_Patience") -> Snapshot:
        branch = branch_of(model)
        while True:
            try:
                commit = self._place.head(branch, patience.call(self._call_seconds))
                snapshot = self._read_snapshot(model, commit)
            except OutsideFailed as e:
                patience.after_read(e)
            else:
                patience.connected()
                self._seen[model] = commit
                return snapshot

    def _read_snapshot(self, model: str, commit: str) -> Snapshot:
        if not commit:
            return Snapshot(head=Head(model=model), pointers={})
        # A commit never changes: what was read and checked of it once is not read again.
        if model not in self._read or self._read[model].commit != commit:
            self._read[model] = self._read_commit(model, commit)
        return self._read[model]

    def _read_commit(self, model: str, commit: str) -> Snapshot:
        objects = self._place.objects
        data = objects.files(commit, [chain.HEAD_PATH])[0]
        if data is None:
            raise _no_ledger(branch_of(model))
        head = chain.read_record(Head, data, f"{model} {chain.HEAD_PATH}")
        listed = objects.entries(commit, ["", "environments"])
        names = sorted(listed["environments"])
        paths = [f"environments/{name}" for name in names]
        newest, *files = objects.files(commit, [event_path(head.seq), *paths])
        event = chain.check_linked(head, newest, model, branch_of(model))
        if event.state and event.state != _state(listed[""]):
            from mmcicd_jenkins.adapters.git.history import altered

            raise altered(model, self.steps(model))
        pointers = [
            chain.read_record(Pointer, data or b"", f"{model} {path}")
            for path, data in zip(paths, files, strict=True)
        ]
        return Snapshot(head=head, pointers={p.environment: p for p in pointers}, commit=commit)

    def _immutable(self, model: str, path: str) -> bytes | None:
        """A file that never changes once it is there: what was seen of the branch will do."""
        branch_of(model)
        chain.check_path(path)
        seen = self._seen.get(model, "")
        data = self._place.objects.files(seen, [path])[0] if seen else None
        if data is None:
            commit = self.snapshot(model).commit
            data = self._place.objects.files(commit, [path])[0] if commit else None
        return data


def _no_ledger(branch: str) -> IntegrityFailed:
    return IntegrityFailed(
        "this branch is not a ledger",
        where=branch,
        why=f"there is no {chain.HEAD_PATH}, or it cannot be read",
        fix="mmcicd-jenkins ledger verify; then restore the branch from a copy",
    )


def _refuse_rewrites(objects: Objects, snapshot: Snapshot, made: chain.Draft) -> None:
    paths = [path for path in made.files if path.startswith(("releases/", "runs/", "manifests/"))]
    if not paths or not snapshot.commit:
        return
    for path, data in zip(paths, objects.files(snapshot.commit, paths), strict=True):
        if data is not None:
            raise IntegrityFailed("a release never changes", where=path, why="it is in the ledger already")


def _state(root: Mapping[str, Entry]) -> dict[str, str]:
    """What `Event.state` says: everything at the root but what names the event itself."""
    return {
        name: entry.oid for name, entry in sorted(root.items()) if name not in {"events", chain.HEAD_PATH}
    }


def _event(data: bytes | None, where: str) -> Event:
    if data is None:
        raise IntegrityFailed("an event is missing", where=where, fix="mmcicd-jenkins ledger verify")
    return chain.read_event(data, where)[0]


@dataclass(frozen=True, kw_only=True)
class _Run:
    run_id: str
    version: int


class _Patience:
    """How long one read or write goes on: pauses that grow, an end that holds, the errors when it is reached.

    The end is measured by the machine's steady clock: a wall clock may be set back.
    """

    def __init__(self, clock: Clock, budget_seconds: float) -> None:
        self._clock = clock
        self._budget_seconds = budget_seconds
        self._end = time.monotonic() + budget_seconds
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._failed_connections = 0
        self._lost = False
        self._last: MmcicdError | None = None

    def call(self, longest_seconds: float) -> float:
        """The time that the next call of git may take."""
        return min(longest_seconds, max(LAST_CALL_SECONDS, self._end - time.monotonic()))

    def connected(self) -> None:
        self._failed_connections = 0

    def check(self) -> None:
        """Before another attempt.

        Raises:
            OutsideFailed: there is no time left.
        """
        if self._last is not None and time.monotonic() >= self._end:
            raise self._out_of_time(self._last) from self._last

    def after_read(self, error: OutsideFailed) -> None:
        """Wait before another try.

        Raises:
            OutsideFailed: another try would not help, or there is no time left.
        """
        self._failed_connections += 1
        # With a lost answer open, the only way to know is to go on asking.
        if not error.retryable or (self._failed_connections >= CONNECTION_TRIES and not self._lost):
            raise error
        self._last = error
        self.check()
        self._wait()

    def after_push(self, answer: Answer) -> None:
        """Wait before looking and deciding again.

        Raises:
            MmcicdError: the write was refused for good.
        """
        self._last = answer.error()
        if answer.kind not in {Kind.MOVED, Kind.NETWORK}:
            raise self._last
        self._lost = self._lost or answer.kind is Kind.NETWORK
        self._wait()

    def _wait(self) -> None:
        pause = random.uniform(0, self._pause_seconds)
        self._pause_seconds = min(2 * self._pause_seconds, LONGEST_PAUSE_SECONDS)
        self._clock.sleep(min(pause, max(0.0, self._end - time.monotonic())))

    def _out_of_time(self, error: MmcicdError) -> OutsideFailed:
        known = "whether it was written is not known" if self._lost else "nothing was written"
        return OutsideFailed(
            f"the ledger gave no final answer within {self._budget_seconds:g} s; {known}",
            where=error.where,
            why=error.why,
            fix="run the same command again: it finds what was written and goes on from there",
            retryable=True,
        )


@dataclasses.dataclass(kw_only=True)
class _Write:
    """One call of `commit`: its random event id, and the numbers under which it was tried."""

    branch: str
    model: str
    patience: _Patience
    event_id: str = field(default_factory=lambda: secrets.token_hex(16))
    tried: set[int] = field(default_factory=set)
