"""Bytes that pass through while their digest and size are checked. A mismatch is never retried."""

import hashlib
from collections.abc import Iterable, Iterator

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.image.descriptor import Descriptor


def verified(chunks: Iterable[bytes], blob: Descriptor, where: str) -> Iterator[bytes]:
    """`chunks` unchanged.

    Raises:
        IntegrityFailed: there are more bytes than `blob` says, or at the end fewer or others.
    """
    sha256 = hashlib.sha256()
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > blob.size:
            raise mismatch(blob, where, f"it has more than the {blob.size} bytes it should have")
        sha256.update(chunk)
        yield chunk
    if size != blob.size:
        raise mismatch(blob, where, f"it has {size} bytes and should have {blob.size}")
    if "sha256:" + sha256.hexdigest() != blob.digest:
        raise mismatch(blob, where, f"its digest is sha256:{sha256.hexdigest()}")


def mismatch(blob: Descriptor, where: str, why: str) -> IntegrityFailed:
    return IntegrityFailed(
        f"the store holds other bytes than {blob.digest}",
        where=where,
        why=why,
        fix="copy it back from another store, or delete it and make it anew: mmcicd-jenkins run --again",
    )
