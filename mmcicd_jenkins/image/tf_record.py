"""TensorFlow's file of records: length and bytes, each with a masked CRC-32C (Castagnoli). Pure.

The standard library has another CRC-32; a table is fast enough for the few megabytes of warm-up requests.
"""

import struct
from collections.abc import Iterable
from functools import cache

_POLYNOMIAL = 0x82F63B78
# TensorFlow masks its checksums, so that one over data that holds checksums stays a good one.
_MASK = 0xA282EAD8


def tf_record(records: Iterable[bytes]) -> bytes:
    """The file with these records."""
    return b"".join(part for record in records for part in _framed(record))


def _framed(record: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    length = struct.pack("<Q", len(record))
    return length, struct.pack("<I", _masked(length)), record, struct.pack("<I", _masked(record))


def _masked(content: bytes) -> int:
    crc = crc32c(content)
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF


def crc32c(content: bytes) -> int:
    table = _table()
    crc = 0xFFFFFFFF
    for byte in content:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    found = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_POLYNOMIAL if crc & 1 else 0)
        found.append(crc)
    return tuple(found)
