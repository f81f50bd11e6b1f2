"""An image of our store in a Docker engine: pulled by digest from a registry, or loaded as one stream from a layout.

The engine keeps one image of a model, the last that was looked at: its base layers are then there for the next one,
and versions do not fill the disk. The law: what runs is proven to be the digest that was asked for.
"""

from collections.abc import Callable, Iterable
from typing import Any

from mmcicd_jenkins.adapters.docker.engine import DockerEngine, Line, Login, dockers_own
from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.image.archive import image_archive
from mmcicd_jenkins.image.artifact import read_manifest
from mmcicd_jenkins.image.descriptor import INDEX, MANIFEST, Artifact, Descriptor
from mmcicd_jenkins.ports.store import Store

Chunks = Callable[[Descriptor], Iterable[bytes]]


class EngineImages:
    """Images of a store, brought into an engine.

    Args:
        chunks: the bytes of a blob of a layout, unchecked; not asked when the store has addresses.
        login: what to log in with to have an image; None = what Docker's own configuration has.
    """

    def __init__(
        self, engine: DockerEngine, store: Store, chunks: Chunks, login: Login = dockers_own
    ) -> None:
        self._engine = engine
        self._store = store
        self._chunks = chunks
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
            self._load(model, digest, name, tag)
        for other in self._engine.tags(name):
            if other != f"{name}:{tag}":
                self._engine.forget(other)
        return f"{name}:{tag}"

    def _pull(self, address: str, name: str, tag: str, on_line: Line | None) -> None:
        if self._engine.image(f"{name}:{tag}") is not None:
            return
        self._engine.pull(address, self._login(address), on_line)
        found = self._engine.image(address)
        if found is None:
            raise IntegrityFailed("the engine pulled an image and has another one", where=address)
        self._engine.tag(str(found["Id"]), name, tag)
        self._engine.forget(address)

    def _load(self, model: str, digest: str, name: str, tag: str) -> None:
        found = self._store.find_image(model, digest)
        if found is None:
            raise IntegrityFailed(
                f"the store has no image {digest}", fix=f"mmcicd-jenkins stage package --model {model}"
            )
        manifest = for_platform(found, self._engine.platform)
        content = self._store.read(manifest)
        _, config, layers, _ = read_manifest(content, f"image {manifest.digest}")
        known = self._engine.image(f"{name}:{tag}")
        if known is None:
            document = self._store.read(config)
            self._engine.load(image_archive(f"{name}:{tag}", document, content, layers, self._chunks))
            known = self._engine.image(f"{name}:{tag}")
        # Engines name an image by its config, newer ones by its manifest.
        if known is None or known["Id"] not in {config.digest, manifest.digest}:
            raise IntegrityFailed(
                "the engine has another image than was loaded into it",
                where=f"{name}:{tag}",
                why=f"it has {known['Id'] if known else 'none'}, the image's config is {config.digest}",
                fix=f"docker image rm {name}:{tag}, then the same command again",
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
    entries: Any = image.document.get("manifests")
    offered = []
    for entry in entries if isinstance(entries, list) else ():
        told = entry.get("platform") or {}
        offered.append(f"{told.get('os')}/{told.get('architecture')}")
        if offered[-1] == platform:
            return Descriptor(media_type=MANIFEST, digest=str(entry["digest"]), size=int(entry["size"]))
    raise InputError(
        f"the image is not made for {platform}",
        where=image.digest,
        why=f"it is for {', '.join(offered) or 'nothing'}",
        fix="verify it on a machine of one of these kinds, or add the platform to the base",
    )
