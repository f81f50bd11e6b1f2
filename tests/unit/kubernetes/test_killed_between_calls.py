"""Killed after any call to a cluster, which is before the next one: the same order again ends in the state of an undisturbed run.

We look at: a first version, the next one, one with an autoscaler, one that does not come, a rollback beside a canary,
one without the ledger, and a withdrawal; and at a newer order that comes over any such remains.
"""

import copy

import pytest
from cluster_paper import MODEL, Killed, Mortal, place

from mmcicd_jenkins.adapters.kubernetes import annotations
from mmcicd_jenkins.errors import OutsideFailed

AUTO = {"autoscale": {"max": 9, "cpu": "70%"}}


def first(paper, api):
    paper.target(api).switch(paper.order(7, 3))


def forward(paper, api):
    paper.target(api).switch(paper.order(8, 3))


def scaled(paper, api):
    paper.target(api).switch(paper.order(8, 3, **AUTO))


def failing(paper, api):
    with pytest.raises(OutsideFailed, match="dies whenever it loads version 8"):
        paper.target(api).switch(paper.order(8, 3, good=False))


def back(paper, api):
    paper.target(api).switch(paper.order(6, 3, takes_back=True))


def offline(paper, api):
    paper.offline(api).take_back(MODEL, paper.take_back(7, 6, 3))


def withdraw(paper, api):
    paper.target(api).withdraw(MODEL, 3)


def nothing(_paper):
    pass


def two(paper):
    paper.switch(6, 1)
    paper.switch(7, 2)


def two_and_canary(paper):
    two(paper)
    paper.canary(8, 2)


ROADS = {
    "first": (nothing, first),
    "forward": (two, forward),
    "scaled": (two, scaled),
    "failing": (two, failing),
    "back": (two_and_canary, back),
    "offline": (two_and_canary, offline),
    "withdraw": (two_and_canary, withdraw),
}
# More calls than any of them makes.
MOST = 80


@pytest.fixture
def paper(tmp_path):
    with place(tmp_path) as found:
        yield found


def undisturbed(paper, before, act):
    """The objects before, how many calls the act makes, and the state that it leaves."""
    before(paper)
    objects = copy.deepcopy(paper.standin.objects)
    api = Mortal(paper.api, MOST)
    act(paper, api)
    return objects, api.made, paper.state()


@pytest.mark.parametrize(("before", "act"), ROADS.values(), ids=ROADS)
def test_the_same_order_again_ends_as_if_nothing_had_happened(paper, before, act):
    objects, count, state = undisturbed(paper, before, act)
    for nth in range(1, count + 1):
        paper.again(objects)
        with pytest.raises(Killed):
            act(paper, Mortal(paper.api, nth))
        act(paper, paper.api)
        assert paper.state() == state, f"killed after call {nth}"


@pytest.mark.parametrize(("before", "act"), ROADS.values(), ids=ROADS)
def test_a_newer_order_ends_as_if_there_were_no_remains(paper, before, act):
    objects, count, _ = undisturbed(paper, before, act)
    for nth in range(1, count + 1, 5):
        paper.again(objects)
        with pytest.raises(Killed):
            act(paper, Mortal(paper.api, nth))
        cut = annotations.read(paper.object("Deployment", "churn-stable"))
        paper.switch(9, 5)
        assert paper.target().observe(MODEL).version == 9
        assert paper.object("Deployment", "churn-canary") is None
        standing = annotations.read(paper.object("Deployment", "churn-stable"))
        # A version that never served alone is no way back.
        healthy = {6, 7, cut.told.version if cut.told and cut.settled else None}
        assert standing.way_back is None or standing.way_back.version in healthy
