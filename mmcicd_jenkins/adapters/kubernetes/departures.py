"""What stands in a cluster otherwise than it was applied, by whoever else writes there. Pure.

The copies may serve the right version and still be too few, run another image, or have nobody led to them. Looked at is
what decides over requests; `render kubernetes --diff` shows every field.
"""

from collections.abc import Mapping
from typing import Any

from mmcicd_jenkins.adapters.kubernetes.annotations import TRACK, Document
from mmcicd_jenkins.adapters.kubernetes.parts import AUTOSCALER, deployment, of_kind


def departure(manifest: tuple[Document, ...], live: Document | None, service: Document | None) -> str:
    """The first that differs, as a sentence; "" when nothing does.

    Args:
        manifest: what was applied.
        live: the Deployment whose copies take requests.
        service: the Service that leads to them.
    """
    if not manifest or live is None:
        return ""
    applied = deployment(manifest)
    return (
        _led(of_kind(manifest, "Service"), service)
        or _counted(manifest, applied, live)
        or _run(applied, live)
    )


def _led(applied: Document | None, live: Document | None) -> str:
    if applied is None:
        return ""
    name = applied["metadata"]["name"]
    if live is None:
        return f"its Service {name} is gone, so that nobody is led there"
    if _selector(applied) != _selector(live):
        return f"its Service {name} was changed and selects other pods"
    return ""


def _selector(service: Document) -> dict[str, str]:
    """Without the colour, which each switch of blue-green changes."""
    selector: Mapping[str, str] = service["spec"].get("selector") or {}
    return {key: value for key, value in selector.items() if key != TRACK}


def _counted(manifest: tuple[Document, ...], applied: Document, live: Document) -> str:
    wanted, there = applied["spec"].get("replicas"), live["spec"].get("replicas", 1)
    if wanted is None or of_kind(manifest, AUTOSCALER) is not None or wanted == there:
        return ""
    return f"it was scaled to {there} by hand, {wanted} were applied"


def _run(applied: Document, live: Document) -> str:
    before, now = _images(applied), _images(live)
    changed = sorted(name for name in before if before[name] != now.get(name))
    if not changed:
        return ""
    return f"its container {changed[0]} was given another image than was applied"


def _images(document: Document) -> dict[str, str]:
    containers: Any = document["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one["image"] for one in containers}
