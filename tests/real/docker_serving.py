"""A served base in a real engine, and images of models on it: fixtures `serving_base` and `shelf` for the tests of containers.

`shelf` is a store in a layout whose `put(version, **double)` makes the image of a version that does what `double` says.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import serving_image

from mmcicd_jenkins.adapters.docker.engine import DockerEngine
from mmcicd_jenkins.adapters.layout.store import OciLayoutStore
from mmcicd_jenkins.image.base_image import read_base
from mmcicd_jenkins.image.manifest import Origin, join
from mmcicd_jenkins.image.version_layer import version_layer

GOLDEN = {
    "signature": "serving_default",
    "inputs": {"x": {"dtype": "float32", "shape": [-1]}},
    "output": "y",
    "instances": [1.0, 2.0, 4.5],
    "outputs": [0.5, 1.0, 2.25],
    "tolerance": 1e-6,
}


@pytest.fixture(scope="session")
def networked(docker):
    if docker.without_network:
        pytest.skip(docker.without_network)
    return docker


@pytest.fixture(scope="session")
def engine(docker):
    return DockerEngine.open({**os.environ, "DOCKER_HOST": docker.host} if docker.host else os.environ)


@pytest.fixture(scope="session")
def serving_base(docker, tmp_path_factory):
    """An OCI layout with the base under the tag `base`; the engine has it as well."""
    for program in ("skopeo", "busybox"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed: apt-get install skopeo busybox-static")
    folder = tmp_path_factory.mktemp("base")
    serving_image.import_base(docker, folder)
    docker("save", "--output", str(folder / "base.tar"), f"{serving_image.NAME}:1")
    subprocess.run(
        [
            "skopeo",
            "--insecure-policy",
            "copy",
            "-q",
            f"docker-archive:{folder}/base.tar",
            f"oci:{folder}/layout:base",
        ],
        check=True,
    )
    (folder / "base.tar").unlink()
    return folder / "layout"


class Shelf:
    """Images of models in a layout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = OciLayoutStore(folder)
        self.base = read_base(self.store.find("base").manifest, self.store.read, "oci:shelf:base")
        self.models = folder.parent / "models"

    def put(self, version, *, name="churn", **double):
        """(digest, layers) of an image whose server does what `double` says."""
        model = self.models / f"{name}-{version}"
        (model / "variables").mkdir(parents=True)
        (model / "double.json").write_text(json.dumps({"factor": 0.5, **double}))
        (model / "variables" / "weights").write_bytes(os.urandom(2_000_000))
        layers = self.store.put_model(model)
        blob, layer = version_layer(name, version)
        origin = Origin(
            model=name, version=version, run_id="sha256:" + "1" * 64, commit="c" * 40, committed=10**9
        )
        image = join(self.base, layers, layer, origin)
        self.store.put_image(name, version, image, [blob])
        return image.digest, tuple(one.blob for one in layers.layers)


@pytest.fixture(scope="module")
def shelf(serving_base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shelf") / "store"
    shutil.copytree(serving_base, folder)
    return Shelf(folder)
