"""Builds an image by the team's own Dockerfile: `ports.builder.Builder` on a Docker engine.

The context goes to the engine as one stream; what comes back is checked in the engine, kept in a layout of its own for
as long as it takes, and handed to the store with the base's layers as the base has them, so that only new layers travel.
"""

import hashlib
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mmcicd_jenkins.adapters.docker.archive import keep_archive
from mmcicd_jenkins.adapters.docker.build_context import MODEL_DIR, context
from mmcicd_jenkins.adapters.docker.containers import NoSuchPathError, Wanted, create, remove_leftovers
from mmcicd_jenkins.adapters.docker.engine import BuildError, DockerEngine, Login, dockers_own, not_ignored
from mmcicd_jenkins.adapters.layout.files import LayoutFiles
from mmcicd_jenkins.adapters.private_folder import told
from mmcicd_jenkins.errors import CommandFailed, InputError, IntegrityFailed
from mmcicd_jenkins.failpoints import failpoint
from mmcicd_jenkins.image.archive import image_archive, read_tar
from mmcicd_jenkins.image.artifact import json_bytes, json_object, read_manifest
from mmcicd_jenkins.image.base_image import BaseImage
from mmcicd_jenkins.image.base_name import parse_base
from mmcicd_jenkins.image.descriptor import CONFIG, MANIFEST, Descriptor
from mmcicd_jenkins.image.digest import FileDigest, digest_bytes, model_digest
from mmcicd_jenkins.image.manifest import Image, check
from mmcicd_jenkins.image.platforms import platform_of
from mmcicd_jenkins.image.start import GRPC_PORT, REST_PORT
from mmcicd_jenkins.image.version_layer import WARMUP
from mmcicd_jenkins.ports import Progress
from mmcicd_jenkins.ports.builder import BuildOrder
from mmcicd_jenkins.ports.store import Store

OWNER, FOLDER = "build", "io.mmcicd.folder"
_ROOTS = {"", "0", "root"}
_CHUNK = 2**20


class DockerBuilder:
    """`ports.builder.Builder`. `scratch` is a folder for what the engine hands out; nothing of it stays."""

    def __init__(
        self,
        engine: Callable[[], DockerEngine],
        store: Store,
        scratch: Path,
        progress: Progress,
        login: Login = dockers_own,
    ) -> None:
        self._engine = engine
        self._store = store
        self._scratch = scratch
        self._progress = progress
        self._login = login

    def not_ignored(self, context: Path, dockerfile: str) -> frozenset[str]:
        return not_ignored(context, dockerfile)

    def build(self, order: BuildOrder) -> Image:
        engine = self._engine()
        image = self._built(engine, order)
        failpoint("docker.image-built")
        try:
            self._progress.update("looking at what was built")
            known = engine.image(image)
            if known is None:
                raise IntegrityFailed("the engine has lost the image that it built", where=image)
            _check_settings(known, order)
            self._check_model(engine, image, order)
            return self._taken(engine, image, order)
        finally:
            engine.forget(image)

    def _built(self, engine: DockerEngine, order: BuildOrder) -> str:
        base = self._base(engine, order)
        arguments = {
            **order.arguments,
            "MODEL_NAME": order.model,
            "MODEL_VERSION": str(order.version),
            "MODEL_DIR": MODEL_DIR,
            **({"BASE": base} if base else {}),
        }
        with told(order.log, "make the folder writable"):
            order.log.parent.mkdir(parents=True, exist_ok=True)
            log = order.log.open("w", encoding="utf-8")
        with log:

            def hand_on(line: str) -> None:
                log.write(line + "\n")
                self._progress.update(line)

            try:
                return engine.build(
                    context(order.context, order.files, order.folder, order.warmup),
                    dockerfile=order.dockerfile,
                    arguments=arguments,
                    labels=order.notes,
                    on_line=hand_on,
                )
            except BuildError as e:
                raise CommandFailed(
                    f"the build of {order.dockerfile} failed",
                    status=1,
                    last_lines=e.lines,
                    where=f"{order.context / order.dockerfile}, log {order.log}",
                    why=e.lines[-1] if e.lines else "",
                    fix="read the output below, mend the Dockerfile, commit, and run again",
                ) from e

    def _base(self, engine: DockerEngine, order: BuildOrder) -> str:
        """What FROM may name, and the engine has: by digest, or by an id. "" where there is no base."""
        base = order.base
        if not base.platforms:
            return ""
        name = parse_base(base.name)
        if name.kind == "registry" and name.reference is not None:
            pinned = str(name.reference.pinned(base.digest))
            if engine.image(pinned) is None:
                engine.pull(pinned, self._login(pinned), self._progress.update)
            return pinned
        one = next((one for one in base.platforms if str(one.platform) == engine.platform), base.platforms[0])
        image = digest_bytes(one.config)
        if engine.image(image) is None and order.source is not None:
            tag = f"mmcicd-base:{base.digest.removeprefix('sha256:')[:32]}"
            engine.load(image_archive(tag, one.config, one.manifest, one.layers, order.source.chunks))
            return tag
        return image

    def _check_model(self, engine: DockerEngine, image: str, order: BuildOrder) -> None:
        place = f"/models/{order.model}/{order.version}"
        # Never started: there to be copied from.
        mine = {FOLDER: hashlib.sha256(str(self._scratch.absolute()).encode()).hexdigest()[:32]}
        remove_leftovers(engine, OWNER, mine)
        container = create(engine, Wanted(image=image, owner=OWNER, labels=mine, entrypoint=("/nothing",)))
        try:
            ours = {WARMUP} if order.warmup else set()
            files = _files(container.archive(f"{place}/."))
            found = model_digest(file for file in files if file.path not in ours)
        except NoSuchPathError as e:
            raise InputError(
                f"the image has no model at {place}",
                where=str(order.context / order.dockerfile),
                why=str(e),
                fix=f"COPY ${{MODEL_DIR}} {place}",
            ) from e
        finally:
            container.remove()
        if found != order.model_digest:
            raise IntegrityFailed(
                f"the image holds another model at {place}",
                where=str(order.context / order.dockerfile),
                why=f"its digest is {found[:19]}, the trained model's is {order.model_digest[:19]}",
                fix=f"COPY ${{MODEL_DIR}} {place}, and change nothing in there",
            )

    def _taken(self, engine: DockerEngine, image: str, order: BuildOrder) -> Image:
        """The image with its layers in the store."""
        shutil.rmtree(self._scratch, ignore_errors=True)
        try:
            self._progress.update("taking the image out of the engine")
            files = LayoutFiles(self._scratch)
            kept = keep_archive(engine.save(image), files, f"image {image}")
            _, named, layers, _ = read_manifest(b"".join(files.chunks(kept)), f"image {image}")
            config = b"".join(files.chunks(named))
            layers = _as_the_base_has_them(config, layers, order.base)
            ours = [layer for layer in layers if files.size(layer.digest) == layer.size]
            self._store.take(order.model, ours, _Scratch(files), self._told("layers of the image"))
            theirs = [layer for layer in layers if layer not in ours]
            if theirs and order.source is not None:
                self._store.take(
                    order.model, theirs, order.source, self._told(f"layers of {order.base.name}")
                )
            return _image(config, layers, order.notes)
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _told(self, what: str) -> Callable[[int, int], None]:
        return lambda done, total: self._progress.update(what, done / total if total else None)


class _Scratch:
    """`ports.store.BlobSource` of what the engine handed out."""

    place = None

    def __init__(self, files: LayoutFiles) -> None:
        self._files = files

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        return self._files.chunks(blob)


def _as_the_base_has_them(
    config: bytes, layers: tuple[Descriptor, ...], base: BaseImage
) -> tuple[Descriptor, ...]:
    """Layers that come from the base under the base's own digests: a store has them, or can mount them."""
    known: dict[str, Descriptor] = {}
    for one in base.platforms:
        diff_ids = json_object(one.config, base.name).get("rootfs", {}).get("diff_ids", [])
        known.update(zip(diff_ids, one.layers, strict=False))
    ids = json_object(config, "image config")["rootfs"]["diff_ids"]
    return tuple(known.get(diff_id, layer) for diff_id, layer in zip(ids, layers, strict=True))


def _image(config: bytes, layers: tuple[Descriptor, ...], notes: Mapping[str, str]) -> Image:
    named = Descriptor(media_type=CONFIG, digest=digest_bytes(config), size=len(config))
    manifest = json_bytes(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": named.to_json(),
            "layers": [layer.to_json() for layer in layers],
            "annotations": dict(notes),
        }
    )
    check(config, manifest)
    platform = platform_of(json_object(config, "image config"))
    return Image(documents=(config, manifest), platforms=(str(platform),) if platform else ())


def _check_settings(known: Mapping[str, Any], order: BuildOrder) -> None:
    """What TF Serving's users expect of an image: all that is missing at once."""
    settings = known.get("Config") or {}
    open_ports = settings.get("ExposedPorts") or {}
    wrong = [
        f"EXPOSE {port} is missing" for port in (GRPC_PORT, REST_PORT) if f"{port}/tcp" not in open_ports
    ]
    if f"MODEL_NAME={order.model}" not in (settings.get("Env") or ()):
        wrong.append(f"ENV MODEL_NAME={order.model} is missing")
    if str(settings.get("User") or "").partition(":")[0] in _ROOTS:
        wrong.append("USER is root, or missing: USER 10001:10001")
    if not settings.get("Entrypoint") and not settings.get("Cmd"):
        wrong.append("nothing starts: ENTRYPOINT and CMD are missing")
    if wrong:
        raise InputError(
            "the image is not what a server of models must be",
            where=str(order.context / order.dockerfile),
            why="; ".join(wrong),
            fix="add these to the last stage of the Dockerfile",
        )


def _files(archive: Iterator[bytes]) -> Iterator[FileDigest]:
    """The files in what an engine copies out of a container."""
    try:
        with read_tar(archive) as members:
            for member in members:
                path = member.name.removeprefix("./")
                content = members.extractfile(member) if member.isreg() else None
                if content is None:
                    continue
                sha256 = hashlib.sha256()
                while piece := content.read(_CHUNK):
                    sha256.update(piece)
                yield FileDigest(path=path, size=member.size, sha256=sha256.hexdigest())
        # What follows the last member is only padding; a connection is free again when all of it was taken.
        for _ in archive:
            pass
    except tarfile.TarError as e:
        raise IntegrityFailed("the engine hands out what is no tar", why=str(e)) from e
