"""Moves of one environment that meet: cut short and then another command, a process that slept, a version that fails on top
of one that was never finished, a person who decided on what has changed since.
"""

import dataclasses
import shutil

import pytest
from paper import FileTarget, commit, make_repository, on_paper
from test_killed_anywhere import drive, update_lock, walk

from mmcicd_jenkins.adapters.embedded_trial import EmbeddedTrial
from mmcicd_jenkins.errors import GateRefused, OutsideFailed, Superseded, UsageError
from mmcicd_jenkins.ports import GoldenResult
from mmcicd_jenkins.release import history
from mmcicd_jenkins.stages import deploy, moving, promote, rollback, run_stage
from mmcicd_jenkins.wiring import open_bench

GOLDEN = {"instances": [1]}


class Client:
    """`ports.ModelClient`: answers as expected, or not."""

    def __init__(self):
        self.wrong = False
        self.meanwhile = None

    def ask_golden(self, *_):
        if self.meanwhile:
            self.meanwhile()
        return GoldenResult(asked=1, matched_rest=int(not self.wrong), matched_grpc=1, seconds=(0.001,))


class Stubborn(FileTarget):
    """A server that cannot serve these versions."""

    def __init__(self, target, versions):
        super().__init__(target.path, target.store)
        self.versions = versions

    def switch(self, order):
        if order.version in self.versions:
            raise OutsideFailed(f"version {order.version} does not load")
        super().switch(order)


class Desk:
    """A repository with production at 1, staging at 3, and 2 and 3 released."""

    def __init__(self, base, bad=()):
        self.bench = open_bench(base / "repo")
        self.client = Client()
        self.target = FileTarget(self.bench.serving("production") / "target.json", self.bench.store)
        self.ports = on_paper(self.bench, client=self.client)
        if bad:
            self.ports.target = lambda _place: Stubborn(self.target, bad)
        self.job = self.bench.job("double", environment="production", reason="because")

    def pointer(self):
        return self.bench.ledger.snapshot("double").pointer("production")

    def agree(self):
        """What the ledger says and what serves."""
        return self.pointer().serving, self.target.observe("double").version

    def move(self, version, action="promote", **more):
        release = self.bench.ledger.release("double", version)
        order = moving.Move(environment="production", action=action, release=release, **more)
        return moving.move(order, self.job, self.ports, GOLDEN)

    def begin(self, version, action="promote"):
        """The first half of a move whose process then died, before or after the switch."""
        who = history.Who(actor="bob", at="2026-11-24T00:00:00+00:00", reason="mine")
        return self.bench.ledger.commit(
            "double", lambda s: history.begin(s, "production", action, version, who)
        ).pointer("production")

    def switch(self, pointer):
        release = self.bench.ledger.release("double", pointer.operation.target)
        self.target.switch(moving.switch_to(release, pointer, (), self.ports))


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    base = tmp_path_factory.mktemp("moves")
    make_repository(base / "repo")
    update_lock(base)
    commit(base / "repo", "begin")
    walk(base, "road", "promote", "0.90", "road", "0.95", "road")
    return base


@pytest.fixture
def base(template, tmp_path):
    shutil.copytree(template, tmp_path / "base", symlinks=True)
    return tmp_path / "base"


@pytest.fixture
def desk(base):
    return Desk(base)


def test_wrong_answers_put_back_what_the_ledger_says(desk):
    desk.client.wrong = True
    with pytest.raises(GateRefused):
        desk.move(2)
    assert desk.agree() == (1, 1)
    assert desk.pointer().operation.phase == "failed"


def test_a_failure_on_top_of_a_move_that_was_cut_short_puts_back_what_the_ledger_says(base):
    desk = Desk(base, bad={3})
    desk.switch(desk.begin(2))
    with pytest.raises(OutsideFailed, match="3 does not load"):
        desk.move(3)
    assert desk.agree() == (1, 1)


def test_it_is_told_when_what_served_before_cannot_be_put_back(base):
    desk = Desk(base, bad={1, 3})
    desk.switch(desk.begin(2))
    with pytest.raises(OutsideFailed, match="could not be put back"):
        desk.move(3)
    assert desk.pointer().operation.phase == "failed"
    assert "could not be put back" in desk.pointer().operation.reason


def test_a_process_that_slept_cannot_bring_about_what_another_one_saw_fail(desk):
    asleep = desk.begin(2)
    desk.client.wrong = True
    with pytest.raises(GateRefused):
        desk.move(2)
    with pytest.raises(Superseded):
        desk.switch(asleep)
    who = desk.job.who(desk.ports.clock)
    with pytest.raises(Superseded):
        desk.bench.ledger.commit("double", lambda s: history.finish(s, "production", asleep.epoch, who))
    assert desk.agree() == (1, 1)


def test_rollback_in_the_middle_of_a_promotion_wins(desk):
    desk.client.meanwhile = lambda: run_stage("rollback", desk.job, desk.ports)
    with pytest.raises(Superseded):
        desk.move(2)
    assert desk.agree() == (1, 1)
    assert desk.bench.ledger.snapshot("double").is_revoked(2)


def test_a_rollback_that_was_decided_before_another_decision_changes_nothing(desk):
    desk.move(2)
    seen = rollback.plan(desk.job, rollback.look(desk.job, desk.ports))
    desk.move(3)
    with pytest.raises(Superseded):
        rollback.apply(seen, desk.job, desk.ports)
    assert desk.agree() == (3, 3)


def test_a_deployment_that_slept_does_not_push_aside_a_newer_one(desk):
    job = desk.job.at("staging")
    seen = deploy.plan(job, deploy.look(job, desk.ports))
    assert not seen.environments
    pointer = desk.bench.ledger.snapshot("double").pointer("staging")
    asleep = dataclasses.replace(seen, environments=("staging",), epochs=(pointer.epoch - 1,))
    who = desk.job.who(desk.ports.clock)
    desk.bench.ledger.commit("double", lambda s: history.begin(s, "staging", "deploy", 2, who))
    with pytest.raises(Superseded):
        deploy.apply(asleep, job, desk.ports)


def test_a_promotion_decided_on_another_champion_changes_nothing(desk):
    half = desk.begin(2)
    seen = promote.plan(desk.job, promote.look(desk.job, desk.ports))
    assert (seen.serving, seen.version) == (1, 3)
    desk.switch(half)
    who = desk.job.who(desk.ports.clock)
    desk.bench.ledger.commit("double", lambda s: history.finish(s, "production", half.epoch, who))
    with pytest.raises(Superseded):
        promote.apply(seen, desk.job, desk.ports)
    assert desk.agree() == (2, 2)


@pytest.mark.parametrize("reason", ["", "   "])
def test_a_promotion_without_a_reason_is_refused(desk, reason):
    with pytest.raises(UsageError, match="reason"):
        run_stage("promote", dataclasses.replace(desk.job, reason=reason), desk.ports)
    assert desk.agree() == (1, 1)


def test_what_a_half_done_rollback_leaves_stays_revoked_when_another_version_is_promoted(desk):
    desk.move(2)
    run = desk.begin(1, "rollback")
    assert run.operation.source == 2
    desk.move(3)
    assert desk.bench.ledger.snapshot("double").is_revoked(2)
    choice = rollback.look(desk.job, desk.ports).choice
    assert choice.target == 1


def test_promoting_what_a_half_done_rollback_leaves_ends_the_rollback(desk):
    desk.move(2)
    desk.begin(1, "rollback")
    desk.move(2, "restore")
    assert not desk.bench.ledger.snapshot("double").is_revoked(2)
    assert desk.agree() == (2, 2)


def revoke(desk, version):
    """Staging takes the version back; production is not asked."""
    staging = desk.job.at("staging")
    desk.bench.ledger.commit(
        "double", lambda s: history.begin(s, "staging", "deploy", version, desk.job.who(desk.ports.clock))
    )
    half = desk.bench.ledger.snapshot("double").pointer("staging")
    desk.bench.ledger.commit(
        "double", lambda s: history.finish(s, "staging", half.epoch, desk.job.who(desk.ports.clock))
    )
    run_stage("rollback", staging, desk.ports)
    assert desk.bench.ledger.snapshot("double").is_revoked(version)


def test_a_version_that_staging_takes_back_in_the_middle_of_its_promotion_does_not_arrive(desk):
    desk.client.meanwhile = lambda: revoke(desk, 2)
    with pytest.raises(Superseded, match="2 was taken back while it was on its way to production"):
        desk.move(2)
    assert desk.agree() == (1, 1)
    assert desk.pointer().operation.phase == "failed"


@pytest.mark.parametrize("switched", [False, True])
def test_a_killed_promotion_of_a_version_that_was_taken_back_since_is_undone_by_the_same_command(
    desk, switched
):
    half = desk.begin(2)
    if switched:
        desk.switch(half)
    revoke(desk, 2)
    asked = dataclasses.replace(desk.job, version=2)
    with pytest.raises(Superseded, match="2 was taken back"):
        run_stage("promote", asked, desk.ports)
    assert desk.agree() == (1, 1)
    with pytest.raises(GateRefused):
        run_stage("promote", asked, desk.ports)


class Throwaway(FileTarget):
    """A server for `verify` that notes when it was stopped and what it found."""

    def __init__(self, folder, store, seen):
        super().__init__(folder / "target.json", store)
        self.folder, self.seen = folder, seen

    def stop(self):
        self.seen.append(("stop", self.folder.exists()))
        return True

    def switch(self, order):
        self.seen.append(("switch", (self.folder / "left").exists()))
        super().switch(order)


def test_verify_ends_what_a_killed_verify_left_running(base):
    commit(base / "repo", "once more", factor_txt="0.96")
    for step in ("train", "evaluate", "package"):
        assert drive(base, step).returncode == 0
    bench = open_bench(base / "repo")
    job = bench.job("double")
    image = run_stage("package", job, on_paper(bench)).detail["image"]
    left = bench.workspace.verification(image)
    left.mkdir(parents=True)
    (left / "left").touch()
    seen = []
    ports = on_paper(bench, client=Client())
    ports.throwaway = lambda folder, runnable: EmbeddedTrial(  # noqa: ARG005 - the port names it
        Throwaway(folder, bench.store, seen), folder, "paper"
    )
    run_stage("verify", job, ports)
    assert seen == [("stop", True), ("switch", False), ("stop", True)]
    assert not left.exists()
