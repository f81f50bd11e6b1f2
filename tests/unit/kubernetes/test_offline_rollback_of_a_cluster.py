"""A cluster is taken back by its own annotations, with nothing else to ask.

We look at: what it remembers, one step back and no further, notes until the ledger has them, presses that repeat or
come late, a version before that does not come, one whose seal does not fit, a spoilt memory, and a signal in the middle.
"""

import signal

import pytest
from cluster_paper import IMAGE, MODEL, place

from mmcicd_jenkins.adapters.kubernetes import annotations
from mmcicd_jenkins.errors import InputError, IntegrityFailed, OutsideFailed, Superseded, Terminated

NAME = "churn-stable"


@pytest.fixture
def paper(tmp_path):
    with place(tmp_path) as found:
        yield found


@pytest.fixture
def served(paper):
    """8 serves, after 7."""
    paper.switch(7, 1)
    paper.switch(8, 2)
    return paper


def remembered(paper):
    found = paper.offline().remember(MODEL)
    return found.serving, found.previous, found.epoch


def test_a_place_without_anything_remembers_nothing(paper):
    assert remembered(paper) == (None, None, 0)
    paper.offline().forget(MODEL)
    with pytest.raises(InputError, match="version 7 does not lie in production"):
        paper.offline().take_back(MODEL, paper.take_back(8, 7, 1))


def test_it_remembers_what_was_applied(served):
    assert remembered(served) == (8, 7, 2)
    assert served.offline().remember(MODEL).manifest == served.manifest(8)


def test_one_step_back_and_a_note(served):
    order = served.take_back(8, 7, 3)
    served.offline().take_back(MODEL, order)
    assert served.target().observe(MODEL).version == 7
    assert remembered(served) == (7, None, 3)
    assert served.offline().remember(MODEL).offline == (order,)
    assert served.object("Service", MODEL)["metadata"]["annotations"][annotations.EPOCH] == "3"


def test_the_same_press_again_changes_nothing(served):
    order = served.take_back(8, 7, 3)
    served.offline().take_back(MODEL, order)
    before = served.state()
    served.offline().take_back(MODEL, order)
    assert served.state() == before


def test_there_is_no_second_step(served):
    served.offline().take_back(MODEL, served.take_back(8, 7, 3))
    with pytest.raises(InputError, match="version 6 does not lie"):
        served.offline().take_back(MODEL, served.take_back(7, 6, 4))


def test_notes_stay_until_they_are_forgotten_and_nothing_else_goes(served):
    served.offline().take_back(MODEL, served.take_back(8, 7, 3))
    served.switch(9, 4)
    assert len(served.offline().remember(MODEL).offline) == 1
    served.offline().forget(MODEL)
    served.offline().forget(MODEL)
    assert served.offline().remember(MODEL).offline == ()
    assert remembered(served) == (9, 7, 4)


def test_an_older_press_comes_too_late(served):
    served.switch(9, 5)
    with pytest.raises(Superseded):
        served.offline().take_back(MODEL, served.take_back(9, 8, 4))
    assert served.target().observe(MODEL).version == 9


def test_a_promotion_that_was_cut_short_is_taken_back_to_what_served(served):
    served.standin.frozen = True
    with pytest.raises(OutsideFailed):
        served.switch(9, 3)
    # Neither 9 came nor was 8 seen to be back: the way back is still the version before.
    assert remembered(served) == (8, 7, 3)
    served.standin.frozen = False
    served.offline().take_back(MODEL, served.take_back(8, 7, 4))
    assert served.target().observe(MODEL).version == 7


def test_what_does_not_come_back_leaves_what_serves_and_no_note(served):
    served.standin.broken[IMAGE.format(7)] = "ImagePullBackOff"
    with pytest.raises(OutsideFailed, match="cannot pull the image of version 7"):
        served.offline().take_back(MODEL, served.take_back(8, 7, 3))
    assert served.target().observe(MODEL).version == 8
    assert remembered(served) == (8, 7, 3)
    assert served.offline().remember(MODEL).offline == ()


def test_what_has_another_seal_is_not_put_back(served):
    before = served.state()

    def refuse(model, carried):
        raise IntegrityFailed(f"{model} {carried.version} is not what was sealed")

    with pytest.raises(IntegrityFailed, match="churn 7 is not what was sealed"):
        served.offline(check_seal=refuse).take_back(MODEL, served.take_back(8, 7, 3))
    assert served.state() == before


def test_the_seal_is_that_of_the_version_before(served):
    seen = []
    offline = served.offline(check_seal=lambda model, carried: seen.append((model, carried)))
    offline.take_back(MODEL, served.take_back(8, 7, 3))
    [(model, carried)] = seen
    assert (model, carried.version, carried.seal) == (MODEL, 7, {"payload": "of 7"})
    assert carried.manifest == served.manifest(7)


def test_a_spoilt_memory_is_told(served):
    served.standin.change(
        ("deployments", "ml", NAME),
        lambda it: it["metadata"]["annotations"].update({annotations.PREVIOUS: "%"}),
    )
    with pytest.raises(IntegrityFailed) as told:
        served.offline().remember(MODEL)
    assert annotations.PREVIOUS in told.value.where


def test_the_canary_of_the_bad_version_goes_first(served):
    served.canary(9, 2)
    served.standin.requests.clear()
    served.offline().take_back(MODEL, served.take_back(8, 7, 3))
    methods = [
        method for method, target in served.standin.requests if method != "GET" and "dryRun" not in target
    ]
    assert methods[:2] == ["PATCH", "DELETE"]


def test_a_signal_ends_it_at_once_and_the_same_press_finishes(served):
    order = served.take_back(8, 7, 3)
    served.standin.frozen = True

    def terminate(_number, _frame):
        raise Terminated("terminated; nothing is lost")

    former = signal.signal(signal.SIGALRM, terminate)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(Terminated):
            served.offline().take_back(MODEL, order)
    finally:
        signal.signal(signal.SIGALRM, former)
    assert remembered(served) == (7, None, 3)
    assert served.target().observe(MODEL).version == 8
    served.standin.frozen = False
    served.standin.settle()
    served.offline().take_back(MODEL, order)
    assert served.target().observe(MODEL).version == 7
    assert served.offline().remember(MODEL).offline == (order,)
