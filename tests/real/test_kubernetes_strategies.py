"""Both ways in which a version takes the place of another, on a real cluster and under requests.

We look at: two colours forward, back and failed without a failed request; from one strategy to the other and back; an
autoscaler that takes over the count of copies and gives it up; fields that go when nobody names them any more. Canaries,
bad versions, kills and races have files of their own.
"""

import copy
import time

import pytest
from cluster import cluster, namespace, serving  # noqa: F401 - fixtures
from cluster_place import Place
from load import asking

from mmcicd_jenkins.adapters.kubernetes.annotations import TRACK
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.release.desired import TakenBack

pytestmark = pytest.mark.real

ROLLING = {"strategy": "rolling"}
# A node's proxy may be a second late; a request that it sends astray is one that fails.
SETTLE_SECONDS = 1.5


@pytest.fixture
def place(cluster, namespace, serving, tmp_path):  # noqa: F811
    return Place(cluster, namespace(), serving, tmp_path / "repo", settings={"strategy": "blue-green"})


def led_to(place):
    return place.live("service", "churn")["spec"]["selector"].get(TRACK)


def serves(place):
    return place.target().observe("churn").version


def test_two_colours_forward_failed_and_back_without_a_failed_request(place):
    manifests = {version: place.manifest(version) for version in (7, 8)}
    place.switch(7, 1, manifests[7])
    rest = place.target().endpoint("churn").rest.removeprefix("http://")
    with asking(rest, "churn", "new:50") as load:
        assert place.target().prepare(place.order(8, 2, manifests[8])) is not None
        assert (led_to(place), serves(place)) == ("stable", 7)
        place.switch(8, 2, manifests[8])
        assert (led_to(place), serves(place)) == ("preview", 8)
        time.sleep(SETTLE_SECONDS)
        place.offline().take_back(
            "churn", TakenBack(left=8, to=7, epoch=3, at="2026-01-01T00:00:00Z", actor="a")
        )
        assert (led_to(place), serves(place)) == ("stable", 7)
        with pytest.raises(OutsideFailed, match="preview: the server dies"):
            place.switch(9, 4, place.manifest(9, double={"fault": "exit"}))
        assert (led_to(place), serves(place)) == ("stable", 7)
        place.switch(8, 5, place.manifest(8, **ROLLING))
        assert (led_to(place), serves(place)) == (None, 8)
        place.switch(8, 6, manifests[8])
        assert (led_to(place), serves(place)) == ("stable", 8)
        time.sleep(SETTLE_SECONDS)
        lanes = load.end()
    assert load.failures == {}
    assert lanes["new"]["ok"] == lanes["new"]["sent"] > 500


def test_an_autoscaler_takes_over_the_copies_that_are_there_and_gives_them_up(place):
    place.settings = {"strategy": "rolling", "replicas": 1}
    manifest = place.manifest(7)
    image = next(one for one in manifest if one["kind"] == "Deployment")["spec"]["template"]["spec"]
    image = image["containers"][0]["image"]
    place.switch(7, 1, manifest)
    place.cluster("scale", "deployment/churn-stable", "--replicas=2", f"--namespace={place.namespace}")
    place.switch(7, 2, place.manifest(7, image, autoscale={"max": 3, "cpu": "70%"}))
    assert place.live("deployment", "churn-stable")["spec"]["replicas"] == 2
    with_more = copy.deepcopy(manifest)
    pod = next(one for one in with_more if one["kind"] == "Deployment")["spec"]["template"]["spec"]
    pod["containers"][0]["env"] = [{"name": "A", "value": "b"}]
    place.switch(7, 3, with_more)
    spec = place.live("hpa", "churn")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 1)
    live = place.live("deployment", "churn-stable")["spec"]
    assert (live["replicas"], live["template"]["spec"]["containers"][0]["env"][0]["name"]) == (1, "A")
    place.switch(7, 4, manifest)
    assert "env" not in place.live("deployment", "churn-stable")["spec"]["template"]["spec"]["containers"][0]
