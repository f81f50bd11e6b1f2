"""The images we make, in the hands of other people's tools: skopeo, Docker, GNU tar, gzip; and real full disks."""

import io
import json
import os
import shutil
import subprocess
import tarfile

import pytest
from docker_engine import docker  # noqa: F401 - a fixture

from mmcicd_jenkins.adapters.layout.store import OciLayoutStore
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.image.base_image import read_base
from mmcicd_jenkins.image.layer import pack_layer, plan_layers
from mmcicd_jenkins.image.manifest import BaseImage, Origin, join
from mmcicd_jenkins.image.tree import scan
from mmcicd_jenkins.image.version_layer import version_layer, warmup_layer

pytestmark = pytest.mark.real

MODEL = {
    "saved_model.pb": b"\x08\x01graph",
    "variables/variables.index": b"index",
    "variables/variables.data-00000-of-00001": os.urandom(3_000_000),
    "assets/vocab ü 新.txt": b"words",
    "assets/" + "n" * 200: b"",
}
WARMUP = "assets.extra/tf_serving_warmup_requests"


def needs(program, package):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed: apt-get install {package}")


def write(folder, content):
    for path, data in content.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def put_version(store, layers, name, version, base=BaseImage()):  # noqa: B008 - a frozen value
    blob, layer = version_layer(name, version)
    warm, warmup = warmup_layer(b"warm")
    origin = Origin(
        model=name, version=version, run_id="sha256:" + "1" * 64, commit="c" * 40, committed=10**9
    )
    image = join(base, layers, layer, origin, warmup=warmup)
    store.put_image(name, version, image, [blob, warm])
    return image


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    needs("skopeo", "skopeo")
    folder = tmp_path_factory.mktemp("images")
    return folder / "store"


@pytest.fixture(scope="module", params=["gzip", "none"])
def image(request, layout, tmp_path_factory):
    """(address for skopeo, image) of version 8 of churn."""
    model = write(tmp_path_factory.mktemp("model"), MODEL)
    path = layout.with_name(f"store-{request.param}")
    store = OciLayoutStore(path, request.param)
    layers = store.put_model(model)
    put_version(store, layers, "other", 3)
    image = put_version(store, layers, "churn", 8)
    store.put_artifact(
        "run-1", "application/vnd.mmcicd.run.v1", {"a": 1}, layers=[one.blob for one in layers.layers]
    )
    return f"oci:{path}:churn-8", image


def skopeo(*arguments):
    done = subprocess.run(
        ["skopeo", "--insecure-policy", *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_skopeo_reads_what_we_wrote(image):
    address, made = image
    seen = json.loads(skopeo("inspect", address))
    assert seen["Digest"] == made.digest
    assert seen["Labels"]["org.opencontainers.image.version"] == "8"
    assert "MODEL_NAME=churn" in seen["Env"]
    assert json.loads(skopeo("inspect", "--config", address))["config"]["User"] == "10001:10001"


def test_skopeo_copies_it_to_other_forms_with_the_same_digest(image, tmp_path):
    address, made = image
    skopeo("copy", "--preserve-digests", address, f"dir:{tmp_path}/dir")
    assert (tmp_path / "dir" / "manifest.json").read_bytes() == made.manifest
    skopeo("copy", "--preserve-digests", address, f"oci:{tmp_path}/oci:again")
    assert json.loads(skopeo("inspect", f"oci:{tmp_path}/oci:again"))["Digest"] == made.digest


def test_what_skopeo_wrote_is_found_by_us(image, tmp_path):
    address, made = image
    skopeo("copy", "--preserve-digests", address, f"oci:{tmp_path}/oci:again")
    assert OciLayoutStore(tmp_path / "oci").find("again").digest == made.digest


def exported(docker, name, command="/nothing"):  # noqa: F811
    """The whole file system of the image, as Docker lays its layers over each other."""
    container = docker("create", name, command).decode().strip()
    try:
        return tarfile.open(fileobj=io.BytesIO(docker("export", container)))
    finally:
        docker("rm", container)


def load(docker, address, name, folder):  # noqa: F811
    skopeo("copy", address, f"docker-archive:{folder}/image.tar:{name}")
    docker("load", "--input", f"{folder}/image.tar")


def test_docker_loads_it_and_sees_the_version_where_tf_serving_looks(docker, image, tmp_path):  # noqa: F811
    address, _ = image
    load(docker, address, "mmcicd-test/churn:8", tmp_path)
    with exported(docker, "mmcicd-test/churn:8") as files:
        link = files.getmember("models/churn/8")
        assert link.issym()
        model = os.path.normpath(os.path.join("models/churn", link.linkname))  # noqa: PTH118 - a path inside the tar
        for path, data in {**MODEL, WARMUP: b"warm"}.items():
            member = files.getmember(f"{model}/{path}")
            assert files.extractfile(member).read() == data
            assert (member.uid, member.mode & 0o7777) == (0, 0o644)
    settings = json.loads(docker("inspect", "mmcicd-test/churn:8"))[0]["Config"]
    assert settings["User"] == "10001:10001"
    assert set(settings["ExposedPorts"]) == {"8500/tcp", "8501/tcp"}


def test_a_container_on_a_base_reads_the_model_through_the_link(docker, layout, tmp_path):  # noqa: F811
    needs("busybox", "busybox-static")
    base = small_base(docker, tmp_path)
    skopeo("copy", f"docker-archive:{base}", f"oci:{layout}:base")
    store = OciLayoutStore(layout)
    bottom = read_base(store.find("base").manifest, store.read, "base:1")
    layers = store.put_model(write(tmp_path / "model", MODEL))
    put_version(store, layers, "churn", 9, bottom)
    load(docker, f"oci:{layout}:churn-9", "mmcicd-test/churn:9", tmp_path)
    with exported(docker, "mmcicd-test/churn:9") as files:
        assert files.extractfile("bin/busybox").read() == (tmp_path / "bin" / "busybox").read_bytes()
        assert files.getmember("models/churn/9").issym()
        assert files.extractfile("srv/mmcicd/model/saved_model.pb").read() == MODEL["saved_model.pb"]
    ran = docker.run(
        "run",
        "--rm",
        "--network=none",
        "mmcicd-test/churn:9",
        "/bin/busybox",
        "cat",
        "/models/churn/9/" + WARMUP,
    )
    if b"oom_score_adj" in ran.stderr or b"OCI runtime" in ran.stderr:
        pytest.skip(
            f"this machine's engine cannot start containers: {ran.stderr.decode(errors='replace')[-200:]}"
        )
    assert ran.stdout == b"warm", ran.stderr


def small_base(docker, folder):  # noqa: F811
    (folder / "bin").mkdir()
    shutil.copy(shutil.which("busybox"), folder / "bin" / "busybox")
    with tarfile.open(folder / "root.tar", "w") as archive:
        archive.add(folder / "bin", "bin")
    docker("import", str(folder / "root.tar"), "mmcicd-test/base:1")
    docker("save", "--output", str(folder / "base.tar"), "mmcicd-test/base:1")
    return folder / "base.tar"


def test_gnu_tar_and_gzip_read_a_layer(tmp_path):
    needs("tar", "tar")
    model = write(tmp_path / "model", MODEL)
    parts = []
    for plan in plan_layers(scan(model)):
        parts = []
        pack_layer(model, plan, "gzip", lambda pieces, to=parts: to.extend(map(bytes, pieces)))
        (tmp_path / "layer.tar.gz").write_bytes(b"".join(parts))
        subprocess.run(["gzip", "--test", tmp_path / "layer.tar.gz"], check=True)
        subprocess.run(["tar", "-xzf", tmp_path / "layer.tar.gz", "-C", tmp_path], check=True)
    for path, data in MODEL.items():
        assert (tmp_path / "srv/mmcicd/model" / path).read_bytes() == data


class EnoughError(Exception):
    """The sink has what it wants."""


def test_a_file_beyond_8_gib_is_read_by_gnu_tar(tmp_path):
    size = 2**33 + 5
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").touch()
    os.truncate(tmp_path / "model" / "weights", size)
    start = []

    def first_piece(pieces):
        start.append(bytes(pieces[0]))
        raise EnoughError

    with pytest.raises(EnoughError):
        pack_layer(tmp_path / "model", plan_layers(scan(tmp_path / "model"))[0], "none", first_piece)
    # The end is missing, which tar says after it has listed what is there.
    listed = subprocess.run(["tar", "-tvf", "-"], input=start[0], capture_output=True, check=False)
    assert f" {size} ".encode() in listed.stdout


@pytest.fixture
def mounted(tmp_path):
    """A function that mounts a small file system; root only."""
    if os.geteuid():
        pytest.skip("mounting a small disk needs root")
    places = []

    def mount(name, options):
        place = tmp_path / name
        place.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip(f"this machine does not let us mount: {done.stderr.decode()}")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", place], check=True)


def test_a_disk_that_is_really_full(mounted, tmp_path):
    disk = mounted("disk", "size=2m")
    model = write(tmp_path / "model", MODEL)
    with pytest.raises(OutsideFailed, match="no space left") as error:
        OciLayoutStore(disk / "store").put_model(model)
    assert str(disk) in error.value.where
    assert list((disk / "store/.mmcicd/temporary").iterdir()) == []
    assert list((disk / "store/blobs/sha256").iterdir()) == []
    subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
    layers = OciLayoutStore(disk / "store").put_model(model)
    with pytest.raises(OutsideFailed, match="no space left"):
        OciLayoutStore(disk / "store").extract(
            [one.blob for one in layers.layers], mounted("out", "size=1m") / "m"
        )
    assert list((tmp_path / "out").iterdir()) == []


def test_a_disk_that_is_really_read_only(mounted, tmp_path):
    disk = mounted("disk", "size=20m")
    model = write(tmp_path / "model", MODEL)
    layers = OciLayoutStore(disk / "store").put_model(model)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    store = OciLayoutStore(disk / "store")
    with pytest.raises(OutsideFailed, match="may not be used"):
        store.put_artifact("t", "application/x", {})
    store.extract([one.blob for one in layers.layers], tmp_path / "out")
    assert (tmp_path / "out" / "saved_model.pb").read_bytes() == MODEL["saved_model.pb"]
