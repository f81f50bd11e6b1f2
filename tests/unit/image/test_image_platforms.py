"""An image on a base: one per platform with an index on top, what a container starts with, and hostile configs."""

import json

import pytest
from base_documents import ENTRYPOINT, Documents, named, two_platforms
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.image.base_image import only, read_base
from mmcicd_jenkins.image.descriptor import INDEX, LAYER_GZIP, Descriptor, Layer, ModelLayers
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.image.documents import check_image, layers_of, read_image
from mmcicd_jenkins.image.manifest import BaseImage, Origin, join
from mmcicd_jenkins.image.standing import Standing, standing_on
from mmcicd_jenkins.image.start import Start

ORIGIN = Origin(
    model="churn", version=8, run_id="sha256:" + "5d" * 32, commit="e8" * 20, committed=1_760_000_000
)
FLAG = "--monitoring_config_file=/etc/mmcicd/monitoring.config"


def layer(number):
    digests = [f"sha256:{number + add:064x}" for add in (0, 1)]
    return Layer(blob=Descriptor(media_type=LAYER_GZIP, digest=digests[0], size=number), diff_id=digests[1])


MODEL = ModelLayers(digest=f"sha256:{77:064x}", size=500, layers=(layer(10), layer(20)))
VERSION, WARMUP = layer(30), layer(40)


def base_of(documents, entry):
    return read_base(named(entry), documents.read, "acme/serving:2.20.0")


def one(config=None, **more):
    documents = Documents()
    return base_of(documents, documents.image(config=config, **more))


def started(config, start=Start()):  # noqa: B008 - a frozen value
    """The settings of an image whose base has `config` there."""
    image = join(one({"config": config}), MODEL, VERSION, ORIGIN, start=start)
    return json.loads(image.config)["config"]


@pytest.fixture
def two():
    documents = Documents()
    return base_of(documents, two_platforms(documents))


def test_one_image_per_platform_with_an_index_on_top(two):
    image = join(two, MODEL, VERSION, ORIGIN, warmup=WARMUP)
    kinds = [named.media_type for named in check_image(image.documents)]
    assert len(kinds) == 5
    index = json.loads(image.manifest)
    assert kinds[-1] == INDEX == index["mediaType"]
    assert [entry["platform"] for entry in index["manifests"]] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm64", "os": "linux", "variant": "v8"},
    ]
    assert image.digest == digest_bytes(image.documents[-1])
    assert image.platforms == ("linux/amd64", "linux/arm64/v8")
    assert index["annotations"]["org.opencontainers.image.base.digest"] == two.digest
    manifests = [json.loads(image.documents[n]) for n in (1, 3)]
    for manifest, base in zip(manifests, two.platforms, strict=True):
        notes = manifest["annotations"]
        assert notes["org.opencontainers.image.base.digest"] == digest_bytes(base.manifest)
    ours = [entry["digest"] for entry in manifests[0]["layers"][1:]]
    assert ours == [entry["digest"] for entry in manifests[1]["layers"][1:]]
    assert ours == [one.blob.digest for one in (*MODEL.layers, WARMUP, VERSION)]
    assert len(layers_of(image.documents)) == 2 + 4


def test_the_same_again_is_the_same_and_each_part_counts(two):
    first = join(two, MODEL, VERSION, ORIGIN)
    assert join(two, MODEL, VERSION, ORIGIN) == first
    others = [
        join(two, MODEL, VERSION, ORIGIN, warmup=WARMUP),
        join(two, MODEL, layer(31), ORIGIN),
        join(two, MODEL, VERSION, ORIGIN, start=Start(user="7")),
        join(two, MODEL, VERSION, ORIGIN, start=Start(monitoring=False)),
        join(only(two, ("linux/amd64",)), MODEL, VERSION, ORIGIN),
        join(BaseImage(), MODEL, VERSION, ORIGIN),
    ]
    assert len({first.digest, *(image.digest for image in others)}) == 7


def test_the_history_tells_of_each_layer():
    history = json.loads(join(one(), MODEL, VERSION, ORIGIN, warmup=WARMUP).config)["history"]
    assert [line["created_by"].split(" sha256")[0] for line in history] == [
        "a",
        "mmcicd-jenkins model",
        "mmcicd-jenkins model",
        "mmcicd-jenkins warm-up",
        "mmcicd-jenkins version churn 8",
    ]


def test_what_it_stands_on_is_read_back_from_the_stored_image(two):
    image = join(two, MODEL, VERSION, ORIGIN)
    blobs = {digest_bytes(content): content for content in image.documents}

    def stored(made):
        top = check_image(made.documents)[-1]
        return read_image(top, made.manifest, lambda named: blobs[named.digest], "here")

    assert standing_on(stored(image), {}) == Standing(
        base="acme/serving:2.20.0", digest=two.digest, platforms=("linux/amd64", "linux/arm64/v8")
    )
    single = join(one(), MODEL, VERSION, ORIGIN)
    blobs |= {digest_bytes(content): content for content in single.documents}
    assert standing_on(stored(single), {}).platforms == ("linux/amd64",)
    bare = join(BaseImage(), MODEL, VERSION, ORIGIN)
    blobs |= {digest_bytes(content): content for content in bare.documents}
    assert standing_on(stored(bare), {}) == Standing()
    assert bare.platforms == ()
    recorded = {"base": "b:1", "digest": "sha256:x", "platforms": ["linux/amd64"]}
    assert standing_on(stored(bare), recorded) == Standing(
        base="b:1", digest="sha256:x", platforms=("linux/amd64",)
    )


def test_tf_servings_own_image_starts_with_its_metrics_on():
    made = started({"Entrypoint": [ENTRYPOINT]})
    assert (made["Entrypoint"], made["Cmd"]) == ([ENTRYPOINT], [FLAG])


@pytest.mark.parametrize(
    ("config", "cmd"),
    [
        ({"Entrypoint": ["/e"], "Cmd": ["--enable_batching"]}, ["--enable_batching", FLAG]),
        ({"Entrypoint": ["/e"], "Cmd": ["--monitoring_config_file=/own"]}, ["--monitoring_config_file=/own"]),
        ({"Cmd": ["/bin/server", "x"]}, ["/bin/server", "x"]),
        ({}, None),
        ({"Entrypoint": [], "Cmd": None}, None),
    ],
)
def test_the_flag_joins_only_what_hands_it_on(config, cmd):
    assert started(config).get("Cmd") == cmd


def test_metrics_can_be_left_off():
    made = started({"Entrypoint": ["/e"], "Cmd": ["--x"]}, Start(monitoring=False))
    assert made["Cmd"] == ["--x"]
    assert "Cmd" not in started({"Entrypoint": ["/e"]}, Start(monitoring=False))


@pytest.mark.parametrize(
    ("user", "asked", "made"),
    [
        ("", "", "10001:10001"),
        ("root", "", "10001:10001"),
        ("0:0", "", "10001:10001"),
        ("tf", "", "tf"),
        ("65532", "", "65532"),
        ("tf", "7:8", "7:8"),
        ("", "0", "0"),
    ],
)
def test_nobody_serves_as_root_unless_told(user, asked, made):
    assert started({"User": user}, Start(user=asked))["User"] == made


def test_a_builds_leftovers_stay_behind():
    image = join(
        one({"container_config": {"Env": ["SECRET=1"]}, "docker_version": "20", "os.features": ["x"]}),
        MODEL,
        VERSION,
        ORIGIN,
    )
    config = json.loads(image.config)
    assert "SECRET" not in image.config.decode()
    assert set(config) == {"architecture", "config", "created", "history", "os", "os.features", "rootfs"}


@pytest.mark.parametrize(
    "config",
    [
        {"config": {"Entrypoint": "/e"}},
        {"config": {"Entrypoint": [1]}},
        {"config": {"Cmd": {"a": 1}}},
        {"config": {"User": 5}},
        {"config": {"WorkingDir": []}},
        {"config": {"Labels": {"a": 1}}},
        {"config": {"Volumes": "x"}},
        {"config": {"Env": ["\ud800"]}},
        {"config": {"Healthcheck": {"Interval": 1e999}}},
        {"history": [{"created_by": "\udfff"}]},
        {"config": "x"},
    ],
)
def test_a_config_with_other_types_or_what_json_cannot_say_is_refused(config):
    text = json.dumps(config).replace("Infinity", "1e999")
    with pytest.raises(IntegrityFailed):
        join(one(json.loads(text)), MODEL, VERSION, ORIGIN)


def test_more_layers_than_an_engine_mounts_are_told():
    many = ModelLayers(digest=MODEL.digest, size=1, layers=tuple(layer(2 * n + 100) for n in range(126)))
    with pytest.raises(InputError, match="127"):
        join(one(), many, VERSION, ORIGIN)
    join(BaseImage(), many, VERSION, ORIGIN)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Env", "Cmd", "Entrypoint", "User", "Labels", "ExposedPorts", "rootfs", "x"]),
            inner,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["config", "history", "rootfs", "variant", "os.version", "created"]), JSON
    )
)
def test_no_config_breaks_the_joining(config):
    try:
        image = join(one(config), MODEL, VERSION, ORIGIN)
    except (InputError, IntegrityFailed):
        return
    check_image(image.documents)
