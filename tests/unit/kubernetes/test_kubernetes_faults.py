"""A cluster that fails on the way: every call ends by its deadline, and nothing is done twice."""

import time

import pytest
from fault_proxy import black_hole, serve
from faults import (
    answer,
    drop,
    drop_answer,
    endless,
    half_open,
    reset_after,
    reset_before,
    slow,
    stall,
    stall_answer,
    truncate,
)
from kubeconfigs import QUICK, api_of, connected, written
from kubernetes_standin import serving

from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.errors import AlreadyExists, Conflict
from mmcicd_jenkins.adapters.kubernetes.tries import Patience
from mmcicd_jenkins.errors import MmcicdError, OutsideFailed


@pytest.fixture
def standin():
    with serving() as found:
        yield found


@pytest.fixture
def proxy(standin):
    with serve(standin.host) as found:
        yield found


@pytest.fixture
def api(proxy, tmp_path):
    server = f"http://{proxy.host}"
    return api_of(written(tmp_path / "c", server), server)


def settings(**data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": data}


def precondition(standin):
    metadata = standin.object("ConfigMap", "settings")["metadata"]
    return {"uid": metadata["uid"], "resource_version": metadata["resourceVersion"]}


BROKEN = [
    drop(),
    drop_answer(),
    reset_before(),
    reset_after(),
    stall(),
    half_open(),
    truncate(20),
    stall_answer(20),
]


@pytest.mark.parametrize("fault", BROKEN, ids=lambda fault: fault.__name__)
def test_reading_is_tried_again(standin, proxy, api, fault):
    standin.put(settings(one="1"))
    proxy.on("GET", "/configmaps/", fault, times=2)
    assert api.get("ConfigMap", "settings")["data"] == {"one": "1"}
    assert len(proxy.asked("GET", "/configmaps/")) == 3


@pytest.mark.parametrize("fault", BROKEN, ids=lambda fault: fault.__name__)
def test_a_creation_whose_answer_was_lost_made_one(standin, proxy, api, fault):
    proxy.on("POST", "/configmaps", fault)
    made = api.create(settings(one="1"))
    assert made["metadata"]["uid"] == standin.object("ConfigMap", "settings")["metadata"]["uid"]


def test_a_creation_whose_answer_was_lost_does_not_take_what_is_anothers(standin, proxy, api):
    proxy.on("POST", "/configmaps", drop())
    standin.put(settings(one="theirs"))
    with pytest.raises(AlreadyExists):
        api.create(settings(one="1"))


@pytest.mark.parametrize("fault", BROKEN, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("how", ["apply", "patch"])
def test_a_change_whose_answer_was_lost_is_done_once(standin, proxy, api, fault, how):
    standin.put(settings(one="1"))
    old = precondition(standin)
    proxy.on("PATCH", "/configmaps/", fault)
    if how == "apply":
        live = api.apply(settings(one="2"), **old)
    else:
        live = api.patch("ConfigMap", "settings", {"data": {"one": "2", "none": None}}, **old)
    assert live["data"] == standin.object("ConfigMap", "settings")["data"] == {"one": "2"}


def test_a_change_whose_answer_was_lost_is_not_taken_for_anothers(standin, proxy, api):
    standin.put(settings(one="1"))
    old = precondition(standin)

    def overtaken(exchange):
        standin.put(settings(one="theirs"))
        exchange.reset()

    proxy.on("PATCH", "/configmaps/", overtaken)
    with pytest.raises(Conflict):
        api.apply(settings(one="2"), **old)
    assert standin.object("ConfigMap", "settings")["data"] == {"one": "theirs"}


@pytest.mark.parametrize("fault", BROKEN, ids=lambda fault: fault.__name__)
def test_a_removal_whose_answer_was_lost_removed(standin, proxy, api, fault):
    standin.put(settings(one="1"))
    proxy.on("DELETE", "/configmaps/", fault)
    assert api.delete("ConfigMap", "settings", uid=precondition(standin)["uid"])
    assert standin.object("ConfigMap", "settings") is None


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize(
    "body", [b"", b"<html>busy</html>", b'{"kind":"Status","message":"etcdserver: leader changed"}']
)
def test_what_passes_is_tried_again(standin, proxy, api, status, body):
    standin.put(settings(one="1"))
    proxy.on("PATCH", "/configmaps/", answer(status, body), times=2)
    assert api.apply(settings(one="2"), **precondition(standin))["data"] == {"one": "2"}


def test_the_wait_that_is_asked_for_is_kept(standin, tmp_path):
    slept = []
    with serve(standin.host) as proxy:
        server = f"http://{proxy.host}"
        path = written(tmp_path / "c", server)
        patience = Patience(budget=30.0, pause=0.01)
        api = Api(connected(path, server), "ml", patience=patience, sleep=slept.append)
        standin.refuse(
            "GET", "/configmaps", 429, "too many requests", reason="TooManyRequests", retryAfterSeconds=7
        )
        proxy.on("GET", "/configmaps", answer(503, b"", Retry_After="3"), after=1)
        assert api.list("ConfigMap", {}) == []
    assert [7 <= one < 8 for one in slept[:1]] + [3 <= one < 4 for one in slept[1:]] == [True, True]


def test_a_wait_beyond_the_deadline_is_told_at_once(standin, api):
    standin.refuse("GET", "/configmaps", 429, "later", retryAfterSeconds=600, times=9)
    began = time.monotonic()
    with pytest.raises(OutsideFailed) as caught:
        api.list("ConfigMap", {})
    assert "asks us to wait for 600 s" in caught.value.why
    assert caught.value.retryable
    assert time.monotonic() - began < QUICK.budget


ENDING = Patience(budget=0.6, tries=6, pause=0.01, longest=0.05, connect=0.2, stall=0.3)
SILENT = [stall(), slow(0.2, piece=1)]
NOISY = [half_open(), drop(), reset_before(), answer(503), endless()]


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (call, fault)
        for call in ("get", "list", "create", "apply", "patch", "delete", "logs", "may", "validate")
        for fault in SILENT
    ]
    + [("apply", fault) for fault in NOISY],
)
def test_every_call_ends_by_its_deadline(standin, proxy, tmp_path, fault, call):
    server = f"http://{proxy.host}"
    api = api_of(written(tmp_path / "c", server), server, ENDING)
    standin.put(settings(one="1"))
    same = precondition(standin)
    calls = {
        "get": lambda: api.get("ConfigMap", "settings"),
        "list": lambda: api.list("ConfigMap", {}),
        "create": lambda: api.create(settings(one="2")),
        "apply": lambda: api.apply(settings(one="2"), **same),
        "patch": lambda: api.patch("ConfigMap", "settings", {"data": {}}, **same),
        "delete": lambda: api.delete("ConfigMap", "settings", uid=same["uid"]),
        "logs": lambda: api.logs("pod"),
        "may": lambda: api.may("get", "", "pods"),
        "validate": lambda: api.validate([settings(one="2")]),
    }
    proxy.on("*", "/", fault, times=1000)
    began = time.monotonic()
    with pytest.raises(OutsideFailed) as caught:
        calls[call]()
    assert caught.value.exit_code == 5
    # With room for a machine that is busy.
    assert time.monotonic() - began < 10 * ENDING.budget


def test_a_cluster_that_swallows_connections_ends_too(tmp_path):
    with black_hole() as host:
        server = f"http://{host}"
        api = api_of(written(tmp_path / "c", server), server)
        with pytest.raises(OutsideFailed) as caught:
            api.get("ConfigMap", "settings")
    assert caught.value.what == "the cluster cannot be reached"
    assert "nothing came in time; tried" in caught.value.why
    assert caught.value.retryable


def test_a_port_where_nobody_listens_is_told(tmp_path):
    api = api_of(written(tmp_path / "c", "http://127.0.0.1:1"), "http://127.0.0.1:1")
    with pytest.raises(OutsideFailed) as caught:
        api.get("ConfigMap", "settings")
    assert "Connection refused; tried 6 times" in caught.value.why


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"<html>hello</html>", "not the API server"),
        (b"[]", "not the API server"),
        (b"\xff", "not the API server"),
    ],
)
def test_what_is_no_api_server_is_told(proxy, api, body, what):
    proxy.on("GET", "/", answer(200, body), times=9)
    with pytest.raises(MmcicdError, match=what):
        api.get("ConfigMap", "settings")


@pytest.mark.parametrize("status", [301, 302, 307])
def test_nobody_leads_us_elsewhere(proxy, api, status):
    proxy.on("GET", "/", answer(status, Location="https://evil.example/"), times=9)
    with pytest.raises(OutsideFailed, match="not the API server"):
        api.get("ConfigMap", "settings")
    assert len(proxy.seen) == 1


def test_a_connection_that_ended_while_idle_costs_no_try(standin, proxy, tmp_path):
    server = f"http://{proxy.host}"
    api = api_of(written(tmp_path / "c", server), server, Patience(budget=5.0, tries=1))
    assert api.list("ConfigMap", {}) == []
    # What is answered, and then the proxy closes the connection.
    proxy.on("GET", "/services", answer(200, b'{"items": []}', at_once=True))
    assert api.list("Service", {}) == []
    time.sleep(0.05)
    assert api.list("ConfigMap", {}) == []
