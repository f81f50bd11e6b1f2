"""A canary on a real cluster, by the real commands: forward, failed, undecided, taken back, killed everywhere and gone on with.

One story in the order in which it happens, in one namespace, with a client that opens a connection for every request and
counts what fails. A faulty version's own wrong answers are all that anybody may see of it.
"""

import json
import signal
import subprocess
import sys
import time

import prometheus_server
import pytest
from cluster import cluster, namespaces, serving  # noqa: F401 - fixtures
from cluster_road import MODEL, QUICK, Road
from load import asking

from mmcicd_jenkins.adapters.kubernetes import annotations

pytestmark = pytest.mark.real

REPLICAS = 2
CANARY = {
    "steps": ["33% for 2s", "50% for 2s"],
    "min_requests": 20,
    "every": "1s",
    "checks": ["error_rate <= stable + 0.02", "latency_p99 <= 200 ms"],
    "limits": {"failed": 2, "inconclusive": 4, "error": 20},
}


@pytest.fixture(scope="module")
def road(cluster, namespaces, serving, tmp_path_factory):  # noqa: F811
    made = Road(tmp_path_factory.mktemp("canary"), cluster, namespaces(), serving)
    pods = {**QUICK, "drain": "2s", "min_ready": "1s"}
    return made.make(replicas=REPLICAS, strategy={"canary": CANARY}, pods=pods)


def deployment(road, track):
    return road.api.get("Deployment", f"{MODEL}-{track}")


def phase(road):
    operation = road.ledger.snapshot(MODEL).pointer("production").operation
    return operation.phase, operation.reason


def ends_well(road, version):
    assert road.serving_version == version
    assert deployment(road, "canary") is None
    stable = annotations.read(deployment(road, "stable"))
    assert stable.told.version == version
    assert stable.settled
    fence = stable.fence
    pointer = road.ledger.snapshot(MODEL).pointer("production")
    assert fence.epoch <= pointer.epoch


def test_the_first_version_has_no_canary(road):
    assert road.release(1) == 1
    done = road.promote()
    assert done.returncode == 0, done.stderr
    assert "canary" not in done.stderr
    ends_well(road, 1)


def test_a_good_version_takes_over_by_steps_and_no_request_fails(road):
    road.release(2)
    with asking(road.address, MODEL, "new:60") as load:
        done = road.promote()
        assert done.returncode == 0, done.stderr
        seen = load.end()["new"]
    assert "step 1 of 2: errors 0 % (stable 0 %), p99 " in done.stderr
    assert "canary 50 %, step 2 of 2" in done.stderr
    assert load.failures == {}
    assert set(seen["versions"]) == {"1", "2"}
    assert seen["versions"]["1"]["last"] > seen["versions"]["2"]["first"], "both served for a while"
    ends_well(road, 2)


@pytest.mark.parametrize(
    ("factor", "double", "word", "allowed"),
    [
        (3, {"fault": "errors", "share": 0.5}, "error_rate", {"status 500"}),
        (4, {"latency_ms": 600}, "latency_p99", set()),
        (5, {"fault": "exit-later", "after_seconds": 4}, "started again", None),
    ],
)
def test_a_bad_version_is_seen_and_removed(road, factor, double, word, allowed):
    before, serving_before = deployment(road, "stable")["spec"], road.serving_version
    version = road.release(factor, **double)
    with asking(road.address, MODEL, "new:60") as load:
        done = road.promote()
        assert done.returncode == 4, done.stderr
        load.end()
    assert word in done.stderr
    if allowed is not None:
        assert set(load.failures.get("new", {})) <= allowed
    assert phase(road)[0] == "failed"
    assert f"version {version} failed as a canary; {serving_before} serves on" in phase(road)[1]
    assert word in phase(road)[1]
    assert deployment(road, "stable")["spec"] == before, "stable was never touched"
    ends_well(road, serving_before)


def test_without_traffic_nobody_decides_and_a_rollback_takes_it_back(road):
    before, version = road.serving_version, road.release(6)
    done = road.promote()
    assert done.returncode == 6, done.stderr
    assert "Inconclusive: 0 of 20 requests" in done.stderr
    assert phase(road)[0] == "prepared"
    assert deployment(road, "canary")["spec"]["replicas"] == 1
    told = json.loads(road.command("status", "--shared", "--json").stdout)["status"]
    (production,) = (each for each in told if each["environment"] == "production")
    assert {"role": "canary", "version": version, "wanted": 1, "ready": 1} in production["copies"]
    assert production["observed"] == before
    again = road.promote()
    assert again.returncode == 6, again.stderr

    back = road.command("rollback", "--shared", "--env", "production")
    assert back.returncode == 0, back.stderr
    assert road.ledger.snapshot(MODEL).is_revoked(version)
    ends_well(road, before)


def test_taken_back_by_an_answer_it_may_come_again(road):
    before, version = road.serving_version, road.release(7)
    words = ("stage", "canary", "--env", "production", "--reason", "because")
    done = road.command(*words)
    assert done.returncode == 6, done.stderr
    back = road.command(*words, "--answer", "take back (bob: no traffic at night)")
    assert back.returncode == 4, back.stderr
    assert "bob: no traffic at night" in phase(road)[1]
    assert not road.ledger.snapshot(MODEL).is_revoked(version)
    ends_well(road, before)

    undecided = road.command(*words, "--answer", "extended 4 h (bob)")
    assert undecided.returncode == 4, undecided.stderr
    assert "0 of 20 requests" in phase(road)[1]
    ends_well(road, before)


def started(road, *words, **variables):
    command = [sys.executable, "-m", "mmcicd_jenkins", *words]
    return subprocess.Popen(
        command, cwd=road.repo, env={**road.variables, **variables},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


PROMOTE = ("promote", "--shared", "--env", "production", "--yes", "--reason", "because")


def test_told_to_end_in_a_hold_it_ends_within_four_seconds_and_goes_on_later(road):
    version = road.release(8)
    with asking(road.address, MODEL, "new:60") as load:
        process = started(road, *PROMOTE)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            live = deployment(road, "canary")
            if (
                live
                and "mmcicd.io/canary" in live["metadata"]["annotations"]
                and live["status"].get("readyReplicas")
            ):
                break
            time.sleep(0.3)
        time.sleep(1.5)
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
        took = time.monotonic() - begun
        assert process.returncode == 143, said
        assert took <= 4, took
        assert deployment(road, "canary") is not None
        assert phase(road)[0] == "prepared"

        done = road.promote()
        assert done.returncode == 0, done.stderr
        load.end()
    assert load.failures == {}
    ends_well(road, version)


FORWARD = (
    "canary.before-copies", "kubernetes.after-create", "canary.after-note", "canary.looked:2", "canary.after-passed",
    "kubernetes.before-delete", "deploy.before-done",
)  # fmt: skip


def test_killed_at_every_place_of_one_promotion_the_same_command_ends_it(road):
    version = road.release(9)
    with asking(road.address, MODEL, "new:60") as load:
        for place in FORWARD:
            killed = road.promote(MMCICD_TESTING="1", MMCICD_FAILPOINTS=f"{place}=kill")
            assert killed.returncode == -signal.SIGKILL, (place, killed.stderr)
            assert "Traceback" not in killed.stderr, place
        done = road.promote()
        assert done.returncode == 0, done.stderr
        load.end()
    assert load.failures == {}
    ends_well(road, version)


def test_killed_while_a_bad_one_is_removed_the_same_command_ends_it(road):
    before = road.serving_version
    road.release(10, fault="errors", share=0.5)
    with asking(road.address, MODEL, "new:60") as load:
        for place in ("canary.failed", "canary.before-remove", "kubernetes.before-delete"):
            killed = road.promote(MMCICD_TESTING="1", MMCICD_FAILPOINTS=f"{place}=kill")
            assert killed.returncode == -signal.SIGKILL, (place, killed.stderr)
        done = road.promote()
        assert done.returncode == 4, done.stderr
        load.end()
    assert set(load.failures.get("new", {})) <= {"status 500"}
    assert phase(road)[0] == "failed"
    ends_well(road, before)


@pytest.mark.parametrize("place", ["kubernetes.before-create", "kubernetes.before-apply"])
def test_a_process_that_slept_through_a_rollback_brings_nothing_again(road, place):
    """Stopped before it makes copies; woken when the promotion was taken back."""
    before, version = road.serving_version, road.release(11 + len(place))
    process = started(road, *PROMOTE, MMCICD_TESTING="1", MMCICD_FAILPOINTS=f"{place}=stop")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with open(f"/proc/{process.pid}/stat") as stat:  # noqa: PTH123
            if stat.read().split()[2] == "T":
                break
        time.sleep(0.2)
    back = road.command("rollback", "--shared", "--env", "production")
    assert back.returncode == 0, back.stderr
    process.send_signal(signal.SIGCONT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 75, said
    assert deployment(road, "canary") is None
    assert road.ledger.snapshot(MODEL).is_revoked(version)
    ends_well(road, before)


def judged_by(road, url, **limits):
    """Production is judged by the Prometheus at this address from now on."""
    config = road.repo / "mmcicd.yaml"
    document = json.loads(config.read_text())
    production = document["environments"]["production"]
    production["monitor"] = {"prometheus": url}
    production["strategy"]["canary"]["limits"] |= limits
    config.write_text(json.dumps(document, indent=1))


def test_a_real_prometheus_judges_it(road, tmp_path):
    try:
        with prometheus_server.scraping(road.cluster, road.namespace, tmp_path) as url:
            judged_by(road, url, inconclusive=15)
            version = road.release(50)
            with asking(road.address, MODEL, "new:60") as load:
                done = road.promote()
                assert done.returncode == 0, done.stderr
                load.end()
    except prometheus_server.UnavailableError as e:
        pytest.skip(str(e))
    assert load.failures == {}
    ends_well(road, version)


def test_a_prometheus_that_is_away_takes_it_back_and_stable_serves_on(road):
    before = road.serving_version
    judged_by(road, "http://127.0.0.1:9", error=2)
    version = road.release(60)
    done = road.promote()
    assert done.returncode == 5, done.stderr
    assert f"the canary of version {version} cannot be judged; {before} serves on" in done.stderr
    assert "Prometheus does not answer: nobody listens there" in done.stderr
    assert phase(road)[0] == "failed"
    ends_well(road, before)
