"""Comparing documents as the API understands them. Pure."""

from typing import Any


def contains(live: Any, wanted: Any) -> bool:
    """Whether `live` says all that `wanted` says; it may say more. None in `wanted` is a field that is not there.

    A list must have as many entries in the same order. A value that the server writes otherwise (a quantity) counts as
    different: who asks reads again and decides anew, which costs a call and harms nothing.
    """
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(contains(live.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return (
            isinstance(live, list)
            and len(live) == len(wanted)
            and all(contains(one, other) for one, other in zip(live, wanted, strict=True))
        )
    if wanted is None:
        return live is None
    return type(live) is type(wanted) and bool(live == wanted)
