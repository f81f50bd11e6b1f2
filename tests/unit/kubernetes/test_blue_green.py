"""Strategy blue-green on a server that keeps the cluster's rules.

We look at: which colour gets a version and when requests are led there, what is tried before, the way back in one patch
and what it costs, which colour stays warm, failures, autoscalers, an older process that wakes up, and the ways from one
strategy to another.
"""

import copy

import pytest
from cluster_paper import LIMITS, MODEL, Killed, Mortal, place

from mmcicd_jenkins.adapters.kubernetes import annotations
from mmcicd_jenkins.adapters.kubernetes.target import KubernetesTarget
from mmcicd_jenkins.errors import OutsideFailed, Superseded
from mmcicd_jenkins.ports import Copies

STRATEGY = {"strategy": "blue-green"}
STABLE, PREVIEW = "churn-stable", "churn-preview"


@pytest.fixture
def paper(tmp_path):
    with place(tmp_path, **STRATEGY) as found:
        yield found


def led_to(paper, service=MODEL):
    return paper.object("Service", service)["spec"]["selector"].get(annotations.TRACK)


def runs(paper, name):
    """The version and the count of a colour."""
    live = paper.object("Deployment", name)
    return live and (
        int(live["spec"]["template"]["metadata"]["labels"][annotations.POD_VERSION]),
        live["spec"]["replicas"],
    )


def written(paper):
    return [
        (method, target.split("?")[0].rpartition("/")[2])
        for method, target in paper.standin.requests
        if method != "GET" and "dryRun" not in target
    ]


def prepare(paper, version, epoch):
    """Have it ready; a cluster gives Services their addresses, which are its own business."""
    address = paper.place(address={"rest": "http://elsewhere"})
    KubernetesTarget(address, paper.api, paper, limits=LIMITS).prepare(paper.order(version, epoch))


def test_the_first_version_comes_into_the_stable_colour(paper):
    paper.switch(7, 1)
    assert (led_to(paper), led_to(paper, PREVIEW), runs(paper, STABLE), runs(paper, PREVIEW)) == (
        "stable",
        "preview",
        (7, 2),
        None,
    )
    assert paper.target().observe(MODEL).copies == (Copies(version=7, role="stable", wanted=2, ready=2),)


def test_the_next_one_comes_into_the_other_and_the_former_stays_warm(paper):
    paper.switch(7, 1)
    paper.switch(8, 2)
    assert (led_to(paper), led_to(paper, PREVIEW)) == ("preview", "stable")
    assert (runs(paper, STABLE), runs(paper, PREVIEW)) == ((7, 2), (8, 2))
    seen = paper.target().observe(MODEL)
    assert (seen.version, seen.state, seen.epoch, seen.reason) == (8, "AVAILABLE", 2, "")
    assert set(seen.copies) == {
        Copies(version=7, role="preview", wanted=2, ready=2),
        Copies(version=8, role="stable", wanted=2, ready=2),
    }
    paper.switch(9, 3)
    assert (led_to(paper), runs(paper, STABLE), runs(paper, PREVIEW)) == ("stable", (9, 2), (8, 2))
    assert paper.offline().remember(MODEL).previous == 8


def test_requests_are_led_there_by_one_patch_when_all_copies_are_ready(paper):
    paper.switch(7, 1)
    prepare(paper, 8, 2)
    assert led_to(paper) == "stable"
    seen = paper.target().observe(MODEL)
    assert (seen.version, seen.reason) == (7, "8 is wanted: preview 2 of 2 ready on 8")
    paper.standin.requests.clear()
    paper.switch(8, 2)
    named = written(paper)
    assert named[0] == ("PATCH", MODEL)
    assert not any(name == PREVIEW and method == "POST" for method, name in named)
    assert led_to(paper) == "preview"


def test_a_version_can_be_tried_before_it_serves(paper):
    for name, address in ((MODEL, "10.0.0.1"), (PREVIEW, "10.0.0.2")):
        paper.switch(7, 1)
        paper.standin.change(("services", "ml", name), lambda it, ip=address: it["spec"].update(clusterIP=ip))
    assert paper.target().prepare(paper.order(7, 1)).rest == "http://10.0.0.1:8501"
    assert paper.target().prepare(paper.order(8, 2)).rest == "http://10.0.0.2:8501"


def test_who_needs_an_address_of_the_outside_gets_none_of_the_inside(tmp_path):
    with place(tmp_path, **STRATEGY, address={"rest": "https://churn.acme.example"}) as paper:
        paper.switch(7, 1)
        assert paper.target().prepare(paper.order(8, 2)) is None


def test_a_version_that_does_not_come_never_serves_and_is_put_out(paper):
    paper.switch(6, 1)
    paper.switch(7, 2)
    with pytest.raises(OutsideFailed, match="preview: the server dies whenever it loads version 8"):
        paper.switch(8, 3, good=False)
    seen = paper.target().observe(MODEL)
    assert (seen.version, seen.epoch, seen.state) == (7, 3, "AVAILABLE")
    assert paper.offline().remember(MODEL).previous == 6
    assert runs(paper, STABLE)[1] == 0


def test_one_that_fails_its_trial_is_put_out(paper):
    """As a stage does it: the former version is ordered again under a newer epoch."""
    paper.switch(7, 1)
    prepare(paper, 8, 2)
    paper.switch(7, 3)
    assert (led_to(paper), runs(paper, PREVIEW)) == ("stable", (8, 0))
    assert paper.offline().remember(MODEL).previous is None


def test_the_way_back_is_one_patch_before_anything_else(paper):
    paper.switch(7, 1)
    paper.switch(8, 2)
    paper.standin.requests.clear()
    paper.switch(7, 3, takes_back=True)
    assert written(paper)[:2] == [("PATCH", STABLE), ("PATCH", MODEL)]
    assert not any("dryRun" in target for _, target in paper.standin.requests)
    assert (led_to(paper), runs(paper, STABLE), runs(paper, PREVIEW)) == ("stable", (7, 2), (8, 0))
    assert paper.offline().remember(MODEL).previous is None


def test_the_way_back_without_a_ledger_is_the_same(paper):
    paper.switch(7, 1)
    paper.switch(8, 2)
    order = paper.take_back(8, 7, 3)
    paper.offline().take_back(MODEL, order)
    assert (led_to(paper), runs(paper, STABLE), runs(paper, PREVIEW)) == ("stable", (7, 2), (8, 0))
    assert paper.offline().remember(MODEL).offline == (order,)


def test_a_colour_that_was_put_out_comes_back_before_requests_do(paper):
    paper.switch(7, 1)
    paper.switch(8, 2)
    paper.standin.change(("deployments", "ml", STABLE), lambda it: it["spec"].update(replicas=0))
    paper.standin.settle()
    paper.standin.frozen = True
    with pytest.raises(OutsideFailed):
        paper.switch(7, 3, takes_back=True)
    assert led_to(paper) == "preview"
    paper.standin.frozen = False
    paper.switch(7, 4, takes_back=True)
    assert (led_to(paper), runs(paper, STABLE)) == ("stable", (7, 2))


def test_the_same_order_again_changes_nothing(paper):
    paper.switch(7, 1)
    paper.switch(8, 2)
    before = paper.state()
    paper.switch(8, 2)
    assert paper.state() == before


def test_other_settings_of_the_same_version_come_as_a_colour_too(paper):
    paper.switch(7, 1)
    paper.switch(8, 2)
    paper.switch(8, 3, pods={"drain": "33s"})
    assert (led_to(paper), runs(paper, STABLE), runs(paper, PREVIEW)) == ("stable", (8, 2), (8, 0))
    assert paper.offline().remember(MODEL).previous == 7


def test_an_autoscaler_counts_the_colour_that_serves(tmp_path):
    with place(tmp_path, **STRATEGY, autoscale={"max": 9, "cpu": "70%"}) as paper:
        paper.switch(7, 1)
        paper.standin.change(("deployments", "ml", STABLE), lambda it: it["spec"].update(replicas=6))
        paper.switch(8, 2)
        spec = paper.object("HorizontalPodAutoscaler", MODEL)["spec"]
        assert (spec["scaleTargetRef"]["name"], runs(paper, PREVIEW)) == (PREVIEW, (8, 6))
        paper.switch(7, 3, takes_back=True)
        assert paper.object("HorizontalPodAutoscaler", MODEL)["spec"]["scaleTargetRef"]["name"] == STABLE


def test_more_copies_than_the_warm_colour_has_are_waited_for(paper):
    paper.switch(7, 1)
    paper.switch(8, 2)
    paper.switch(7, 3, replicas=4)
    assert (led_to(paper), runs(paper, STABLE)) == ("stable", (7, 4))


class Asleep(Mortal):
    """Instead of its end: `meanwhile` happens, and then the call is made."""

    def __init__(self, api, nth, meanwhile):
        super().__init__(api, nth)
        self._meanwhile = meanwhile

    def __getattr__(self, name):
        real = getattr(self._api, name)
        if not callable(real):
            return real

        def call(*words, **named):
            self.made += 1
            if self.made == self._left:
                self._meanwhile()
            return real(*words, **named)

        return call


def test_an_older_process_that_wakes_up_leads_nobody_anywhere(paper):
    paper.switch(7, 1)
    paper.switch(8, 2)
    objects = copy.deepcopy(paper.standin.objects)
    for nth in range(1, 30, 2):
        paper.again(objects)
        api = Asleep(paper.api, nth, lambda: paper.switch(7, 4, takes_back=True))
        with pytest.raises((Superseded, OutsideFailed)):
            paper.target(api).switch(paper.order(9, 3))
        assert (led_to(paper), runs(paper, STABLE)) == ("stable", (7, 2)), f"asleep before call {nth}"
        assert paper.target().observe(MODEL).version == 7


ROLLING = {"strategy": "rolling"}


def test_from_rolling_to_two_colours(paper):
    paper.switch(7, 1, **ROLLING)
    assert led_to(paper) is None
    paper.switch(7, 2)
    assert (led_to(paper), runs(paper, STABLE)) == ("stable", (7, 2))
    paper.switch(8, 3, **ROLLING)
    paper.switch(9, 4)
    assert (led_to(paper), runs(paper, STABLE), runs(paper, PREVIEW)) == ("preview", (8, 2), (9, 2))


@pytest.mark.parametrize("switches", [1, 2])
def test_from_two_colours_to_rolling_no_older_version_takes_requests(paper, switches):
    for number in range(1, switches + 1):
        paper.switch(6 + number, number)
    paper.switch(9, 5, **ROLLING)
    assert (led_to(paper), runs(paper, STABLE), runs(paper, PREVIEW)) == (None, (9, 2), None)
    assert paper.offline().remember(MODEL).previous == 6 + switches


def test_back_over_a_change_of_strategy(paper):
    paper.switch(7, 1)
    paper.switch(8, 2)
    paper.switch(9, 3, **ROLLING)
    paper.offline().take_back(MODEL, paper.take_back(9, 8, 4))
    assert paper.target().observe(MODEL).version == 8
    assert led_to(paper) in {"stable", "preview"}


def test_a_change_of_strategy_that_fails_is_put_back(paper):
    paper.switch(7, 1)
    paper.switch(8, 2)
    with pytest.raises(OutsideFailed):
        paper.switch(9, 3, good=False, **ROLLING)
    assert paper.target().observe(MODEL).version == 8


def test_withdrawn_no_colour_has_copies(paper):
    paper.switch(7, 1)
    paper.switch(8, 2)
    paper.target().withdraw(MODEL, 3)
    assert paper.target().observe(MODEL).version is None
    paper.switch(9, 4)
    assert paper.target().observe(MODEL).version == 9


def forward(paper, api):
    paper.target(api).switch(paper.order(8, 3))


def failing(paper, api):
    with pytest.raises(OutsideFailed):
        paper.target(api).switch(paper.order(8, 3, good=False))


def back(paper, api):
    paper.target(api).switch(paper.order(6, 3, takes_back=True))


def offline(paper, api):
    paper.offline(api).take_back(MODEL, paper.take_back(7, 6, 3))


def to_rolling(paper, api):
    paper.target(api).switch(paper.order(8, 3, **ROLLING))


@pytest.mark.parametrize("act", [forward, failing, back, offline, to_rolling])
def test_killed_after_any_call_the_same_order_ends_as_if_nothing_had_happened(paper, act):
    paper.switch(6, 1)
    paper.switch(7, 2)
    objects = copy.deepcopy(paper.standin.objects)
    api = Mortal(paper.api, 200)
    act(paper, api)
    state = paper.state()
    for nth in range(1, api.made + 1, 2):
        paper.again(objects)
        with pytest.raises(Killed):
            act(paper, Mortal(paper.api, nth))
        act(paper, paper.api)
        assert paper.state() == state, f"killed after call {nth}"
