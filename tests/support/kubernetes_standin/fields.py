"""Who manages which field: paths of a document, as sets and as `fieldsV1`. Pure.

A path is a tuple of steps: `f:name` for a key, `k:{...}` for an entry of a list that is told apart by its keys. Lists and
maps that the API replaces as a whole are leaves.
"""

import copy
import json
from typing import Any

# By the last key of its path: what tells the entries of a list apart.
LIST_KEYS = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "imagePullSecrets": ("name",),
    "conditions": ("type",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
_ATOMIC = {"selector", "nodeSelector", "matchLabels", "podSelector", "labelSelector", "scaleTargetRef"}
_UNMANAGED = {"apiVersion", "kind"}
_UNMANAGED_METADATA = {
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
}

Path = tuple[str, ...]


def keys_of(path: Path, listed: list[Any]) -> tuple[str, ...]:
    last = path[-1][2:] if path else ""
    if last == "ports":
        keys: tuple[str, ...] = (
            ("containerPort", "protocol") if "f:template" in path else ("port", "protocol")
        )
    else:
        keys = LIST_KEYS.get(last, ())
    told_apart = keys and all(isinstance(one, dict) and keys[0] in one for one in listed)
    return keys if told_apart else ()


def step_of(keys: tuple[str, ...], entry: dict[str, Any]) -> str:
    named = {key: entry.get(key, "TCP" if key == "protocol" else None) for key in keys}
    return "k:" + json.dumps(named, separators=(",", ":"), sort_keys=True)


def leaves(document: dict[str, Any]) -> dict[Path, Any]:
    """The fields that writing this document manages, and what it wants of them."""
    found: dict[Path, Any] = {}
    for key, value in document.items():
        if key in _UNMANAGED or key == "status":
            continue
        if key == "metadata":
            value = {name: one for name, one in value.items() if name not in _UNMANAGED_METADATA}
            if not value:
                continue
        _collect((f"f:{key}",), value, found)
    return found


def _collect(path: Path, value: Any, found: dict[Path, Any]) -> None:
    if isinstance(value, dict) and value and path[-1][2:] not in _ATOMIC:
        for key, one in value.items():
            _collect((*path, f"f:{key}"), one, found)
    elif isinstance(value, list) and value and (keys := keys_of(path, value)):
        for entry in value:
            step = step_of(keys, entry)
            found[(*path, step)] = None  # the entry itself
            for key, one in entry.items():
                _collect((*path, step, f"f:{key}"), one, found)
    else:
        found[path] = value


def look(document: Any, path: Path) -> Any:
    """What stands there; None for nothing. An entry of a list by its keys."""
    at = document
    for step in path:
        if step.startswith("f:"):
            at = at.get(step[2:]) if isinstance(at, dict) else None
        else:
            at = entry_of(at, step)
        if at is None:
            return None
    return at


def entry_of(listed: Any, step: str) -> Any:
    named = json.loads(step[2:])
    for one in listed if isinstance(listed, list) else []:
        if all(one.get(key, "TCP" if key == "protocol" else None) == value for key, value in named.items()):
            return one
    return None


def put(document: dict[str, Any], path: Path, value: Any) -> None:
    """Have `value` there; for an entry of a list, have the entry. An empty map leaves what others have in it."""
    at: Any = document
    for step, following in zip(path, (*path[1:], ""), strict=True):
        if step.startswith("k:"):
            entry = entry_of(at, step)
            if entry is None:
                entry = {key: one for key, one in json.loads(step[2:]).items() if one is not None}
                at.append(entry)
            at = entry
        elif following:
            made: Any = [] if following.startswith("k:") else {}
            if not isinstance(at.get(step[2:]), type(made)):
                at[step[2:]] = made
            at = at[step[2:]]
        elif not (value == {} and isinstance(at.get(step[2:]), dict)):
            at[step[2:]] = copy.deepcopy(value)


def remove(document: dict[str, Any], path: Path) -> None:
    """Take it away, and what is empty without it."""
    parent = look(document, path[:-1])
    step = path[-1]
    if step.startswith("f:") and isinstance(parent, dict):
        parent.pop(step[2:], None)
    elif isinstance(parent, list) and (entry := entry_of(parent, step)) is not None:
        parent.remove(entry)
    if len(path) > 1 and parent in ({}, []) and not path[-2].startswith("k:"):
        remove(document, path[:-1])


def encoded(paths: set[Path]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path in sorted(paths):
        at = tree
        for step in path:
            at = at.setdefault(step, {})
        if path[-1].startswith("k:"):
            at["."] = {}
    return tree


def decoded(tree: dict[str, Any], path: Path = ()) -> set[Path]:
    found: set[Path] = set()
    for step, below in tree.items():
        if step == ".":
            found.add(path)
        elif below:
            found |= decoded(below, (*path, step))
        else:
            found.add((*path, step))
    return found
