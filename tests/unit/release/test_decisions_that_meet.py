"""Two decisions about one environment at once: what is left half done, revoked meanwhile, failed meanwhile, dated oddly."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from mmcicd_jenkins.errors import GateRefused, Inconclusive, IntegrityFailed, Superseded
from mmcicd_jenkins.release import history
from mmcicd_jenkins.release.documents import from_document
from mmcicd_jenkins.release.ledger import Head, Pointer, Snapshot, pointer_path
from mmcicd_jenkins.release.rollback import choose_rollback

START = datetime(2026, 11, 24, tzinfo=UTC)


def who(minutes=0, reason=""):
    return history.Who(actor="ada", at=(START + timedelta(minutes=minutes)).isoformat(), reason=reason)


def at(minutes):
    return START + timedelta(minutes=minutes)


def written(snapshot, change, environment="production"):
    if change is None:
        return snapshot
    pointers = dict(snapshot.pointers)
    document = change.files.get(pointer_path(environment))
    if document is not None:
        pointers[environment] = from_document(Pointer, document, "pointer")
    return Snapshot(head=change.head, pointers=pointers)


def begun(snapshot, action, target, minutes=0, environment="production", **more):
    change = history.begin(snapshot, environment, action, target, who(minutes), **more)
    return written(snapshot, change, environment)


def move(snapshot, action, target, minutes=0, environment="production", **more):
    snapshot = begun(snapshot, action, target, minutes, environment, **more)
    epoch = snapshot.pointer(environment).epoch
    return written(snapshot, history.finish(snapshot, environment, epoch, who(minutes)), environment)


def serving(*versions):
    snapshot = Snapshot(head=Head(model="churn", versions=9), pointers={})
    for minutes, version in enumerate(versions):
        snapshot = move(snapshot, "promote", version, minutes)
    return snapshot


def test_rolling_back_while_what_serves_is_being_restored_leaves_what_serves():
    snapshot = begun(serving(1, 2), "restore", 2, 60)
    choice = choose_rollback(snapshot, "production", None, at(61))
    assert (choice.leaves, choice.target) == (2, 1)


def test_naming_what_serves_ends_a_promotion_that_was_cut_short():
    snapshot = begun(serving(1, 2), "promote", 3, 60)
    choice = choose_rollback(snapshot, "production", 2, at(61))
    assert (choice.leaves, choice.target) == (3, 2)


def test_naming_what_a_half_done_rollback_leaves_is_no_silent_success():
    snapshot = begun(serving(1, 2), "rollback", 1, 60, leaves=2)
    with pytest.raises(Inconclusive, match="cut short"):
        choose_rollback(snapshot, "production", 2, at(61))


def test_a_rollback_never_brings_back_what_was_revoked_meanwhile():
    snapshot = serving(1, 2, 3)
    seen = choose_rollback(snapshot, "production", None, at(60))
    assert seen.target == 2
    snapshot = move(snapshot, "rollback", 2, 60, leaves=3)
    snapshot = move(snapshot, "rollback", 1, 80, leaves=2)
    with pytest.raises(GateRefused, match="taken back"):
        history.begin(snapshot, "production", "rollback", seen.target, who(81), leaves=seen.leaves)


def test_a_promotion_that_was_cut_short_is_not_resumed_when_its_version_was_revoked_elsewhere():
    snapshot = begun(serving(1), "promote", 2, 60)
    snapshot = move(snapshot, "deploy", 1, 61, "staging")
    snapshot = move(snapshot, "deploy", 2, 62, "staging")
    snapshot = move(snapshot, "rollback", 1, 63, "staging", leaves=2)
    assert history.begin(snapshot, "production", "promote", 2, who(64)) is None
    with pytest.raises(Superseded, match="taken back"):
        history.refuse_taken_back(snapshot, "production")
    with pytest.raises(Superseded, match="taken back"):
        history.finish(snapshot, "production", snapshot.pointer("production").epoch, who(65))


def test_what_failed_cannot_be_finished_by_a_process_that_slept():
    prepared = begun(serving(1), "promote", 2, 5)
    epoch = prepared.pointer("production").epoch
    failed = written(prepared, history.fail(prepared, "production", epoch, who(6, "no answer")))
    assert failed.pointer("production").epoch == epoch + 1
    for late in (history.finish, history.fail):
        with pytest.raises(Superseded):
            late(failed, "production", epoch, who(7))


def test_a_failure_is_seen_by_whoever_decided_while_it_was_under_way():
    prepared = begun(serving(1), "promote", 2, 5)
    seen = prepared.pointer("production").epoch
    failed = written(prepared, history.fail(prepared, "production", seen, who(6, "no answer")))
    with pytest.raises(Superseded):
        history.begin(failed, "production", "promote", 3, who(7), decided_on=seen)


@pytest.mark.parametrize("minutes", [-20, 20])
def test_a_clock_that_is_far_off_does_not_block_the_button(minutes):
    snapshot = move(serving(1, 2, 3), "rollback", 2, 60, leaves=3)
    assert choose_rollback(snapshot, "production", None, at(60 + minutes)).target == 1


def test_a_clock_that_is_a_little_behind_still_sees_the_second_press():
    snapshot = move(serving(1, 2, 3), "rollback", 2, 60, leaves=3)
    assert choose_rollback(snapshot, "production", None, at(59)).target is None


@pytest.mark.parametrize("ended", ["yesterday", "", "2026-11-24T01:00:00"])
def test_a_time_that_was_edited_by_hand_is_an_integrity_error(ended):
    snapshot = move(serving(1, 2, 3), "rollback", 2, 60, leaves=3)
    pointer = snapshot.pointer("production")
    operation = dataclasses.replace(pointer.operation, ended=ended)
    edited = dataclasses.replace(pointer, operation=operation)
    with pytest.raises(IntegrityFailed):
        choose_rollback(
            Snapshot(head=snapshot.head, pointers={"production": edited}), "production", None, at(61)
        )
