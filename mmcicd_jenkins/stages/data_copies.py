"""A copy of a source's bytes in the store, so that an old lock stays good after the source has moved on.

Made once per digest, for sources whose storage keeps no versions of its own and that are not huge. A copy is
asked for only when neither the machine's cache nor the source has the bytes any more.
"""

import shutil
from pathlib import Path

from mmcicd_jenkins.config.model import DataSource
from mmcicd_jenkins.errors import IntegrityFailed, OutsideFailed
from mmcicd_jenkins.image.descriptor import descriptor
from mmcicd_jenkins.stages.context import Job, Ports, timestamp
from mmcicd_jenkins.stages.identity import locked_facts
from mmcicd_jenkins.stages.placing import place_bytes
from mmcicd_jenkins.stages.workspace import fresh_directory, make_directory

DATA_KIND = "application/vnd.mmcicd.data.v1+json"
# Above this a copy costs more than it is worth without being asked for; such data belong in versioned storage.
LARGEST_COPY = 2**30


def data_tag(digest: str) -> str:
    return "data-" + digest.removeprefix("sha256:")


def address_of(source: DataSource, job: Job) -> str:
    return source.url if "://" in source.url else str(job.root / source.url)


def fetch_locked(source: DataSource, digest: str, job: Job, ports: Ports) -> Path:
    """The locked bytes of a source: from the cache, the source, or the copy in the store.

    Raises:
        IntegrityFailed: the source holds other bytes and no copy is left.
        OutsideFailed: the source cannot be read and no copy is left.
    """
    facts = locked_facts(job, source.name)

    def progress(done: int, total: int) -> None:
        told = f"{source.name}: {done:,} of {total:,} bytes"
        ports.progress.update(told, done / total if total else None)

    address = address_of(source, job)
    try:
        fetched = ports.sources.fetch(address, digest, progress, version=facts.version)
    except (IntegrityFailed, OutsideFailed):
        copy = _copy_of(digest, job, ports)
        if copy is None:
            raise
        fetched = ports.sources.fetch(str(copy), digest, progress)
        ports.progress.line(f"{source.name}: the source has moved on; the locked bytes come from the store")
        return fetched
    if not facts.version and facts.size <= LARGEST_COPY:
        _keep(source, digest, fetched, job, ports)
    return fetched


def _keep(source: DataSource, digest: str, fetched: Path, job: Job, ports: Ports) -> None:
    tag = data_tag(digest)
    if ports.store.find(tag) is not None:
        return
    ports.progress.update(f"{source.name}: keeping a copy in the store")
    folder = job.workspace.copy(digest)
    with job.workspace.lock(f"copy-{folder.name}", lambda: None):
        place_bytes(fetched, fresh_directory(folder) / "data")
        layers = ports.store.put_model(folder / "data")
        shutil.rmtree(folder, ignore_errors=True)
    document = {
        "digest": digest,
        "model": job.model.name,
        "kept": timestamp(ports.clock),
        "file": "" if fetched.is_dir() else fetched.name,
        "layers": [layer.blob.to_json() for layer in layers.layers],
    }
    ports.store.put_artifact(tag, DATA_KIND, document, layers=[layer.blob for layer in layers.layers])


def _copy_of(digest: str, job: Job, ports: Ports) -> Path | None:
    stored = ports.store.find(data_tag(digest))
    if stored is None:
        return None
    layers = stored.document.get("layers")
    if stored.kind != DATA_KIND or not isinstance(layers, list):
        raise IntegrityFailed(
            "the store has another document under the name of a copy of data",
            where=data_tag(digest),
            why=f"{stored.digest} is a {stored.kind}",
            fix="restore the store from a copy",
        )
    folder = job.workspace.copy(digest).with_suffix(".back")
    with job.workspace.lock(f"copy-{folder.name}", lambda: None):
        shutil.rmtree(folder, ignore_errors=True)
        make_directory(folder.parent)
        ports.store.extract([descriptor(layer) for layer in layers], folder)
    return folder / str(stored.document["file"]) if stored.document["file"] else folder
