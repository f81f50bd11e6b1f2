"""Documents as the API understands them: whether one is in another, and who manages its fields. Pure."""

from collections.abc import Mapping, Sequence
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


def as_applied(managed: Sequence[Mapping[str, Any]], manager: str) -> list[Mapping[str, Any]] | None:
    """`managedFields` in which what `manager` created counts as applied by it; None when nothing has to change."""
    created = [one for one in managed if _is(one, manager, "Update")]
    if not created:
        return None
    if any(_is(one, manager, "Apply") for one in managed):
        return [one for one in managed if one not in created]
    return [{**one, "operation": "Apply"} if one in created else one for one in managed]


def _is(entry: Mapping[str, Any], manager: str, operation: str) -> bool:
    return (
        entry.get("manager") == manager
        and entry.get("operation") == operation
        and not entry.get("subresource")
    )
