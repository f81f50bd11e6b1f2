"""Each rule of `retention` by an example: what it takes, and what stands in its way."""

import dataclasses

import pytest
from kept_things import (
    DAY,
    NOW,
    MemoryLedger,
    copy_of,
    digest,
    facts_of,
    holdings_of,
    release_of,
    run_of,
    touched_at,
)

from mmcicd_jenkins.image.descriptor import INDEX
from mmcicd_jenkins.ports.upkeep import Held
from mmcicd_jenkins.release import history
from mmcicd_jenkins.stages import gc
from mmcicd_jenkins.stages.gc_needs import Rules
from mmcicd_jenkins.stages.verify_with import joined_tag

RULES = Rules(releases=None, runs=30 * DAY, branches=7 * DAY, minimum=DAY)
OLD = NOW - 100 * DAY


def removed(held, ledger=None, *, rules=RULES, only="m", locked=()):
    facts = facts_of(ledger or MemoryLedger(), held=held, locked=locked)
    return {(each.what, each.held.digest) for each in gc.plan(facts, rules, frozenset({only})).remove}


def a_run(name, days, **more):
    return run_of("m", digest(name), digest(name, "model"), NOW - days * DAY, **more)


@pytest.mark.parametrize(("prefix", "days", "goes"), [
    ("run-", 29, False), ("run-", 31, True), ("branch-run-", 6, False), ("branch-run-", 8, True),
])  # fmt: skip
def test_runs_go_by_their_age(prefix, days, goes):
    run, newest = a_run("old", days, prefix=prefix), a_run("newest", 0)
    assert removed([run, newest]) == ({("run", run.digest)} if goes else set())


def test_the_newest_run_stays_however_old_it_is():
    older, newest = a_run("older", 200), a_run("newest", 100)
    branch = a_run("branch", 90, prefix="branch-run-")
    assert removed([older, newest, branch]) == {("run", older.digest), ("run", branch.digest)}


def test_a_run_that_was_stored_again_is_young():
    run = a_run("again", 90, touched=NOW - 3600)
    assert removed([run, a_run("newest", 0)]) == set()


def test_an_attempt_stays_as_long_as_a_later_one_does():
    first, third = a_run("first", 90), a_run("third", 5, attempt=2)
    other = a_run("other", 90, parameters={"epochs": 1})
    assert removed([first, third, other]) == {("run", other.digest)}


def test_a_run_goes_with_its_evaluations_and_others_keep_theirs():
    ledger = MemoryLedger()
    shared = digest("the same bytes")
    runs = [a_run("old", 90), a_run("new", 1), run_of("m", digest("twin"), shared, OLD), run_of("elses", digest("x"), shared, OLD)]  # fmt: skip
    made = [release_of("m", 1, OLD), release_of("m", 2, OLD)]
    evaluations = [
        touched_at(dataclasses.replace(
            holdings_of(each)[3], document={"evaluation": each.evaluation, "model_digest": of}), None)
        for each, of in zip(made, (digest("old", "model"), shared), strict=True)
    ]  # fmt: skip
    orphan = dataclasses.replace(
        evaluations[0], digest=digest("orphan"), document={"model_digest": digest("nobody")}
    )
    gone = removed([*runs, *evaluations, orphan], ledger)
    assert gone == {("run", runs[0].digest), ("run", runs[2].digest), ("evaluation", evaluations[0].digest)}


def test_a_release_takes_everything_of_its_own_along():
    ledger = MemoryLedger()
    held = []
    for version in (1, 2, 3):
        ledger.add_release(OLD + version * DAY)
        held.append(holdings_of(ledger.releases[version]))
    keep = dataclasses.replace(RULES, releases=2)
    everything_held = [each for things in held for each in things]
    everything = {each.digest for each in held[0]}
    assert {d for _, d in removed(everything_held, ledger, rules=keep)} == everything
    ledger.move("staging", "deploy", 1, OLD + 10 * DAY)
    assert removed(everything_held, ledger, rules=keep) == set()


def test_data_that_another_release_or_the_lock_names_stay():
    ledger = MemoryLedger()
    for version in (1, 2):
        ledger.add_release(OLD + version * DAY)
    shared = ledger.releases[2].data["numbers"]
    ledger.releases[1] = dataclasses.replace(
        ledger.releases[1], data={"numbers": shared, "more": digest("more")}
    )
    copies = [
        copy_of(shared, "m", OLD),
        copy_of(digest("more"), "m", OLD),
        copy_of(digest("locked"), "m", OLD),
    ]
    others = copy_of(digest("others"), "elses", OLD)
    keep = dataclasses.replace(RULES, releases=1)
    gone = removed([*copies, others], ledger, rules=keep, locked=[digest("locked")])
    assert gone == {("copy of data", copies[1].digest)}


def test_an_image_that_never_became_a_release_goes_by_the_age_of_its_run():
    ledger = MemoryLedger()
    made = release_of("m", 1, OLD)
    ledger.commit("m", lambda s: history.reserve(s, made.run_id, history.Who(actor="a", at=made.created))[0])
    image = holdings_of(made)[0]
    assert removed([image], ledger) == {("image", image.digest)}
    assert removed([touched_at(image, NOW)], ledger) == set(), "packaged again today"
    assert removed([dataclasses.replace(image, notes={})], ledger) == set(), "somebody else's, under our name"
    beyond = dataclasses.replace(image, tags=("m-2",))
    assert removed([beyond], ledger) == set(), "a version that this ledger does not know"


def test_what_was_seen_on_further_serving_versions_goes_with_the_image():
    ledger = MemoryLedger()
    for version in (1, 2):
        ledger.add_release(OLD + version * DAY)
    held, tried = [], []
    for release in ledger.releases.values():
        image, _, _, _, seen, _ = holdings_of(release)
        tag = joined_tag(release.image_digest, digest(release.version, "joined"))
        tried.append(dataclasses.replace(seen, digest=digest(release.version, "tried"), tags=(tag,)))
        held += [image, tried[-1]]
    gone = removed(held, ledger, rules=dataclasses.replace(RULES, releases=1))
    assert gone == {("image", held[0].digest), ("verification", tried[0].digest)}


def test_a_tag_that_was_moved_to_a_foreign_image_is_left():
    ledger = MemoryLedger()
    for _ in range(2):
        ledger.add_release(OLD)
    foreign = Held(place="", digest=digest("foreign"), size=1, tags=("m-1",), kind=INDEX, touched=OLD)
    assert removed([foreign], ledger, rules=dataclasses.replace(RULES, releases=1)) == set()


def test_other_models_are_not_touched_and_still_counted_as_needing():
    one, two = MemoryLedger("m"), MemoryLedger("other")
    held = []
    for ledger in (one, two):
        for _ in range(2):
            ledger.add_release(OLD)
        held += [*holdings_of(ledger.releases[1]), run_of(ledger.model, digest(ledger.model), "newest", NOW)]
    facts = facts_of(one, two, held=held)
    made = gc.plan(facts, dataclasses.replace(RULES, releases=1), frozenset({"other"}))
    assert {each.model for each in made.remove} == {"other"}
    assert made.collect.keys() == {"other"}
    assert made.kept == {
        "image": 1,
        "attachment": 1,
        "run": 3,
        "evaluation": 1,
        "verification": 1,
        "copy of data": 1,
    }


def test_bytes_that_stay_for_others_are_not_counted_as_freed():
    ledger = MemoryLedger()
    for _ in range(2):
        ledger.add_release(OLD)
    held = [holdings_of(ledger.releases[v])[0] for v in (1, 2)]
    base = {"sha256:base": 10_000}
    held = [dataclasses.replace(each, blobs={**each.blobs, **base}) for each in held]
    made = gc.plan(facts_of(ledger, held=held), dataclasses.replace(RULES, releases=1), frozenset({"m"}))
    assert made.size == 100 + 10


def test_in_a_registry_ages_come_from_what_was_written_down():
    """Registries tell no times: what says none itself counts as young, unless what it belongs to is old."""
    ledger = MemoryLedger()
    for _ in range(2):
        ledger.add_release(OLD)
    held = [touched_at(each, None) for each in holdings_of(ledger.releases[1], place="m", ops="mmcicd.ops")]
    everything = {each.digest for each in held}
    newest = run_of("m", digest("newest"), "newest", NOW, place="mmcicd.ops")
    keep = dataclasses.replace(RULES, releases=1)
    assert {d for _, d in removed([*held, newest], ledger, rules=keep)} == everything
    copy = dataclasses.replace(held[-1], document={"digest": ledger.releases[1].data["numbers"]})
    assert removed([copy], ledger, rules=keep) == set()


def test_a_plan_spares_more_with_an_age():
    ledger = MemoryLedger()
    for _ in range(2):
        ledger.add_release(OLD)
    held = holdings_of(ledger.releases[1])
    assert removed(held, ledger, rules=Rules(releases=1, runs=DAY, branches=DAY, minimum=101 * DAY)) == set()
