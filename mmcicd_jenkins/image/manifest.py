"""Base image + model layers + version layer = config and manifest of an image. Pure: same input, same bytes.

The image says what TF Serving's own image says (MODEL_NAME, MODEL_BASE_PATH, ports) and where it comes from
(labels and annotations with one text each). Times are the commit's, so that nothing depends on when it was made.
`check` asserts what must hold of any image made here or elsewhere.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.image.artifact import is_digest, json_bytes, json_object, read_manifest
from mmcicd_jenkins.image.descriptor import CONFIG, LAYER, MANIFEST, Artifact, Descriptor, Layer, ModelLayers
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.image.tar import MODELS
from mmcicd_jenkins.records import dataclass

REST_PORT = 8501
GRPC_PORT = 8500
# A number, so that Kubernetes can prove that it is not root. Apart from the ids that distributions hand out.
USER = "10001:10001"

_T = TypeVar("_T")

_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"


@dataclass(frozen=True, kw_only=True)
class BaseImage:
    """What the image stands on, as stored: its config and manifest bytes. Both empty = nothing."""

    config: bytes = b""
    manifest: bytes = b""
    name: str = ""

    @classmethod
    def of(cls, found: Artifact, read: Callable[[Descriptor], bytes], name: str) -> Self:
        """The base that a store found; `read` is the store's, `name` is what people call it."""
        if found.manifest is None or found.config is None:
            raise _broken("the base image has no config")
        return cls(config=read(found.config), manifest=read(found.manifest), name=name)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where the model comes from. `committed` is the commit's time in seconds; `source` a URL without secrets."""

    model: str
    version: int
    run_id: str
    commit: str
    committed: int
    source: str = ""
    more: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image's two documents and the digest by which it is served."""

    config: bytes
    manifest: bytes

    @property
    def digest(self) -> str:
        return digest_bytes(self.manifest)


def join(base: BaseImage, model: ModelLayers, version: Layer, origin: Origin) -> Image:
    """The image of `model` as the version of `origin` on `base`.

    Raises:
        IntegrityFailed: the base's documents contradict each other or cannot be read.
    """
    if base.config or base.manifest:
        check(base.config, base.manifest)
    layers = (*model.layers, version)
    notes = _notes(base, model, origin)
    config = json_bytes(_config(base, layers, notes, origin))
    base_layers = read_manifest(base.manifest, "base image")[2] if base.manifest else ()
    manifest = json_bytes(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": Descriptor(media_type=CONFIG, digest=digest_bytes(config), size=len(config)).to_json(),
            "layers": [
                *(_as_oci(layer).to_json() for layer in base_layers),
                *(layer.blob.to_json() for layer in layers),
            ],
            "annotations": notes,
        }
    )
    check(config, manifest)
    return Image(config=config, manifest=manifest)


def check(config: bytes, manifest: bytes) -> None:
    """What must hold of an image's two documents.

    Raises:
        IntegrityFailed: says which rule is broken.
    """
    _, named, layers, _ = read_manifest(manifest, "image manifest")
    if named.digest != digest_bytes(config) or named.size != len(config):
        raise _broken("the manifest names another config")
    document = json_object(config, "image config")
    match document:
        case {"rootfs": {"type": "layers", "diff_ids": list(diff_ids)}, "os": str(), "architecture": str()}:
            _check_layers(layers, diff_ids)
            _check_history(document.get("history") or [], len(layers))
        case _:
            raise _broken("the config lacks rootfs, os or architecture")


def _check_layers(layers: Sequence[Descriptor], diff_ids: Sequence[object]) -> None:
    if len(diff_ids) != len(layers):
        raise _broken(f"the manifest has {len(layers)} layers and the config {len(diff_ids)}")
    if not all(isinstance(diff_id, str) and is_digest(diff_id) for diff_id in diff_ids):
        raise _broken("a diff_id is not a sha256 digest")
    for layer, diff_id in zip(layers, diff_ids, strict=True):
        if layer.size < 1 or (layer.media_type == LAYER and layer.digest != diff_id):
            raise _broken(f"layer {layer.digest} is not the tar that the config names")


def _check_history(history: object, layers: int) -> None:
    if not isinstance(history, list) or not all(isinstance(line, dict) for line in history):
        raise _broken("the history is not a list of objects")
    told = sum(1 for line in history if not line.get("empty_layer"))
    if history and told != layers:
        raise _broken(f"the history tells of {told} layers, there are {layers}")


def _config(
    base: BaseImage, layers: Sequence[Layer], notes: Mapping[str, str], origin: Origin
) -> dict[str, Any]:
    document = json_object(base.config, "base image config") if base.config else {}
    below = document["rootfs"]["diff_ids"] if document else []
    return {
        **document,
        "architecture": document.get("architecture", "amd64"),
        "os": document.get("os", "linux"),
        "created": _iso(origin.committed),
        "config": _settings(document, notes, origin),
        "rootfs": {"type": "layers", "diff_ids": [*below, *(layer.diff_id for layer in layers)]},
        "history": [*_base_history(document, len(below)), *_history(layers, origin)],
    }


def _settings(document: Mapping[str, Any], notes: Mapping[str, str], origin: Origin) -> dict[str, Any]:
    """What a container of the image starts with: the base's, with ours in addition."""
    settings = _typed(document, "config", dict)
    ports: dict[str, Any] = {f"{GRPC_PORT}/tcp": {}, f"{REST_PORT}/tcp": {}}
    return {
        **settings,
        "Env": _env(_typed(settings, "Env", list), origin.model),
        "ExposedPorts": {**_typed(settings, "ExposedPorts", dict), **ports},
        "Labels": {**_typed(settings, "Labels", dict), **notes},
        "User": settings.get("User") or USER,
        "WorkingDir": settings.get("WorkingDir") or "/",
    }


def _typed(document: Mapping[str, Any], key: str, kind: type[_T]) -> _T:
    """A field of a base's config; absent and null are empty.

    Raises:
        IntegrityFailed: it has another type.
    """
    value = document.get(key)
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise _broken(f"{key} in the base image's config is not what it should be")
    return value


def _base_history(document: Mapping[str, Any], layers: int) -> list[Any]:
    """The base's history; some builders leave it out, and then a part of it would not fit the layers."""
    return _typed(document, "history", list) or [{"created_by": "base image"} for _ in range(layers)]


def _history(layers: Sequence[Layer], origin: Origin) -> list[dict[str, str]]:
    made = {"created": _iso(origin.committed)}
    model = [{**made, "created_by": f"mmcicd-jenkins model {origin.run_id}"} for _ in layers[:-1]]
    return [*model, {**made, "created_by": f"mmcicd-jenkins version {origin.model} {origin.version}"}]


def _env(existing: Sequence[object], model: str) -> list[str]:
    """The base's variables with ours: TF Serving's start script reads both."""
    ours = {"MODEL_NAME": model, "MODEL_BASE_PATH": f"/{MODELS}"}
    kept = []
    for line in existing:
        if not isinstance(line, str):
            raise _broken("Env in the base image's config is not a list of texts")
        if line.partition("=")[0] not in ours:
            kept.append(line)
    return [*kept, *(f"{name}={value}" for name, value in ours.items())]


def _notes(base: BaseImage, model: ModelLayers, origin: Origin) -> dict[str, str]:
    """One set of texts, as labels in the config and annotations on the manifest; empty ones are left out."""
    notes = {
        "org.opencontainers.image.title": origin.model,
        "org.opencontainers.image.version": str(origin.version),
        "org.opencontainers.image.revision": origin.commit,
        "org.opencontainers.image.source": origin.source,
        "org.opencontainers.image.created": _iso(origin.committed),
        "org.opencontainers.image.base.name": base.name,
        "org.opencontainers.image.base.digest": digest_bytes(base.manifest) if base.manifest else "",
        "io.mmcicd.run-id": origin.run_id,
        "io.mmcicd.model-digest": model.digest,
        **origin.more,
    }
    return {key: text for key, text in sorted(notes.items()) if text}


def _as_oci(layer: Descriptor) -> Descriptor:
    """Docker's own media type of a layer as OCI's; an OCI manifest may not mix them."""
    if layer.media_type.startswith(_DOCKER_LAYER):
        suffix = "+gzip" if layer.media_type.endswith(".gzip") else ""
        return Descriptor(media_type=LAYER + suffix, digest=layer.digest, size=layer.size)
    return layer


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _broken(why: str) -> IntegrityFailed:
    return IntegrityFailed("an image's documents contradict each other", why=why)
