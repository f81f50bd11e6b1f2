"""What is stated of a release, in the words of in-toto, SLSA and CycloneDX."""

import dataclasses
import json

import pytest
from released import MAKING, authority, layout, put_release, small_model

from mmcicd_jenkins.errors import IntegrityFailed
from mmcicd_jenkins.release.canonical import canonical, digest_of
from mmcicd_jenkins.release.documents import from_document, to_document
from mmcicd_jenkins.release.records import Release
from mmcicd_jenkins.release.statements import PREDICATES, builder_id, check_statement, statements


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    root = tmp_path_factory.mktemp("stated")
    return put_release(layout(root / "store"), small_model(root / "model"), authority(root / "repository"))


def test_every_statement_is_about_the_image_and_the_model(release):
    for kind, statement in statements(release, MAKING).items():
        assert statement["_type"] == "https://in-toto.io/Statement/v1"
        assert statement["predicateType"] == PREDICATES[kind]
        assert statement["subject"] == [
            {"name": "churn:1", "digest": {"sha256": release.image_digest.removeprefix("sha256:")}},
            {"name": "churn 1 model", "digest": {"sha256": release.model_digest.removeprefix("sha256:")}},
        ]
        check_statement(kind, json.loads(canonical(statement)), release, "here")


def test_the_origin_is_slsa_provenance(release):
    predicate = statements(release, MAKING)["provenance"]["predicate"]
    definition, details = predicate["buildDefinition"], predicate["runDetails"]
    assert definition["externalParameters"] == {
        "source": MAKING.source,
        "revision": "c" * 40,
        "branch": "main",
        "model": "churn",
        "command": "python train.py",
        "parameters": {"rate": 0.1, "name": "ü"},
        "seed": 7,
    }
    assert {one["name"]: one["digest"] for one in definition["resolvedDependencies"]} == {
        "source": {"gitCommit": "c" * 40},
        "data customers": {"sha256": "d" * 64},
        "training environment": {"sha256": "e" * 64},
        "base image": {"sha256": "b" * 64},
    }
    assert details["builder"] == {"id": "https://ci.example/jenkins"}
    assert details["metadata"]["invocationId"] == release.builder
    assert [one["name"] for one in details["byproducts"]] == ["evaluation", "metrics", "gates"]


@pytest.mark.parametrize(
    ("builder", "expected"),
    [
        ("https://ci.example/job/a/1/", "https://ci.example"),
        ("https://ci.example/jenkins/job/a/job/b/1/", "https://ci.example/jenkins"),
        ("ada@host", "laptop:ada@host"),
        ("", "laptop:"),
    ],
)
def test_who_built(builder, expected):
    assert builder_id(builder) == expected


def test_the_packages_are_a_cyclonedx_document(release):
    document = statements(release, MAKING)["packages"]["predicate"]
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert [one["purl"] for one in document["components"]] == [
        "pkg:pypi/zope-interface@7.0",
        "pkg:pypi/local@1.0%2Bcu12",
        "pkg:pypi/tensorflow@2.20.0",
    ]
    assert document["metadata"]["component"]["type"] == "machine-learning-model"
    (edges,) = document["dependencies"]
    assert edges["dependsOn"] == [one["bom-ref"] for one in document["components"]]
    assert document == statements(release, MAKING)["packages"]["predicate"]


def test_the_record_is_in_its_own_statement_without_the_digests_of_statements(release):
    predicate = statements(release, MAKING)["release"]["predicate"]
    assert predicate["digest"] == digest_of(predicate["record"])
    # What was tried besides is left out where nothing was: statements of releases before that stay true.
    whole = {"verified_with": {}, **predicate["record"], "attestations": dict(release.attestations)}
    assert whole == to_document(release)


@pytest.mark.parametrize(
    "changed",
    [{"metrics": {"auc": 0.99}}, {"author": "eve"}, {"builder": "x"}, {"image_digest": "sha256:" + "0" * 64}],
)
def test_a_statement_of_another_record_is_refused(release, changed):
    stated = statements(release, MAKING)["release"]
    with pytest.raises(IntegrityFailed, match="something else"):
        check_statement("release", stated, dataclasses.replace(release, **changed), "here")


def test_one_kind_does_not_pass_for_another(release):
    with pytest.raises(IntegrityFailed, match="something else"):
        check_statement("release", statements(release, MAKING)["provenance"], release, "here")


def test_a_record_of_before_has_no_statements_and_reads(release):
    old = {k: v for k, v in to_document(release).items() if k not in {"attestations", "warmup"}}
    assert from_document(Release, old, "old").attestations == {}
