"""Bases from where they really lie: a registry, a layout that skopeo wrote, a Docker engine. Other tools run what we make.

The base is a small program with TF Serving's entry point: it says with what arguments it was started, as whom, and
what it finds where a server would look.
"""

import json
import os
import shutil
import subprocess
import tarfile

import pytest
from base_documents import ENTRYPOINT, Documents, two_platforms, write_layout
from docker_engine import docker  # noqa: F401 - a fixture
from registry import needs_registry, plain_registry  # noqa: F401 - a fixture

from mmcicd_jenkins.adapters.base_images import BaseImageFiles
from mmcicd_jenkins.adapters.docker.engine import DockerEngine
from mmcicd_jenkins.adapters.layout.store import OciLayoutStore
from mmcicd_jenkins.adapters.registry.client import Access, Repository
from mmcicd_jenkins.adapters.registry.repositories import Places
from mmcicd_jenkins.adapters.registry.store import RegistryStore
from mmcicd_jenkins.image.base_image import only
from mmcicd_jenkins.image.manifest import Origin, join
from mmcicd_jenkins.image.version_layer import version_layer, warmup_layer

pytestmark = pytest.mark.real

NAME = "mmcicd-test/served-base:2.20.0"
SCRIPT = """#!/bin/busybox sh
echo "started with $*"
/bin/busybox id -u
/bin/busybox cat $MODEL_BASE_PATH/$MODEL_NAME/8/saved_model.pb
/bin/busybox cat $MODEL_BASE_PATH/$MODEL_NAME/8/assets.extra/tf_serving_warmup_requests
/bin/busybox cat /etc/mmcicd/monitoring.config
"""
SAID = """started with --monitoring_config_file=/etc/mmcicd/monitoring.config
10001
the graph
the warm-up
prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
"""


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def skopeo(*arguments):
    return run("skopeo", "--insecure-policy", *arguments)


@pytest.fixture(scope="module")
def served(docker, tmp_path_factory):  # noqa: F811
    """The base in the engine, and the folder of a layout with it under the tag `base`."""
    for program in ("skopeo", "busybox"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed: apt-get install skopeo busybox-static")
    folder = tmp_path_factory.mktemp("served")
    root = folder / "root"
    (root / "bin").mkdir(parents=True)
    (root / "usr/bin").mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), root / "bin/busybox")
    (root / ENTRYPOINT.lstrip("/")).write_text(SCRIPT)
    (root / ENTRYPOINT.lstrip("/")).chmod(0o755)
    with tarfile.open(folder / "root.tar", "w") as archive:
        archive.add(root, "")
    change = f'ENTRYPOINT ["{ENTRYPOINT}"]'
    docker("import", "--change", change, "--change", "USER root", str(folder / "root.tar"), NAME)
    docker("save", "--output", str(folder / "base.tar"), NAME)
    skopeo("copy", "-q", f"docker-archive:{folder}/base.tar", f"oci:{folder}/layout:base")
    return folder


@pytest.fixture
def bases(tmp_path, docker):  # noqa: F811
    variables = {**os.environ, **({"DOCKER_HOST": docker.host} if docker.host else {})}
    access = Access("", {})
    return BaseImageFiles(
        tmp_path,
        tmp_path / "cache",
        lambda place: Repository(place, access),
        lambda: DockerEngine.open(variables),
    )


def put(store, base, source, folder):
    """Version 8 of churn on a base, as `package` stores it; returns the image."""
    model = folder / "model"
    model.mkdir()
    (model / "saved_model.pb").write_text("the graph\n")
    (model / "saved_model.pb").chmod(0o600)
    layers = store.put_model(model)
    blob, layer = version_layer("churn", 8)
    warm, warmup = warmup_layer(b"the warm-up\n")
    origin = Origin(model="churn", version=8, run_id="sha256:" + "1" * 64, commit="c" * 40, committed=10**9)
    image = join(base, layers, layer, origin, warmup=warmup)
    store.take("churn", base.layers, source)
    store.put_image("churn", 8, image, [blob, warm])
    return image


@needs_registry
@pytest.mark.parametrize("place", ["registry", "layout", "engine"])
def test_an_image_on_a_base_from_anywhere_runs_as_tf_serving_would(
    place,
    served,
    bases,
    docker,  # noqa: F811
    plain_registry,  # noqa: F811
    tmp_path,
):
    on_registry = f"{plain_registry.host}/bases/served-{os.getpid()}:1"
    skopeo("copy", "-q", "--dest-tls-verify=false", f"oci:{served}/layout:base", f"docker://{on_registry}")
    name = {
        "registry": on_registry,
        "layout": f"oci:{os.path.relpath(served / 'layout', tmp_path)}:base",
        "engine": f"docker:{NAME}",
    }[place]
    base = bases.newest(name)
    assert bases.read(name, base.digest) == base
    store = OciLayoutStore(tmp_path / "store")
    image = put(store, base, bases.source(name, base.digest), tmp_path)
    skopeo(
        "copy",
        "-q",
        f"oci:{tmp_path}/store:churn-8",
        f"docker-archive:{tmp_path}/image.tar:mmcicd-test/made:8",
    )
    docker("load", "--input", f"{tmp_path}/image.tar")
    ran = docker.run("run", "--rm", "--network=none", "mmcicd-test/made:8")
    assert ran.stdout.decode() == SAID, ran.stderr
    assert image.platforms == ("linux/amd64",)


@needs_registry
def test_an_index_is_kept_through_a_registry_and_other_tools_read_it(bases, plain_registry, tmp_path):  # noqa: F811
    if not shutil.which("skopeo"):
        pytest.skip("skopeo is not installed: apt-get install skopeo")
    documents = Documents()
    entry = two_platforms(documents, docker=False)
    write_layout(tmp_path / "layout", documents, {"base": entry})
    name = f"{plain_registry.host}/bases/two-{os.getpid()}:1"
    skopeo("copy", "-q", "--all", "--preserve-digests", "--dest-tls-verify=false",
           f"oci:{tmp_path}/layout:base", f"docker://{name}")  # fmt: skip
    base = bases.newest(name)
    assert base.digest == entry["digest"]
    root = f"{plain_registry.host}/ml-{os.getpid()}"
    places = Places(root, Access(root, {}), {"mmcicd.ops": ("",)}, ["churn"])
    store = RegistryStore(places, tmp_path / "stat")
    image = put(store, base, bases.source(name, base.digest), tmp_path)
    pulled = f"docker://{root}/churn:8"
    raw = skopeo("inspect", "--raw", "--tls-verify=false", pulled)
    assert raw.encode() == image.manifest
    for architecture, variant in (("amd64", None), ("arm64", "v8")):
        config = json.loads(
            skopeo("--override-arch", architecture, "inspect", "--config", "--tls-verify=false", pulled)
        )
        assert (config["architecture"], config.get("variant")) == (architecture, variant)
        assert config["config"]["Entrypoint"] == [ENTRYPOINT]
    skopeo(
        "copy",
        "-q",
        "--all",
        "--preserve-digests",
        "--src-tls-verify=false",
        pulled,
        f"oci:{tmp_path}/copy:8",
    )
    blob = tmp_path / "copy/blobs/sha256" / image.digest.removeprefix("sha256:")
    assert blob.read_bytes() == image.manifest
    # The layers of the base changed repositories inside the registry.
    assert all(
        f"mount={layer.digest}&from=bases" in plain_registry.log.replace("%3A", ":") for layer in base.layers
    )
    assert only(base, ("linux/arm64",)).layers[0] in base.layers


@needs_registry
def test_docker_pulls_the_index_by_digest_and_takes_its_own_platform(
    served,
    bases,
    docker,  # noqa: F811
    plain_registry,  # noqa: F811
    tmp_path,
):
    name = f"oci:{os.path.relpath(served / 'layout', tmp_path)}:base"
    one = bases.newest(name)
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": one.digest,
                "size": len(one.platforms[0].manifest),
                "platform": {"architecture": "amd64", "os": "linux"},
            }
        ],
    }
    layout = shutil.copytree(served / "layout", tmp_path / "layout")
    documents = Documents()
    entry = documents.add(index, index["mediaType"])
    (layout / "blobs/sha256" / entry["digest"].removeprefix("sha256:")).write_bytes(
        documents[entry["digest"]]
    )
    told = json.loads((layout / "index.json").read_text())
    told["manifests"].append({**entry, "annotations": {"org.opencontainers.image.ref.name": "index"}})
    (layout / "index.json").write_text(json.dumps(told))
    base = bases.newest("oci:layout:index")
    assert base.is_index
    root = f"{plain_registry.host}/pulled-{os.getpid()}"
    store = RegistryStore(Places(root, Access(root, {}), {"mmcicd.ops": ("",)}, ["churn"]), tmp_path / "stat")
    image = put(store, base, bases.source("oci:layout:index", base.digest), tmp_path)
    docker("pull", f"{root}/churn@{image.digest}")
    ran = docker.run("run", "--rm", "--network=none", f"{root}/churn@{image.digest}")
    assert ran.stdout.decode() == SAID, ran.stderr
