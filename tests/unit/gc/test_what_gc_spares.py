"""gc never takes what an environment, a rule or a neighbour needs, whatever happened before; and ends in one turn."""

import contextlib
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from kept_things import DAY, NOW, MemoryKeeper, MemoryLedger, digest, facts_of, holdings_of, iso, who

from mmcicd_jenkins.errors import GateRefused, Inconclusive, InputError, Superseded
from mmcicd_jenkins.ports.upkeep import Held
from mmcicd_jenkins.release import history
from mmcicd_jenkins.release.collecting import collect
from mmcicd_jenkins.release.rollback import choose_rollback
from mmcicd_jenkins.stages import gc
from mmcicd_jenkins.stages.gc_needs import Rules

PLACES = ("staging", "production")
ONLY = frozenset({"m"})
FOREIGN = (
    Held(
        place="",
        digest=digest("theirs"),
        size=5,
        tags=("m-1000000", "theirs"),
        kind="application/x",
        touched=1.0,
    ),
    Held(place="", digest=digest("unread"), size=5, tags=("m-7",), touched=1.0),
    Held(
        place="", digest=digest("cosign"), size=5, tags=("sha256-0.sig",), kind="application/x", touched=1.0
    ),
)

steps = st.lists(
    st.tuples(
        st.sampled_from(["release", "promote", "start", "fail", "rollback", "collect"]),
        st.sampled_from(PLACES),
        st.integers(1, 12),
        st.integers(0, 40),
    ),
    max_size=40,
)
rules = st.builds(
    Rules,
    releases=st.none() | st.integers(1, 4),
    runs=st.sampled_from([DAY, 30 * DAY]),
    branches=st.just(7 * DAY),
    minimum=st.sampled_from([DAY, 20 * DAY]),
)


def world_after(story):
    """The ledger after a story that people and machines may have written, impossible steps left out."""
    ledger, now = MemoryLedger(), NOW - 400 * DAY
    for what, place, version, days in story:
        now += days * DAY
        with contextlib.suppress(GateRefused, InputError, Inconclusive, Superseded):
            one_step(ledger, what, place, version, now)
    return ledger, max(now, NOW)


def one_step(ledger, what, place, version, now):
    if what == "release":
        ledger.add_release(now)
    elif what == "rollback":
        choice = choose_rollback(ledger.now, place, None, datetime.fromtimestamp(now, UTC))
        if choice.target is not None:
            ledger.move(place, "rollback", choice.target, now, leaves=choice.leaves)
    elif what == "fail":
        epoch = ledger.now.pointer(place).epoch
        ledger.commit("m", lambda s: history.fail(s, place, epoch, who(now, "broken")))
    elif version in ledger.releases:
        if what == "collect":
            ledger.commit("m", lambda s: collect(s, {version: "by hand"}, who(now)))
        else:
            ledger.move(place, "promote", version, now, done=what == "promote")


def store_of(ledger):
    return [held for release in ledger.releases.values() for held in holdings_of(release)]


def needs_of(ledger):
    """Versions that somebody may send traffic to without gc being asked."""
    needs = set()
    for pointer in ledger.now.pointers.values():
        needs.add(pointer.serving)
        if pointer.operation and pointer.operation.phase == "prepared":
            needs |= {pointer.operation.target, pointer.operation.source}
    return needs - {None}


@settings(max_examples=150, deadline=None)
@given(steps, rules)
def test_nothing_that_is_needed_goes(story, chosen):
    ledger, now = world_after(story)
    held = [*store_of(ledger), *FOREIGN]
    keeper = MemoryKeeper(held)
    before = {place: ways_back(ledger, place, now) for place in PLACES}

    made = gc.settle(
        lambda: gc.plan(facts_of(ledger, held=keeper.held, now=now), chosen, ONLY), ledger, Clock(now), "ada"
    )
    gc.apply(made, keeper)

    left = {each.digest for each in keeper.held}
    for version in needs_of(ledger):
        release = ledger.releases[version]
        assert {each.digest for each in holdings_of(release)} <= left, version
        assert version not in made.collect.get("m", {})
    assert {each.digest for each in FOREIGN} <= left
    assert {place: ways_back(ledger, place, now) for place in PLACES} == before
    for each in made.remove:
        assert each.held.touched is not None
        assert now - each.held.touched > chosen.minimum
    if chosen.releases is None:
        assert set(made.collect.get("m", {})) <= {int(v) for v in ledger.now.head.collected}
    again = gc.plan(facts_of(ledger, held=keeper.held, now=now), chosen, ONLY)
    assert again.remove == ()


def ways_back(ledger, place, now):
    """Where the button goes."""
    try:
        return choose_rollback(ledger.now, place, None, datetime.fromtimestamp(now + DAY, UTC)).target
    except Inconclusive:
        return None


class Clock:
    def __init__(self, now):
        self._now = now

    def now(self):
        return datetime.fromtimestamp(self._now, UTC)

    def sleep(self, seconds):
        raise AssertionError(seconds)


@settings(max_examples=60, deadline=None)
@given(steps, st.integers(1, 12), st.sampled_from(PLACES))
def test_of_a_promotion_and_a_collection_one_wins(story, version, place):
    """The promotion comes between the plan and its record: the version serves and keeps all that it needs."""
    ledger, now = world_after(story)
    chosen = Rules(releases=1, runs=DAY, branches=DAY, minimum=DAY)
    keeper = MemoryKeeper(store_of(ledger))

    def promote():
        if version in ledger.releases:
            with contextlib.suppress(GateRefused, InputError, Superseded):
                ledger.move(place, "promote", version, now)

    ledger.before_commit = promote
    made = gc.settle(
        lambda: gc.plan(facts_of(ledger, held=keeper.held, now=now), chosen, ONLY), ledger, Clock(now), "ada"
    )
    gc.apply(made, keeper)
    serving = ledger.now.pointer(place).serving
    if serving is not None:
        left = {each.digest for each in keeper.held}
        assert {each.digest for each in holdings_of(ledger.releases[serving])} <= left


def test_a_collected_version_is_refused_with_date_and_rule():
    ledger = MemoryLedger()
    for _ in range(3):
        ledger.move("production", "promote", ledger.add_release(NOW - 90 * DAY), NOW - 90 * DAY)
    keeper = MemoryKeeper(store_of(ledger))
    chosen = Rules(releases=1, runs=DAY, branches=DAY, minimum=DAY)
    made = gc.settle(
        lambda: gc.plan(facts_of(ledger, held=keeper.held), chosen, ONLY), ledger, Clock(NOW), "ada"
    )
    assert made.collect == {"m": {1: "released 2026-08-03, retention.releases: 1"}}
    for action in ("promote", "deploy", "rollback"):
        try:
            ledger.move("production", action, 1, NOW)
        except InputError as e:
            assert "no longer kept" in e.what
            assert "retention.releases: 1" in e.why
            assert iso(NOW) in e.why
        else:
            raise AssertionError(action)
    event = ledger.told[-1]
    assert (event.kind, event.detail["versions"]) == ("collected", [1])
