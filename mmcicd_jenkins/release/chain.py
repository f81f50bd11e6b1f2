"""The hash chain of events: how an event becomes a file, how the next one is made. Pure.

An event file holds `{"event": ..., "signatures": [...]}`. The digest of an event, and what is signed, is the
RFC 8785 form of the event alone. Every byte that one commit writes is named in `event.writes`: files by the
sha256 of their bytes, the head by that of its own part (all but `seq` and `last`, which name the event).
Proving a whole history is `release.proof`.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn, TypeVar

from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.canonical import canonical, digest_of, readable
from mmcicd_jenkins.release.documents import from_document, to_document
from mmcicd_jenkins.release.ledger import Change, Event, Head, Pointer, Snapshot, event_path

PAYLOAD_TYPE = "application/vnd.mmcicd.event+json"
HEAD_PATH = "head.json"
# A record is small; big things lie in the store and are named by digest.
MAX_FILE_BYTES = 1_000_000
_PATH = re.compile(
    r"(environments/[a-z0-9-]+|releases/[0-9]{3,}/[1-9][0-9]*|(?:runs|manifests)/[0-9a-f]{2}/[0-9a-f]{64})\.json"
)

Signatures = Sequence[Mapping[str, str]]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Draft:
    """One commit before it is written: the event, the head after it, and the files that go with them."""

    event: Event
    head: Head
    files: Mapping[str, bytes]


def event_digest(event: Event) -> str:
    return digest_of(_event_document(event))


def event_payload(event: Event) -> bytes:
    """The bytes that are signed."""
    return canonical(_event_document(event))


def event_file(event: Event, signatures: Signatures) -> bytes:
    return readable({"event": _event_document(event), "signatures": [dict(s) for s in signatures]})


def _event_document(event: Event) -> dict[str, object]:
    """Without the field that older events do not have: their digests stay what they are."""
    document = to_document(event)
    return document if event.state else {k: v for k, v in document.items() if k != "state"}


def head_file(head: Head) -> bytes:
    return readable(_head_document(head))


def _head_document(head: Head) -> dict[str, object]:
    """Without the field that older heads do not have, while it is empty: their digests stay what they are."""
    document = to_document(head)
    return document if head.collected else {k: v for k, v in document.items() if k != "collected"}


def draft(snapshot: Snapshot, change: Change, event_id: str) -> Draft:
    """The commit that `change` asks for on top of `snapshot`.

    Raises:
        InputError: a path, a number or a size that a ledger does not take.
    """
    files = {path: _file_bytes(path, document) for path, document in change.files.items()}
    writes = {path: sha256_of(data) for path, data in files.items()}
    event = Event(
        seq=snapshot.head.seq + 1,
        prev=snapshot.head.last,
        id=event_id,
        kind=change.kind,
        at=change.at,
        actor=change.actor,
        detail=change.detail,
        writes={**writes, HEAD_PATH: head_digest(change.head)},
    )
    head = dataclasses.replace(change.head, seq=event.seq, last=event_digest(event))
    return Draft(event=event, head=head, files=files)


def sealed(made: Draft, state: Mapping[str, str]) -> Draft:
    """`made`, its event saying what the whole ledger looks like after it."""
    event = dataclasses.replace(made.event, state=state)
    return dataclasses.replace(
        made, event=event, head=dataclasses.replace(made.head, last=event_digest(event))
    )


def head_digest(head: Head) -> str:
    """Of what a decision may change in the head."""
    own = {k: v for k, v in _head_document(head).items() if k not in {"seq", "last"}}
    return sha256_of(readable(own))


def after(snapshot: Snapshot, written: Draft, commit: str) -> Snapshot:
    """The snapshot that stands once `written` is in the ledger as `commit`."""
    pointers = dict(snapshot.pointers)
    for path, data in written.files.items():
        if path.startswith("environments/"):
            pointer = read_record(Pointer, data, path)
            pointers[pointer.environment] = pointer
    return Snapshot(head=written.head, pointers=pointers, commit=commit)


def read_event(data: bytes, where: str) -> tuple[Event, tuple[Mapping[str, str], ...]]:
    """An event and its signatures from the bytes of its file.

    Raises:
        IntegrityFailed: it is not an event file, or not the one form such a file has.
    """
    document = read_json(data, where)
    if not isinstance(document, dict) or set(document) != {"event", "signatures"}:
        raise _altered(where, "expected an event and its signatures")
    event = from_document(Event, document["event"], where)
    signatures = from_document(_Signatures, {"signatures": document["signatures"]}, where).signatures
    if event_file(event, signatures) != data:
        raise _altered(where, "these are not the bytes that were written")
    return event, signatures


def signer_of(data: bytes, where: str, check: Callable[[str, bytes, Mapping[str, str]], str]) -> str:
    """The zone of the key that signed an event's file, by `check`; "" when nobody did.

    Raises:
        IntegrityFailed: it is no event, or a signature does not fit.
    """
    event, signatures = read_event(data, where)
    zones = [check(PAYLOAD_TYPE, event_payload(event), one) for one in signatures]
    return zones[0] if zones else ""


@dataclass(frozen=True, kw_only=True)
class _Signatures:
    signatures: tuple[Mapping[str, str], ...]


def read_record(kind: type[T], data: bytes, where: str) -> T:
    """A record from the bytes of its file.

    Raises:
        IntegrityFailed: it does not hold one.
    """
    return from_document(kind, read_json(data, where), where)


def read_json(data: bytes, where: str) -> object:
    """Strict JSON: UTF-8, no NaN, no infinity.

    Raises:
        IntegrityFailed: it is something else.
    """
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as e:
        raise _altered(where, f"not JSON: {e}") from e


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _altered(where: str, why: str) -> IntegrityFailed:
    return IntegrityFailed(
        "the ledger was changed by something else than mmcicd-jenkins",
        where=where,
        why=why,
        fix="mmcicd-jenkins ledger verify shows the first break; restore the branch from a copy",
    )


def check_linked(head: Head, newest: bytes | None, model: str, where: str) -> Event:
    """The newest event, when the head belongs to it and to this model. Cheap enough for every read.

    Raises:
        IntegrityFailed: it does not.
    """
    if head.model != model:
        raise _altered(where, f"this is the history of {head.model!r}, not of {model!r}")
    if newest is None:
        raise _altered(where, f"event {head.seq} is missing")
    event, _ = read_event(newest, f"{where} {event_path(head.seq)}")
    if event.seq != head.seq or event_digest(event) != head.last:
        raise _altered(where, f"the head names another event {head.seq}")
    if event.writes.get(HEAD_PATH) != head_digest(head):
        raise _altered(where, "the head is not the one that its event wrote")
    return event


def check_follows(later: Event, event: Event, where: str) -> Event:
    """`event`, when it is the one that `later` names as the event before it.

    Raises:
        IntegrityFailed: it is not.
    """
    if event_digest(event) != later.prev:
        raise _altered(where, f"event {later.seq} names another event before it")
    return event


def check_path(path: str) -> str:
    """`path` itself, when it is one that a decision may write.

    Raises:
        InputError: it is not.
    """
    if not _PATH.fullmatch(path):
        raise InputError(f"{path!r} is not a place in a ledger", fix="use the paths of release.ledger")
    return path


def _file_bytes(path: str, document: Mapping[str, object]) -> bytes:
    check_path(path)
    try:
        data = readable(document)
    except (ValueError, TypeError) as e:
        raise InputError(f"{path} cannot be written: {e}", fix="only finite numbers and text") from e
    if len(data) > MAX_FILE_BYTES:
        raise InputError(
            f"{path} is too big for a ledger",
            why=f"{len(data):,} bytes, at most {MAX_FILE_BYTES:,}",
            fix="keep it in the store and name its digest",
        )
    return data


def sha256_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
