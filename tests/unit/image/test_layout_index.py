"""The layout's index: damaged, shared with other tools, with tags that move."""

import json

import pytest

from mmcicd_jenkins.adapters.layout.store import OciLayoutStore
from mmcicd_jenkins.errors import InputError, IntegrityFailed
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.image.manifest import BaseImage, Origin, join
from mmcicd_jenkins.image.version_layer import version_layer


def image_of(layers, version):
    """An image and its further blobs."""
    blob, layer = version_layer("churn", version)
    origin = Origin(
        model="churn", version=version, run_id="sha256:" + "1" * 64, commit="c" * 40, committed=10**9
    )
    return join(BaseImage(), layers, layer, origin), [blob]


@pytest.mark.parametrize(
    "index", [b"", b"{", b"[]", b"{}", b'{"manifests":[1]}', b'{"manifests":{}}', b"\xff"]
)
def test_an_index_that_cannot_be_read_is_told_and_kept(tmp_path, model, index):
    store = OciLayoutStore(tmp_path / "store")
    store.put_model(model)
    (tmp_path / "store" / "index.json").write_bytes(index)
    with pytest.raises(IntegrityFailed):
        store.find("t")
    with pytest.raises(IntegrityFailed) as error:
        store.put_artifact("t", "application/x", {})
    assert error.value.where.endswith("index.json")
    assert (tmp_path / "store" / "index.json").read_bytes() == index


def test_what_other_tools_wrote_into_the_index_stays(tmp_path, model):
    store = OciLayoutStore(tmp_path / "store")
    store.put_artifact("t", "application/x", {})
    index = json.loads((tmp_path / "store" / "index.json").read_text())
    foreign = {
        "mediaType": "application/x",
        "digest": "sha256:" + "0" * 64,
        "size": 1,
        "annotations": {"a": "b"},
    }
    index |= {"annotations": {"by": "another"}, "manifests": [foreign, *index["manifests"]]}
    (tmp_path / "store" / "index.json").write_text(json.dumps(index))
    store.put_artifact("u", "application/x", {"n": 1})
    after = json.loads((tmp_path / "store" / "index.json").read_text())
    assert after["annotations"] == {"by": "another"}
    assert after["manifests"][0] == foreign
    assert len(after["manifests"]) == 3


def test_a_layout_that_lacks_parts_gets_them(tmp_path, model):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    OciLayoutStore(tmp_path / "store").put_model(model)
    OciLayoutStore(tmp_path / "store").put_artifact("t", "application/x", {})
    assert OciLayoutStore(tmp_path / "store").find("t")


def test_a_list_of_images_for_several_platforms_is_told(tmp_path, model):
    store = OciLayoutStore(tmp_path / "store")
    store.put_model(model)
    content = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    digest = digest_bytes(content)
    (tmp_path / "store" / "blobs" / "sha256" / digest.removeprefix("sha256:")).write_bytes(content)
    with pytest.raises(InputError, match="several platforms"):
        store.find(digest)


def test_a_tag_moved_to_and_fro_leaves_one_entry_for_each_image(tmp_path, model):
    store = OciLayoutStore(tmp_path / "store")
    layers = store.put_model(model)
    for version in (1, 2, 1, 2, 2):
        image, blobs = image_of(layers, version)
        store.put_image("churn", 7, image, blobs)
    entries = json.loads((tmp_path / "store" / "index.json").read_text())["manifests"]
    assert len({entry["digest"] for entry in entries}) == len(entries) == 2


def test_what_is_attached_stands_in_the_index_without_a_tag_and_stays_when_tags_move(tmp_path, model):
    store = OciLayoutStore(tmp_path / "store")
    layers = store.put_model(model)
    image, blobs = image_of(layers, 1)
    store.put_image("churn", 1, image, blobs)
    said = store.attach("churn", store.find_image("churn", 1).manifest, "application/x", b"said")
    other, blobs = image_of(layers, 2)
    store.put_image("churn", 1, other, blobs)
    entries = json.loads((tmp_path / "store" / "index.json").read_text())["manifests"]
    (entry,) = [entry for entry in entries if entry["digest"] == said.digest]
    assert entry["artifactType"] == "application/x"
    assert "org.opencontainers.image.ref.name" not in entry["annotations"]
    assert store.attached("churn", image.digest) == (said,)
