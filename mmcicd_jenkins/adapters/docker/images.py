"""An image of our store in a Docker engine: pulled by digest from a registry, or loaded as one stream from a layout.

One that no store holds, joined for a look, is loaded as a stream as well: nothing of it is pushed anywhere. The engine
keeps one image of a model, the last that was looked at: its base layers are then there for the next one, and versions
do not fill the disk. The law: what runs is proven to be the digest that was asked for.
"""

from collections.abc import Callable, Iterable
from typing import Any

from mmcicd_jenkins.adapters.docker.engine import DockerEngine, Line, Login, dockers_own
from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.image.archive import image_archive
from mmcicd_jenkins.image.artifact import json_object, read_manifest
from mmcicd_jenkins.image.descriptor import INDEX, MANIFEST, Artifact, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.ports.store import Store
from mmcicd_jenkins.ports.trial import Joined

Chunks = Callable[[Descriptor], Iterable[bytes]]
# Joined images have a name of their own, so that they never push out the image that will serve.
JOINED = "joined"


class EngineImages:
    """Images of a store, brought into an engine.

    Args:
        login: what to log in with to have an image; None = what Docker's own configuration has.
    """

    def __init__(self, engine: DockerEngine, store: Store, login: Login = dockers_own) -> None:
        self._engine = engine
        self._store = store
        self._login = login

    def bring(self, model: str, digest: str, on_line: Line | None = None) -> str:
        """Have the image there; returns the name under which the engine has it.

        Raises:
            IntegrityFailed: the store has no such image, or the engine another one.
            OutsideFailed: the engine cannot get it.
        """
        name, tag = f"mmcicd-verify/{model}", digest.removeprefix("sha256:")[:32]
        address = self._store.address(model, digest)
        if address:
            self._pull(address, name, tag, on_line)
        else:
            self._load(model, digest, f"{name}:{tag}")
        self._keep_only(name, tag)
        return f"{name}:{tag}"

    def bring_joined(self, model: str, joined: Joined) -> str:
        """Have an image there that no store holds; returns the name under which the engine has it until `forget`.

        Raises:
            InputError: it is not made for the engine's platform.
            IntegrityFailed: a layer has other bytes than it should.
            OutsideFailed: the engine, or what holds the layers of its base, failed.
        """
        name, tag = f"mmcicd-verify/{model}/{JOINED}", joined.image.digest.removeprefix("sha256:")[:32]
        documents = {digest_bytes(content): content for content in joined.image.documents}
        top = json_object(joined.image.manifest, "joined image")
        entries = top.get("manifests") if "manifests" in top else None
        chosen = (
            joined.image.digest
            if entries is None
            else _fitting(entries, self._engine.platform, joined.image.digest).digest
        )
        manifest = documents[chosen]
        config = documents[read_manifest(manifest, "joined image")[1].digest]
        small = {digest_bytes(content): content for content in joined.blobs}
        below = {layer.digest for layer in joined.below}

        def chunks(blob: Descriptor) -> Iterable[bytes]:
            if blob.digest in small:
                return (small[blob.digest],)
            return (joined.source if blob.digest in below else self._store).chunks(blob)

        self._put(f"{name}:{tag}", config, manifest, chunks)
        self._keep_only(name, tag)
        return f"{name}:{tag}"

    def forget(self, name: str) -> None:
        """Let the engine forget what `bring_joined` brought."""
        self._engine.forget(name)

    def _keep_only(self, name: str, tag: str) -> None:
        for other in self._engine.tags(name):
            if other != f"{name}:{tag}":
                self._engine.forget(other)

    def _pull(self, address: str, name: str, tag: str, on_line: Line | None) -> None:
        if self._engine.image(f"{name}:{tag}") is not None:
            return
        self._engine.pull(address, self._login(address), on_line)
        found = self._engine.image(address)
        if found is None:
            raise IntegrityFailed("the engine pulled an image and has another one", where=address)
        self._engine.tag(str(found["Id"]), name, tag)
        self._engine.forget(address)

    def _load(self, model: str, digest: str, name: str) -> None:
        found = self._store.find_image(model, digest)
        if found is None:
            raise IntegrityFailed(
                f"the store has no image {digest}", fix=f"mmcicd-jenkins stage package --model {model}"
            )
        manifest = for_platform(found, self._engine.platform)
        content = self._store.read(manifest)
        config = self._store.read(read_manifest(content, f"image {manifest.digest}")[1])
        self._put(name, config, content, self._store.chunks)

    def _put(self, name: str, config: bytes, manifest: bytes, chunks: Chunks) -> None:
        known = self._engine.image(name)
        if known is None:
            layers = read_manifest(manifest, f"image {name}")[2]
            self._engine.load(image_archive(name, config, manifest, layers, chunks))
            known = self._engine.image(name)
        # Engines name an image by its config, newer ones by its manifest.
        if known is None or known["Id"] not in {digest_bytes(config), digest_bytes(manifest)}:
            raise IntegrityFailed(
                "the engine has another image than was loaded into it",
                where=name,
                why=f"it has {known['Id'] if known else 'none'}, the image's config is {digest_bytes(config)}",
                fix=f"docker image rm {name}, then the same command again",
            )


def for_platform(image: Artifact, platform: str) -> Descriptor:
    """The manifest of `image` for `os/architecture`: of an index the one that fits, else the image itself.

    Raises:
        InputError: the image is not made for it.
    """
    if image.kind != INDEX:
        if image.manifest is None:
            raise IntegrityFailed(f"image {image.digest} has no manifest")
        return image.manifest
    return _fitting(image.document.get("manifests"), platform, image.digest)


def _fitting(entries: Any, platform: str, index: str) -> Descriptor:
    """Of the entries of an index the one for `platform`."""
    offered = []
    for entry in entries if isinstance(entries, list) else ():
        told = entry.get("platform") or {}
        offered.append(f"{told.get('os')}/{told.get('architecture')}")
        if offered[-1] == platform:
            return Descriptor(media_type=MANIFEST, digest=str(entry["digest"]), size=int(entry["size"]))
    raise InputError(
        f"the image is not made for {platform}",
        where=index,
        why=f"it is for {', '.join(offered) or 'nothing'}",
        fix="verify it on a machine of one of these kinds, or add the platform to the base",
    )
