"""What the API server refuses, in its own words: statuses of errors, and the few rules of documents that are checked. Pure."""

from typing import Any

LABELS_CHANGED = "field is immutable"


class RefusedError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.status = status
        self.document = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "details": details,
            "code": status,
        }


def missing(plural: str, name: str) -> RefusedError:
    return RefusedError(404, "NotFound", f'{plural} "{name}" not found', name=name, kind=plural)


def exists(plural: str, name: str) -> RefusedError:
    return RefusedError(409, "AlreadyExists", f'{plural} "{name}" already exists', name=name, kind=plural)


def changed(plural: str, name: str) -> RefusedError:
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(plural, name, why)


def conflict(plural: str, name: str, why: str) -> RefusedError:
    text = f'Operation cannot be fulfilled on {plural} "{name}": {why}'
    return RefusedError(409, "Conflict", text, name=name, kind=plural)


def another(kind: str, name: str, uid: str) -> RefusedError:
    told = f'Invalid value: "{uid}": field is immutable'
    cause = {"reason": "FieldValueInvalid", "message": told, "field": "metadata.uid"}
    return RefusedError(422, "Invalid", f'{kind} "{name}" is invalid: metadata.uid: {told}', causes=[cause])


def contested(found: list[tuple[str, str]]) -> RefusedError:
    causes = [
        {"reason": "FieldManagerConflict", "message": f'conflict with "{manager}"', "field": at}
        for at, manager in found
    ]
    text = f"Apply failed with {len(found)} conflict(s): " + ", ".join(at for at, _ in found)
    return RefusedError(409, "Conflict", text, causes=causes)


def forbidden(user: str, verb: str, plural: str, group: str, namespace: str, name: str) -> RefusedError:
    thing = f"{plural}.{group}" if group else plural
    text = (
        f'{thing} {f"{chr(34)}{name}{chr(34)} " if name else ""}is forbidden: User "{user}" cannot {verb} resource '
        f'"{plural}" in API group "{group}" in the namespace "{namespace}"'
    )
    return RefusedError(403, "Forbidden", text, name=name, group=group, kind=plural)


def unauthorized() -> RefusedError:
    return RefusedError(401, "Unauthorized", "Unauthorized")


def check_types(document: dict[str, Any], namespace: str) -> None:
    """What server-side apply notices before all else. Raises RefusedError."""
    if isinstance((document.get("spec") or {}).get("replicas", 1), str):
        which = (
            f"{namespace}/{document['metadata']['name']}; {document['apiVersion']}, Kind={document['kind']}"
        )
        why = ".spec.replicas: expected numeric (int or float), got string"
        raise RefusedError(500, "", f"failed to create typed patch object ({which}): {why}")


def check(document: dict[str, Any], live: dict[str, Any] | None) -> None:
    """Raises RefusedError: the document is not one that the server would keep."""
    name = document["metadata"].get("name", "")
    if document["kind"] != "Deployment":
        return
    spec = document.get("spec") or {}
    causes = []
    labels = spec.get("template", {}).get("metadata", {}).get("labels") or {}
    selector = (spec.get("selector") or {}).get("matchLabels")
    if not selector:
        causes.append(("spec.selector", "FieldValueRequired", "Required value"))
    elif any(labels.get(key) != value for key, value in selector.items()):
        text = f"Invalid value: {labels}: `selector` does not match template `labels`"
        causes.append(("spec.template.metadata.labels", "FieldValueInvalid", text))
    if not spec.get("template", {}).get("spec", {}).get("containers"):
        causes.append(("spec.template.spec.containers", "FieldValueRequired", "Required value"))
    if live and (live["spec"].get("selector") or {}).get("matchLabels") != selector:
        causes.append(("spec.selector", "FieldValueInvalid", f"Invalid value: {selector}: {LABELS_CHANGED}"))
    if isinstance(spec.get("replicas", 1), str):
        text = 'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32'
        raise RefusedError(400, "BadRequest", text)
    if causes:
        listed = [{"field": at, "reason": reason, "message": message} for at, reason, message in causes]
        told = ", ".join(f"{at}: {message}" for at, _, message in causes)
        text = f'Deployment.apps "{name}" is invalid: [{told}]'
        raise RefusedError(422, "Invalid", text, name=name, group="apps", kind="Deployment", causes=listed)
