"""An environment of kind kubernetes as stages see it, on a server that keeps the cluster's rules.

We look at: forward, back, failed and put back; the order of the writes; what is remembered for the way back; copies and
mixed states as they are told; an autoscaler that takes over and goes; canaries that end with a switch; addresses;
spoilt memories; refusals before anything is changed; silence of the API server.
"""

import dataclasses
import json

import pytest
from cluster_paper import IMAGE, MODEL, Paper, place

from mmcicd_jenkins.adapters.kubernetes import annotations
from mmcicd_jenkins.errors import InputError, OutsideFailed, Superseded
from mmcicd_jenkins.ports import Copies, Endpoint

NAME = "churn-stable"


@pytest.fixture
def paper(tmp_path):
    with place(tmp_path) as found:
        yield found


def remembered(paper: Paper):
    standing = annotations.read(paper.object("Deployment", NAME))
    version = lambda one: one.version if one else None  # noqa: E731
    return version(standing.told), standing.settled, version(standing.way_back)


def written(paper: Paper):
    """The objects that were written, in order, dry runs left out."""
    return [
        (method, target.split("?")[0].rpartition("/")[2])
        for method, target in paper.standin.requests
        if method != "GET" and "dryRun" not in target
    ]


def test_a_version_comes_and_is_told_as_it_serves(paper):
    paper.switch(7, 1)
    seen = paper.target().observe(MODEL)
    assert (seen.version, seen.state, seen.epoch, seen.reason) == (7, "AVAILABLE", 1, "")
    assert seen.copies == (Copies(version=7, role="stable", wanted=2, ready=2),)
    assert paper.told[-1] == "stable 2 of 2 ready on 7"
    assert remembered(paper) == (7, True, None)


@pytest.mark.parametrize(
    ("kind", "name", "spec", "told"),
    [
        ("Deployment", NAME, {"replicas": 1}, "it was scaled to 1 by hand, 2 were applied"),
        ("Service", MODEL, {"selector": {"app": "other"}}, f"its Service {MODEL} was changed"),
        ("Service", MODEL, None, f"its Service {MODEL} is gone"),
    ],
)
def test_what_others_changed_beside_the_version_is_told(paper, kind, name, spec, told):
    paper.switch(7, 1)
    assert paper.target().observe(MODEL).departure == ""
    metadata = paper.object(kind, name)["metadata"]
    precondition = {"uid": metadata["uid"], "resource_version": metadata["resourceVersion"]}
    if spec is None:
        paper.api.delete(kind, name, **precondition)
    else:
        paper.api.patch(kind, name, {"spec": spec}, **precondition)
    assert told in paper.target().observe(MODEL).departure


def test_the_fence_is_on_every_object(paper):
    paper.switch(7, 1)
    paper.switch(8, 2)
    for kind, name in (
        ("Deployment", NAME),
        ("Service", MODEL),
        ("PodDisruptionBudget", MODEL),
        ("NetworkPolicy", MODEL),
    ):
        assert annotations.fence_of(paper.object(kind, name)) == annotations.Fence(epoch=2, op_id="op 2")


def test_the_deployment_is_claimed_before_anything_changes(paper):
    paper.switch(7, 1)
    paper.standin.requests.clear()
    paper.switch(8, 2)
    names = [name for _, name in written(paper)]
    assert names[0] == NAME
    assert names.index(MODEL) > 0


def test_a_version_that_does_not_come_is_put_back(paper):
    paper.switch(6, 1)
    paper.switch(7, 2)
    with pytest.raises(OutsideFailed, match="stable: the server dies whenever it loads version 8"):
        paper.switch(8, 3, good=False)
    seen = paper.target().observe(MODEL)
    assert (seen.version, seen.state, seen.epoch) == (7, "AVAILABLE", 3)
    assert remembered(paper) == (7, True, 6)


def test_a_first_version_that_does_not_come_leaves_no_copy(paper):
    with pytest.raises(OutsideFailed):
        paper.switch(7, 1, good=False)
    assert paper.target().observe(MODEL).version is None
    assert paper.object("Deployment", NAME)["spec"]["replicas"] == 0
    paper.switch(8, 2)
    assert paper.target().observe(MODEL).version == 8


def test_nothing_changes_when_the_cluster_does_not_take_a_document(paper):
    paper.switch(7, 1)
    before = paper.state()
    order = paper.order(8, 2)
    broken = json.loads(json.dumps(order.manifest))
    next(one for one in broken if one["kind"] == "Deployment")["spec"]["selector"] = {
        "matchLabels": {"a": "b"}
    }
    with pytest.raises(InputError):
        paper.target().switch(dataclasses.replace(order, manifest=tuple(broken)))
    assert paper.state() == before


def test_an_order_without_documents_is_refused(paper):
    with pytest.raises(InputError, match="no documents for a cluster"):
        paper.target().switch(dataclasses.replace(paper.order(7, 1), manifest=()))


def test_while_a_version_is_stuck_both_are_told(paper):
    paper.switch(7, 1)
    paper.standin.frozen = True
    with pytest.raises(OutsideFailed):
        paper.switch(8, 2)
    seen = paper.target().observe(MODEL)
    assert (seen.version, seen.copies) == (7, (Copies(version=7, role="stable", wanted=2, ready=2),))


def test_a_mixed_state_is_told(paper):
    paper.switch(7, 1)
    paper.switch(8, 2)
    key = next(key for key in paper.standin.objects if key[0] == "pods")
    paper.standin.objects[key]["metadata"]["labels"]["app.kubernetes.io/version"] = "7"
    seen = paper.target().observe(MODEL)
    assert (seen.version, seen.state) == (8, "MIXED")
    assert seen.reason == "8 is wanted: stable 1 of 2 ready on 8 (1 on 7)"


def test_a_version_that_was_told_and_does_not_come_is_named(paper):
    paper.switch(7, 1)
    told = annotations.told_to(
        annotations.read(paper.object("Deployment", NAME)), paper.order(8, 2, good=False)
    )
    noted = {key: text for key, text in annotations.notes(told).items() if text is not None}
    document = next(one for one in paper.manifest(8, good=False) if one["kind"] == "Deployment")
    live = paper.object("Deployment", NAME)
    live["metadata"]["annotations"] = noted
    live["metadata"]["generation"] += 1
    live["spec"] = json.loads(json.dumps(document["spec"]))
    paper.standin.put(live)
    seen = paper.target().observe(MODEL)
    assert (seen.version, seen.state) == (7, "AVAILABLE")
    assert seen.reason.startswith("8 is wanted: stable 0 of 2 ready on 8 (2 on 7); churn-stable-")
    assert "CrashLoopBackOff" in seen.reason


def test_an_autoscaler_takes_over_the_count_that_is_there(tmp_path):
    with place(tmp_path) as paper:
        paper.switch(7, 1, replicas=5)
        auto = {"autoscale": {"max": 9, "cpu": "70%"}}
        paper.switch(7, 2, replicas=2, **auto)
        assert paper.object("Deployment", NAME)["spec"]["replicas"] == 5
        paper.standin.change(("deployments", "ml", NAME), lambda it: it["spec"].update(replicas=8))
        paper.switch(8, 3, replicas=2, **auto)
        assert paper.object("Deployment", NAME)["spec"]["replicas"] == 8
        paper.switch(8, 4, replicas=2, autoscale={"max": 4, "cpu": "70%"})
        assert paper.object("Deployment", NAME)["spec"]["replicas"] == 4


def test_an_autoscaler_that_is_wanted_no_more_counts_no_more(paper):
    paper.switch(7, 1, autoscale={"max": 9, "cpu": "70%"})
    paper.switch(8, 2, replicas=3)
    spec = paper.object("HorizontalPodAutoscaler", MODEL)["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 3)
    assert paper.object("Deployment", NAME)["spec"]["replicas"] == 3


def test_a_canary_ends_when_the_stable_copies_have_its_version(paper):
    paper.switch(7, 1)
    paper.canary(8, 2)
    assert {one.role for one in paper.target().observe(MODEL).copies} == {"stable", "canary"}
    paper.standin.requests.clear()
    paper.switch(8, 2)
    assert written(paper)[-2][0] == "DELETE"
    assert paper.object("Deployment", "churn-canary") is None


def test_a_canary_stays_while_the_stable_copies_fail(paper):
    paper.switch(7, 1)
    paper.canary(8, 2)
    with pytest.raises(OutsideFailed):
        paper.switch(9, 2, good=False)
    assert paper.object("Deployment", "churn-canary") is not None


def test_on_the_way_back_the_canary_goes_first(paper):
    paper.switch(7, 1)
    paper.canary(8, 2)
    paper.standin.requests.clear()
    paper.switch(7, 3, takes_back=True)
    assert [method for method, _ in written(paper)][:2] == ["PATCH", "DELETE"]


def test_the_last_copies_that_serve_are_never_removed(paper):
    paper.switch(7, 1)
    paper.canary(8, 2)
    paper.standin.broken[IMAGE.format(7)] = ""
    for key in [key for key in paper.standin.objects if key[0] == "pods" and NAME in key[2]]:
        del paper.standin.objects[key]
    with pytest.raises(OutsideFailed, match="not ready within"):
        paper.switch(7, 3, takes_back=True)
    assert paper.target().observe(MODEL).version == 8
    assert paper.object("Deployment", NAME)["spec"]["replicas"] == 2
    del paper.standin.broken[IMAGE.format(7)]
    paper.standin.settle()
    paper.switch(7, 3, takes_back=True)
    assert paper.target().observe(MODEL).version == 7
    assert paper.object("Deployment", "churn-canary") is None


def test_a_newer_canary_is_left_to_whoever_brought_it(paper):
    paper.switch(7, 1)
    paper.canary(8, 9)
    with pytest.raises(Superseded):
        paper.switch(8, 2)
    assert paper.object("Deployment", "churn-canary") is not None


def test_withdrawn_it_serves_nothing_and_keeps_the_fence(paper):
    paper.switch(7, 1)
    paper.canary(8, 2)
    paper.target().withdraw(MODEL, 3)
    seen = paper.target().observe(MODEL)
    assert (seen.version, seen.state, seen.epoch, seen.copies) == (None, "END", 3, ())
    with pytest.raises(Superseded):
        paper.switch(8, 2)
    paper.switch(9, 4)
    assert paper.target().observe(MODEL).version == 9
    assert remembered(paper) == (9, True, None)


def test_to_withdraw_what_an_operation_brought_is_part_of_it(paper):
    paper.switch(7, 1)
    paper.target().withdraw(MODEL, 1)
    paper.target().withdraw(MODEL, 2)
    paper.target().withdraw(MODEL, 2)
    assert paper.target().observe(MODEL).version is None


def test_to_withdraw_what_never_was_is_nothing(paper):
    paper.target().withdraw(MODEL, 1)
    assert paper.state() == {}


def test_an_address_is_the_one_that_is_written_down(tmp_path):
    address = {"rest": "https://MODEL.acme.example", "grpc": "grpc.acme.example:443"}
    with place(tmp_path, address=address) as paper:
        told = paper.target().endpoint(MODEL)
    assert told == Endpoint(rest="https://churn.acme.example", grpc="grpc.acme.example:443")


@pytest.mark.parametrize(("tls", "scheme"), [("", "http"), ("ml-tls", "https")])
def test_an_address_is_that_of_the_ingress_for_rest(tmp_path, tls, scheme):
    ingress = {"host": "MODEL.acme.example", **({"tls_secret": tls} if tls else {})}
    with place(tmp_path, ingress=ingress) as paper:
        paper.switch(7, 1)
        paper.standin.change(("services", "ml", MODEL), lambda it: it["spec"].update(clusterIP="10.0.0.7"))
        told = paper.target().endpoint(MODEL)
    assert told == Endpoint(rest=f"{scheme}://churn.acme.example", grpc="10.0.0.7:8500")


def test_an_address_is_the_services_own(paper):
    with pytest.raises(OutsideFailed, match="no address in production yet"):
        paper.target().endpoint(MODEL)
    paper.switch(7, 1)
    with pytest.raises(OutsideFailed, match="no address"):
        paper.target().endpoint(MODEL)
    paper.standin.change(("services", "ml", MODEL), lambda it: it["spec"].update(clusterIP="fd00::7"))
    assert paper.target().endpoint(MODEL) == Endpoint(rest="http://[fd00::7]:8501", grpc="[fd00::7]:8500")
    balanced = {"loadBalancer": {"ingress": [{"hostname": "lb.acme.example"}]}}
    paper.standin.change(("services", "ml", MODEL), lambda it: it.update(status=balanced))
    assert paper.target().endpoint(MODEL).rest == "http://lb.acme.example:8501"


def test_a_memory_that_somebody_spoilt_bars_no_switch(paper):
    paper.switch(7, 1)
    spoilt = {annotations.MANIFEST: "%", annotations.OFFLINE: "{", annotations.PREVIOUS: "?"}
    paper.standin.change(("deployments", "ml", NAME), lambda it: it["metadata"]["annotations"].update(spoilt))
    assert paper.target().observe(MODEL).version == 7
    paper.switch(8, 2)
    assert paper.target().observe(MODEL).version == 8


def test_a_deployment_that_is_not_ours_is_left_alone(paper):
    document = json.loads(json.dumps(next(o for o in paper.manifest(7) if o["kind"] == "Deployment")))
    del document["metadata"]["labels"]["app.kubernetes.io/managed-by"]
    paper.standin.put(document)
    before = paper.state()
    with pytest.raises(OutsideFailed, match="deployment/churn-stable is there already and is not ours"):
        paper.switch(8, 1)
    assert paper.state() == before
    assert paper.target().observe(MODEL).copies == ()


def test_a_moment_of_silence_is_waited_through(paper):
    paper.switch(7, 1)
    paper.standin.refuse("GET", "/pods", 503, "the server is updated", times=3)
    paper.switch(8, 2)
    assert paper.target().observe(MODEL).version == 8


def test_nothing_is_started_here_and_so_nothing_stopped(paper):
    paper.switch(7, 1)
    assert paper.target().stop() is False
    assert paper.target().observe(MODEL).version == 7
