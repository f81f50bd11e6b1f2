"""A document as a short text for where little may be kept: an annotation, a ConfigMap. Compressed, in base64. Pure."""

import base64
import json
import zlib
from typing import Any


def pack(content: bytes) -> str:
    # Level 9 and the same library: the same bytes for the same content, so that nothing changes when nothing does.
    return base64.b64encode(zlib.compress(content, 9)).decode("ascii")


def unpack(text: str, most: int) -> Any:
    """The JSON document that was packed, of at most so many bytes.

    Raises:
        ValueError: it is nothing that was.
    """
    engine = zlib.decompressobj()
    try:
        content = engine.decompress(base64.b64decode(text, validate=True), most)
    except zlib.error as e:
        raise ValueError(str(e)) from e
    if engine.unconsumed_tail or not engine.eof:
        raise ValueError("it is cut off, or too large")
    try:
        return json.loads(content)
    except RecursionError as e:
        raise ValueError("it is nested too deeply") from e
