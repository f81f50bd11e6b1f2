"""What a command on a real cluster depends on falls silent: it ends by its own deadline, says so, and later goes on.

Silent is worse than down: connections are taken and nothing is answered. In turn the API server while a rollout is waited
for, the registry, the ledger and Prometheus; the way back works without registry, and by `--offline` without ledger.
Deadlines are minutes, so all run at once, in a namespace each, and only with MMCICD_TEST_LONG=1.
"""

import contextlib
import dataclasses
import os
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import git_web_server
import pytest
from black_hole import tap
from cluster import cluster, namespaces, serving  # noqa: F401 - fixtures
from cluster_road import MODEL, Road

from mmcicd_jenkins.adapters.kubernetes import annotations

LONG = os.environ.get("MMCICD_TEST_LONG")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not LONG, reason="deadlines take minutes: MMCICD_TEST_LONG=1 make test-real"),
]

# Above the longest deadline of a single dependency, and the time to put back what served.
LONGEST = 420.0
TESTING = {"MMCICD_TESTING": "1"}


@contextlib.contextmanager
def api_server(road):
    """The road goes by the tap; so does kubectl."""
    with tap(road.cluster.server.removeprefix("https://")) as way:
        own = road.base / "kubeconfig"
        text = Path(road.cluster.kubeconfig).read_text()
        own.write_text(text.replace(road.cluster.server, f"https://{way.address}"))
        change(road, road.cluster.server, f"https://{way.address}")
        road.cluster = dataclasses.replace(road.cluster, kubeconfig=str(own))
        yield way


@contextlib.contextmanager
def registry(road):
    with tap(road.serving.registry.host) as way:
        road.cluster.trust(way.address)
        change(road, f'"registry": "{road.serving.root}"', f'"registry": "{way.address}/ml"')
        yield way


@contextlib.contextmanager
def ledger(road):
    folder = road.base / "served"
    folder.mkdir()
    with git_web_server.serve(folder) as server:
        server.public.add("ledger.git")
        with tap(server.address.removeprefix("http://")) as way:
            url = f"http://{way.address}/ledger.git"
            shutil.move(road.base / "ledger.git", folder / "ledger.git")
            (road.base / "ledger.git").symlink_to(folder / "ledger.git")
            words = ["git", "-C", str(folder / "ledger.git"), "config", "http.receivepack", "true"]
            subprocess.run(words, check=True)
            change(road, str(road.base / "ledger.git"), url)
            yield way


@contextlib.contextmanager
def prometheus(road):
    canary = '{"steps": ["50% for 3s"], "min_requests": 10, "every": "1s", "checks": ["error_rate <= 0.1"]}'
    with tap("") as way:
        change(
            road,
            '"replicas": 1',
            f'"replicas": 1, "strategy": {{"canary": {canary}}}, "monitor": {{"prometheus": "http://{way.address}"}}',
        )
        yield way


def change(road, before, after):
    config = road.repo / "mmcicd.yaml"
    text = config.read_text()
    assert before in text, f"{before} is not in {text}"
    config.write_text(text.replace(before, after))


def timed(command):
    begun = time.monotonic()
    done = command()
    seconds = time.monotonic() - begun
    assert seconds < LONGEST, f"{seconds:.0f} s: {done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return done, round(seconds)


def fence(road):
    return annotations.fence_of(road.api.get("Deployment", f"{MODEL}-stable")).epoch


def must(done):
    assert done.returncode == 0, f"{done.args}: {done.returncode}\n{done.stderr}"


def without_api_server(road):
    with api_server(road) as way:
        seen = road.base / "seen"
        process = road.begin("promote", "2", MMCICD_FAILPOINTS_SEEN=str(seen), **TESTING)
        while process.poll() is None and not (seen.exists() and "kubernetes.waiting" in seen.read_text()):
            time.sleep(0.02)
        way.swallow()
        begun = time.monotonic()
        _, said = process.communicate(timeout=LONGEST)
        seconds = round(time.monotonic() - begun)
        way.flow()
        assert (process.returncode, "Traceback" in said) == (5, False), said
        must(road.promote("--version", "2"))
        assert road.serving_version == 2
    return f"promote {seconds} s after the API server fell silent: {said.splitlines()[-3:]}"


def without_registry(road):
    with registry(road) as way:
        before = fence(road)
        way.swallow()
        done, seconds = timed(lambda: road.promote("--version", "2"))
        assert done.returncode == 5, done.stderr
        assert (fence(road), road.serving_version) == (before, 1)
        way.flow()
        must(road.promote("--version", "2"))
        way.swallow()
        back, back_seconds = timed(road.rollback)
        must(back)
        assert road.serving_version == 1
    return f"promote {seconds} s, rollback {back_seconds} s without registry: {done.stderr.splitlines()[-3:]}"


def without_ledger(road):
    with ledger(road) as way:
        must(road.promote("--version", "2"))
        before = fence(road)
        way.swallow()
        done, seconds = timed(lambda: road.promote("--version", "3"))
        assert (done.returncode, fence(road)) == (5, before), done.stderr
        back, back_seconds = timed(road.rollback)
        assert (back.returncode, fence(road)) == (5, before), back.stderr
        assert "--offline" in back.stderr
        offline, offline_seconds = timed(lambda: road.rollback("--offline"))
        must(offline)
        told = annotations.read(road.api.get("Deployment", f"{MODEL}-stable")).told
        assert told.version == 1
        way.flow()
        must(road.command("reconcile", "--shared"))
        assert road.serving_version == 1
    return f"promote {seconds} s, rollback {back_seconds} s, --offline {offline_seconds} s without ledger"


def without_prometheus(road):
    with prometheus(road):
        done, seconds = timed(lambda: road.promote("--version", "2"))
        assert done.returncode in {5, 6}, done.stderr
        assert road.serving_version == 1
        assert len(road.api.list("Pod", {annotations.TRACK: "stable"})) == 1
    return f"promote {seconds} s without Prometheus, exit {done.returncode}: {done.stderr.splitlines()[-3:]}"


CASES = (without_api_server, without_registry, without_ledger, without_prometheus)


@pytest.fixture(scope="module")
def ended(cluster, namespaces, serving, tmp_path_factory):  # noqa: F811
    top = tmp_path_factory.mktemp("silence")
    first = Road(top / "first", cluster, namespaces(), serving).make(replicas=1)
    for factor in (1, 2, 3):
        first.release(factor)
    roads = [first.copy(top / case.__name__) for case in CASES]
    for road in roads:
        road.move_to(namespaces())

    def run(case, road):
        must(road.promote("--version", "1"))
        try:
            return case(road)
        except (AssertionError, subprocess.TimeoutExpired) as e:
            return e

    with ThreadPoolExecutor(len(CASES)) as running:
        return dict(zip(CASES, running.map(run, CASES, roads), strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_it_ends_says_so_and_goes_on_later(ended, case):
    assert isinstance(ended[case], str), ended[case]
    print(ended[case])
