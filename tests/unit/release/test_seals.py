"""A seal speaks for one manifest of one version in one place, and only by a key that counts."""

import dataclasses

import pytest
from released import authority

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.release.seal import (
    Sealed,
    check_seal,
    image_digest,
    manifest_digest,
    manifest_file,
    read_manifest,
    seal,
)

IMAGE = "sha256:" + "1" * 64


def deployment(image=f"registry.example/ml/churn@{IMAGE}"):
    pod = {"spec": {"containers": [{"name": "serving", "image": image}]}}
    return {"kind": "Deployment", "metadata": {"name": "churn-stable"}, "spec": {"template": pod}}


MANIFEST = ({"kind": "Service"}, deployment())
WHAT = Sealed(
    model="churn", environment="production", version=7, manifest=manifest_digest(MANIFEST), image=IMAGE
)


def test_a_seal_holds(tmp_path):
    check_seal(
        seal(WHAT, authority(tmp_path / "keys")), WHAT, authority(tmp_path / "keys", key=False), "here"
    )


@pytest.mark.parametrize(
    "other",
    [
        {"version": 6},
        {"environment": "staging"},
        {"model": "fraud"},
        {"manifest": "sha256:" + "2" * 64},
        {"image": "sha256:" + "3" * 64},
    ],
)
def test_it_speaks_for_nothing_else(tmp_path, other):
    who = authority(tmp_path / "keys")
    with pytest.raises(IntegrityFailed, match="not what was written") as error:
        check_seal(seal(dataclasses.replace(WHAT, **other), who), WHAT, who, "here")
    assert next(iter(other)) in error.value.why


def test_where_keys_are_known_a_seal_of_nobody_is_refused(tmp_path):
    known = authority(tmp_path / "keys")
    for envelope in ({}, seal(WHAT, authority(tmp_path / "keys", key=False)), {"payload": "x"}, {"a": [1]}):
        with pytest.raises(IntegrityFailed):
            check_seal(envelope, WHAT, known, "here")


def test_a_stranger_does_not_count(tmp_path):
    with pytest.raises(IntegrityFailed):
        check_seal(seal(WHAT, authority(tmp_path / "theirs")), WHAT, authority(tmp_path / "ours"), "here")


def test_where_no_key_is_known_nobody_need_sign(tmp_path):
    free = authority(tmp_path / "keys", required=False, key=False)
    check_seal({}, WHAT, free, "here")
    check_seal(seal(WHAT, free), WHAT, free, "here")
    with pytest.raises(IntegrityFailed):
        check_seal(seal(dataclasses.replace(WHAT, version=6), free), WHAT, free, "here")


def test_a_manifest_is_known_by_its_documents():
    assert read_manifest(manifest_file(MANIFEST), manifest_digest(MANIFEST), "here") == MANIFEST
    assert manifest_digest(()) == ""


def test_the_image_of_the_model_is_found_among_others():
    beside = deployment()
    containers = beside["spec"]["template"]["spec"]["containers"]
    containers.insert(0, {"name": "proxy", "image": "registry.example/nginx@sha256:" + "9" * 64})
    assert image_digest(MANIFEST, "churn") == image_digest((beside,), "churn") == IMAGE
    for other in ({"kind": "Service"}, {"kind": "Deployment"}, {"kind": "Deployment", "spec": [1]}):
        assert image_digest((other,), "churn") == ""


@pytest.mark.parametrize("document", [[], {}, {"documents": {}}, {"documents": [1]}, {"documents": [{}]}])
def test_what_is_no_manifest_or_another_one_is_refused(document):
    with pytest.raises(IntegrityFailed):
        read_manifest(document, manifest_digest(MANIFEST), "here")
