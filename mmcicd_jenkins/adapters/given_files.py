"""What a caller gives a store to keep: bytes, or a file that is read in pieces."""

from collections.abc import Iterator
from pathlib import Path

from mmcicd_jenkins.errors import InputError

_CHUNK = 2**20


def chunks_of(content: Path | bytes) -> Iterator[bytes]:
    """The bytes in order.

    Raises:
        InputError: the file cannot be read.
    """
    if isinstance(content, bytes):
        yield content
        return
    try:
        with content.open("rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as e:
        raise InputError(f"a file cannot be read: {e.strerror}", where=str(content)) from e
