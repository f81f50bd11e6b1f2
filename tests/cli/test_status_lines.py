"""What `status` says: shares of copies, what differs and the command that mends it, rows that fit the screen, places
that do not answer.

We test these aspects: a canary under way, a cut-short operation, a newer decision in the cluster, a place that is
silent, ten of them at once, widths.
"""

import dataclasses
import json
import time
from types import SimpleNamespace

import pytest

from mmcicd_jenkins.cli.status_lines import Seen, finishing, make_line, mark_of, shares
from mmcicd_jenkins.cli.status_look import Look
from mmcicd_jenkins.cli.status_table import table
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.ports import Copies, Observed
from mmcicd_jenkins.ports.rollout import CanaryState, Notes
from mmcicd_jenkins.ports.watching import Kept
from mmcicd_jenkins.release.counters import Reading
from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.release.ledger import Head, Operation, Pointer, Served, Snapshot
from mmcicd_jenkins.release.monitor_memory import Memory

STABLE = Copies(version=7, role="stable", wanted=9, ready=9)
CANARY = Copies(version=8, role="canary", wanted=1, ready=1)
STATE = CanaryState(
    version=8, epoch=5, op_id="x", copies=1, ready=1, stable_ready=9, restarts=0, notes=Notes(step=0)
)


def operation(action="promote", target=8, phase="prepared"):
    return Operation(
        op_id="x",
        action=action,
        source=7,
        target=target,
        phase=phase,
        epoch=5,
        started="2026-11-24T10:00:00+00:00",
        ended="",
        actor="ada",
        reason="better",
    )


def pointer(serving=7, epoch=5, **more):
    served = (Served(version=7, since="2026-11-20T10:00:00+00:00"),) if serving else ()
    return Pointer(environment="production", epoch=epoch, serving=serving, served=served, **more)


def line(pointer_, observed, **more):
    return make_line("fraud", "production", pointer_, Seen(observed=observed, **more))


@pytest.mark.parametrize(
    ("copies", "told"),
    [
        ((STABLE,), "9 of 9 ready"),
        ((Copies(version=7, role="stable", wanted=9, ready=7),), "7 of 9 ready"),
        ((STABLE, CANARY), "7 90 %, 8 10 % (canary)"),
        ((CANARY, STABLE), "7 90 %, 8 10 % (canary)"),
        ((STABLE, Copies(version=8, role="canary", wanted=1, ready=0)), "7 100 %, 8 0 % (canary)"),
        (
            (STABLE, Copies(version=8, role="preview", wanted=9, ready=4)),
            "9 of 9 ready, 8 4 of 9 ready (preview)",
        ),
        (
            (
                Copies(version=7, role="stable", wanted=2, ready=1),
                Copies(version=8, role="stable", wanted=1, ready=1),
            ),
            "7 50 %, 8 50 %",
        ),
        ((), ""),
    ],
)
def test_who_serves_which_share(copies, told):
    assert shares(copies) == told


def test_a_canary_under_way_is_no_difference():
    made = line(
        pointer(operation=operation()),
        Observed(version=7, state="AVAILABLE", epoch=4, copies=(STABLE, CANARY)),
        canary=STATE,
        steps=3,
    )
    assert made.state == "7 90 %, 8 10 % (canary, step 1 of 3)"
    assert made.warning == ""
    assert "mmcicd-jenkins promote --model fraud --env production --version 8" in made.note


def test_a_place_that_is_silent_is_not_said_to_differ():
    silent = line(pointer(), Observed(version=None, state="unknown", reason="the login ended"))
    other = line(pointer(), Observed(version=6, state="AVAILABLE"))
    assert (mark_of(silent), mark_of(other)) == ("unknown", "differs")
    assert silent.warning == "production cannot be asked what it serves: the login ended"


def test_a_cut_short_operation_names_the_command_that_finishes_it():
    made = line(pointer(operation=operation()), Observed(version=7, state="AVAILABLE"), options=" --shared")
    assert "was cut short" in made.warning
    assert made.warning.endswith("mmcicd-jenkins promote --model fraud --env production --version 8 --shared")


@pytest.mark.parametrize(
    ("action", "command"),
    [
        ("deploy", "mmcicd-jenkins stage deploy --model fraud --env production"),
        ("rollback", "mmcicd-jenkins rollback --model fraud --env production --version 8"),
    ],
)
def test_each_operation_has_its_command(action, command):
    assert finishing("fraud", "production", operation(action)) == command


def test_a_first_release_that_is_taken_back_has_no_version_to_name():
    assert finishing("fraud", "production", operation("rollback", None)).endswith("--env production")


def test_a_decision_that_the_ledger_does_not_have_names_reconcile():
    made = line(pointer(), Observed(version=6, state="AVAILABLE", epoch=9))
    assert "serves 6 by a decision that the ledger does not have (epoch 9, it is at 5)" in made.warning
    assert made.warning.endswith("mmcicd-jenkins reconcile --model fraud --env production")


def test_the_same_version_by_a_newer_decision_differs_too():
    assert "reconcile" in line(pointer(), Observed(version=7, state="AVAILABLE", epoch=6)).warning


def test_an_older_epoch_in_the_cluster_is_how_a_failed_operation_looks():
    assert line(pointer(), Observed(version=7, state="AVAILABLE", epoch=4)).warning == ""


class Place(SimpleNamespace):
    strategy = SimpleNamespace(steps=())


class Bench:
    """As much of `wiring.Bench` as a look needs."""

    def __init__(self, observe, places=10):
        self._observe = observe
        names = [f"place-{n}" for n in range(places)]
        self.config = SimpleNamespace(models={"fraud": None}, environments={n: Place(name=n) for n in names})
        self.ports = SimpleNamespace(monitor_memory=lambda _place: SimpleNamespace(read=self.memory))
        self.ledger = SimpleNamespace(snapshot=lambda model: Snapshot(head=Head(model=model), pointers={}))

    def memory(self, _model):
        return Kept()

    def target(self, place):
        return SimpleNamespace(observe=lambda model: self._observe(place.name, model))


def look(bench, seconds=0.5):
    made = Look(bench, seconds=seconds)
    made.read_ledger()
    return made.lines()


def test_a_place_that_fails_says_why_and_hides_no_other():
    def observe(place, _model):
        if place == "place-3":
            raise OutsideFailed("the cluster cannot be reached", why="connection refused")
        return Observed(version=None, state="END")

    lines = look(Bench(observe))
    assert [one.environment for one in lines if one.warning] == ["place-3"]
    assert (
        "cannot be asked what it serves: the cluster cannot be reached: connection refused"
        in lines[3].warning
    )
    assert lines[3].state == "unknown"


def test_ten_silent_places_are_waited_for_together():
    started = time.monotonic()
    lines = look(Bench(lambda *_: time.sleep(5)))
    assert [one.state for one in lines] == ["unknown"] * 10
    assert "no answer within 0.5 s" in lines[0].warning
    # Not a measure of speed: one after the other they would take fifty seconds.
    assert time.monotonic() - started < 5


def test_one_silent_place_leaves_the_others_their_rows():
    def observe(place, _model):
        if place == "place-0":
            time.sleep(5)
        return Observed(version=None, state="END")

    assert [one.state for one in look(Bench(observe))] == ["unknown", *[""] * 9]


LONG = pointer(
    operation=operation(phase="done"), frozen="errors: 80 bad of 164 requests, budget burns 48.8 times"
)


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 200])
@pytest.mark.parametrize("name", ["fraud", "a-model-with-a-name-as-long-as-it-may-be"])
def test_rows_fit_the_screen(columns, name):
    observed = Observed(version=7, state="AVAILABLE", copies=(STABLE, CANARY))
    rows = [make_line(name, "production", LONG, Seen(observed=observed, canary=STATE, steps=3))]
    told = table(rows, columns)
    assert "canary, step 1 of 3" in " ".join(told.split())
    assert "48.8 times" in " ".join(told.split())
    if columns >= 80 or name == "fraud":
        assert max(map(len, told.splitlines())) <= columns


def test_a_log_has_one_line_for_each_row():
    told = table(
        [make_line("fraud", "production", LONG, Seen(observed=Observed(version=7, state="AVAILABLE")))], None
    )
    assert len(told.splitlines()) == 2


class Watched(Bench):
    """The monitor raised an alarm about version 7, and nothing was decided."""

    action, reading = "alert", Reading(at=1.0, version=7, ready=True)

    def memory(self, _model):
        kept = Memory(readings=(self.reading,), action=self.action, said="copies were started again 5 times")
        return Kept(document=json.loads(json.dumps(to_document(kept))))


@pytest.mark.parametrize(
    ("version", "action", "told"), [(7, "alert", True), (7, "wait", False), (8, "alert", False)]
)
def test_an_alarm_that_the_ledger_does_not_have_is_told(version, action, told):
    bench = Watched(lambda *_: Observed(version=version, state="AVAILABLE"), places=1)
    bench.action = action
    bench.ledger = SimpleNamespace(
        snapshot=lambda model: Snapshot(
            head=Head(model=model),
            pointers={"place-0": dataclasses.replace(pointer(version), environment="place-0")},
        )
    )
    (line_,) = look(bench)
    assert ("copies were started again 5 times" in line_.note) is told
    assert line_.warning == ""


def test_the_right_version_on_other_terms_differs():
    observed = Observed(
        version=7, state="AVAILABLE", epoch=5, departure="it was scaled to 1 by hand, 9 were applied"
    )
    told = line(pointer(), observed).warning
    assert told.startswith("production serves 7 of fraud, but it was scaled to 1 by hand")
    assert told.endswith("fix: mmcicd-jenkins serve --env production")
