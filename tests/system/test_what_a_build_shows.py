"""What a build shows and asks: sentences, choices, who may answer, and a rollback when no ledger answers.

The stages, the store, the ledger and git are real; servers are files (see paper.py).
"""

import dataclasses
import json
import os
import shutil

import pytest
from paper import MODEL, commit, make_repository, on_paper
from test_killed_anywhere import drive, update_lock
from test_moves_that_meet import Client

from mmcicd_jenkins.cli.summary import LONGEST, Summary, one_line
from mmcicd_jenkins.errors import (
    GateRefused,
    Inconclusive,
    InputError,
    IntegrityFailed,
    OutsideFailed,
    Superseded,
    Terminated,
    UsageError,
)
from mmcicd_jenkins.ports.offline import Remembered
from mmcicd_jenkins.stages import asking, promote, rollback_offline, run_stage
from mmcicd_jenkins.stages.standing import standing, still_serving
from mmcicd_jenkins.wiring import open_bench

APPROVAL = """
environments:
  staging: {}
  production: {approval: {by: [ml-approvers], four_eyes: true}}
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """1 serves in production; 2 (0.75) and 3 (0.95) were in staging."""
    base = tmp_path_factory.mktemp("shown")
    make_repository(base / "repo")
    update_lock(base)
    commit(base / "repo", "begin")
    for step in ("road", "promote", "0.75", "road", "0.95", "road"):
        if step.startswith("0"):
            commit(base / "repo", step, factor_txt=step)
        else:
            done = drive(base, step)
            assert done.returncode == 0, done.stderr
    with (base / "repo/mmcicd.yaml").open("a") as file:
        file.write(APPROVAL)
    commit(base / "repo", "who approves")
    return base


@pytest.fixture
def base(template, tmp_path):
    shutil.copytree(template, tmp_path / "base", symlinks=True)
    return tmp_path / "base"


def opened(base, environment="production", **changes):
    bench = open_bench(base / "repo", variables={**os.environ, "MMCICD_ACTOR": "carol"})
    job = bench.job("double", environment=environment, reason=changes.pop("reason", "because"))
    return bench, dataclasses.replace(job, **changes), on_paper(bench, client=Client())


def asked(base, **changes):
    _, job, ports = opened(base, **changes)
    return asking.plan(job, asking.look(job, ports))


def test_a_person_chooses_among_what_served_before_production_newest_first(base):
    plan = asked(base)
    assert plan.versions == (3, 2)
    assert plan.choices[0].startswith("3 | accuracy 0.950 (+0.150) | commit ")
    assert plan.choices[0].endswith(" in staging")
    assert plan.choices[-1] == "none | keep 1 and record why"
    assert plan.message.startswith("double to production. Serving now: 1 since ")
    assert plan.message.endswith("accuracy 0.800. Report and diff: Artifacts.")


def test_the_version_that_was_named_is_the_first_choice(base):
    assert asked(base, version=2).versions == (2, 3)


def test_a_version_that_may_not_be_promoted_is_told_when_it_was_named_and_left_out_else(base):
    _, job, ports = opened(base, version=3, answered=True)
    run_stage("promote", job, ports)
    with pytest.raises(GateRefused, match="worse than 3"):
        asked(base, version=2)
    with pytest.raises(InputError, match="no release 9"):
        asked(base, version=9)
    plan = asked(base)
    assert (plan.choices, plan.serving) == ((), 3)


def test_jenkins_knows_who_is_in_a_group_and_we_do_not(base):
    _, job, ports = opened(base, version=3)
    with pytest.raises(Inconclusive, match="carol may not approve"):
        promote.plan(job, promote.look(job, ports))
    answered = dataclasses.replace(job, answered=True)
    assert promote.plan(answered, promote.look(answered, ports)).version == 3


@pytest.mark.parametrize("requester", ["carol", "CAROL"])
def test_who_asked_may_not_approve_though_jenkins_let_them_answer(base, requester):
    _, job, ports = opened(base, version=3, answered=True, requesters=("dave", requester))
    with pytest.raises(Inconclusive) as refused:
        promote.plan(job, promote.look(job, ports))
    assert refused.value.what == (
        "You started this promotion; another member of ml-approvers must approve. Nothing changed"
    )


def test_to_keep_what_serves_is_a_decision_with_a_reason(base):
    bench, job, ports = opened(base, version=None, reason="after the holidays")
    outcome = asking.keep(job, ports)
    assert outcome.sentence == "production keeps 1, decided by carol: after the holidays"
    event = next(bench.ledger.events("double"))
    assert (event.kind, event.actor, event.detail["reason"]) == ("declined", "carol", "after the holidays")
    with pytest.raises(UsageError):
        asking.keep(dataclasses.replace(job, reason=" "), ports)


@pytest.mark.parametrize(("line", "version"), [("8 | recall 0.8 | commit e81d03a", 8), ("8", 8), ("none | keep 7", None)])  # fmt: skip
def test_a_chosen_line_begins_with_its_version(line, version):
    assert asking.chosen(line) == version


@pytest.mark.parametrize("line", ["", "--help", "8; evil", "eight", "\u0668", "nonesuch"])
def test_a_line_that_is_none_of_ours_is_refused(line):
    with pytest.raises(UsageError):
        asking.chosen(line)


def test_an_unchanged_commit_is_told_from_one_that_must_be_trained(base):
    _, job, ports = opened(base)
    known = standing(job, ports)
    assert (known.trained, known.version, known.served) == (True, 3, True)
    assert still_serving(job, ports) == "staging serves 3, production serves 1"
    commit(base / "repo", "another", factor_txt="0.96")
    _, job, ports = opened(base)
    assert not standing(job, ports).trained


def test_a_ledger_that_does_not_answer_stops_no_training(base):
    class Silent:
        def version_of_run(self, *_):
            raise OutsideFailed("the git repository cannot be reached")

        snapshot = version_of_run

    bench, job, _ = opened(base)
    ports = on_paper(bench, client=Client(), ledger=Silent())
    known = standing(job, ports)
    assert (known.trained, known.version) == (True, None)
    assert still_serving(job, ports) == ""
    assert run_stage("prepare", job, ports).detail["version"] is None


def test_what_a_build_says_is_one_line_without_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("MMCICD_LEDGER_PASSWORD", "correct horse")
    text = "a\n\nb\x1b[31m correct horse https://u:pw@h/ " + "x" * 500
    told = one_line(text)
    assert told.startswith("a b")
    assert "correct horse" not in told
    assert "pw" not in told
    assert "\x1b" not in told
    assert len(told) == LONGEST

    folder = tmp_path / "shown"
    summary = Summary(str(folder))
    summary.failed(IntegrityFailed("a digest does not match", why="it was changed"), "fraud")
    assert (folder / "said.txt").read_text() == "fraud: a digest does not match: it was changed\n"
    Summary(str(folder)).failed(Terminated("terminated"), "fraud")
    assert (folder / "said.txt").read_text() == "fraud: stopped; nothing is lost\n"
    Summary(str(folder))
    assert not (folder / "said.txt").exists(), "what an older command said must not speak for a new one"


def test_a_refused_gate_says_what_still_serves(base, tmp_path, monkeypatch):
    monkeypatch.setenv("MODEL_FIXTURE", str(MODEL))
    commit(base / "repo", "worse", factor_txt="0.30")
    _, job, ports = opened(base, environment=None)
    run_stage("train", job, ports)
    Summary(str(tmp_path / "s")).told(run_stage("evaluate", job, ports), job, ports)
    said = (tmp_path / "s/said.txt").read_text()
    assert said.startswith("double: refused, no version made. accuracy 0.300, needs >= 0.500")
    assert said.endswith("staging serves 3, production serves 1\n")


class Place:
    """`ports.OfflineTarget` as a file that remembers one version before."""

    def __init__(self, path):
        self.path = path
        self.orders = []

    def remember(self, _model):
        state = json.loads(self.path.read_text())
        return Remembered(serving=state["serving"], previous=state["previous"], epoch=state["epoch"], offline=tuple(self.orders))  # fmt: skip

    def take_back(self, _model, order):
        if not self.orders or self.orders[-1] != order:
            self.orders.append(order)
        self.path.write_text(json.dumps({"serving": order.to, "previous": None, "epoch": order.epoch}))


@pytest.fixture
def place(tmp_path):
    path = tmp_path / "place.json"
    path.write_text(json.dumps({"serving": 8, "previous": 7, "epoch": 4}))
    return Place(path)


def fails(error, place=None, epoch=None):
    def online():
        if place is not None:
            place.path.write_text(json.dumps({"serving": 7, "previous": None, "epoch": epoch}))
        raise error

    return online


def test_a_rollback_without_a_ledger_and_a_second_press(base, place):
    bench, job, _ = opened(base, builder="https://j/job/double-rollback/12/")
    ports = on_paper(bench, client=Client(), offline=lambda _: place)
    down = fails(OutsideFailed("the git repository cannot be reached"))
    first = rollback_offline.or_offline(job, ports, down)
    assert first.sentence.startswith("production 8 -> 7 in ")
    assert first.sentence.endswith("8 is revoked. The ledger does not know it yet")
    again = rollback_offline.or_offline(job, ports, down)
    assert again.found
    assert "by carol (#12), 7 serves; to go further, name a version" in again.sentence
    assert [(o.left, o.to, o.epoch, o.actor) for o in place.orders] == [(8, 7, 5, "carol (#12)")]


def test_a_rollback_that_was_on_its_way_is_not_done_twice(base, place):
    """The environment was moved, then the ledger failed: the same command again finishes that one."""
    bench, job, _ = opened(base)
    place.path.write_text(json.dumps({"serving": 8, "previous": 7, "epoch": 0}))
    ports = on_paper(bench, client=Client(), offline=lambda _: place)
    with pytest.raises(OutsideFailed):
        rollback_offline.or_offline(job, ports, fails(OutsideFailed("lost"), place, epoch=5))
    assert place.orders == []


@pytest.mark.parametrize(
    "error", [Superseded("newer"), InputError("never served"), IntegrityFailed("changed")]
)
def test_a_decision_of_the_ledger_is_no_outage(base, place, error):
    bench, job, _ = opened(base)
    place.path.write_text(json.dumps({"serving": 8, "previous": 7, "epoch": 0}))
    ports = on_paper(bench, client=Client(), offline=lambda _: place)
    with pytest.raises(type(error)):
        rollback_offline.or_offline(job, ports, fails(error))
    assert place.orders == []


def test_a_ledger_that_lacks_the_decision_is_none(base, place):
    """As where an empty one stands in the place of the real one."""
    bench, job, _ = opened(base)
    ports = on_paper(bench, client=Client(), offline=lambda _: place)
    out = rollback_offline.or_offline(job, ports, fails(InputError("it knows nothing to go back to")))
    assert out.sentence.startswith("production 8 -> 7 in ")


def test_without_a_ledger_only_the_version_before_can_be_named(base, place):
    bench, job, _ = opened(base, version=6)
    ports = on_paper(bench, client=Client(), offline=lambda _: place)
    with pytest.raises(InputError, match="version 6 does not lie"):
        rollback_offline.plan(job, rollback_offline.look(job, ports))
    place.path.write_text(json.dumps({"serving": 8, "previous": None, "epoch": 4}))
    with pytest.raises(Inconclusive):
        rollback_offline.plan(job, rollback_offline.look(job, ports))
