"""The road into a cluster: what is written down, what is applied, and the way back by either.

Aspects: forward and back; pressed twice; settings alone; a version that does not come or answers otherwise; killed in the
middle; a newer decision; without the ledger; a decision that nobody knows.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kubernetes_standin import serving
from paper import MODEL as FIXTURE
from paper_cluster import MODEL, PaperCluster

from mmcicd_jenkins.adapters.kubernetes import annotations
from mmcicd_jenkins.adapters.signing import make_key
from mmcicd_jenkins.errors import GateRefused, InputError, IntegrityFailed, OutsideFailed, Superseded
from mmcicd_jenkins.stages import asking, plan_stage, reconcile, run_stage, unplanned


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A repository with three releases in staging; production serves nothing yet."""
    base = tmp_path_factory.mktemp("template")
    with serving() as standin, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL_FIXTURE", str(FIXTURE))
        site = PaperCluster(base, standin).make()
        for factor in ("0.81", "0.82", "0.83"):
            site.edit(factor)
            assert site.road()[-1].detail["waits"]
    return base


@pytest.fixture
def site(template, tmp_path):
    """A copy of it, beside a cluster of its own in which staging still has to be put right."""
    shutil.copytree(template, tmp_path / "base", symlinks=True)
    with serving() as standin:
        site = PaperCluster(tmp_path / "base", standin)
        site.configure()
        yield site


def test_forward_and_back(site):
    for version in (1, 2):
        assert site.stage("promote", version=version).sentence == f"production serves {version}"
    pointer = site.pointer()
    first, second = (stretch.manifest for stretch in pointer.served)
    assert first != second
    assert pointer.operation.manifest == second
    assert site.serves() == 2
    back = site.stage("rollback", "production")
    assert back.sentence.startswith("production 2 -> 1 in")
    pointer = site.pointer()
    assert (pointer.serving, pointer.manifest_of(1), site.serves()) == (1, first, 1)
    noted = site.deployment()["metadata"]["annotations"]
    assert (noted["mmcicd.io/epoch"], noted["mmcicd.io/op-id"]) == (
        str(pointer.epoch),
        pointer.operation.op_id,
    )


def test_pressed_twice_nothing_happens(site):
    site.stage("promote", version=1)
    site.stage("promote", version=2)
    site.stage("rollback", "production")
    written = [request for request in site.standin.requests if request[0] not in {"GET", "HEAD"}]
    again = site.stage("rollback", "production")
    assert again.found
    assert again.sentence.startswith("already rolled back at")
    assert site.stage("promote", version=1).found
    assert [r for r in site.standin.requests if r[0] not in {"GET", "HEAD"}] == written


def annotation(site, name, namespace="ml"):
    return site.deployment(namespace)["metadata"]["annotations"].get(f"mmcicd.io/{name}")


def copies(site):
    return site.deployment()["spec"]["replicas"]


def test_other_settings_of_what_serves_are_applied_by_a_promotion(site):
    site.stage("promote", version=1)
    before = site.pointer().manifest_of(1)
    site.configure(replicas=3)
    bench = site.bench()
    asked = bench.job(MODEL, environment="production", version=1, reason="x")
    plan = plan_stage("promote", asked, site.ports(bench))["plan"]
    assert any("replicas" in line for line in plan["changes"])
    assert site.stage("promote", version=1).sentence == "production serves 1"
    pointer = site.pointer()
    assert (copies(site), pointer.operation.action) == (3, "promote")
    assert pointer.manifest_of(1) != before
    assert len(pointer.served) == 1
    assert site.stage("promote", version=1).found


def test_whoever_names_what_serves_is_asked_about_its_settings(site):
    site.stage("promote", version=1)

    def choices():
        bench = site.bench()
        job = bench.job(MODEL, environment="production", version=1, reason="x")
        return asking.plan(job, asking.look(job, site.ports(bench))).choices

    assert not any(line.startswith("1 |") for line in choices())
    site.configure(replicas=3)
    first, *_ = choices()
    assert first.startswith("1 | the same with other settings | commit ")


def test_the_way_back_has_the_settings_of_then(site):
    site.stage("promote", version=1)
    site.configure(replicas=3)
    site.stage("promote", version=2)
    assert copies(site) == 3
    site.stage("rollback", "production")
    assert (site.serves(), copies(site)) == (1, 2)


def image_of(site, version):
    return site.bench().ledger.release(MODEL, version).image_digest


def test_a_version_that_does_not_come_leaves_what_served(site):
    site.stage("promote", version=1)
    first = site.pointer()
    site.standin.broken[image_of(site, 2)] = "CrashLoopBackOff"
    with pytest.raises(OutsideFailed, match="dies"):
        site.stage("promote", version=2)
    pointer = site.pointer()
    assert (pointer.serving, pointer.operation.phase, site.serves()) == (1, "failed", 1)
    assert (annotation(site, "version"), annotation(site, "epoch")) == ("1", str(pointer.epoch))
    assert pointer.manifest_of(1) == first.manifest_of(1)
    site.standin.broken.clear()
    assert site.stage("promote", version=2).sentence == "production serves 2"


def test_settings_that_do_not_come_are_undone(site):
    site.stage("promote", version=1)
    site.client.wrong = True
    site.configure(replicas=3)
    with pytest.raises(GateRefused):
        site.stage("promote", version=1)
    assert (copies(site), site.serves(), site.pointer().operation.phase) == (2, 1, "failed")


def test_a_version_that_answers_otherwise_is_taken_back(site):
    site.stage("promote", version=1)
    site.client.wrong = True
    with pytest.raises(GateRefused, match="answers otherwise") as told:
        site.stage("promote", version=2)
    assert told.value.where.startswith("http://")  # who was asked: it need not be our Service
    assert (site.serves(), site.pointer().serving) == (1, 1)
    site.client.wrong = False
    assert site.stage("promote", version=3).sentence == "production serves 3"
    assert site.stage("rollback", "production").detail["to"] == 1


def test_of_two_colours_nobody_is_led_to_one_that_answers_otherwise(site):
    site.configure(strategy="blue-green", address={})
    for name in (MODEL, f"{MODEL}-preview"):
        labels = {annotations.MANAGED_BY: annotations.OURS}
        metadata = {"name": name, "namespace": "ml", "labels": labels}
        spec = {"clusterIP": f"10.0.0.{len(name)}"}
        site.standin.put({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    site.stage("promote", version=1)
    site.client.wrong = True
    site.client.asked.clear()
    with pytest.raises(GateRefused, match="answers otherwise"):
        site.stage("promote", version=2)
    assert {asked.rest for asked in site.client.asked} == {f"http://10.0.0.{len(MODEL) + 8}:8501"}
    selector = site.standin.object("Service", MODEL)["spec"]["selector"]
    assert (selector[annotations.TRACK], site.serves()) == ("stable", 1)
    assert site.deployment(track="preview")["spec"]["replicas"] == 0
    site.client.wrong = False
    assert site.stage("promote", version=3).sentence == "production serves 3"
    assert site.standin.object("Service", MODEL)["spec"]["selector"][annotations.TRACK] == "preview"
    assert site.stage("rollback", "production").detail["to"] == 1
    assert site.deployment(track="preview")["spec"]["replicas"] == 0


def test_a_first_version_that_answers_otherwise_is_withdrawn(site):
    site.client.wrong = True
    with pytest.raises(GateRefused):
        site.stage("promote", version=1)
    assert (site.serves(), site.pointer().serving, copies(site)) == (None, None, 0)


class KilledError(BaseException):
    """As `kill -9`: no handler of ours sees it."""


def test_killed_before_and_after_the_switch_the_same_command_finishes(site):
    site.stage("promote", version=1)

    def dies(before):
        def target(place):
            real = site.bench().target(place)
            inner = real.switch

            def switch(order):
                if not before:
                    inner(order)
                raise KilledError

            real.switch = switch
            return real

        return target

    for before, version in ((True, 2), (False, 3)):
        with pytest.raises(KilledError):
            site.stage("promote", version=version, target=dies(before))
        prepared = site.pointer()
        assert prepared.operation.phase == "prepared"
        site.stage("promote", version=version)
        done = site.pointer()
        assert (done.epoch, done.serving, site.serves()) == (prepared.epoch, version, version)


def test_rolled_back_in_the_middle_the_promotion_is_aborted(site):
    site.stage("promote", version=1)
    with pytest.raises(KilledError):
        site.stage("promote", version=2, target=lambda place: Stops(site.bench().target(place)))
    back = site.stage("rollback", "production")
    assert back.detail["to"] == 1
    assert (site.serves(), site.pointer().serving) == (1, 1)
    assert "2" in site.bench().ledger.snapshot(MODEL).head.revoked


class Stops:
    """A target that is killed once its order is carried out."""

    def __init__(self, target):
        self._target = target

    def __getattr__(self, name):
        return getattr(self._target, name)

    def switch(self, order):
        self._target.switch(order)
        raise KilledError


def test_a_forgotten_process_is_told_so_and_changes_nothing(site):
    site.stage("promote", version=1)
    orders = []

    class Keeps(Stops):
        def switch(self, order):
            orders.append(order)
            raise KilledError

    with pytest.raises(KilledError):
        site.stage("promote", version=2, target=lambda place: Keeps(site.bench().target(place)))
    site.stage("promote", version=3)
    bench = site.bench()
    with pytest.raises(Superseded):
        bench.target(bench.config.production).switch(orders[0])
    assert site.serves() == 3


def test_without_the_ledger_and_learnt_by_the_next_press(site):
    site.stage("promote", version=1)
    site.stage("promote", version=2)
    out = site.offline()
    assert out.sentence.startswith("production 2 -> 1 in")
    assert site.serves() == 1
    assert site.pointer().serving == 2
    again = site.stage("rollback", "production")
    assert again.found
    assert again.sentence.startswith("already rolled back at")
    pointer = site.pointer()
    assert (pointer.serving, pointer.operation.action, site.serves()) == (1, "rollback", 1)
    assert "2" in site.bench().ledger.snapshot(MODEL).head.revoked
    assert annotation(site, "offline") is None
    assert site.stage("promote", version=3).sentence == "production serves 3"


def test_a_promotion_decided_before_it_knew_is_not_made(site):
    site.stage("promote", version=1)
    site.stage("promote", version=2)
    site.offline()
    with pytest.raises(Superseded, match="taken back to 1 without the ledger"):
        site.stage("promote", version=3)
    assert (site.serves(), site.pointer().serving) == (1, 1)
    assert site.stage("promote", version=3).sentence == "production serves 3"


def test_taken_back_while_a_promotion_was_under_way(site):
    """The ledger has written down the epoch that the cluster takes by itself: neither may hide the other."""
    site.stage("promote", version=1)
    site.stage("promote", version=2)

    class Late(Stops):
        def switch(self, order):
            site.offline()
            self._target.switch(order)

    with pytest.raises(Superseded):
        site.stage("promote", version=3, target=lambda place: Late(site.bench().target(place)))
    assert site.serves() == 1
    assert site.stage("rollback", "production").sentence.startswith("already rolled back at")
    assert (site.serves(), site.pointer().serving) == (1, 1)


def test_reconcile_writes_it_too(site):
    site.stage("promote", version=1)
    site.stage("promote", version=2)
    site.offline()
    bench = site.bench()
    job = bench.job(MODEL, environment="production", reason="a disk died")
    ports = site.ports(bench)
    outcome = reconcile.apply(reconcile.plan(job, reconcile.look(job, ports)), job, ports)
    assert outcome.sentence == (
        "production: 1 was written down as what serves; 2 is revoked, as it was taken back without the ledger"
    )
    assert annotation(site, "offline") is None
    assert reconcile.apply(reconcile.plan(job, reconcile.look(job, ports)), job, ports).found


def test_a_decision_that_nobody_knows_is_not_written_over(site):
    site.stage("promote", version=1)
    shutil.rmtree(site.base / "repo.ledger.git")
    bench = site.bench()
    job = bench.job(MODEL, environment="production", reason="a disk died")
    ports = site.ports(bench)
    with pytest.raises(Superseded, match="by a decision that the ledger does not have"):
        unplanned.learn(job.place, job, ports)
    assert reconcile.apply(reconcile.plan(job, reconcile.look(job, ports)), job, ports).detail["version"] == 1
    pointer = site.pointer()
    assert pointer.manifest_of(1) == pointer.operation.manifest != ""
    assert site.bench().ledger.manifest(MODEL, pointer.operation.manifest)


def test_a_store_that_is_a_folder_is_nothing_for_a_cluster(site):
    bench = site.bench()
    job = bench.job(MODEL, environment="production", version=1, reason="x")
    ports = site.ports(bench)
    ports.store.address = lambda *_: ""
    with pytest.raises(InputError, match="cannot pull version 1") as refused:
        run_stage("promote", job, ports)
    assert "registry" in refused.value.fix
    assert site.deployment() is None


def test_what_would_be_applied_is_shown_before(site):
    bench = site.bench()
    job = bench.job(MODEL, environment="staging", reason="x")
    plan = plan_stage("deploy", job, site.ports(bench))["plan"]
    assert plan["environments"] == ["staging"], "this cluster is empty"
    assert plan["changes"] == []
    site.standin.objects.clear()
    site.stage("deploy", "staging")
    config = site.repo / "mmcicd.yaml"
    config.write_text(config.read_text().replace('"staging"}', '"staging", "replicas": 2}'))
    bench = site.bench()
    job = bench.job(MODEL, environment="staging", reason="x")
    plan = plan_stage("deploy", job, site.ports(bench))["plan"]
    assert "  spec.replicas: 1 -> 2" in plan["changes"]
    assert site.deployment("staging")["spec"]["replicas"] == 1


@pytest.fixture
def signing(site, monkeypatch):
    """Keys of the laptop, known to the repository; what is released from now on is sealed."""
    monkeypatch.setenv("MODEL_FIXTURE", str(FIXTURE))
    key = site.base / "laptop.pem"
    make_key(site.repo, key, zone="laptop", comment="ada")
    site.variables["MMCICD_SIGNING_KEY"] = str(key)
    site.edit("0.84")
    site.road()
    site.edit("0.85")
    site.road()
    site.stage("promote", version=4)
    site.stage("promote", version=5)
    return site


def test_what_is_put_back_without_the_ledger_was_sealed(signing):
    carried = json.loads(annotation(signing, "seal"))
    assert carried["signatures"]
    signing.variables.pop("MMCICD_SIGNING_KEY")  # to check takes no key
    assert signing.offline().detail["to"] == 4
    assert signing.serves() == 4


def test_a_manifest_that_somebody_changed_in_the_cluster_is_not_put_back(signing):
    notes = signing.deployment()["metadata"]["annotations"]
    previous = annotations.unpack(notes[annotations.PREVIOUS])
    for document in previous["manifest"]:
        if document["kind"] == "Deployment":
            container = document["spec"]["template"]["spec"]["containers"][0]
            container["image"] = "evil.example/ml/double@sha256:" + "6" * 64
    notes[annotations.PREVIOUS] = annotations.pack(previous)
    with pytest.raises(IntegrityFailed, match="not what was written down"):
        signing.offline()
    assert signing.serves() == 5


def test_a_version_that_nobody_signed_does_not_serve_where_keys_are_known(site):
    key = site.base / "laptop.pem"
    make_key(site.repo, key, zone="laptop", comment="ada")
    with pytest.raises(IntegrityFailed, match="nobody who counts signed"):
        site.stage("promote", version=1)
    assert site.deployment() is None


PROMOTES = """
import signal, sys
from pathlib import Path
from types import SimpleNamespace
from paper_cluster import PaperCluster
from mmcicd_jenkins.errors import Terminated

def terminate(*_):
    raise Terminated("terminated")

signal.signal(signal.SIGTERM, terminate)
standin = SimpleNamespace(kubeconfig=lambda base: base / "kubeconfig", namespaces=set())
try:
    PaperCluster(Path(sys.argv[1]), standin).stage("promote", version=2)
except Terminated as e:
    sys.exit(e.exit_code)
"""


def test_terminated_while_it_waits_it_ends_at_once_and_the_same_command_finishes(site):
    site.stage("promote", version=1)
    site.standin.frozen = True
    seen = site.base / "seen"
    watched = {"MMCICD_TESTING": "1", "MMCICD_FAILPOINTS_SEEN": str(seen)}
    paths = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")])
    command = [sys.executable, "-c", PROMOTES, str(site.base)]
    process = subprocess.Popen(command, env={**os.environ, **watched, "PYTHONPATH": paths})
    while not (seen.exists() and "kubernetes.waiting" in seen.read_text().split()):
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    assert process.wait(timeout=4) == 143  # Jenkins waits five seconds
    prepared = site.pointer()
    assert (prepared.operation.phase, prepared.serving) == ("prepared", 1)
    site.standin.frozen = False
    site.standin.settle()
    assert site.stage("promote", version=2).sentence == "production serves 2"
    assert site.pointer().epoch == prepared.epoch


def test_nothing_of_a_move_waits_for_a_cluster_for_ever(site):
    """It answers, and nothing comes: the version is given up by the environment's own limit."""
    site.stage("promote", version=1)
    site.standin.broken[image_of(site, 2)] = ""
    with pytest.raises(OutsideFailed, match="2"):
        site.stage("promote", version=2)
    assert (site.serves(), site.pointer().operation.phase) == (1, "failed")
