"""A process that pushes a model, its run and its image by our store, to be killed by a test: HOST MODEL CACHE."""

import sys
from pathlib import Path

from mmcicd_jenkins.adapters.registry.client import Access
from mmcicd_jenkins.adapters.registry.repositories import Places
from mmcicd_jenkins.adapters.registry.store import RegistryStore
from mmcicd_jenkins.adapters.registry.tries import Deadlines, Patience
from mmcicd_jenkins.errors import MmcicdError
from mmcicd_jenkins.image.descriptor import MANIFEST, Descriptor
from mmcicd_jenkins.image.manifest import BaseImage, Origin, join
from mmcicd_jenkins.image.version_layer import version_layer
from mmcicd_jenkins.ports.store import Store

RUN = "application/vnd.mmcicd.run.v1"
SIGNED = "application/vnd.mmcicd.signed.v1+json"


def open_store(root: str, cache: Path) -> Store:
    access = Access(
        root.partition("/")[0],
        {"HOME": "/nonexistent"},
        insecure=True,
        deadlines=Deadlines(connect=2, stall=2),
        patience=Patience(tries=3, pause=0.01),
    )
    return RegistryStore(Places(root, access, {"mmcicd.ops": ("",)}, ["churn"]), cache)


def push(store: Store, model: Path) -> str:
    """What train, package and the attestation do, one after the other; the digest of the image."""
    layers = store.put_model(model)
    store.put_artifact(
        "run-1", RUN, {"a": 1}, layers=[one.blob for one in layers.layers], files={"metrics.json": b"{}"}
    )
    blob, layer = version_layer("churn", 1)
    origin = Origin(model="churn", version=1, run_id="sha256:" + "1" * 64, commit="c" * 40, committed=10**9)
    image = join(BaseImage(), layers, layer, origin)
    digest = store.put_image("churn", 1, image, [blob])
    subject = Descriptor(media_type=MANIFEST, digest=digest, size=len(image.manifest))
    store.attach("churn", subject, SIGNED, b'{"signed": 1}')
    return digest


if __name__ == "__main__":
    root, model, cache = sys.argv[1:]
    try:
        print(push(open_store(root, Path(cache)), Path(model)))
    except MmcicdError as error:
        print(error.to_json(), file=sys.stderr)
        sys.exit(error.exit_code)
