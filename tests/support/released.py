"""A released version in a store: its image, its statements, and keys of two zones. For whoever plants a wrong byte."""

import dataclasses

from mmcicd_jenkins.adapters.layout.store import OciLayoutStore
from mmcicd_jenkins.adapters.signing import DsseSigner, make_key, read_trusted
from mmcicd_jenkins.image.manifest import BaseImage, Origin, join
from mmcicd_jenkins.image.version_layer import version_layer
from mmcicd_jenkins.release.dsse import Authority
from mmcicd_jenkins.release.records import GateOutcome, GateReport, Release
from mmcicd_jenkins.release.statements import Making
from mmcicd_jenkins.release.verdicts import Verdict
from mmcicd_jenkins.stages.attesting import lay_beside

MAKING = Making(
    source="https://git.example/ml/churn.git",
    command="python train.py",
    seed=7,
    trainer="https://ci.example/jenkins/job/ml/job/ci/job/churn/12/",
    trained="2026-01-02T03:00:00+00:00",
    environment="sha256:" + "e" * 64,
    packages=("tensorflow==2.20.0", "Zope.Interface==7.0", "local==1.0+cu12"),
    base_name="registry.example/tensorflow/serving:2.20.0",
    base_digest="sha256:" + "b" * 64,
)


def authority(folder, zone="ops", *, required=True, key=True):
    """The keys in `folder`, made by the first call; a machine without one when `key` is False."""
    folder.mkdir(parents=True, exist_ok=True)
    pem = folder.parent / f"{folder.name}-{zone}.pem"
    if not pem.exists():
        make_key(folder, pem, zone=zone, comment=zone)
    signer = DsseSigner(read_trusted(folder), pem if key else None)
    return Authority(sign=signer.sign, check=signer.check, accepted=frozenset({"ops"}), required=required)


def put_release(store, model, who, version=1):
    """Store `model`, a folder, as a version with all that a release has."""
    layers = store.put_model(model)
    blob, layer = version_layer("churn", version)
    origin = Origin(
        model="churn", version=version, run_id="sha256:" + "1" * 64, commit="c" * 40, committed=10**9
    )
    image = join(BaseImage(), layers, layer, origin)
    store.put_image("churn", version, image, [blob])
    outcome = GateOutcome(
        rule="auc >= 0.8",
        slice="",
        verdict=Verdict.PASSED,
        value=0.9,
        limit=0.8,
        baseline=None,
        samples=9,
        reason="yes",
    )
    draft = Release(
        model="churn",
        version=version,
        run_id=origin.run_id,
        commit=origin.commit,
        branch="main",
        author="Ada <ada@example.invalid>",
        data={"customers": "sha256:" + "d" * 64},
        parameters={"rate": 0.1, "name": "ü"},
        metrics={"auc": 0.9, "loss": None},
        gates=GateReport(verdict=Verdict.PASSED, outcomes=(outcome,), champion=None, reason="passed"),
        model_digest=layers.digest,
        model_size=layers.size,
        layers=tuple(one.blob.to_json() for one in layers.layers),
        image_digest=image.digest,
        evaluation="sha256:" + "f" * 64,
        manifest_digest="",
        builder="https://ci.example/jenkins/job/ml/job/ops/job/churn-release/3/",
        created="2026-01-02T03:04:05+00:00",
    )
    found = store.find_image("churn", version)
    return lay_beside(draft, MAKING, found.manifest, store, who)


def small_model(folder):
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"\x08\x01graph")
    (folder / "variables" / "data").write_bytes(bytes(range(256)) * 40)
    return folder


def layout(folder):
    return OciLayoutStore(folder)


def without(release, *kinds):
    kept = {kind: digest for kind, digest in release.attestations.items() if kind not in kinds}
    return dataclasses.replace(release, attestations=kept)
