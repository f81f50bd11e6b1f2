"""Base image + model layers + version layer = the documents of an image. Pure: same input, same bytes.

The image says what TF Serving's own image says (MODEL_NAME, MODEL_BASE_PATH, ports) and where it comes from
(labels and annotations with one text each). On a base for several platforms it is one image for each, with the same
layers of ours, and an index on top. Times are the commit's, so that nothing depends on when it was made.
What must hold of any image is in `checking`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime
from typing import Any

from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image.artifact import json_bytes, json_object
from mmcicd_jenkins.image.base_image import BaseImage, BasePlatform
from mmcicd_jenkins.image.checking import check, check_layers, lines_with_layers
from mmcicd_jenkins.image.descriptor import CONFIG, INDEX, MANIFEST, Descriptor, Layer, ModelLayers
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.image.platforms import USUAL
from mmcicd_jenkins.image.start import Start, broken, settings, typed
from mmcicd_jenkins.records import dataclass

__all__ = ["BaseImage", "Image", "Origin", "check", "join"]

# The note that says of an image that it is one of ours, and of which run.
RUN_ID = "io.mmcicd.run-id"
# Docker's storage driver mounts no more.
MOST_LAYERS = 127
_PLATFORM_KEYS = ("variant", "os.version", "os.features")


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
    """An image's documents, each after those that it names; the last is served and gives the digest.

    `platforms` says what it runs on; () when it stands on nothing and so runs nowhere by itself.
    """

    documents: tuple[bytes, ...]
    platforms: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        return digest_bytes(self.manifest)

    @property
    def config(self) -> bytes:
        """The config of its first platform."""
        return self.documents[0]

    @property
    def manifest(self) -> bytes:
        """The manifest, or index, that is served."""
        return self.documents[-1]


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """What all platforms of an image have in common."""

    layers: tuple[Layer, ...]
    model: ModelLayers
    base: BaseImage
    origin: Origin
    start: Start


def join(
    base: BaseImage,
    model: ModelLayers,
    version: Layer,
    origin: Origin,
    *,
    warmup: Layer | None = None,
    start: Start = Start(),  # noqa: B008 - a frozen value
) -> Image:
    """The image of `model` as the version of `origin` on `base`, with a layer of warm-up requests.

    Raises:
        IntegrityFailed: the base's documents contradict each other or cannot be read.
        InputError: more layers than an engine can mount.
    """
    layers = (*model.layers, *([warmup] if warmup else []), version)
    parts = _Parts(layers=layers, model=model, base=base, origin=origin, start=start)
    images = [_image(one, parts) for one in base.platforms or (None,)]
    documents = [document for image in images for document in image]
    if base.is_index:
        documents.append(_index(base, [manifest for _, manifest in images], parts))
    return Image(documents=tuple(documents), platforms=tuple(str(one.platform) for one in base.platforms))


def _image(base: BasePlatform | None, parts: _Parts) -> tuple[bytes, bytes]:
    """Config and manifest for one platform."""
    if base is not None:
        check_layers(base.config, base.manifest)
    below = base.layers if base is not None else ()
    if len(below) + len(parts.layers) > MOST_LAYERS:
        raise InputError(
            f"the image would have {len(below) + len(parts.layers)} layers; engines take {MOST_LAYERS}",
            where=parts.base.name,
            fix="choose a base with fewer layers",
        )
    notes = _notes(parts, digest_bytes(base.manifest) if base is not None else "")
    document = json_object(base.config, "base image config") if base is not None else {}
    config = _bytes(_config(document, parts, notes))
    manifest = json_bytes(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": Descriptor(media_type=CONFIG, digest=digest_bytes(config), size=len(config)).to_json(),
            "layers": [
                *(layer.to_json() for layer in below),
                *(layer.blob.to_json() for layer in parts.layers),
            ],
            "annotations": notes,
        }
    )
    check(config, manifest)
    return config, manifest


def _index(base: BaseImage, manifests: Sequence[bytes], parts: _Parts) -> bytes:
    entries = [
        {
            **Descriptor(media_type=MANIFEST, digest=digest_bytes(manifest), size=len(manifest)).to_json(),
            "platform": one.platform.to_json(),
        }
        for one, manifest in zip(base.platforms, manifests, strict=True)
    ]
    notes = _notes(parts, base.digest)
    return json_bytes({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries, "annotations": notes})


def _bytes(document: Mapping[str, Any]) -> bytes:
    """Foreign words may hold what JSON reads and cannot write: lone surrogates, numbers beyond all bounds.

    Raises:
        IntegrityFailed: they do.
    """
    try:
        return json_bytes(document)
    except (ValueError, RecursionError) as e:
        raise broken(f"the base image's config cannot be written again: {type(e).__name__}") from e


def _config(document: Mapping[str, Any], parts: _Parts, notes: Mapping[str, str]) -> dict[str, Any]:
    """Of the base's config what OCI names; a build's leftovers (`container_config` and the like) are left out."""
    below = document["rootfs"]["diff_ids"] if document else []
    return {
        "architecture": document.get("architecture", USUAL.architecture),
        "os": document.get("os", USUAL.os),
        **{key: document[key] for key in _PLATFORM_KEYS if document.get(key)},
        "created": _iso(parts.origin.committed),
        "config": settings(typed(document, "config", dict), parts.start, parts.origin.model, notes),
        "rootfs": {"type": "layers", "diff_ids": [*below, *(layer.diff_id for layer in parts.layers)]},
        "history": [*_base_history(document, len(below)), *_history(parts)],
    }


def _base_history(document: Mapping[str, Any], layers: int) -> list[Any]:
    """The base's history; some builders leave it out or squash layers, and then it would not fit them."""
    history: list[Any] = typed(document, "history", list)
    fits = lines_with_layers(history) == layers
    return history if fits else [{"created_by": "base image"} for _ in range(layers)]


def _history(parts: _Parts) -> list[dict[str, str]]:
    origin = parts.origin
    made = {"created": _iso(origin.committed)}
    model = [{**made, "created_by": f"mmcicd-jenkins model {origin.run_id}"} for _ in parts.model.layers]
    warmup = [{**made, "created_by": "mmcicd-jenkins warm-up"}] * (len(parts.layers) - len(model) - 1)
    return [
        *model,
        *warmup,
        {**made, "created_by": f"mmcicd-jenkins version {origin.model} {origin.version}"},
    ]


def _notes(parts: _Parts, base_digest: str) -> dict[str, str]:
    """One set of texts, as labels in the config and annotations on the manifest; empty ones are left out."""
    origin = parts.origin
    notes = {
        "org.opencontainers.image.title": origin.model,
        "org.opencontainers.image.version": str(origin.version),
        "org.opencontainers.image.revision": origin.commit,
        "org.opencontainers.image.source": origin.source,
        "org.opencontainers.image.created": _iso(origin.committed),
        "org.opencontainers.image.base.name": parts.base.name,
        "org.opencontainers.image.base.digest": base_digest,
        RUN_ID: origin.run_id,
        "io.mmcicd.model-digest": parts.model.digest,
        **origin.more,
    }
    return {key: text for key, text in sorted(notes.items()) if text}


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
