"""One byte form per document (RFC 8785), and digests over it."""

import hashlib
import json
from collections.abc import Mapping

import rfc8785

from mmcicd_jenkins.errors import InputError


def canonical(document: object) -> bytes:
    """RFC 8785 bytes.

    Raises:
        InputError: NaN, infinity, integers beyond 2**53 or other things JSON cannot say.
    """
    try:
        return rfc8785.dumps(document)  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as e:
        raise InputError(f"this document has no canonical form: {e}") from e


def digest_of(document: object) -> str:
    """`sha256:` and 64 hex digits over the canonical form."""
    return "sha256:" + hashlib.sha256(canonical(document)).hexdigest()


def readable(document: Mapping[str, object]) -> bytes:
    """The form of files that people read: sorted, indented, one final newline; still one form per document."""
    return (
        json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    )
