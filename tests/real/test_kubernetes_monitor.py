"""A version that passes everything and then fails live traffic, on a real cluster: noticed, taken back once, then frozen.

One story, in order. The version that came is noticed by the pods' own counters and rolled back; the one that came back
fails as well, which a Prometheus notices, and now a person must decide. `status` tells why, and so does a report.
"""

import json
import re
import time

import prometheus_server
import pytest
from cluster import cluster, namespaces, serving  # noqa: F401 - fixtures
from cluster_road import MODEL, Road
from load import asking

pytestmark = pytest.mark.real

MONITOR = {
    "every": "2s",
    "watch": "1h",
    "slo": {"availability": "99%"},
    "windows": [{"rate": 5, "long": "20s", "short": "5s"}],
    "min_requests": 40,
    "min_errors": 10,
}
# Seconds after a copy began: long enough for a rollout and its smoke test, short enough for a story.
WELL, SOON = 60, 30


@pytest.fixture(scope="module")
def road(cluster, namespaces, serving, tmp_path_factory):  # noqa: F811 - fixtures
    """Version 1 serves, and will fail when its copies are older; version 2 waits, and will fail sooner."""
    road = Road(tmp_path_factory.mktemp("monitor"), cluster, namespaces(), serving)
    road.make(monitor=MONITOR, replicas=2)
    road.release(1, fault="errors", share=1, after_seconds=WELL)
    good(road.promote())
    return road


@pytest.fixture(scope="module")
def traffic(road):
    with asking(road.address, MODEL, "new:20") as load:
        yield load


def good(done):
    assert done.returncode == 0, f"{done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def monitor(road, seconds, *words):
    done = road.command(
        "stage", "monitor", f"--model={MODEL}", "--env=production", f"--for={seconds}", "--json", *words
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout)


def status(road):
    done = road.command("status", "--shared", "--json")
    return {line["environment"]: line for line in json.loads(done.stdout)["status"]}["production"]


def test_a_version_that_fails_live_traffic_is_taken_back_by_what_its_pods_count(road, traffic):
    road.release(2, fault="errors", share=1, after_seconds=SOON)
    good(road.promote())
    summary = road.base / "summary"
    code, seen = monitor(road, 90, f"--summary={summary}")
    assert (code, seen["action"], seen["from"], seen["to"]) == (4, "rollback", 2, 1)
    assert "budget burns" in seen["sentence"]
    assert "drift" not in {check["name"] for check in seen["checks"]}
    assert seen["watched_until"] - seen["since"] == 3600
    assert road.serving_version == 1
    assert status(road)["why"].startswith("rollback: errors: ")
    page = (summary / "report.html").read_text()
    assert re.search(r'src="report/errors.svg"', page)
    assert "style=" not in page
    assert b"decided" in (summary / "report" / "errors.svg").read_bytes()


def test_the_memory_is_one_config_map_that_people_can_read(road):
    found = road.cluster.get("configmap", f"{MODEL}-monitor", f"--namespace={road.namespace}")
    assert "budget burns" in found["data"]["said"]
    assert len(json.dumps(found)) < 64 * 1024


def test_the_version_that_came_back_fails_too_and_a_person_must_decide(road, traffic, tmp_path):
    try:
        with prometheus_server.scraping(road.cluster, road.namespace, tmp_path) as url:
            config = road.repo / "mmcicd.yaml"
            document = json.loads(config.read_text())
            document["environments"]["production"]["monitor"]["prometheus"] = url
            config.write_text(json.dumps(document))
            code, seen = monitor(road, 150)
            again, later = monitor(road, 1)
    except prometheus_server.UnavailableError as e:
        pytest.skip(str(e))
    assert (code, seen["action"]) == (4, "freeze"), seen
    assert "a person must decide" in seen["sentence"]
    assert (again, later["action"]) == (4, "alert")
    assert road.serving_version == 1
    line = status(road)
    assert line["why"].startswith("frozen: errors: ")
    assert line["warning"] == ""
    assert traffic.process.poll() is None


def test_nobody_to_ask_is_an_alarm(road):
    """The Prometheus of the test before is gone; the pods are not asked instead, for nobody knows what they counted."""
    started = time.monotonic()
    code, seen = monitor(road, 1)
    assert (code, seen["action"]) == (4, "alert")
    assert "Prometheus does not answer" in seen["sentence"]
    assert time.monotonic() - started < 60
