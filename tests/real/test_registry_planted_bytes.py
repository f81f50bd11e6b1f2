"""On a real registry: a wrong or missing byte anywhere in what a release consists of is seen."""

import json
import secrets
import shutil

import pytest
from registry import needs_registry, plain_registry  # noqa: F401 - a fixture
from released import authority, put_release, small_model
from test_registry_store import open_registry

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.image.descriptor import Descriptor
from mmcicd_jenkins.release.statements import KINDS
from mmcicd_jenkins.stages.proving import audit, check_attestations, check_image

pytestmark = [pytest.mark.real, needs_registry]
PARTS = ["manifest", "config", "layer", *KINDS, *(f"manifest of {kind}" for kind in KINDS)]


@pytest.fixture
def place(plain_registry, tmp_path):  # noqa: F811
    """A released version with bytes of its own, so that what is planted meets no other test."""
    where = f"{plain_registry.host}/team/p{secrets.token_hex(6)}"
    model = small_model(tmp_path / "model")
    (model / "variables" / "own").write_bytes(secrets.token_bytes(5000))
    ops = authority(tmp_path / "repository")

    def opened():
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        return open_registry(where, tmp_path / "cache")

    return plain_registry, opened, put_release(opened(), model, ops), ops


def digest_of(part, release, store):
    image = store.find_image("churn", release.image_digest)
    if part == "manifest":
        return image.digest
    if part == "config":
        return image.config.digest
    if part == "layer":
        return release.layers[0]["digest"]
    if part in KINDS:
        return release.attestations[part]
    kind = KINDS[part.removeprefix("manifest of ")]
    return next(one.digest for one in store.attached("churn", release.image_digest) if one.kind == kind)


def test_what_was_released_holds(place):
    _, opened, release, ops = place
    assert audit(release, opened(), ops, deep=True) == ()
    assert check_attestations(release, opened(), ops)


@pytest.mark.parametrize("part", PARTS)
def test_a_wrong_byte_is_seen(place, part):
    registry, opened, release, ops = place
    blob = registry.blob(digest_of(part, release, opened()))
    content = blob.read_bytes()
    for at in (0, len(content) // 2, len(content) - 1):
        blob.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert audit(release, opened(), ops, deep=True), at
    blob.write_bytes(content)
    assert audit(release, opened(), ops, deep=True) == ()


@pytest.mark.parametrize("part", PARTS)
def test_a_cut_or_missing_blob_is_seen_without_reading_layers(place, part):
    registry, opened, release, ops = place
    blob = registry.blob(digest_of(part, release, opened()))
    content = blob.read_bytes()
    blob.write_bytes(content[:-1])
    assert audit(release, opened(), ops, deep=False)
    blob.unlink()
    assert audit(release, opened(), ops, deep=False)


def test_a_tag_that_was_moved_is_seen_and_serves_nothing(place):
    registry, opened, release, ops = place
    store = opened()
    repository = store.address("churn", release.image_digest).partition("/")[2].partition("@")[0]
    other = store.attached("churn", release.image_digest)[0].digest
    registry.tag(repository, "1").write_text(other)
    told = audit(release, opened(), ops, deep=True)
    assert len(told) == 1
    assert "its name in the store differs" in told[0]
    check_image(release, opened(), deep=True)


def test_an_envelope_of_somebody_else_in_its_place_is_refused(place, tmp_path):
    registry, opened, release, _ = place
    strangers = authority(tmp_path / "strangers")
    with pytest.raises(IntegrityFailed, match="does not trust"):
        check_attestations(release, opened(), strangers)
    blob = registry.blob(release.attestations["release"])
    envelope = json.loads(blob.read_bytes())
    payload = envelope["payload"]
    signed = strangers.sign(envelope["payloadType"], payload.encode())
    blob.write_bytes(json.dumps({**envelope, "signatures": [dict(signed)]}).encode())
    with pytest.raises(IntegrityFailed):
        check_attestations(release, opened(), authority(tmp_path / "repository"))


def test_a_blob_that_no_image_names_is_asked_for_where_images_lie(place):
    _, opened, release, _ = place
    store = opened()
    with pytest.raises(IntegrityFailed):
        store.check_blob("churn", Descriptor(media_type="x", digest="sha256:" + "0" * 64, size=1))
    layer = release.layers[0]
    wrong = Descriptor(media_type=layer["mediaType"], digest=layer["digest"], size=layer["size"] + 1)
    with pytest.raises(IntegrityFailed):
        store.check_blob("churn", wrong)
