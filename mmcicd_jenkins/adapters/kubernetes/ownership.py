"""Which fields of an object are ours, as the API server keeps it. Pure.

Server-side apply removes what we no longer name only where we applied it. What we once created or patched is noted as
ours by update, and would stay for ever: it is folded into what we applied, as `kubectl` does when it migrates.
"""

from collections.abc import Mapping
from typing import Any

from mmcicd_jenkins.adapters.kubernetes import annotations

FIELD_MANAGER = "mmcicd-jenkins"
_FENCE = {".", f"f:{annotations.EPOCH}", f"f:{annotations.OP_ID}"}


def folded(document: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The noted owners with ours in one; None when there is nothing to fold."""
    noted: list[dict[str, Any]] = document["metadata"].get("managedFields") or []
    updates = [entry for entry in noted if _is_ours(entry, "Update")]
    if not any(map(_has_more_than_fence, updates)):
        return None
    applied = next((entry for entry in noted if _is_ours(entry, "Apply")), None)
    fields: Mapping[str, Any] = applied["fieldsV1"] if applied else {}
    for entry in updates:
        fields = _joined(fields, entry["fieldsV1"])
    ours = {**updates[0], "operation": "Apply", "fieldsV1": fields}
    return [*(entry for entry in noted if entry is not applied and entry not in updates), ours]


def _is_ours(entry: Mapping[str, Any], operation: str) -> bool:
    return (
        entry.get("manager") == FIELD_MANAGER
        and entry.get("operation") == operation
        and not entry.get("subresource")
        and isinstance(entry.get("fieldsV1"), dict)
    )


def _has_more_than_fence(entry: Mapping[str, Any]) -> bool:
    """The fence is on every document that is applied; all else must be owned by apply to go when it is named no more."""
    fields = entry["fieldsV1"]
    metadata = fields.get("f:metadata", {})
    noted = metadata.get("f:annotations", {}).keys()
    others = (fields.keys() - {"f:metadata"}, metadata.keys() - {"f:annotations"}, noted - _FENCE)
    return any(others)


def _joined(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(one)
    for key, value in other.items():
        joined[key] = _joined(joined[key], value) if key in joined else value
    return joined
