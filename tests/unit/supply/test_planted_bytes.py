"""A wrong byte anywhere in what a release consists of is seen, and what is whole is not."""

import json
import random
import shutil

import pytest
from released import authority, layout, put_release, small_model, without

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.image.digest import digest_bytes
from mmcicd_jenkins.release.statements import KINDS
from mmcicd_jenkins.stages.proving import audit, check_attestations, check_image


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    root = tmp_path_factory.mktemp("planted")
    ops = authority(root / "repository")
    return root, put_release(layout(root / "store"), small_model(root / "model"), ops), ops


@pytest.fixture
def place(template, tmp_path):
    root, release, ops = template
    shutil.copytree(root / "store", tmp_path / "store")
    return tmp_path / "store", release, ops


def blobs(folder):
    return sorted((folder / "blobs" / "sha256").iterdir())


def kind_of(path, release):
    """What a blob of the store is."""
    content = path.read_bytes()
    digest = digest_bytes(content)
    if digest in release.attestations.values():
        return next(kind for kind, one in release.attestations.items() if one == digest)
    try:
        document = json.loads(content)
    except ValueError:
        return "layer"
    if "subject" in document:
        return f"attachment of {document['artifactType']}"
    return "manifest" if "layers" in document else "config" if "rootfs" in document else "empty"


def broken(folder, release, ops, *, deep=True):
    return audit(release, layout(folder), ops, deep=deep)


def test_what_was_released_holds(place):
    folder, release, ops = place
    assert broken(folder, release, ops) == ()


def test_the_store_has_every_kind_of_document(place):
    folder, release, _ = place
    kinds = {kind_of(path, release) for path in blobs(folder)}
    assert kinds == {
        "layer",
        "manifest",
        "config",
        "empty",
        *KINDS,
        *(f"attachment of {k}" for k in KINDS.values()),
    }


def test_a_wrong_byte_in_any_blob_is_seen(place):
    folder, release, ops = place
    for path in blobs(folder):
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert broken(folder, release, ops), kind_of(path, release)
        path.write_bytes(content)
    assert broken(folder, release, ops) == ()


def test_a_missing_or_shortened_blob_is_seen_without_reading_layers(place):
    folder, release, ops = place
    for path in blobs(folder):
        content = path.read_bytes()
        path.write_bytes(content[:-1])
        assert broken(folder, release, ops, deep=False), kind_of(path, release)
        path.unlink()
        assert broken(folder, release, ops, deep=False), kind_of(path, release)
        path.write_bytes(content)


def test_a_thousand_flips_are_all_seen(place):
    folder, release, ops = place
    chance = random.Random(7)
    found = [(path, path.read_bytes()) for path in blobs(folder)]
    for _ in range(1000):
        path, content = chance.choice(found)
        changed = bytearray(content)
        changed[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        assert broken(folder, release, ops), path
        path.write_bytes(content)


def test_a_statement_that_nothing_leads_to_is_missing(place):
    folder, release, ops = place
    index = json.loads((folder / "index.json").read_text())
    for entry in index["manifests"]:
        if entry.get("artifactType") == KINDS["provenance"]:
            kept = [one for one in index["manifests"] if one != entry]
            (folder / "index.json").write_text(json.dumps({**index, "manifests": kept}))
            assert "provenance statement differs" in broken(folder, release, ops)[0]


def test_a_tag_that_was_moved_is_seen_and_serves_nothing(place):
    folder, release, ops = place
    other = put_release(layout(folder), small_model(folder.parent / "other"), ops, version=2)
    text = (folder / "index.json").read_text()
    (folder / "index.json").write_text(text.replace("churn-1", "was-1").replace("churn-2", "churn-1"))
    assert "its name in the store differs" in broken(folder, release, ops)[0]
    # It goes by digest: the image itself is whole.
    check_image(release, layout(folder), deep=True)
    assert other.image_digest != release.image_digest


def test_a_statement_signed_by_somebody_else_is_refused(place, tmp_path):
    folder, release, _ = place
    strangers = authority(tmp_path / "strangers")
    with pytest.raises(IntegrityFailed, match="does not trust"):
        check_attestations(release, layout(folder), strangers)


def test_a_ledger_that_names_other_digests_is_refused(place):
    folder, release, ops = place
    assert "names none" in broken(folder, without(release, "packages"), ops)[0]
    # Without any it is a record of before, of which the ledger's own signatures speak.
    assert broken(folder, without(release, *KINDS), ops) == ()


def test_more_beside_an_image_than_the_ledger_names_means_nothing(place):
    folder, release, ops = place
    store = layout(folder)
    image = store.find_image("churn", 1)
    store.attach("churn", image.manifest, KINDS["release"], b"{}", {})
    assert broken(folder, release, ops) == ()
