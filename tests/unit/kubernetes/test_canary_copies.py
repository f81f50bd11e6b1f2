"""The copies of a canary on a server that keeps the cluster's rules.

We look at: stable is claimed and otherwise untouched, copies by step, notes and what becomes of them, the way out, whose
word counts, an older process that wakes up anywhere, and a kill at every call.
"""

import contextlib
import copy

import pytest
from cluster_paper import LIMITS, MODEL, Killed, Mortal, place

from mmcicd_jenkins.adapters.kubernetes.canary import KubernetesCanary
from mmcicd_jenkins.errors import OutsideFailed, Superseded
from mmcicd_jenkins.release.canary_notes import Notes
from mmcicd_jenkins.release.traffic import LiveCounters

STABLE, CANARY = "churn-stable", "churn-canary"
STEPS = {"strategy": {"canary": {"steps": ["33% for 1m", "50% for 1m"]}}}
COUNTERS = LiveCounters(requests={"a#0": 5.0}, errors={"a#0": 1.0}, latency={"a#0": {0.1: 4.0}})


@pytest.fixture
def paper(tmp_path):
    with place(tmp_path, **STEPS) as found:
        found.switch(7, 1)
        yield found


def canary(paper, api=None):
    return KubernetesCanary(paper.place(), api or paper.api, paper, limits=LIMITS)


def autoscaler(paper):
    return paper.object("HorizontalPodAutoscaler", MODEL)


def test_stable_is_claimed_by_annotations_and_nothing_of_it_changes(paper):
    before = copy.deepcopy(paper.object("Deployment", STABLE))
    state = canary(paper).advance(paper.order(8, 2), 0, 1)
    after = paper.object("Deployment", STABLE)
    assert after["spec"] == before["spec"]
    changed = {
        key
        for key, value in after["metadata"]["annotations"].items()
        if before["metadata"]["annotations"].get(key) != value
    }
    assert changed == {"mmcicd.io/epoch", "mmcicd.io/op-id"}
    assert (state.version, state.epoch, state.copies, state.ready, state.stable_ready) == (8, 2, 1, 1, 2)
    assert state.notes == Notes(step=0)


def test_it_is_born_without_copies(paper):
    paper.standin.requests.clear()
    canary(paper).advance(paper.order(8, 2), 0, 1)
    writes = [
        (method, target.partition("?")[0].rpartition("/")[2])
        for method, target in paper.standin.requests
        if method != "GET"
    ]
    assert writes[0] == ("PATCH", STABLE)
    assert ("POST", "deployments") in writes
    assert writes[-1] == ("PATCH", CANARY), "copies come by a write of their own"


def test_autoscaling_is_left_alone(tmp_path):
    with place(tmp_path, **STEPS, autoscale={"max": 6}) as paper:
        paper.switch(7, 1)
        before = copy.deepcopy(autoscaler(paper))
        canary(paper).advance(paper.order(8, 2), 0, 1)
        assert autoscaler(paper) == before
        assert paper.object("Deployment", CANARY)["spec"]["replicas"] == 1


def test_the_service_leads_to_both(paper):
    canary(paper).advance(paper.order(8, 2), 0, 1)
    selector = paper.object("Service", MODEL)["spec"]["selector"]
    for name in (STABLE, CANARY):
        labels = paper.object("Deployment", name)["spec"]["template"]["metadata"]["labels"]
        assert selector.items() <= labels.items()


def test_notes_stay_within_a_step_and_are_forgotten_with_the_next(paper):
    order = paper.order(8, 2)
    canary(paper).advance(order, 0, 1)
    kept = Notes(step=0, since="2026-10-02T12:00:00+00:00", readings={"stable": COUNTERS})
    canary(paper).note(order, kept)
    assert canary(paper).state(MODEL).notes == kept
    assert canary(paper).advance(order, 0, 1).notes == kept
    state = canary(paper).advance(order, 1, 2)
    assert (state.copies, state.ready, state.notes) == (2, 2, Notes(step=1))


def test_a_note_rolls_nothing(paper):
    order = paper.order(8, 2)
    canary(paper).advance(order, 0, 1)
    before = copy.deepcopy(paper.object("Deployment", CANARY)["spec"])
    canary(paper).note(order, Notes(step=0, verdict="passed"))
    assert paper.object("Deployment", CANARY)["spec"] == before


def test_notes_of_an_older_order_are_not_ours(paper):
    old = paper.order(8, 2)
    canary(paper).advance(old, 0, 1)
    canary(paper).note(old, Notes(step=0, verdict="passed"))
    assert canary(paper).advance(paper.order(9, 3), 0, 1).notes == Notes(step=0)


def test_one_that_does_not_come_up_is_told_and_stable_serves_on(paper):
    with pytest.raises(OutsideFailed, match="canary: the server dies whenever it loads version 8"):
        canary(paper).advance(paper.order(8, 2, good=False), 0, 1)
    assert paper.target().observe(MODEL).version == 7


def test_without_a_stable_copy_there_is_none(tmp_path):
    with place(tmp_path, **STEPS) as paper, pytest.raises(OutsideFailed, match="nothing stable"):
        canary(paper).advance(paper.order(8, 2), 0, 1)


def test_where_blue_green_left_the_service_there_is_none_until_it_leads_to_all(tmp_path):
    with place(tmp_path, strategy="blue-green") as paper:
        paper.switch(7, 1)
        paper.settings.update(STEPS)
        with pytest.raises(OutsideFailed, match="would get no requests") as caught:
            canary(paper).advance(paper.order(8, 2), 0, 1)
        assert "strategy: rolling" in caught.value.fix
        assert paper.object("Deployment", CANARY) is None
        paper.settings["strategy"] = "rolling"
        paper.switch(7, 3)
        paper.settings.update(STEPS)
        assert canary(paper).advance(paper.order(8, 4), 0, 1).ready == 1


def test_removed_it_is_gone_and_removed_again_it_is_nothing(paper):
    canary(paper).advance(paper.order(8, 2), 0, 1)
    canary(paper).remove(MODEL, 2, "op 2")
    assert canary(paper).state(MODEL) is None
    canary(paper).remove(MODEL, 2, "op 2")
    assert paper.target().observe(MODEL).version == 7


def test_the_last_that_serves_is_not_removed(paper):
    canary(paper).advance(paper.order(8, 2), 0, 1)
    for key in [key for key in paper.standin.objects if key[0] == "pods" and STABLE in key[2]]:
        paper.standin.change(
            key, lambda it: it["status"].update(conditions=[{"type": "Ready", "status": "False"}])
        )
    with pytest.raises(OutsideFailed, match="nothing else of it serves"):
        canary(paper).remove(MODEL, 2, "op 2")
    assert paper.object("Deployment", CANARY) is not None


def test_a_newer_word_stands(paper):
    paper.switch(7, 5)
    for call in (
        lambda: canary(paper).advance(paper.order(8, 2), 0, 1),
        lambda: canary(paper).note(paper.order(8, 2), Notes(step=0)),
        lambda: canary(paper).remove(MODEL, 2, "op 2"),
    ):
        with pytest.raises(Superseded):
            call()
    assert paper.object("Deployment", CANARY) is None


def calls_of(paper, action):
    mortal = Mortal(paper.api, 0)
    action(mortal)
    return mortal.made


def test_killed_at_any_call_the_same_call_goes_on(paper):
    order, start = paper.order(8, 2), copy.deepcopy(paper.standin.objects)
    count = calls_of(paper, lambda api: canary(paper, api).advance(order, 0, 1))
    expected = paper.state()
    for nth in range(1, count + 1):
        paper.again(start)
        with pytest.raises(Killed):
            canary(paper, Mortal(paper.api, nth)).advance(order, 0, 1)
        canary(paper).advance(order, 0, 1)
        assert paper.state() == expected, nth


def test_whenever_an_older_process_wakes_up_it_brings_nothing(paper):
    """It sleeps before its nth call; meanwhile the promotion is taken back."""
    order, start = paper.order(8, 2), copy.deepcopy(paper.standin.objects)
    count = calls_of(paper, lambda api: canary(paper, api).advance(order, 0, 1))

    class Sleeper(Mortal):
        def __getattr__(self, name):
            found = getattr(self._api, name)
            if not callable(found):
                return found

            def call(*words, **named):
                self._left -= 1
                if self._left == 0:
                    canary(paper).remove(MODEL, 3, "op 3")
                return found(*words, **named)

            return call

    for nth in range(1, count + 1):
        paper.again(start)
        # Woken for its last look it may say what it saw a moment ago; whoever looks next sees that it is gone.
        with contextlib.suppress(Superseded, OutsideFailed):
            canary(paper, Sleeper(paper.api, nth)).advance(order, 0, 1)
        assert paper.object("Deployment", CANARY) is None, nth
        assert paper.target().observe(MODEL).version == 7


def test_a_promotion_ends_with_stable_alone(paper):
    order = paper.order(8, 2)
    canary(paper).advance(order, 0, 1)
    paper.target().switch(order)
    assert canary(paper).state(MODEL) is None
    seen = paper.target().observe(MODEL)
    assert (seen.version, {each.role for each in seen.copies}) == (8, {"stable"})
