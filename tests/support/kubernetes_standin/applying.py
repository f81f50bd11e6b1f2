"""What the three ways to write make of an object: creation or update, merge patch, server-side apply. Pure."""

import copy
from typing import Any

from kubernetes_standin.fields import Path, decoded, encoded, leaves, look, put, remove


class FieldConflictError(Exception):
    """Others manage fields that are to be changed: (field, manager) each."""

    def __init__(self, found: list[tuple[str, str]]) -> None:
        super().__init__(str(found))
        self.found = found


def updated(live: dict[str, Any] | None, new: dict[str, Any], manager: str) -> dict[str, Any]:
    """`new` in the place of `live`; the fields that it changed are the manager's, and nobody else's."""
    result = copy.deepcopy(new)
    owners = _owners(result if "managedFields" in result["metadata"] else live or result)
    before = leaves(live) if live else {}
    after = leaves(result)
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    for key in owners:
        owners[key] = {path for path in owners[key] if path in after and path not in changed}
    mine = (manager, "Update")
    owners[mine] = owners.get(mine, set()) | changed
    return _noted(result, owners)


def merged(live: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(live) if isinstance(live, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def applied(
    live: dict[str, Any] | None, document: dict[str, Any], manager: str, *, force: bool
) -> dict[str, Any]:
    """`document` applied: what it says becomes so, what it no longer says goes unless others want it.

    Raises:
        FieldConflictError: without `force`.
    """
    result = copy.deepcopy(live) if live else {key: document[key] for key in ("apiVersion", "kind")}
    result.setdefault("metadata", {})
    result["metadata"].setdefault("name", document["metadata"]["name"])
    owners = _owners(result)
    mine = (manager, "Apply")
    wanted = leaves(document)
    others = {key: paths for key, paths in owners.items() if key != mine}
    contested: list[tuple[str, str]] = []
    for path, value in wanted.items():
        if path[-1].startswith("k:") or look(result, path) == value:
            continue
        contested += [(_spelled(path), key[0]) for key, paths in others.items() if path in paths]
        for paths in others.values():
            paths.discard(path)
    if contested and not force:
        raise FieldConflictError(contested)
    # An entry of a list before its fields: without its key it would not be found any more.
    for path in sorted(owners.get(mine, set()) - set(wanted), key=len):
        if not any(path in paths for paths in others.values()):
            remove(result, path)
    for path, value in wanted.items():
        put(result, path, value)
    return _noted(result, others | {mine: set(wanted)})


def _owners(document: dict[str, Any]) -> dict[tuple[str, str], set[Path]]:
    listed = document["metadata"].get("managedFields") or []
    return {(one["manager"], one["operation"]): decoded(one["fieldsV1"]) for one in listed}


def _noted(document: dict[str, Any], owners: dict[tuple[str, str], set[Path]]) -> dict[str, Any]:
    document["metadata"]["managedFields"] = [
        {
            "manager": manager,
            "operation": operation,
            "apiVersion": document["apiVersion"],
            "fieldsType": "FieldsV1",
            "fieldsV1": encoded(paths),
        }
        for (manager, operation), paths in sorted(owners.items())
        if paths
    ]
    return document


def _spelled(path: Path) -> str:
    return "".join(f"[{step[2:]}]" if step.startswith("k:") else f".{step[2:]}" for step in path)
