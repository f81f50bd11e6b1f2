"""Base + model + version become one image that says what TF Serving's users expect, the same each time."""

import gzip
import io
import json
import tarfile

import pytest

from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.image.base_image import BasePlatform
from mmcicd_jenkins.image.descriptor import CONFIG, LAYER, LAYER_GZIP, Descriptor, Layer, ModelLayers
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.image.manifest import BaseImage, Origin, check, join
from mmcicd_jenkins.image.platforms import Platform
from mmcicd_jenkins.image.unpack import Unpacker
from mmcicd_jenkins.image.version_layer import version_layer, warmup_layer

ORIGIN = Origin(
    model="churn",
    version=8,
    run_id="sha256:" + "5d" * 32,
    commit="e8" * 20,
    committed=1_760_000_000,
    source="https://git.example/ml/churn",
)


def digest(number):
    return f"sha256:{number:064x}"


def layer(number, media_type=LAYER_GZIP):
    return Layer(
        blob=Descriptor(media_type=media_type, digest=digest(number), size=number), diff_id=digest(number + 1)
    )


MODEL = ModelLayers(digest=digest(77), size=500, layers=(layer(10), layer(20)))
VERSION = layer(30)


def base(media_type=LAYER_GZIP, **settings):
    config = json.dumps(
        {
            "architecture": "arm64",
            "os": "linux",
            "variant": "v8",
            "created": "2020-01-01T00:00:00Z",
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [digest(1), digest(2)]},
            "history": [{"created_by": "a"}, {"created_by": "b", "empty_layer": True}, {"created_by": "c"}],
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "config": {"mediaType": CONFIG, "digest": digest_bytes(config), "size": len(config)},
            "layers": [{"mediaType": media_type, "digest": digest(n), "size": 5} for n in (3, 4)],
        }
    ).encode()
    return one(config, manifest)


NAME = "registry.example/tensorflow-serving:2.20.0"


def one(config, manifest):
    """A base of one image with these two documents."""
    platform = Platform(os="linux", architecture="arm64", variant="v8")
    images = (BasePlatform(config=config, manifest=manifest, platform=platform),)
    return BaseImage(name=NAME, digest=digest_bytes(manifest), platforms=images)


def documents(base_image):
    return base_image.platforms[0].config, base_image.platforms[0].manifest


def joined(base_image=BaseImage(), origin=ORIGIN):  # noqa: B008 - a frozen value
    image = join(base_image, MODEL, VERSION, origin)
    return image, json.loads(image.config), json.loads(image.manifest)


def test_the_same_input_gives_the_same_digest_for_ever():
    assert joined()[0].digest == "sha256:650d619337980a176b29dfa9f4ba4f418526985d1bb3cb1454a8c635c5aac45e"
    assert (
        joined(base(User="7"))[0].digest
        == "sha256:d5be51db46cc5d7d1028320fdc42a3456dcfefc427a106aed4f7199a46c1d7f5"
    )


def test_without_a_base_it_holds_what_tf_serving_needs():
    _, config, manifest = joined()
    assert config["config"]["Env"] == ["MODEL_NAME=churn", "MODEL_BASE_PATH=/models"]
    assert set(config["config"]["ExposedPorts"]) == {"8500/tcp", "8501/tcp"}
    assert config["config"]["User"] == "10001:10001"
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    assert config["rootfs"]["diff_ids"] == [digest(11), digest(21), digest(31)]
    assert [one["digest"] for one in manifest["layers"]] == [digest(10), digest(20), digest(30)]


def test_it_says_where_it_comes_from_in_labels_and_annotations():
    _, config, manifest = joined()
    notes = manifest["annotations"]
    assert notes == config["config"]["Labels"]
    assert notes["org.opencontainers.image.revision"] == ORIGIN.commit
    assert notes["org.opencontainers.image.source"] == ORIGIN.source
    assert notes["org.opencontainers.image.version"] == "8"
    assert notes["org.opencontainers.image.created"] == config["created"] == "2025-10-09T08:53:20Z"
    assert notes["io.mmcicd.run-id"] == ORIGIN.run_id
    assert notes["io.mmcicd.model-digest"] == MODEL.digest


def test_a_base_keeps_what_is_its_own():
    settings = {
        "User": "tf",
        "Entrypoint": ["/usr/bin/tf_serving_entrypoint.sh"],
        "Env": ["PATH=/bin", "MODEL_NAME=model", "MODEL_BASE_PATH=/x"],
        "Labels": {"maintainer": "x"},
        "ExposedPorts": {"9/udp": {}},
        "WorkingDir": "/w",
    }
    _, config, manifest = joined(base(**settings))
    made = config["config"]
    assert made["User"] == "tf"
    assert made["Entrypoint"] == settings["Entrypoint"]
    assert made["WorkingDir"] == "/w"
    assert made["Env"] == ["PATH=/bin", "MODEL_NAME=churn", "MODEL_BASE_PATH=/models"]
    assert made["Labels"]["maintainer"] == "x"
    assert set(made["ExposedPorts"]) == {"9/udp", "8500/tcp", "8501/tcp"}
    assert (config["architecture"], config["variant"]) == ("arm64", "v8")
    assert config["rootfs"]["diff_ids"] == [digest(n) for n in (1, 2, 11, 21, 31)]
    assert [one["digest"] for one in manifest["layers"]] == [digest(n) for n in (3, 4, 10, 20, 30)]
    assert [line["created_by"] for line in config["history"]][:3] == ["a", "b", "c"]
    assert manifest["annotations"]["org.opencontainers.image.base.name"].endswith(":2.20.0")


@pytest.mark.parametrize("user", [None, ""])
def test_a_base_that_names_no_user_gets_one_that_is_not_root(user):
    assert joined(base(User=user))[1]["config"]["User"] == "10001:10001"


def test_null_settings_and_no_history_of_a_base_are_taken():
    bare = base(Env=None, Labels=None, ExposedPorts=None)
    before, named = documents(bare)
    config = json.dumps(json.loads(before) | {"history": None}).encode()
    manifest = json.loads(named)
    manifest["config"] |= {"digest": digest_bytes(config), "size": len(config)}
    _, made, _ = joined(one(config, json.dumps(manifest).encode()))
    assert len(made["history"]) == 5


@pytest.mark.parametrize(
    ("docker", "oci"),
    [
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", LAYER_GZIP),
        ("application/vnd.docker.image.rootfs.diff.tar", LAYER),
    ],
)
def test_dockers_layer_types_become_ocis(docker, oci):
    bare = base(docker)
    if oci == LAYER:
        config, named = documents(bare)
        config = config.replace(
            b'"sha256:%064x", "sha256:%064x"' % (1, 2), b'"sha256:%064x", "sha256:%064x"' % (3, 4)
        )
        manifest = json.loads(named)
        manifest["config"]["digest"] = digest_bytes(config)
        bare = one(config, json.dumps(manifest).encode())
    assert {made["mediaType"] for made in joined(bare)[2]["layers"][:2]} == {oci}


@pytest.mark.parametrize("what", ["config", "manifest"])
@pytest.mark.parametrize(
    "content", [b"{", b"[]", b"{}", b'{"schemaVersion":2,"layers":{}}', b'{"rootfs":1}', b"\xff"]
)
def test_a_base_that_cannot_be_read_is_refused(what, content):
    good = base()
    config, manifest = documents(good)
    broken = one(**({"config": config, "manifest": manifest} | {what: content}))
    with pytest.raises(IntegrityFailed):
        joined(broken)


@pytest.mark.parametrize(
    "config",
    [
        {"config": {"Env": 1}},
        {"config": {"Env": [1]}},
        {"config": []},
        {"config": {"Labels": "x"}},
        {"config": {"ExposedPorts": [1]}},
        {"rootfs": {"diff_ids": "x"}},
        {"rootfs": []},
        {"history": {"a": 1}},
        {"history": [1, 2]},
    ],
)
def test_a_base_whose_config_has_other_types_is_refused(config):
    good = base()
    before, named = documents(good)
    document = json.dumps(json.loads(before) | config).encode()
    manifest = json.loads(named)
    manifest["config"] |= {"digest": digest_bytes(document), "size": len(document)}
    with pytest.raises(IntegrityFailed):
        joined(one(document, json.dumps(manifest).encode()))


def test_a_base_whose_documents_contradict_each_other_is_refused():
    good = base()
    config, manifest = documents(good)
    with pytest.raises(IntegrityFailed):
        joined(one(config.replace(b'"a"', b'"z"'), manifest))


def break_config(image, **changes):
    config = json.dumps(json.loads(image.config) | changes).encode()
    manifest = json.loads(image.manifest)
    manifest["config"] |= {"digest": digest_bytes(config), "size": len(config)}
    return config, json.dumps(manifest).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"rootfs": {"type": "layers", "diff_ids": []}},
        {"rootfs": {"type": "layers", "diff_ids": ["sha256:x"] * 3}},
        {"rootfs": {"type": "layers", "diff_ids": [1, 2, 3]}},
        {"rootfs": {"type": "other", "diff_ids": []}},
        {"os": None},
        {"history": [{}]},
        {"history": 5},
    ],
)
def test_check_refuses_what_no_image_may_be(changes):
    image = joined()[0]
    check(image.config, image.manifest)
    with pytest.raises(IntegrityFailed):
        check(*break_config(image, **changes))


@pytest.mark.parametrize("change", [{"digest": digest(5)}, {"size": 3}])
def test_check_refuses_a_config_that_the_manifest_does_not_name(change):
    image = joined()[0]
    manifest = json.loads(image.manifest)
    manifest["config"] |= change
    with pytest.raises(IntegrityFailed):
        check(image.config, json.dumps(manifest).encode())


def test_check_refuses_a_plain_layer_that_is_another_tar():
    model = ModelLayers(digest=digest(77), size=5, layers=(layer(10, LAYER),))
    with pytest.raises(IntegrityFailed):
        join(BaseImage(), model, VERSION, ORIGIN)


def members(blob):
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob))) as opened:
        return {
            member.name: (member, opened.extractfile(member).read() if member.isreg() else b"")
            for member in opened
        }


def test_the_version_layer_is_a_link_to_the_model_and_the_monitoring_file():
    blob, made = version_layer("churn", 8)
    found = members(blob)
    assert set(found) == {
        "models", "models/churn", "models/churn/8", "etc", "etc/mmcicd", "etc/mmcicd/monitoring.config",
    }  # fmt: skip
    assert found["models/churn/8"][0].linkname == "../../srv/mmcicd/model"
    assert b"enable: true" in found["etc/mmcicd/monitoring.config"][1]
    assert found["etc/mmcicd/monitoring.config"][0].mode == 0o644
    assert made.blob.digest == digest_bytes(blob)
    assert made.diff_id == digest_bytes(gzip.decompress(blob))
    assert len(blob) < 8000


def test_the_version_layer_without_monitoring_holds_the_link_alone():
    blob, _ = version_layer("churn", 8, monitoring=False)
    assert set(members(blob)) == {"models", "models/churn", "models/churn/8"}


def test_the_warm_up_layer_is_a_layer_of_a_model_that_everyone_may_read(tmp_path):
    blob, made = warmup_layer(b"records")
    Unpacker(tmp_path).unpack([blob], made.blob, "here")
    assert (tmp_path / "assets.extra/tf_serving_warmup_requests").read_bytes() == b"records"
    assert {member.mode for member, _ in members(blob).values()} == {0o755, 0o644}


@pytest.mark.parametrize(
    ("name", "version"), [("", 1), ("a/b", 1), ("..", 1), (".wh.a", 1), ("a", 0), ("a", -1), ("\ud800", 1)]
)
def test_a_name_that_tf_serving_cannot_serve_is_refused(name, version):
    with pytest.raises(InputError):
        version_layer(name, version)
