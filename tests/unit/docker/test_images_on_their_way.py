"""Images as streams: the archive for an engine, the context for a build, what an index offers, what a server says."""

import io
import json
import stat
import tarfile

import pytest

from mmcicd_jenkins.adapters.docker.build_context import context
from mmcicd_jenkins.adapters.docker.engine import DockerEngine, not_ignored
from mmcicd_jenkins.adapters.docker.images import for_platform
from mmcicd_jenkins.adapters.models.status import VersionState, parse_state
from mmcicd_jenkins.errors import InputError, IntegrityFailed, OutsideFailed
from mmcicd_jenkins.image.archive import image_archive, read_tar
from mmcicd_jenkins.image.descriptor import INDEX, LAYER, MANIFEST, Artifact, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes


def layer(content):
    return Descriptor(media_type=LAYER, digest=digest_bytes(content), size=len(content))


CONTENTS = {layer(content).digest: content for content in (b"a" * 700, b"b" * 1024, b"")}
LAYERS = [layer(content) for content in CONTENTS.values()]


def stored(blob):
    return [CONTENTS[blob.digest]]


def members(chunks):
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        return {
            member.name: archive.extractfile(member).read() if member.isreg() else member.type
            for member in archive
        }


def test_an_archive_is_a_layout_and_dockers_own_at_once():
    found = members(image_archive("x/y:1", b"config", b"manifest", LAYERS, stored))
    (entry,) = json.loads(found["manifest.json"])
    assert entry["RepoTags"] == ["x/y:1"]
    assert found[entry["Config"]] == b"config"
    assert [found[name] for name in entry["Layers"]] == list(CONTENTS.values())
    (named,) = json.loads(found["index.json"])["manifests"]
    assert named["digest"] == digest_bytes(b"manifest")
    assert found["blobs/sha256/" + named["digest"][7:]] == b"manifest"
    assert "oci-layout" in found


def test_a_layer_that_stands_twice_goes_once():
    blob = LAYERS[0]
    asked = []

    def chunks(wanted):
        asked.append(wanted)
        return stored(wanted)

    found = members(image_archive("x:1", b"c", b"m", [blob, blob], chunks))
    assert len(asked) == 1
    assert len(json.loads(found["manifest.json"])[0]["Layers"]) == 2


def test_a_wrong_byte_breaks_the_archive_off():
    blob = LAYERS[0]
    with pytest.raises(IntegrityFailed):
        list(image_archive("x:1", b"c", b"m", [blob], lambda _: [b"z" * blob.size]))


def test_a_stream_is_read_as_a_tar_whatever_its_pieces_are():
    whole = b"".join(image_archive("x:1", b"c" * 3000, b"m", [], lambda _: []))
    for size in (1, 7, 512, 10_000):
        pieces = (whole[at : at + size] for at in range(0, len(whole), size))
        with read_tar(pieces) as archive:
            assert [member.name for member in archive if member.isreg()][-1] == "manifest.json"


def index(*platforms):
    entries = [
        {
            "mediaType": MANIFEST,
            "digest": digest_bytes(name.encode()),
            "size": 3,
            "platform": dict(zip(("os", "architecture"), name.split("/"), strict=True)),
        }
        for name in platforms
    ]
    return Artifact(digest=digest_bytes(b"i"), kind=INDEX, document={"manifests": entries}, layers=())


def test_the_platform_of_the_engine_is_chosen():
    image = index("linux/arm64", "linux/amd64")
    assert for_platform(image, "linux/amd64").digest == digest_bytes(b"linux/amd64")
    with pytest.raises(InputError, match="not made for linux/s390x") as error:
        for_platform(image, "linux/s390x")
    assert "linux/arm64, linux/amd64" in error.value.why


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", None),
        (b"[]", None),
        (b'{"model_version_status": 3}', None),
        (b'{"model_version_status": [{"version": "2", "state": "AVAILABLE"}]}', None),
        (
            b'{"model_version_status": [{"version": "1", "state": "LOADING", "status": {}}]}',
            VersionState(state="LOADING"),
        ),
        (
            b'{"model_version_status": [{"version": 1, "state": "END", "status": {"error_message": "no"}}]}',
            VersionState(state="END", error="no"),
        ),
    ],
)
def test_the_state_is_read_and_not_the_status(body, expected):
    assert parse_state(body, 1) == expected


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "data").write_bytes(b"w" * 5000)
    return folder


def test_a_context_holds_the_teams_files_and_the_model(tmp_path, model):
    root = tmp_path / "context"
    (root / "tools").mkdir(parents=True)
    (root / "Dockerfile").write_text("FROM x")
    (root / "tools" / "run.sh").write_text("#!/bin/sh\n")
    (root / "tools" / "run.sh").chmod(0o750)
    (root / "link").symlink_to("tools/run.sh")
    made = list(context(root, ["Dockerfile", "link", "tools/run.sh"], model, b"warm"))
    found = members(made)
    assert found["Dockerfile"] == b"FROM x"
    assert found["model/saved_model.pb"] == b"graph"
    assert found["model/variables/data"] == b"w" * 5000
    assert found["model/assets.extra/tf_serving_warmup_requests"] == b"warm"
    with tarfile.open(fileobj=io.BytesIO(b"".join(made))) as archive:
        assert archive.getmember("tools/run.sh").mode & stat.S_IXUSR
        assert archive.getmember("link").linkname == "tools/run.sh"
        assert not archive.getmember("model/saved_model.pb").mode & stat.S_IXUSR
    assert b"".join(made) == b"".join(context(root, ["Dockerfile", "link", "tools/run.sh"], model, b"warm"))


def test_a_folder_of_our_name_and_a_missing_file_are_told(tmp_path, model):
    with pytest.raises(InputError, match="'model' of its own"):
        list(context(tmp_path, ["model/x"], model, b""))
    with pytest.raises(InputError, match="cannot be read") as error:
        list(context(tmp_path, ["nothing"], model, b""))
    assert "nothing" in error.value.where


def test_dockerignore_is_read_as_docker_reads_it(tmp_path):
    for name in ("Dockerfile", "a.txt", "b.log", "logs/x.log", "logs/keep.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / ".dockerignore").write_text("# notes\n**/*.log\n!logs/keep.log\n")
    found = not_ignored(tmp_path, "Dockerfile")
    assert {"Dockerfile", "a.txt", "logs/keep.log"} <= found
    assert found.isdisjoint({"b.log", "logs/x.log"})


@pytest.mark.parametrize(
    ("variables", "kind", "said"),
    [
        ({"DOCKER_HOST": "unix:///nowhere/docker.sock"}, OutsideFailed, "there is no Docker engine"),
        ({"DOCKER_HOST": "tcp://127.0.0.1:9"}, OutsideFailed, "there is no Docker engine"),
        ({"DOCKER_HOST": "nonsense"}, InputError, "cannot be reached as it is named"),
        (
            {"DOCKER_HOST": "tcp://127.0.0.1:9", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/nowhere"},
            InputError,
            "cannot be reached as it is named",
        ),
    ],
)
def test_why_there_is_no_engine(variables, kind, said):
    with pytest.raises(kind, match=said) as error:
        DockerEngine.open(variables)
    assert error.value.fix
