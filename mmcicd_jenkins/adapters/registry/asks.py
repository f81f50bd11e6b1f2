"""A request to a registry and its answer, as values; and how a body is read that may have no end."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field
from typing import TYPE_CHECKING

from mmcicd_jenkins.adapters.registry.errors import MOST_READ, Doing, broken_off
from mmcicd_jenkins.records import dataclass

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

_READ = 65_536


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A request. `scopes` are the rights it needs; `expect` the answers that are none of refusal."""

    method: str
    url: str
    doing: Doing
    scopes: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | bytearray | None = None
    expect: frozenset[int] = frozenset({200})
    most: int = MOST_READ
    stall: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`headers` are found whatever their case; `body` has at most one byte more than was asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


def read_body(response: "BaseHTTPResponse", most: int, doing: Doing, seconds: float) -> bytes:
    """The body, up to a byte more than `most`: enough to see that it is too long.

    Raises:
        Trouble: it broke off, or did not come within `seconds`.
    """
    from mmcicd_jenkins.adapters.registry.failures import FAILURES, translated

    parts: list[bytes] = []
    left = most + 1
    # A byte now and then never runs into the deadline of a single read.
    end = time.monotonic() + seconds
    try:
        while left and (part := response.read1(min(left, _READ), decode_content=False)):
            parts.append(part)
            left -= len(part)
            if time.monotonic() > end:
                raise broken_off(doing, "the answer came too slowly")
    except FAILURES as e:
        raise translated(e, doing) from e
    return b"".join(parts)


def drop(response: "BaseHTTPResponse") -> None:
    """Let go of an answer that says nothing more; a short one is read, so that its connection can be used again."""
    with suppress(Exception):
        while response.read1(MOST_READ, decode_content=False) and response.tell() < MOST_READ:
            pass
    response.close()
