"""What we pushed, in the hands of other people's tools, from a registry with TLS and logins: skopeo, crane, Docker, containerd.

Each takes the image that our store put there on a base of busybox; each either runs it or gives its files back, and
every byte of the model is the one that was written.
"""

import base64
import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile

import pytest
import registry
from containerd_engine import containerd  # noqa: F401 - a fixture
from docker_engine import docker  # noqa: F401 - a fixture

from mmcicd_jenkins.adapters.base_images import BaseImageFiles
from mmcicd_jenkins.adapters.registry.client import Access, Repository
from mmcicd_jenkins.adapters.registry.repositories import Places
from mmcicd_jenkins.adapters.registry.store import RegistryStore
from mmcicd_jenkins.image.artifact import json_bytes
from mmcicd_jenkins.image.descriptor import CONFIG, MANIFEST, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.image.layer import layer_of_bytes
from mmcicd_jenkins.image.manifest import Origin, join
from mmcicd_jenkins.image.reference import Reference
from mmcicd_jenkins.image.version_layer import version_layer, warmup_layer

pytestmark = [pytest.mark.real, registry.needs_registry]

USER, PASSWORD = "ci", "pass:w ö rd"
MODEL = {
    "saved_model.pb": b"\x08\x01graph",
    "variables/variables.index": b"index",
    "variables/variables.data-00000-of-00001": os.urandom(3_000_000),
    "assets/vocab ü 新.txt": b"words",
    "assets/" + "n" * 200: b"",
    "assets.extra/tf_serving_warmup_requests": b"warm",
}
WRITTEN = {path: data for path, data in MODEL.items() if not path.startswith("assets.extra")}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A registry with TLS and a login."""
    with registry.serve(tmp_path_factory.mktemp("registry"), tls=True, users={USER: PASSWORD}) as running:
        yield running


@pytest.fixture(scope="module")
def logins(place, tmp_path_factory):
    """A folder with Docker's configuration, which crane reads as well."""
    folder = tmp_path_factory.mktemp("docker-config")
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {place.host: {"auth": login}}}))
    return folder


@pytest.fixture(scope="module")
def image(place, logins, tmp_path_factory):
    """(address by tag, digest) of what our store pushed: a model on a base in the same registry."""
    if not shutil.which("busybox"):
        pytest.skip("busybox is missing: apt-get install busybox-static")
    folder = tmp_path_factory.mktemp("pushed")
    for path, data in WRITTEN.items():
        (folder / "model" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "model" / path).write_bytes(data)
    access = Access(place.host, {"DOCKER_CONFIG": str(logins)}, ca=str(place.ca))
    with contextlib.closing(access):
        base = put_base(Repository(Reference(registry=place.host, name="mirror/busybox"), access))
        places = Places(f"{place.host}/ml", access, {"mmcicd.ops": ("",)}, ["churn"])
        store = RegistryStore(places, folder / "cache")
        digest = put_version(store, access, f"{place.host}/mirror/busybox", base, folder)
    return f"{place.host}/ml/churn:1", digest


def put_base(repository):
    """An image of busybox alone, as its own documents; the digest of its manifest."""
    parts = io.BytesIO()
    with tarfile.open(fileobj=parts, mode="w") as archive:
        archive.add(shutil.which("busybox"), "bin/busybox")
    tar = parts.getvalue().rstrip(b"\0")
    blob, layer = layer_of_bytes(tar + b"\0" * (-len(tar) % 512), "gzip")
    config = json_bytes(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]}}
    )
    repository.put_blob(blob)
    repository.put_blob(config)
    named = Descriptor(media_type=CONFIG, digest=digest_bytes(config), size=len(config))
    document = json_bytes(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": named.to_json(),
            "layers": [layer.blob.to_json()],
        }
    )
    return repository.put_manifest("1", document, MANIFEST)


def put_version(store, access, base_name, base_digest, folder):
    bases = BaseImageFiles(folder, folder / "bases", lambda where: Repository(where, access), lambda: None)
    base = bases.read(f"{base_name}:1", base_digest)
    layers = store.put_model(folder / "model")
    store.take("churn", base.layers, bases.source(f"{base_name}:1", base_digest))
    blob, layer = version_layer("churn", 1)
    warm, warmup = warmup_layer(MODEL["assets.extra/tf_serving_warmup_requests"])
    origin = Origin(model="churn", version=1, run_id="sha256:" + "1" * 64, commit="c" * 40, committed=10**9)
    return store.put_image("churn", 1, join(base, layers, layer, origin, warmup=warmup), [blob, warm])


def needs(program, how):
    if not shutil.which(program):
        pytest.skip(f"{program} is missing: {how}")


def tool(*command, **variables):
    done = subprocess.run(
        command, capture_output=True, check=False, timeout=120, env={**os.environ, **variables}
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def check_files(archive):
    """The model in a file system of the image, found by the way of TF Serving."""
    link = archive.getmember("models/churn/1")
    assert link.issym()
    root = os.path.normpath(os.path.join("models/churn", link.linkname))  # noqa: PTH118 - a path inside the tar
    for path, data in MODEL.items():
        file = archive.extractfile(f"{root}/{path}")
        assert file
        assert file.read() == data, path


# The sums that a container prints of what it sees itself.
SUMS = ["/bin/busybox", "sha256sum", *(f"/models/churn/1/{path}" for path in MODEL)]


def check_sums(printed):
    expected = [f"{hashlib.sha256(data).hexdigest()}  /models/churn/1/{path}" for path, data in MODEL.items()]
    assert printed.decode().splitlines() == expected


def test_skopeo_copies_it_byte_for_byte(place, image, tmp_path):
    needs("skopeo", "apt-get install skopeo")
    address, digest = image
    certificates = tmp_path / "certificates"
    certificates.mkdir()
    shutil.copy(place.ca, certificates / "ca.crt")
    trust = ["--src-cert-dir", str(certificates), "--src-creds", f"{USER}:{PASSWORD}"]
    tool(
        "skopeo", "--insecure-policy", "copy", "--preserve-digests", *trust,
        f"docker://{address}", f"dir:{tmp_path}/copy",
    )  # fmt: skip
    manifest = (tmp_path / "copy" / "manifest.json").read_bytes()
    assert digest_bytes(manifest) == digest
    root = tmp_path / "root"
    root.mkdir()
    for layer in json.loads(manifest)["layers"]:
        blob = tmp_path / "copy" / layer["digest"].removeprefix("sha256:")
        assert digest_bytes(blob.read_bytes()) == layer["digest"]
        tool("tar", "--extract", "--gzip", "--file", str(blob), "--directory", str(root), "--no-same-owner")
    for path, data in MODEL.items():
        assert (root / "models/churn/1" / path).read_bytes() == data


def test_crane_validates_and_exports_it(place, image, logins):
    needs("crane", "go install github.com/google/go-containerregistry/cmd/crane@v0.20.7")
    address, digest = image
    way = {"DOCKER_CONFIG": str(logins), "SSL_CERT_FILE": str(place.ca)}
    assert tool("crane", "digest", address, **way).decode().strip() == digest
    tool("crane", "validate", "--remote", address, **way)
    with tarfile.open(fileobj=io.BytesIO(tool("crane", "export", address, "-", **way))) as archive:
        check_files(archive)


def test_docker_pulls_and_runs_it(docker, image, logins):  # noqa: F811
    address, digest = image
    by_digest = f"{address.rpartition(':')[0]}@{digest}"
    docker("--config", str(logins), "pull", "--quiet", by_digest)
    try:
        check_sums(docker("run", "--rm", "--network=none", "--entrypoint=", by_digest, *SUMS))
        container = docker("create", "--entrypoint=", by_digest, "/nothing").decode().strip()
        with tarfile.open(fileobj=io.BytesIO(docker("export", container))) as archive:
            check_files(archive)
        docker("rm", container)
    finally:
        docker("image", "rm", "--force", by_digest)


def test_containerd_pulls_and_runs_it(containerd, place, image, tmp_path):  # noqa: F811
    address, digest = image
    by_digest = f"{address.rpartition(':')[0]}@{digest}"
    # As on a node: without this it takes loopback for a registry without TLS.
    (tmp_path / place.host).mkdir()
    (tmp_path / place.host / "hosts.toml").write_text(
        f'server = "{place.url}"\n[host."{place.url}"]\ncapabilities = ["pull", "resolve"]\nca = "{place.ca}"\n'
    )
    containerd("images", "pull", "--hosts-dir", str(tmp_path), "--user", f"{USER}:{PASSWORD}", by_digest)
    assert digest in containerd("images", "list").decode()
    check_sums(containerd("run", "--rm", by_digest, "sums", *SUMS))


@pytest.mark.parametrize("program", ["skopeo", "crane"])
def test_without_the_login_nobody_gets_it(place, image, program, tmp_path):
    needs(program, "make test-real as root")
    address, _ = image
    command = {
        "skopeo": ["skopeo", "inspect", "--tls-verify=false", "--no-creds", f"docker://{address}"],
        "crane": ["crane", "manifest", address],
    }[program]
    way = {"SSL_CERT_FILE": str(place.ca), "DOCKER_CONFIG": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, check=False, timeout=60, env={**os.environ, **way})
    assert done.returncode
    assert b"nauthorized" in done.stderr.lower() or b"authentication required" in done.stderr
