"""Our contender of the push benchmarks, a process of its own: a model from its folder to an image in a registry.

It does what `train` and `package` do with a registry, without the ledger between them; prints the image's digest.
"""

import sys
from pathlib import Path

MODEL = "churn"


def push(host: str, model: Path, cache: Path, base_digest: str) -> str:
    """What `train` and `package` do with a registry, without the ledger between them; the digest of the image."""
    from mmcicd_jenkins.adapters.base_images import BaseImageFiles
    from mmcicd_jenkins.adapters.registry.client import Access, Repository
    from mmcicd_jenkins.adapters.registry.repositories import Places
    from mmcicd_jenkins.adapters.registry.store import RegistryStore
    from mmcicd_jenkins.image.manifest import Origin, join
    from mmcicd_jenkins.image.version_layer import version_layer

    def no_engine() -> None:
        raise AssertionError("the base lies in the registry")

    access = Access(host, {})
    places = Places(f"{host}/ml", access, {"mmcicd.ops": ("",)}, [MODEL])
    store = RegistryStore(places, cache / "layers")
    layers = store.put_model(model)
    name = f"{host}/base/serving:1"
    bases = BaseImageFiles(cache, cache / "bases", lambda place: Repository(place, access), no_engine)
    base = bases.read(name, base_digest)
    store.take(MODEL, base.layers, bases.source(name, base_digest))
    blob, layer = version_layer(MODEL, 1)
    origin = Origin(
        model=MODEL, version=1, run_id="sha256:" + "1" * 64, commit="c" * 40, committed=1_700_000_000
    )
    return store.put_image(MODEL, 1, join(base, layers, layer, origin), [blob])


if __name__ == "__main__":
    host, model, cache, base_digest = sys.argv[1:]
    print(push(host, Path(model), Path(cache), base_digest))
