"""The monitor beside everything else that happens: a server that does not answer, a promotion under way, a newer decision,
a version that came back, a memory of another version, a text that is no metrics.
"""

import dataclasses
import datetime as dt
import shutil

import pytest
from paper import commit, make_repository, on_paper
from test_killed_anywhere import drive, update_lock

from mmcicd_jenkins.cli.summary import Summary
from mmcicd_jenkins.errors import OutsideFailed, Superseded
from mmcicd_jenkins.release import history
from mmcicd_jenkins.release.alarm import Alarm
from mmcicd_jenkins.release.counters import Reading, Window
from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.release.monitor_memory import Counted, Memory
from mmcicd_jenkins.stages import monitor, run_stage
from mmcicd_jenkins.stages.workspace import write_json
from mmcicd_jenkins.wiring import open_bench


class Clock:
    """A clock that the test moves."""

    def __init__(self):
        self.time = dt.datetime.now(dt.UTC)

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.time += dt.timedelta(seconds=seconds)


class Metrics:
    """`ports.ModelClient` of a server with these counters: version -> (ok, refused, failed)."""

    def __init__(self):
        self.counts = {}
        self.text = ""
        self.answers = True

    def metrics(self, _endpoint):
        if not self.answers:
            raise OutsideFailed("the model server does not answer", retryable=True)
        return self.text + "".join(
            f':mmcicd:serving:request_count{{model_name="double",version="{version}",class="{kind}"}} {n}\n'
            for version, counts in self.counts.items()
            for kind, n in zip(("ok", "refused", "failed"), counts, strict=True)
        )

    def ask_golden(self, *_):
        raise AssertionError("a monitor asks no golden requests")


class Watch:
    """One repository with its monitor."""

    def __init__(self, base):
        self.base = base
        self.bench = open_bench(base / "repo")
        self.clock, self.server = Clock(), Metrics()
        self.ports = on_paper(self.bench, client=self.server, clock=self.clock)
        self.job = self.bench.job("double", environment="production", reason="because")

    def look(self, minutes=5, **counts):
        self.server.counts |= {version.removeprefix("v"): counted for version, counted in counts.items()}
        self.clock.sleep(60 * minutes)
        return run_stage("monitor", self.job, self.ports)

    def serving(self):
        return self.bench.ledger.snapshot("double").pointer("production").serving


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Version 1 was promoted, then version 2."""
    base = tmp_path_factory.mktemp("watched")
    make_repository(base / "repo")
    update_lock(base)
    commit(base / "repo", "begin")
    for step in ("road", "promote", "better", "road", "promote"):
        if step == "better":
            commit(base / "repo", "better", factor_txt="0.90")
        else:
            done = drive(base, step)
            assert done.returncode == 0, done.stderr
    return base


@pytest.fixture
def watch(template, tmp_path):
    shutil.copytree(template, tmp_path / "base", symlinks=True)
    return Watch(tmp_path / "base")


def test_errors_that_rise_roll_back(watch):
    watch.look(v1=(5000, 0, 0), v2=(0, 0, 0))
    taken = watch.look(v2=(1000, 0, 1000))
    assert (taken.detail["action"], taken.detail["to"]) == ("rollback", 1)
    assert watch.serving() == 1


def test_a_server_that_did_not_answer_once_does_not_make_old_errors_new(watch):
    watch.look(v2=(100_000, 0, 50_000))
    watch.server.answers = False
    assert watch.look().detail["action"] == "alert"
    watch.server.answers = True
    watch.look()
    assert watch.look(v2=(101_000, 0, 50_000)).detail["action"] in {"none", "wait"}
    assert watch.serving() == 2


def test_while_a_promotion_is_under_way_nothing_is_decided(watch):
    watch.look(v2=(0, 0, 0))
    who = history.Who(actor="ada", at=watch.clock.now().isoformat(), reason="mend it")
    watch.bench.ledger.commit(
        "double", lambda snapshot: history.begin(snapshot, "production", "promote", 3, who)
    )
    seen = watch.look(v2=(0, 0, 5000))
    assert seen.detail["action"] == "wait"
    assert "promote of 3" in seen.sentence
    assert watch.bench.ledger.snapshot("double").pointer("production").operation.action == "promote"


@pytest.mark.parametrize(("automatic", "action", "serving"), [(True, "rollback", 1), (False, "wait", 2)])
def test_a_rollback_of_its_own_that_was_cut_short_is_ended(watch, automatic, action, serving):
    watch.look(v2=(0, 0, 0))
    who = history.Who(actor="monitor", at=watch.clock.now().isoformat(), reason="errors: too many")
    watch.bench.ledger.commit(
        "double",
        lambda snapshot: history.begin(snapshot, "production", "rollback", 1, who, automatic=automatic),
    )
    epoch = watch.bench.ledger.snapshot("double").pointer("production").epoch
    seen = watch.look(v2=(10, 0, 0))
    assert (seen.detail["action"], watch.serving()) == (action, serving)
    after = watch.bench.ledger.snapshot("double").pointer("production")
    assert (after.epoch, after.operation.phase) == (epoch, "done" if automatic else "prepared")
    if automatic:
        assert "errors: too many" in seen.sentence
        assert watch.bench.ledger.snapshot("double").is_revoked(2)


def test_what_was_judged_is_what_is_taken_back_or_nothing(watch):
    watch.look(v2=(0, 0, 0))
    watch.server.counts["2"] = (0, 0, 5000)
    watch.clock.sleep(300)
    decided = monitor.plan(watch.job, monitor.look(watch.job, watch.ports))
    who = history.Who(actor="ada", at=watch.clock.now().isoformat(), reason="mend it")

    def decide(snapshot):
        return history.begin(snapshot, "production", "promote", 3, who)

    epoch = watch.bench.ledger.commit("double", decide).pointer("production").epoch
    watch.bench.ledger.commit("double", lambda snapshot: history.finish(snapshot, "production", epoch, who))
    with pytest.raises(Superseded):
        monitor.apply(decided, watch.job, watch.ports)
    assert (watch.serving(), watch.bench.ledger.snapshot("double").head.revoked) == (3, {})


def test_refusals_that_rose_after_the_switch_roll_back_though_nobody_watched_the_version_before(watch):
    watch.look(v1=(5000, 5, 0), v2=(0, 0, 0))
    assert watch.look(v2=(1000, 1000, 0)).detail["action"] == "rollback"


def test_refusals_are_the_callers_fault_when_nothing_is_known_of_the_version_before(watch):
    watch.look(v2=(0, 0, 0))
    seen = watch.look(v2=(1000, 1000, 0))
    assert seen.detail["action"] != "rollback"
    assert "1,000 refused" in seen.sentence


def test_a_version_that_came_back_is_measured_by_its_own_past_not_by_what_was_revoked(watch):
    watch.look(v1=(1000, 10, 0), v2=(0, 0, 0))
    assert watch.look(v2=(1000, 1000, 0)).detail["action"] == "rollback"
    assert watch.serving() == 1
    watch.look(v1=(1000, 10, 0))
    facts = monitor.look(watch.job, watch.ports)
    assert facts.situation.refused_before is None or facts.situation.refused_before < 0.02
    watch.look(v1=(1500, 510, 0))
    assert watch.look(v1=(2000, 1010, 0)).detail["action"] in {"freeze", "none"}


def test_an_alarm_about_drift_ends_with_its_version(watch):
    watch.look(v2=(0, 0, 0))
    memory = monitor.look(watch.job, watch.ports).memory
    old = tuple(dataclasses.replace(reading, version=1) for reading in memory.readings)
    path = watch.job.workspace.root / "monitor" / "production" / "double.json"
    write_json(path, to_document(Memory(readings=old, alarm=Alarm(raised=True, bad=3))))
    assert monitor.look(watch.job, watch.ports).situation.alarm == Alarm()


@pytest.mark.parametrize(
    "text",
    [
        ':mmcicd:serving:request_count{model_name="double",version="2",class="ok"} NaN\n',
        ':mmcicd:serving:request_count{model_name="double",version="2",class="ok"} +Inf\n',
        ':mmcicd:serving:request_latency_bucket{model_name="double",version="2"} 4\n',
        ':mmcicd:serving:request_latency_bucket{model_name="double",version="2",le="fast"} 4\n',
        "<html>not found</html>",
    ],
)
def test_a_text_that_is_no_metrics_decides_nothing(watch, text):
    watch.server.text = text
    assert watch.look().detail["action"] == "wait"


class Flaky:
    """A ledger that does not answer the first so many times."""

    def __init__(self, ledger, failures):
        self._ledger, self.failures = ledger, failures

    def snapshot(self, model):
        if self.failures:
            self.failures -= 1
            raise OutsideFailed("the git repository cannot be reached", retryable=True)
        return self._ledger.snapshot(model)

    def __getattr__(self, name):
        return getattr(self._ledger, name)


class Said:
    def __init__(self):
        self.lines = []

    def line(self, text):
        self.lines.append(text)

    def update(self, text, done=None):
        pass


def test_a_watch_survives_what_passes_and_tells_it(watch):
    ledger, said, seen = Flaky(watch.bench.ledger, 2), Said(), []
    ports = on_paper(watch.bench, client=watch.server, clock=watch.clock, ledger=ledger, progress=said)
    watch.server.counts = {"2": (0, 0, 0)}
    last = monitor.watch(watch.job, ports, 1800, seen.append)
    assert last is seen[-1]
    assert len(seen) > 2
    assert said.lines == [
        "could not look, 1 of 6 in a row: the git repository cannot be reached",
        "could not look, 2 of 6 in a row: the git repository cannot be reached",
    ]


def test_a_watch_ends_when_nothing_answers_for_too_long(watch):
    ledger = Flaky(watch.bench.ledger, monitor.MOST_FAILURES)
    ports = on_paper(watch.bench, client=watch.server, clock=watch.clock, ledger=ledger, progress=Said())
    with pytest.raises(OutsideFailed, match="cannot be reached"):
        monitor.watch(watch.job, ports, 100_000, lambda _: None)
    assert ledger.failures == 0


def test_a_watch_that_could_not_look_at_last_does_not_say_that_all_is_well(watch):
    ledger = Flaky(watch.bench.ledger, 1)
    ports = on_paper(watch.bench, client=watch.server, clock=watch.clock, ledger=ledger, progress=Said())
    with pytest.raises(OutsideFailed):
        monitor.watch(watch.job, ports, 0, lambda _: None)


def test_a_watch_ends_when_it_rolled_back(watch):
    watch.look(v1=(5000, 0, 0), v2=(0, 0, 0))
    watch.server.counts["2"] = (1000, 0, 1000)
    watch.clock.sleep(300)
    last = monitor.watch(watch.job, watch.ports, 100_000, lambda _: None)
    assert last.detail["action"] == "rollback"
    assert watch.serving() == 1


def test_who_only_looks_says_that_a_rollback_is_due_and_leaves_it(watch, tmp_path):
    watch.look(v1=(5000, 0, 0), v2=(0, 0, 0))
    watch.server.counts["2"] = (1000, 0, 1000)
    watch.clock.sleep(300)
    job = dataclasses.replace(watch.job, looks_only=True)
    seen = run_stage("monitor", job, watch.ports)
    summary = Summary(str(tmp_path / "summary"))
    summary.told(seen, job, watch.ports)
    assert (seen.detail["action"], seen.exit_code, watch.serving()) == ("rollback", 4, 2)
    assert "to be rolled back by whoever may" in seen.sentence
    assert (tmp_path / "summary" / "act.txt").exists()
    assert (tmp_path / "summary" / "report.html").exists()
    assert watch.bench.ledger.snapshot("double").head.revoked == {}
    # A moment later, by a login that may: it decides on its own, and acts.
    watch.clock.sleep(5)
    assert run_stage("monitor", watch.job, watch.ports).detail["to"] == 1
    assert watch.serving() == 1


def test_a_promoted_version_is_watched_for_so_long_and_what_was_put_back_is_not(watch):
    facts = monitor.look(watch.job, watch.ports)
    assert facts.situation.watched
    assert facts.until - facts.since == watch.job.place.monitor.watch_seconds
    watch.clock.sleep(watch.job.place.monitor.watch_seconds)
    assert not monitor.look(watch.job, watch.ports).situation.watched
    watch.look(v2=(0, 0, 0))
    assert watch.look(v2=(1000, 0, 1000)).detail["action"] == "rollback"
    assert not monitor.look(watch.job, watch.ports).situation.watched


def test_of_two_monitors_at_once_one_decides(watch):
    watch.look(v1=(5000, 0, 0), v2=(0, 0, 0))
    watch.server.counts["2"] = (1000, 0, 1000)
    watch.clock.sleep(300)
    first, second = (monitor.plan(watch.job, monitor.look(watch.job, watch.ports)) for _ in range(2))
    assert monitor.apply(first, watch.job, watch.ports).detail["action"] == "rollback"
    with pytest.raises(Superseded, match="another monitor looked meanwhile"):
        monitor.apply(second, watch.job, watch.ports)
    assert watch.serving() == 1


class Copies:
    """`ports.watching.Counters` of copies in a cluster that were started again so often."""

    def __init__(self, clock):
        self.clock, self.restarts, self.asked = clock, 0, False

    def read(self, _model, versions, _bins):
        reading = Reading(
            at=self.clock.now().timestamp(), version=versions[0], ready=False, restarts=self.restarts
        )
        return (Counted(copy="double-stable-abc-1", reading=reading, asked=self.asked),)


class Told:
    """`ports.watching.History` of a server that counted so much in every stretch of time."""

    def __init__(self, **counted):
        self.counted, self.error, self.lengths = counted, "", ()

    def windows(self, _model, _version, seconds, _bins):
        self.lengths = seconds
        if self.error:
            raise OutsideFailed("Prometheus does not answer", why=self.error)
        return {length: Window(seconds=length, **self.counted) for length in seconds}


def in_a_cluster(watch, copies, history=None):
    instead = {"counters": lambda _place: copies, "history": lambda _place: history}
    return on_paper(watch.bench, client=watch.server, clock=watch.clock, **instead)


@pytest.mark.parametrize(("days", "action"), [(0, "rollback"), (2, "alert")])
def test_copies_that_die_take_a_version_back_while_it_is_watched_and_no_longer(watch, days, action):
    copies = Copies(watch.clock)
    ports = in_a_cluster(watch, copies)
    watch.clock.sleep(days * 86400)
    assert run_stage("monitor", watch.job, ports).detail["action"] == "wait"
    copies.restarts = 3
    watch.clock.sleep(300)
    seen = run_stage("monitor", watch.job, ports)
    assert seen.detail["action"] == action
    assert "copies were started again 3 times in the last 5 minutes" in seen.sentence
    assert watch.serving() == (1 if action == "rollback" else 2)


def test_a_history_is_judged_at_the_first_look_and_remembers_nothing(watch):
    watch.clock.sleep(7 * 3600)
    history = Told(answered=900, failed=1100)
    seen = run_stage("monitor", watch.job, in_a_cluster(watch, Copies(watch.clock), history))
    assert seen.detail["action"] == "rollback"
    assert {300.0, 1800.0, 3600.0, 21600.0} <= set(history.lengths)


def test_a_history_is_asked_for_no_time_before_the_version_served(watch):
    watch.clock.sleep(1000)
    history = Told(answered=10)
    run_stage("monitor", watch.job, in_a_cluster(watch, Copies(watch.clock), history))
    assert max(history.lengths) < 2000


def test_a_history_that_is_silent_is_an_alarm_and_every_look_has_its_point(watch):
    history = Told(answered=2000, failed=1)
    ports = in_a_cluster(watch, Copies(watch.clock), history)
    for _ in range(3):
        watch.clock.sleep(60)
        assert run_stage("monitor", watch.job, ports).detail["action"] == "none"
    history.error = "connection refused"
    watch.clock.sleep(60)
    seen = run_stage("monitor", watch.job, ports)
    assert (seen.detail["action"], seen.exit_code) == ("alert", 4)
    assert "errors and latency are not known: Prometheus does not answer: connection refused" in seen.sentence
    assert [point[1] for point in seen.detail["points"]] == [2001, 2001, 2001]
    assert watch.serving() == 2
