"""Protocol buffer messages read field by field, without their library: enough to look into a model's files.

Nothing is decoded that nobody asks for, so a graph of gigabytes costs its position only. Whatever is not
well formed raises `ValueError`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from mmap import ACCESS_READ, mmap
from pathlib import Path

Buffer = bytes | memoryview | mmap
# A field's value: a number, or where the bytes of a message or text stand.
Value = int | tuple[int, int]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


@contextmanager
def mapped(path: Path) -> Iterator[mmap]:
    """A file as a buffer, of which only what is looked at is read.

    Raises:
        ValueError: it is empty. `OSError` passes.
    """
    if path.stat().st_size == 0:
        raise ValueError("the file is empty")
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as buffer:
        yield buffer


def fields(buffer: Buffer, start: int, end: int) -> Iterator[tuple[int, Value]]:
    """(field number, value) of the message between `start` and `end`."""
    while start < end:
        tag, start = _varint(buffer, start, end)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise ValueError("a field has the number 0")
        if kind == VARINT:
            value, start = _varint(buffer, start, end)
            yield number, value
        elif kind == BYTES:
            length, start = _varint(buffer, start, end)
            if length > end - start:
                raise ValueError("a field reaches beyond its message")
            yield number, (start, start + length)
            start += length
        elif kind in {FIXED64, FIXED32}:
            start += 8 if kind == FIXED64 else 4
            if start > end:
                raise ValueError("a number reaches beyond its message")
        else:
            raise ValueError(f"wire type {kind} is unknown")


def _varint(buffer: Buffer, start: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while start < end and shift < 70:
        byte = buffer[start]
        start += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, start
        shift += 7
    raise ValueError("a number does not end")


def messages(buffer: Buffer, place: tuple[int, int], number: int) -> Iterator[tuple[int, int]]:
    """Where the messages (or texts) of one field stand."""
    for found, value in fields(buffer, *place):
        if found == number:
            if isinstance(value, int):
                raise ValueError(f"field {number} is a number")
            yield value


def number(buffer: Buffer, place: tuple[int, int], wanted: int, default: int = 0) -> int:
    """A number field; the last one counts."""
    value = default
    for found, read in fields(buffer, *place):
        if found == wanted:
            if not isinstance(read, int):
                raise ValueError(f"field {wanted} is no number")
            value = read
    return value


def text(buffer: Buffer, place: tuple[int, int]) -> str:
    return bytes(buffer[place[0] : place[1]]).decode("utf-8")


def mapping(buffer: Buffer, place: tuple[int, int], number: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """The entries of a map field from text to message."""
    for entry in messages(buffer, place, number):
        key = next((text(buffer, found) for found in messages(buffer, entry, 1)), "")
        value = next(messages(buffer, entry, 2), (entry[1], entry[1]))
        yield key, value
