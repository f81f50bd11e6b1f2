"""What a cluster would change if a manifest were applied: asked of the cluster itself, by a dry run of each document.

So defaults, spellings of quantities and fields that others own are as the server has them. Nothing is changed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from mmcicd_jenkins.adapters.kubernetes import annotations
from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.release.object_changes import ObjectChange, object_change

# Notes for the way back change with every operation, and are no part of a manifest.
_NOTES = (annotations.EPOCH, annotations.OP_ID, *annotations.MEMORY)


def live_changes(api: Api, manifest: Iterable[Mapping[str, Any]]) -> tuple[ObjectChange, ...]:
    """What becomes of each document's object, in their order.

    Raises:
        InputError: the cluster would not take a document.
        OutsideFailed: it cannot be asked, or an object of this name is not ours.
    """
    return tuple(_change(api, document) for document in manifest)


def _change(api: Api, document: Mapping[str, Any]) -> ObjectChange:
    before, after = api.preview(document)
    if before is not None:
        annotations.refuse_foreign(before)
        if "replicas" in before.get("spec", {}) and "replicas" not in document.get("spec", {}):
            # An autoscaler counts them; whoever applies this leaves the count as it is.
            after = {**after, "spec": {**after["spec"], "replicas": before["spec"]["replicas"]}}
    return object_change(before, after, _NOTES)
