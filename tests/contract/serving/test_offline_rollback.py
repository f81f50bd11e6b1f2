"""A local environment goes back by what it knows itself, with a real server and neither ledger nor store.

We test these aspects: the version before comes back; a note is kept; twice is once; a revoked version is no way
back; a newer decision stands; what serves does not carry the marks by which Jenkins ends a build's processes.
"""

import json
import shutil
from pathlib import Path

import pytest

from mmcicd_jenkins.adapters.layout.store import OciLayoutStore
from mmcicd_jenkins.adapters.local.offline import OfflineLocalTarget
from mmcicd_jenkins.adapters.local.target import LocalTarget
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import InputError, Superseded
from mmcicd_jenkins.ports import Switch
from mmcicd_jenkins.release.desired import TakenBack

pytestmark = pytest.mark.tensorflow
PLACE = Environment(name="production", rest_port=0, grpc_port=0)


def back(left, to, epoch):
    return TakenBack(left=left, to=to, epoch=epoch, at="2026-11-24T12:00:00+00:00", actor="dora (#12)")


@pytest.fixture(scope="module")
def place(models, tmp_path_factory):
    """A server with version 1, then 2; and a store that can be taken away."""
    base = tmp_path_factory.mktemp("offline")
    store = OciLayoutStore(base / "store")
    target = LocalTarget(PLACE, base / "state", store, deadline_seconds=60)
    blobs = {v: tuple(la.blob for la in store.put_model(models / f"scaled/{v}").layers) for v in (1, 2)}

    def serve(version, epoch, **more):
        target.switch(Switch(model="m", version=version, epoch=epoch, op_id=f"op-{epoch}", layers=blobs[version], **more))  # fmt: skip

    yield base, target, serve
    target.stop()


@pytest.fixture
def offline(place):
    return OfflineLocalTarget(PLACE, place[0] / "state", deadline_seconds=60)


def test_the_way_back(place, offline, monkeypatch):
    base, target, serve = place
    for name in ("JENKINS_NODE_COOKIE", "BUILD_ID", "BUILD_URL", "HUDSON_COOKIE", "MMCICD_LEDGER_PASSWORD"):
        monkeypatch.setenv(name, "of-a-build")
    serve(1, 1)
    assert offline.remember("m").previous is None
    serve(2, 2)
    known = offline.remember("m")
    assert (known.serving, known.previous, known.epoch, known.offline) == (2, 1, 2, ())
    pid = json.loads((base / "state/actual.json").read_text())["pid"]
    assert b"of-a-build" not in Path(f"/proc/{pid}/environ").read_bytes()

    (base / "store").rename(base / "gone")
    for _ in range(2):
        offline.take_back("m", back(2, 1, 3))
        known = offline.remember("m")
        assert (known.serving, known.previous, known.epoch) == (1, None, 3)
        assert known.offline == (back(2, 1, 3),)
        assert target.observe("m").version == 1
    (base / "gone").rename(base / "store")

    offline.forget("m")
    assert offline.remember("m").offline == ()
    assert target.observe("m").version == 1
    with pytest.raises(Superseded):
        offline.take_back("m", back(2, 1, 2))
    with pytest.raises(InputError, match="version 2 of m does not lie"):
        offline.take_back("m", back(1, 2, 4))
    assert target.observe("m").version == 1


def test_what_a_rollback_left_is_no_way_back(place, offline):
    _, target, serve = place
    serve(1, 10)
    serve(2, 11)
    serve(1, 12, takes_back=True)
    assert offline.remember("m").previous is None
    serve(2, 13)
    assert (offline.remember("m").serving, offline.remember("m").previous) == (2, 1)
    serve(2, 14)
    assert offline.remember("m").previous == 1, "the same version again is no step"
    assert target.observe("m").version == 2


def test_a_server_that_died_is_started_with_the_version_before(place, offline):
    base, target, serve = place
    serve(1, 20)
    serve(2, 21)
    target.stop()
    shutil.rmtree(base / "store", ignore_errors=True)
    offline.take_back("m", back(2, 1, 22))
    assert target.observe("m").version == 1


def test_a_place_that_never_served_knows_nothing(tmp_path):
    known = OfflineLocalTarget(PLACE, tmp_path / "none").remember("m")
    assert (known.serving, known.previous, known.epoch) == (None, None, 0)
