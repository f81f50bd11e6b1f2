"""Envelopes of the Dead Simple Signing Envelope (DSSE 1.0): a statement, its type and who signed it. Pure.

The bytes of an envelope have one form here, so that a statement that is made twice is one. An envelope of a machine
without a key has no signature; whether that counts is decided by `Authority`, not here.
"""

import base64
import binascii
from collections.abc import Callable, Mapping

from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.records import dataclass
from mmcicd_jenkins.release.canonical import canonical
from mmcicd_jenkins.release.chain import read_json

MOST_BYTES = 4 * 2**20
_KEYS = {"payload", "payloadType", "signatures"}

Signature = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Authority:
    """Whose signatures count, and this machine's own.

    `sign(type, payload)` is None on a machine without a trusted key; `check(type, payload, signature)` gives the zone
    of the key or raises IntegrityFailed. `accepted` are the zones that count; `required`: without one nothing does.
    """

    sign: Callable[[str, bytes], Signature | None]
    check: Callable[[str, bytes, Signature], str]
    accepted: frozenset[str]
    required: bool


@dataclass(frozen=True, kw_only=True)
class Envelope:
    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]

    def to_bytes(self) -> bytes:
        return canonical(
            {
                "payload": base64.b64encode(self.payload).decode(),
                "payloadType": self.payload_type,
                "signatures": [dict(signature) for signature in self.signatures],
            }
        )


def seal(payload_type: str, statement: Mapping[str, object], authority: Authority) -> bytes:
    """An envelope around the canonical form of a statement."""
    payload = canonical(statement)
    signature = authority.sign(payload_type, payload)
    return Envelope(
        payload_type=payload_type, payload=payload, signatures=(signature,) if signature else ()
    ).to_bytes()


def unseal(data: bytes, payload_type: str, authority: Authority, where: str) -> Mapping[str, object]:
    """The statement in an envelope, when those sign it who count.

    Raises:
        IntegrityFailed: it is no such envelope, not the one form that it has, or signed by nobody who counts.
    """
    envelope = read_envelope(data, where)
    if envelope.payload_type != payload_type:
        raise _refused(where, f"it holds {envelope.payload_type!r}, not {payload_type}")
    zones = [authority.check(payload_type, envelope.payload, one) for one in envelope.signatures]
    if authority.required and not authority.accepted.intersection(zones):
        signers = f"signed by {' and '.join(zones)} alone" if zones else "not signed"
        raise _refused(
            where, f"it is {signers}; a key of {' or '.join(sorted(authority.accepted))} is needed"
        )
    statement = read_json(envelope.payload, where)
    if not isinstance(statement, dict) or not _has_form(statement, envelope.payload):
        raise _refused(where, "its statement is not in the one form that it has")
    return statement


def read_envelope(data: bytes, where: str) -> Envelope:
    """An envelope from its bytes, unchecked.

    Raises:
        IntegrityFailed: it is none.
    """
    if len(data) > MOST_BYTES:
        raise _refused(where, f"it has more than {MOST_BYTES:,} bytes")
    document = read_json(data, where)
    match document:
        case {"payload": str(payload), "payloadType": str(kind), "signatures": list(signatures)} if (
            isinstance(document, dict) and document.keys() == _KEYS and all(map(_is_signature, signatures))
        ):
            try:
                content = base64.b64decode(payload, validate=True)
            except (binascii.Error, ValueError) as e:
                raise _refused(where, f"its payload is not base64: {e}") from e
            envelope = Envelope(payload_type=kind, payload=content, signatures=tuple(signatures))
            if envelope.to_bytes() == data:
                return envelope
    raise _refused(where, "it is not an envelope in the one form that it has")


def _has_form(statement: Mapping[str, object], payload: bytes) -> bool:
    try:
        return canonical(statement) == payload
    except InputError:
        return False


def _is_signature(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"keyid", "sig"}
        and all(isinstance(text, str) for text in value.values())
    )


def _refused(where: str, why: str) -> IntegrityFailed:
    return IntegrityFailed(
        "a signed statement is not what was written",
        where=where,
        why=why,
        fix="mmcicd-jenkins ledger verify --images shows all that differs; put the store back from a copy",
    )
