"""Operations on environments: begin, finish, fail, resume, supersede; what revoked means; where a rollback goes."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mmcicd_jenkins.errors import GateRefused, Inconclusive, InputError, Superseded
from mmcicd_jenkins.release import history
from mmcicd_jenkins.release.documents import from_document
from mmcicd_jenkins.release.ledger import Head, Pointer, Snapshot, manifest_path, pointer_path
from mmcicd_jenkins.release.rollback import choose_rollback
from mmcicd_jenkins.release.seal import manifest_digest

START = datetime(2026, 11, 24, tzinfo=UTC)


def who(minutes=0, reason=""):
    return history.Who(actor="ada", at=(START + timedelta(minutes=minutes)).isoformat(), reason=reason)


def written(snapshot, change, environment="production"):
    """The snapshot after a change, as the adapter would read it back."""
    if change is None:
        return snapshot
    pointers = dict(snapshot.pointers)
    document = change.files.get(pointer_path(environment))
    if document is not None:
        pointers[environment] = from_document(Pointer, document, "pointer")
    return Snapshot(head=change.head, pointers=pointers)


def move(snapshot, action, target, minutes=0, **more):
    snapshot = written(snapshot, history.begin(snapshot, "production", action, target, who(minutes), **more))
    epoch = snapshot.pointer("production").epoch
    return written(snapshot, history.finish(snapshot, "production", epoch, who(minutes)))


def empty():
    return Snapshot(head=Head(model="churn", versions=3), pointers={})


def serving(*versions):
    snapshot = empty()
    for minutes, version in enumerate(versions):
        snapshot = move(snapshot, "promote", version, minutes)
    return snapshot


def test_versions_are_never_given_twice():
    snapshot = empty()
    change, first = history.reserve(snapshot, "sha256:" + "a" * 64, who())
    _, second = history.reserve(Snapshot(head=change.head, pointers={}), "sha256:" + "b" * 64, who())
    assert (first, second) == (4, 5)


def test_a_prepared_operation_changes_nothing_that_serves():
    snapshot = serving(1)
    prepared = written(snapshot, history.begin(snapshot, "production", "promote", 2, who(5)))
    assert prepared.pointer("production").serving == 1
    assert prepared.pointer("production").epoch == snapshot.pointer("production").epoch + 1


def test_the_same_command_resumes_what_was_cut_short():
    snapshot = serving(1)
    prepared = written(snapshot, history.begin(snapshot, "production", "promote", 2, who(5)))
    assert history.begin(prepared, "production", "promote", 2, who(9)) is None
    epoch = prepared.pointer("production").epoch
    done = written(prepared, history.finish(prepared, "production", epoch, who(9)))
    assert done.pointer("production").serving == 2
    assert history.finish(done, "production", epoch, who(10)) is None


def test_a_newer_decision_ends_the_older_one():
    snapshot = serving(1)
    old = written(snapshot, history.begin(snapshot, "production", "promote", 2, who(5)))
    old_epoch = old.pointer("production").epoch
    new = written(old, history.begin(old, "production", "promote", 3, who(6)))
    for late in (history.finish, history.fail):
        with pytest.raises(Superseded):
            late(new, "production", old_epoch, who(7))


def test_a_decision_on_an_old_epoch_is_superseded():
    snapshot = serving(1)
    seen = snapshot.pointer("production").epoch
    snapshot = move(snapshot, "promote", 2, 3)
    with pytest.raises(Superseded, match="newer decision"):
        history.begin(snapshot, "production", "promote", 3, who(4), decided_on=seen)


def test_a_failed_operation_keeps_what_serves():
    snapshot = serving(1)
    prepared = written(snapshot, history.begin(snapshot, "production", "promote", 2, who(5)))
    epoch = prepared.pointer("production").epoch
    failed = written(prepared, history.fail(prepared, "production", epoch, who(6, "did not load")))
    pointer = failed.pointer("production")
    assert (pointer.serving, pointer.operation.phase) == (1, "failed")
    assert not failed.is_revoked(2)


def test_rollback_goes_to_the_last_healthy_release_and_revokes_what_it_leaves():
    snapshot = serving(1, 2)
    choice = choose_rollback(snapshot, "production", None, START + timedelta(hours=1))
    assert (choice.leaves, choice.target) == (2, 1)
    snapshot = move(snapshot, "rollback", 1, 60, leaves=2)
    assert snapshot.pointer("production").serving == 1
    assert snapshot.is_revoked(2)
    with pytest.raises(GateRefused, match="taken back"):
        history.begin(snapshot, "production", "promote", 2, who(61))


def test_a_second_press_within_ten_minutes_does_nothing():
    snapshot = move(serving(1, 2, 3), "rollback", 2, 60, leaves=3)
    choice = choose_rollback(snapshot, "production", None, START + timedelta(minutes=69))
    assert choice.target is None
    assert "already rolled back" in choice.reason
    later = choose_rollback(snapshot, "production", None, START + timedelta(minutes=71))
    assert (later.leaves, later.target) == (2, 1)
    named = choose_rollback(snapshot, "production", 1, START + timedelta(minutes=61))
    assert named.target == 1


def test_rollback_during_a_promotion_ends_it():
    snapshot = serving(1)
    snapshot = written(snapshot, history.begin(snapshot, "production", "promote", 2, who(5)))
    choice = choose_rollback(snapshot, "production", None, START + timedelta(minutes=6))
    assert (choice.leaves, choice.target) == (2, 1)
    after = move(snapshot, "rollback", 1, 6, leaves=2)
    assert after.pointer("production").serving == 1
    assert after.is_revoked(2)


def test_a_killed_rollback_is_finished_by_the_same_press():
    snapshot = serving(1, 2)
    snapshot = written(snapshot, history.begin(snapshot, "production", "rollback", 1, who(60), leaves=2))
    choice = choose_rollback(snapshot, "production", None, START + timedelta(minutes=61))
    assert (choice.leaves, choice.target) == (2, 1)
    assert history.begin(snapshot, "production", "rollback", 1, who(61), leaves=2) is None


def test_nothing_healthy_to_go_back_to_asks_a_person():
    with pytest.raises(Inconclusive):
        choose_rollback(serving(1), "production", None, START)
    with pytest.raises(Inconclusive):
        choose_rollback(empty(), "production", None, START)


def test_a_named_version_must_have_served_and_be_healthy():
    snapshot = move(serving(1, 2), "rollback", 1, 60, leaves=2)
    for version in (2, 3):
        with pytest.raises(InputError):
            choose_rollback(snapshot, "production", version, START + timedelta(hours=2))
    assert choose_rollback(snapshot, "production", 1, START + timedelta(hours=2)).target is None


def test_only_a_person_ends_a_freeze():
    snapshot = serving(1, 2, 3)
    snapshot = written(snapshot, history.freeze(snapshot, "production", who(5, "again")))
    automatic = history.begin(snapshot, "production", "rollback", 2, who(6), leaves=3, automatic=True)
    assert written(snapshot, automatic).pointer("production").frozen
    by_hand = history.begin(snapshot, "production", "promote", 1, who(6))
    assert not written(snapshot, by_hand).pointer("production").frozen


class Environments(RuleBasedStateMachine):
    """Any order of decisions, deaths and late finishers."""

    def __init__(self):
        super().__init__()
        self.snapshot = serving(1)
        self.minutes = 100
        self.epochs = []

    def now(self):
        self.minutes += 7
        return START + timedelta(minutes=self.minutes)

    @rule(action=st.sampled_from(["promote", "deploy"]), version=st.integers(1, 6))
    def start(self, action, version):
        self.now()
        try:
            change = history.begin(self.snapshot, "production", action, version, who(self.minutes))
        except GateRefused:
            assert self.snapshot.is_revoked(version)
            return
        self.snapshot = written(self.snapshot, change)
        self.epochs.append(self.snapshot.pointer("production").epoch)

    @rule()
    def press_rollback(self):
        now = self.now()
        try:
            choice = choose_rollback(self.snapshot, "production", None, now)
        except Inconclusive:
            return
        if choice.target is not None:
            change = history.begin(
                self.snapshot,
                "production",
                "rollback",
                choice.target,
                who(self.minutes),
                leaves=choice.leaves,
            )
            self.snapshot = written(self.snapshot, change)
            self.epochs.append(self.snapshot.pointer("production").epoch)

    @precondition(lambda self: self.epochs)
    @rule(data=st.data(), ending=st.sampled_from([history.finish, history.fail]))
    def end(self, data, ending):
        self.now()
        epoch = data.draw(st.sampled_from(self.epochs))
        current = self.snapshot.pointer("production").epoch
        try:
            self.snapshot = written(
                self.snapshot, ending(self.snapshot, "production", epoch, who(self.minutes))
            )
        except Superseded:
            assert epoch != current

    @invariant()
    def something_healthy_serves(self):
        pointer = self.snapshot.pointer("production")
        assert pointer.serving is not None
        assert not self.snapshot.is_revoked(pointer.serving)
        assert pointer.served[-1].version == pointer.serving
        assert [s.version for s in pointer.served if not s.until] == [pointer.serving]


Environments.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestEnvironments = Environments.TestCase


MANIFEST = ({"kind": "Deployment", "metadata": {"name": "churn-stable"}},)
DIGEST = manifest_digest(MANIFEST)


def test_what_is_applied_is_written_with_the_intent_and_stays_with_the_stretch():
    change = history.begin(empty(), "production", "promote", 1, who(), manifest=DIGEST, documents=MANIFEST)
    assert change.files[manifest_path(DIGEST)] == {"documents": list(MANIFEST)}
    assert change.detail["manifest"] == DIGEST
    begun = written(empty(), change)
    assert begun.pointer("production").operation.manifest == DIGEST
    done = written(begun, history.finish(begun, "production", 1, who(1)))
    assert done.pointer("production").manifest_of(1) == DIGEST
    later = move(done, "promote", 2, 5, manifest="sha256:" + "2" * 64)
    assert later.pointer("production").manifest_of(1) == DIGEST
    assert later.pointer("production").manifest_of(3) == ""


def test_other_settings_are_another_operation_and_the_stretch_goes_on():
    snapshot = move(empty(), "promote", 1, manifest=DIGEST)
    assert history.begin(snapshot, "production", "promote", 1, who(1), manifest=DIGEST) is None
    other = "sha256:" + "a" * 64
    again = move(snapshot, "promote", 1, 5, manifest=other)
    (stretch,) = again.pointer("production").served
    assert (stretch.since, stretch.until, stretch.manifest) == (who().at, "", other)


def test_what_was_revoked_on_its_way_is_undone_whatever_its_settings_are_by_now():
    snapshot = serving(1)
    begun = written(snapshot, history.begin(snapshot, "production", "promote", 2, who(5), manifest=DIGEST))
    head = dataclasses.replace(begun.head, revoked={"2": "bad in staging"})
    revoked = Snapshot(head=head, pointers=begun.pointers)
    other = "sha256:" + "a" * 64
    assert history.begin(revoked, "production", "promote", 2, who(6), manifest=other) is None
