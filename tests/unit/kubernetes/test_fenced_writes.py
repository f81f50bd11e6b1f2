"""Every write to a cluster, against a server that keeps its rules.

We look at: what is made, changed and left alone; whose fence stands; what happens when the object changes, vanishes or
is made by somebody between our read and our write; what is not ours; who owns which field afterwards.
"""

import pytest
from kubernetes_standin import serving

from mmcicd_jenkins.adapters.kubernetes import annotations
from mmcicd_jenkins.adapters.kubernetes.annotations import Fence
from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.connection import connect
from mmcicd_jenkins.adapters.kubernetes.fenced import Fenced, write
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import OutsideFailed, Superseded

LABELS = {annotations.NAME: "churn", annotations.MANAGED_BY: annotations.OURS}


@pytest.fixture
def standin():
    with serving() as found:
        yield found


@pytest.fixture
def api(standin, tmp_path):
    place = Environment(name="production", kind="kubernetes", cluster=standin.address, namespace="ml")
    return Api(connect(place, {"KUBECONFIG": str(standin.kubeconfig(tmp_path))}, "mmcicd.yaml:1:1"), "ml")


def service(port=8501, **spec):
    ports = [{"name": "rest", "port": port, "protocol": "TCP"}]
    metadata = {"name": "churn", "namespace": "ml", "labels": LABELS}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": ports, **spec}}


def deployment(replicas=2, name="churn-canary"):
    labels = {annotations.NAME: "churn", annotations.TRACK: "canary"}
    container = {"name": "serving", "image": "registry.example/churn@sha256:1"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "ml", "labels": {**LABELS, **labels}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def fenced(api, epoch, op_id=""):
    return Fenced(api, Fence(epoch=epoch, op_id=op_id or f"op {epoch}"), deadline_seconds=3)


class Meanwhile:
    """The same calls, and somebody else is quicker: after the `nth` read of an object `act` happens."""

    def __init__(self, api, act, nth=1):
        self._api = api
        self._act = act
        self._left = nth

    def __getattr__(self, name):
        return getattr(self._api, name)

    def get(self, kind, name):
        found = self._api.get(kind, name)
        self._left -= 1
        if self._left == 0:
            self._act()
        return found


def test_what_is_not_there_is_made_with_the_fence_on_it(api, standin):
    write(api, service(), 3, "op")
    assert annotations.fence_of(standin.object("Service", "churn")) == Fence(epoch=3, op_id="op")


def test_a_newer_order_changes_it_and_an_older_one_nothing(api, standin):
    write(api, service(), 3, "op 3")
    write(api, service(9000), 4, "op 4")
    with pytest.raises(Superseded) as told:
        write(api, service(9999), 3, "op 3")
    assert "epoch 4 stands, this order has 3" in told.value.why
    assert standin.object("Service", "churn")["spec"]["ports"][0]["port"] == 9000


def test_of_one_epoch_only_the_same_operation_goes_on(api):
    write(api, service(), 3, "op")
    write(api, service(9000), 3, "op")
    with pytest.raises(Superseded, match="a newer decision stands"):
        write(api, service(), 3, "another")


def test_what_is_not_ours_is_left_alone(api, standin):
    foreign = {**service(), "metadata": {"name": "churn", "namespace": "ml", "labels": {"team": "other"}}}
    standin.put(foreign)
    for act in (
        lambda: write(api, service(), 3, "op"),
        lambda: fenced(api, 3).claim("Service", "churn"),
        lambda: fenced(api, 3).remove("Service", "churn"),
    ):
        with pytest.raises(OutsideFailed, match="is not ours"):
            act()
    assert standin.object("Service", "churn")["metadata"]["labels"] == {"team": "other"}


def test_a_change_by_a_controller_between_read_and_write_is_written_over(api, standin):
    write(api, service(), 3, "op 3")

    def controller():
        standin.change(("services", "ml", "churn"), lambda it: it["spec"].update(clusterIP="10.0.0.9"))

    write(Meanwhile(api, controller), service(9000), 4, "op 4")
    live = standin.object("Service", "churn")
    assert (live["spec"]["ports"][0]["port"], live["spec"]["clusterIP"]) == (9000, "10.0.0.9")


def test_a_newer_decision_between_read_and_write_stays(api, standin):
    write(api, service(), 3, "op 3")
    late = Meanwhile(api, lambda: write(api, service(9000), 5, "op 5"))
    with pytest.raises(Superseded):
        write(late, service(9999), 4, "op 4")
    assert standin.object("Service", "churn")["spec"]["ports"][0]["port"] == 9000


def test_what_was_deleted_between_read_and_write_is_not_made_again(api, standin):
    write(api, service(), 3, "op 3")
    late = Meanwhile(api, lambda: fenced(api, 9).remove("Service", "churn"))
    with pytest.raises(OutsideFailed, match="was deleted while it was changed"):
        write(late, service(), 4, "op 4")
    assert standin.object("Service", "churn") is None


def test_what_was_deleted_and_made_anew_is_another_object(api, standin):
    write(api, service(), 3, "op 3")

    def anew():
        fenced(api, 9).remove("Service", "churn")
        write(api, service(9000), 9, "op 9")

    with pytest.raises(Superseded):
        write(Meanwhile(api, anew), service(9999), 4, "op 4")
    assert standin.object("Service", "churn")["spec"]["ports"][0]["port"] == 9000


def test_of_two_that_make_it_the_newer_one_stays(api, standin):
    late = Meanwhile(api, lambda: write(api, service(9000), 5, "op 5"))
    with pytest.raises(Superseded):
        write(late, service(9999), 4, "op 4")
    late = Meanwhile(api, lambda: write(api, service(9001), 6, "op 6"))
    write(late, service(9002), 7, "op 7")
    assert standin.object("Service", "churn")["spec"]["ports"][0]["port"] == 9002


def test_an_object_that_never_rests_is_told(api, standin):
    write(api, service(), 3, "op 3")

    def restless():
        standin.change(("services", "ml", "churn"), lambda it: it["metadata"].update(generation=0))

    class Always(Meanwhile):
        def get(self, kind, name):
            self._left = 1
            return super().get(kind, name)

    with pytest.raises(OutsideFailed, match="service/churn changes all the time"):
        Fenced(Always(api, restless), Fence(epoch=4, op_id="op"), deadline_seconds=0.2).write(service())


def test_fields_that_are_named_no_longer_go(api, standin):
    write(api, service(sessionAffinity="ClientIP"), 3, "op 3")
    write(api, service(), 4, "op 4")
    assert "sessionAffinity" not in standin.object("Service", "churn")["spec"]


def test_fields_that_we_patched_go_as_well(api, standin):
    write(api, service(), 3, "op 3")
    fenced(api, 3).change("Service", "churn", lambda _: {"spec": {"sessionAffinity": "ClientIP"}})
    assert standin.object("Service", "churn")["spec"]["sessionAffinity"] == "ClientIP"
    write(api, service(), 4, "op 4")
    assert "sessionAffinity" not in standin.object("Service", "churn")["spec"]


def test_fields_of_others_stay(api, standin):
    write(api, service(), 3, "op 3")
    live = standin.object("Service", "churn")
    standin.merge(
        ("services", "ml", "churn"),
        {"metadata": {"uid": live["metadata"]["uid"], "labels": {"team": "a"}}},
        "kubectl",
        dry_run=False,
    )
    write(api, service(), 4, "op 4")
    assert standin.object("Service", "churn")["metadata"]["labels"]["team"] == "a"


def test_a_claim_changes_the_fence_alone_and_twice_is_once(api, standin):
    write(api, deployment(), 3, "op 3")
    before = standin.object("Deployment", "churn-canary")
    fenced(api, 4).claim("Deployment", "churn-canary")
    after = standin.object("Deployment", "churn-canary")
    assert annotations.fence_of(after) == Fence(epoch=4, op_id="op 4")
    assert after["spec"] == before["spec"]
    fenced(api, 4).claim("Deployment", "churn-canary")
    again = standin.object("Deployment", "churn-canary")
    assert again["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]


def test_a_claim_of_nothing_makes_nothing(api, standin):
    assert fenced(api, 4).claim("Deployment", "churn-canary") is None
    assert standin.object("Deployment", "churn-canary") is None


def test_only_an_order_that_is_not_older_removes(api, standin):
    write(api, deployment(), 3, "op 3")
    with pytest.raises(Superseded):
        fenced(api, 2).remove("Deployment", "churn-canary")
    assert fenced(api, 3).remove("Deployment", "churn-canary")
    assert not fenced(api, 3).remove("Deployment", "churn-canary")
    assert standin.object("Deployment", "churn-canary") is None


def claimed(api, writer):
    """What a bringer asks before it gives copies: whether its fence is still on the stable Deployment."""

    def check():
        writer.require(api.get("Deployment", "churn-stable"))

    return check


def test_what_is_brought_has_its_copies_in_the_end(api, standin):
    write(api, deployment(name="churn-stable"), 4, "op 4")
    writer = fenced(api, 4)
    writer.bring(deployment(2), claimed(api, writer))
    writer.bring(deployment(3), claimed(api, writer))
    assert standin.object("Deployment", "churn-canary")["spec"]["replicas"] == 3


@pytest.mark.parametrize("read", range(1, 5))
def test_what_a_newer_order_has_ended_is_never_brought_again(api, standin, read):
    """The newer order comes after the n-th read of the older one: whenever that is, no copy stands in the end."""
    write(api, deployment(name="churn-stable"), 4, "op 4")

    def newer():
        fenced(api, 5).claim("Deployment", "churn-stable")
        fenced(api, 5).remove("Deployment", "churn-canary")

    late = Meanwhile(api, newer, read)
    writer = fenced(late, 4)
    with pytest.raises((Superseded, OutsideFailed)):
        writer.bring(deployment(2), claimed(late, writer))
    assert standin.object("Deployment", "churn-canary") is None
