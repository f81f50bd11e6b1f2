"""What refers to what, with the list of OCI 1.1 and with the tag that stands in for it on older registries."""

import json

import pytest

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.image.descriptor import INDEX, LAYER, MANIFEST, Descriptor
from mmcicd_jenkins.image.digest import digest_bytes

SUBJECT = Descriptor(media_type=MANIFEST, digest="sha256:" + "5" * 64, size=7)
TAG = SUBJECT.digest.replace(":", "-")


def attachment(kind="application/vnd.test.a", seed=""):
    config = Descriptor(media_type=LAYER, digest=digest_bytes(b"{}"), size=2).to_json()
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": kind,
            "config": config,
            "layers": [],
            "subject": SUBJECT.to_json(),
            "annotations": {"seed": seed},
        }
    ).encode()


@pytest.fixture(params=[True, False], ids=["listed", "by tag"])
def old_and_new(request, standin):
    standin.lists_referrers = request.param
    return standin


def put(repository, content):
    return repository.put_manifest(digest_bytes(content), content, MANIFEST)


def test_what_is_attached_is_found(old_and_new, opened):
    repository = opened(old_and_new.host)
    assert repository.referrers(SUBJECT.digest) == ()
    first, second = attachment(), attachment("application/vnd.test.b+json")
    made = {put(repository, first), put(repository, second)}
    assert {entry.digest for entry in repository.referrers(SUBJECT.digest)} == made
    (only,) = repository.referrers(SUBJECT.digest, "application/vnd.test.b+json")
    assert (only.digest, only.size, only.media_type) == (digest_bytes(second), len(second), MANIFEST)


def test_the_same_twice_is_there_once(old_and_new, opened):
    repository = opened(old_and_new.host)
    put(repository, attachment())
    put(repository, attachment())
    assert len(repository.referrers(SUBJECT.digest)) == 1


def test_a_registry_that_does_not_filter(standin, opened):
    standin.filters_referrers = False
    repository = opened(standin.host)
    put(repository, attachment())
    put(repository, attachment("application/vnd.test.b"))
    assert len(repository.referrers(SUBJECT.digest, "application/vnd.test.b")) == 1


def test_the_tag_is_an_index_that_others_read(standin, opened):
    standin.lists_referrers = False
    content = attachment()
    put(opened(standin.host), content)
    media_type, index = standin.manifests["ml/churn"][standin.tags["ml/churn"][TAG]]
    assert media_type == INDEX
    (entry,) = json.loads(index)["manifests"]
    assert entry["digest"] == digest_bytes(content)
    assert entry["artifactType"] == "application/vnd.test.a"
    assert entry["annotations"] == {"seed": ""}


def test_what_others_wrote_into_the_tag_stays(standin, opened):
    standin.lists_referrers = False
    theirs = {"mediaType": MANIFEST, "digest": "sha256:" + "6" * 64, "size": 1, "artifactType": "a/b", "x": 1}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [theirs]}
    standin.put_manifest("ml/churn", TAG, json.dumps(index).encode(), INDEX)
    put(opened(standin.host), attachment())
    _, written = standin.manifests["ml/churn"][standin.tags["ml/churn"][TAG]]
    assert json.loads(written)["manifests"][0] == theirs


def test_an_interrupted_attachment_is_listed_the_next_time(standin, opened):
    """Killed between the manifest and the index: the same command again."""
    standin.lists_referrers = False
    content = attachment()
    standin.put_manifest("ml/churn", digest_bytes(content), content, MANIFEST)
    repository = opened(standin.host)
    assert repository.referrers(SUBJECT.digest) == ()
    put(repository, content)
    assert len(repository.referrers(SUBJECT.digest)) == 1


def test_an_entry_that_cannot_be_read(standin, opened):
    standin.lists_referrers = False
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"digest": "sha256:x", "size": -1}]}
    standin.put_manifest("ml/churn", TAG, json.dumps(index).encode(), INDEX)
    with pytest.raises(IntegrityFailed):
        opened(standin.host).referrers(SUBJECT.digest)
