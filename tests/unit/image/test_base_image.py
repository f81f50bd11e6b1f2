"""Bases of every shape: one image, Docker's list, OCI's index, nested ones; and documents that lie."""

import json

import pytest
from base_documents import DOCKER_LIST, Documents, attestation, for_platform, named, two_platforms
from hypothesis import given, settings
from hypothesis import strategies as st

from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.image.artifact import LARGEST_DOCUMENT
from mmcicd_jenkins.image.base_image import MOST_PLATFORMS, only, read_base
from mmcicd_jenkins.image.descriptor import CONFIG, INDEX, LAYER_GZIP, MANIFEST, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes


@pytest.fixture
def documents():
    return Documents()


def base_of(documents, entry):
    return read_base(named(entry), documents.read, "acme/serving:1")


def platforms(base):
    return [str(one.platform) for one in base.platforms]


@pytest.mark.parametrize("docker", [True, False])
def test_one_image(documents, docker):
    entry = documents.image(docker=docker)
    base = base_of(documents, entry)
    assert (platforms(base), base.is_index, base.digest) == (["linux/amd64"], False, entry["digest"])
    assert [layer.media_type for layer in base.layers] == [LAYER_GZIP]


@pytest.mark.parametrize("docker", [True, False])
def test_an_index_without_its_attestations(documents, docker):
    entry = two_platforms(documents, docker=docker)
    base = base_of(documents, entry)
    assert (platforms(base), base.is_index, base.digest) == (
        ["linux/amd64", "linux/arm64/v8"],
        True,
        entry["digest"],
    )
    assert len(base.layers) == 2


def test_an_attestation_is_not_even_asked_for(documents):
    amd = documents.image()
    beside = attestation(documents, amd)
    base_of(documents, documents.index([for_platform(amd, "amd64"), beside]))
    assert beside["digest"] not in documents.asked


def test_indexes_in_an_index_are_laid_flat_and_the_first_for_a_platform_counts(documents):
    first, second = documents.image(), documents.image(text=b"another")
    inner = documents.index(
        [for_platform(first, "amd64"), for_platform(documents.image("arm64"), "arm64", "v8")]
    )
    base = base_of(documents, documents.index([inner, for_platform(second, "amd64")]))
    assert platforms(base) == ["linux/amd64", "linux/arm64/v8"]
    assert digest_bytes(base.platforms[0].manifest) == first["digest"]


def test_without_a_platform_the_config_says_it(documents):
    other = documents.image(os="windows", text=b"w")
    assert platforms(base_of(documents, documents.index([documents.image("s390x"), other]))) == [
        "linux/s390x"
    ]


def test_an_index_may_leave_its_own_media_type_out(documents):
    content = json.dumps(
        {"schemaVersion": 2, "manifests": [for_platform(documents.image(), "amd64")]}
    ).encode()
    entry = documents.add(content, INDEX)
    top = Descriptor(media_type="", digest=entry["digest"], size=entry["size"])
    assert read_base(top, documents.read, "b").is_index


def test_what_is_for_no_linux_is_no_base(documents):
    windows = for_platform(documents.image(os="windows"), "amd64", os="windows")
    with pytest.raises(InputError, match="no image for Linux"):
        base_of(documents, documents.index([windows]))
    with pytest.raises(InputError, match="no image for Linux"):
        base_of(documents, documents.index([]))


def test_platforms_are_chosen_by_what_servers_run_on(documents):
    base = base_of(documents, two_platforms(documents))
    assert platforms(only(base, ("linux/arm64",))) == ["linux/arm64/v8"]
    assert platforms(only(base, ("linux/arm64/v8", "linux/amd64"))) == ["linux/arm64/v8", "linux/amd64"]
    assert only(base, ()) == base
    assert only(base, ("linux/amd64",)).digest == base.digest
    with pytest.raises(InputError, match="no image for linux/s390x") as e:
        only(base, ("linux/amd64", "linux/s390x"))
    assert "linux/amd64, linux/arm64/v8" in e.value.why


def lies(documents):
    """Entries that must be refused with exit code 7, by name."""
    amd, arm = documents.image(), documents.image("arm64", "v8")
    good = json.loads(documents[amd["digest"]])
    deep = documents.index([for_platform(amd, "amd64")])
    for _ in range(5):
        deep = documents.index([deep])
    many = [documents.image(f"a{n}") for n in range(MOST_PLATFORMS + 1)]
    return {
        "another architecture": documents.index([for_platform(arm, "amd64")]),
        "another variant": documents.index([for_platform(arm, "arm64", "v7")]),
        "another size": documents.index([{**amd, "size": amd["size"] + 1}]),
        "a size that is true": documents.index([{**amd, "size": True}]),
        "a size of gigabytes": documents.index([{**amd, "size": 2**40}]),
        "a size beyond 64 bits": documents.index([{**amd, "size": 2**80}]),
        "no digest": documents.index([{**amd, "digest": "sha256:../../x"}]),
        "a platform that is a list": documents.index([{**amd, "platform": ["amd64"]}]),
        "a platform with a path": documents.index([for_platform(amd, "../amd64")]),
        "an index for a manifest": documents.index([{**documents.index([amd]), "mediaType": MANIFEST}]),
        "a manifest for an index": documents.index([{**amd, "mediaType": INDEX}]),
        "another kind than it says": documents.add({**good, "mediaType": DOCKER_LIST}, MANIFEST),
        "a manifest and an index": documents.add({**good, "manifests": [amd]}, MANIFEST),
        "neither": documents.add({"schemaVersion": 2}, MANIFEST),
        "manifests that are an object": documents.add({"schemaVersion": 2, "manifests": {}}, INDEX),
        "no JSON": documents.add(b"{", INDEX),
        "another schema": documents.add({"schemaVersion": 1, "manifests": []}, INDEX),
        "a layer of a terabyte": documents.add(
            {**good, "layers": [{**good["layers"][0], "size": 2**40}]}, MANIFEST
        ),
        "too deep": deep,
        "too many": documents.index(many),
        "a config without a platform": documents.image(config={"architecture": None}),
    }


@pytest.mark.parametrize("name", sorted(lies(Documents())))
def test_a_document_that_lies_is_refused(documents, name):
    with pytest.raises(IntegrityFailed):
        base_of(documents, lies(documents)[name])


def test_a_large_document_is_not_even_asked_for(documents):
    amd = {**documents.image(), "size": LARGEST_DOCUMENT + 1}
    with pytest.raises(IntegrityFailed):
        base_of(documents, documents.index([amd]))
    assert amd["digest"] not in documents.asked


def test_other_bytes_than_named_are_refused(documents):
    entry = documents.image()
    documents[entry["digest"]] += b" "
    with pytest.raises(IntegrityFailed, match="other bytes"):
        base_of(documents, entry)


def test_layers_that_may_not_be_copied_and_dockers_first_format_are_told(documents):
    good = json.loads(documents[documents.image()["digest"]])
    foreign = {**good["layers"][0], "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}
    with pytest.raises(InputError, match="cannot be copied"):
        base_of(documents, documents.add({**good, "layers": [foreign]}, MANIFEST))
    first = {"schemaVersion": 1, "fsLayers": [], "history": []}
    with pytest.raises(InputError, match="first format"):
        base_of(documents, documents.add(first, "application/vnd.docker.distribution.manifest.v1+prettyjws"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "schemaVersion",
                    "mediaType",
                    "manifests",
                    "layers",
                    "config",
                    "digest",
                    "size",
                    "platform",
                    "os",
                    "architecture",
                    "variant",
                    "annotations",
                    "artifactType",
                    "fsLayers",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(JSON, st.sampled_from([INDEX, MANIFEST, DOCKER_LIST, CONFIG, ""]))
def test_no_document_breaks_the_reader(document, kind):
    documents = Documents()
    with pytest.raises((InputError, IntegrityFailed)):
        base_of(documents, documents.add(json.dumps(document).encode("utf-8", "surrogatepass"), kind))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_one_changed_place_of_a_good_index_is_read_or_refused(data):
    documents = Documents()
    index = json.loads(documents[two_platforms(documents)["digest"]])
    where, keys = index, []
    while isinstance(where, dict | list) and where and (not keys or data.draw(st.booleans())):
        keys.append(
            data.draw(st.sampled_from(sorted(where) if isinstance(where, dict) else range(len(where))))
        )
        parent, where = where, where[keys[-1]]
    parent[keys[-1]] = data.draw(JSON)
    try:
        found = base_of(documents, documents.add(json.dumps(index).encode("utf-8", "surrogatepass"), INDEX))
    except (InputError, IntegrityFailed):
        return
    except KeyError as e:
        # The test's own store: a digest that was changed to another one.
        assert str(e).startswith("'sha256:")
        return
    assert set(platforms(found)) <= {"linux/amd64", "linux/arm64/v8", "linux/arm64"}
