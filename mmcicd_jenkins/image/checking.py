"""What must hold of any image's config and manifest, made here or elsewhere. Pure."""

from collections.abc import Mapping, Sequence

from mmcicd_jenkins.image.artifact import is_digest, json_object, read_manifest
from mmcicd_jenkins.image.descriptor import LAYER, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.image.start import broken


def check(config: bytes, manifest: bytes) -> None:
    """What must hold of an image's two documents.

    Raises:
        IntegrityFailed: says which rule is broken.
    """
    document, layers = check_layers(config, manifest)
    history = document.get("history") or []
    told = lines_with_layers(history)
    if history and told != layers:
        raise broken(f"the history tells of {told} layers, there are {layers}")


def check_layers(config: bytes, manifest: bytes) -> tuple[Mapping[str, object], int]:
    """As `check`, without the history, which engines do not look at; returns the config and the number of layers."""
    _, named, layers, _ = read_manifest(manifest, "image manifest")
    if named.digest != digest_bytes(config) or named.size != len(config):
        raise broken("the manifest names another config")
    document = json_object(config, "image config")
    match document:
        case {"rootfs": {"type": "layers", "diff_ids": list(diff_ids)}, "os": str(), "architecture": str()}:
            _check_layers(layers, diff_ids)
        case _:
            raise broken("the config lacks rootfs, os or architecture")
    return document, len(layers)


def _check_layers(layers: Sequence[Descriptor], diff_ids: Sequence[object]) -> None:
    if len(diff_ids) != len(layers):
        raise broken(f"the manifest has {len(layers)} layers and the config {len(diff_ids)}")
    if not all(isinstance(diff_id, str) and is_digest(diff_id) for diff_id in diff_ids):
        raise broken("a diff_id is not a sha256 digest")
    for layer, diff_id in zip(layers, diff_ids, strict=True):
        if layer.size < 1 or (layer.media_type == LAYER and layer.digest != diff_id):
            raise broken(f"layer {layer.digest} is not the tar that the config names")


def lines_with_layers(history: object) -> int:
    """How many lines of a history stand for a layer.

    Raises:
        IntegrityFailed: it is no history.
    """
    if not isinstance(history, list) or not all(isinstance(line, dict) for line in history):
        raise broken("the history is not a list of objects")
    return sum(1 for line in history if not line.get("empty_layer"))
