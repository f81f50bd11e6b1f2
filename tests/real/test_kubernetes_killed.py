"""kill -9 at any point of promote, rollback and abort on a real cluster, then the same command again; and SIGTERM.

What is compared with an undisturbed run: the pointer and the events of the ledger, what the Deployment remembers, the fence of
every object, and the copies that run. An abort is a rollback in the middle of a promotion that was killed. Each of the
three walks through versions of its own in a namespace of its own. MMCICD_TEST_LONG=1 kills at every visit of every
failpoint; without it at some of them. The same sweep on the rules of an API server alone is in tests/system.
"""

import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from cluster import cluster, namespaces, serving  # noqa: F401 - fixtures
from cluster_road import MODEL, Road

from mmcicd_jenkins.adapters.kubernetes import annotations, looking

pytestmark = pytest.mark.real

LONG = bool(os.environ.get("MMCICD_TEST_LONG"))
# Of the points of each verb; all of them in a long run.
SOME = 4
VERSIONS = 60 if LONG else 8
TESTING = {"MMCICD_TESTING": "1"}
# In the middle of a promotion: its Deployment is written, its copies are not there.
HALFWAY = "kubernetes.waiting:2=kill"


class Walk:
    """One production that goes from version to version."""

    def __init__(self, road):
        self.road = road
        self.version = 1
        must(road.promote("--version", "1"))
        self.serves = 1

    def next_version(self):
        self.version += 1
        return str(self.version)

    def mark(self):
        """What later states are told relative to."""
        self.epoch = self.road.ledger.snapshot(MODEL).pointer("production").epoch
        self.known = sum(1 for _ in self.road.ledger.events(MODEL))

    def state(self):
        """Everything that must be the same, whatever the versions are called."""
        road, named = self.road, {self.serves: "before", self.version: "new", None: None}
        pointer = road.ledger.snapshot(MODEL).pointer("production")
        events = list(road.ledger.events(MODEL))
        deployment = road.api.get("Deployment", f"{MODEL}-stable")
        standing = annotations.read(deployment)
        objects = [("Service", MODEL), ("NetworkPolicy", MODEL), ("Deployment", f"{MODEL}-stable")]
        selector = {annotations.NAME: MODEL}
        copies = [looking.copy(pod) for pod in road.api.list("Pod", selector)]
        return {
            "pointer": (
                named[pointer.serving],
                pointer.epoch - self.epoch,
                pointer.operation.action,
                pointer.operation.phase,
            ),
            "events": [
                (
                    one.kind,
                    one.detail.get("action"),
                    named.get(one.detail.get("from"), "older"),
                    named[one.detail.get("to")],
                )
                for one in events[: len(events) - self.known]
            ],
            "told": named[standing.told.version],
            "settled": standing.settled,
            "previous": standing.previous and named.get(standing.previous.version, "older"),
            "fences": {
                annotations.fence_of(road.api.get(kind, name)).epoch - self.epoch for kind, name in objects
            },
            "copies": dict(
                Counter(named.get(c.version, "older") for c in copies if c.ready and not c.leaving)
            ),
            "deployments": len(road.api.list("Deployment", selector)),
        }


def must(done):
    assert done.returncode == 0, f"{done.args}: {done.returncode}\n{done.stderr}"


def promote(walk, version, **variables):
    return walk.road.promote("--version", version, **variables)


def rollback(walk, _, **variables):
    return walk.road.rollback(**variables)


def from_rest(walk):
    walk.mark()


def from_a_promotion(walk):
    must(promote(walk, str(walk.version)))
    walk.mark()


def from_half_a_promotion(walk):
    done = promote(walk, str(walk.version), MMCICD_FAILPOINTS=HALFWAY, **TESTING)
    assert done.returncode == -signal.SIGKILL, done.stderr
    walk.mark()


# verb -> (what stands before it, the command, whether the new version serves then)
VERBS = {
    "promote": (from_rest, promote, True),
    "rollback": (from_a_promotion, rollback, False),
    "abort": (from_half_a_promotion, rollback, False),
}


def disturbed(walk, verb, point=""):
    """The state after the verb, killed at `point` and begun anew; a sentence when that did not go well."""
    before, command, moves_on = VERBS[verb]
    version = walk.next_version()
    before(walk)
    if point:
        killed = command(walk, version, MMCICD_FAILPOINTS=f"{point}=kill", **TESTING)
        if killed.returncode != -signal.SIGKILL:
            return f"{verb} at {point}: not reached, exit {killed.returncode}: {killed.stderr[-400:]}"
        seen = {}
    else:
        seen = {"MMCICD_FAILPOINTS_SEEN": str(walk.road.base / f"seen-{verb}"), **TESTING}
    again = command(walk, version, **seen)
    if again.returncode:
        return f"{verb} at {point}: again exits {again.returncode}: {again.stderr[-600:]}"
    found = walk.state()
    if moves_on:
        walk.serves = int(version)
    return found


def points(walk, verb):
    """The first and the last visit of every failpoint that the verb came by, in their order; of waits the first."""
    visits = (walk.road.base / f"seen-{verb}").read_text().split()
    found = []
    for name in dict.fromkeys(visits):
        found.append(f"{name}:1")
        if visits.count(name) > 1 and name != "kubernetes.waiting":
            found.append(f"{name}:{visits.count(name)}")
    return found if LONG else found[:: max(1, len(found) // SOME)][:SOME]


def swept(road, verb):
    """What differs from an undisturbed run, and at how many points it was looked for."""
    walk = Walk(road)
    expected = disturbed(walk, verb)
    if isinstance(expected, str):
        return [expected], 0
    wrong, chosen = [], points(walk, verb)
    for point in chosen:
        found = disturbed(walk, verb, point)
        if isinstance(found, str):
            wrong.append(found)
            continue
        wrong += [
            f"{verb} at {point}: {key} is {found[key]}, undisturbed {expected[key]}"
            for key in expected
            if found[key] != expected[key]
        ]
    return wrong, len(chosen)


@pytest.fixture(scope="module")
def released(cluster, namespaces, serving, tmp_path_factory):  # noqa: F811
    """A repository with so many versions on staging."""
    road = Road(tmp_path_factory.mktemp("killed") / "first", cluster, namespaces(), serving).make(replicas=1)
    for factor in range(1, VERSIONS + 1):
        road.release(factor)
    return road


def test_killed_anywhere_the_same_command_ends_as_if_nothing_had_happened(released, namespaces, tmp_path):  # noqa: F811
    roads = {verb: released.copy(tmp_path / verb) for verb in VERBS}
    for road in roads.values():
        road.move_to(namespaces())
    with ThreadPoolExecutor(len(VERBS)) as running:
        results = list(running.map(lambda verb: swept(roads[verb], verb), VERBS))
    assert [sentence for wrong, _ in results for sentence in wrong] == []
    assert all(count >= SOME for _, count in results), results


def test_told_to_end_it_ends_within_seconds_and_goes_on_later(released):
    """Jenkins waits five seconds for a build that is aborted, and never kills it."""
    road = released
    walk = Walk(road)
    for verb in ("promote", "rollback"):
        version = walk.next_version() if verb == "promote" else str(walk.version)
        seen = road.base / f"waiting-{verb}"
        process = road.begin(verb, version, MMCICD_FAILPOINTS_SEEN=str(seen), **TESTING)
        while process.poll() is None and not (
            seen.exists() and seen.read_text().count("kubernetes.waiting") > 1
        ):
            time.sleep(0.02)
        told = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
        assert (process.returncode, "Traceback" in said) == (143, False), said
        assert time.monotonic() - told < 4
        must(promote(walk, version) if verb == "promote" else road.rollback())
        assert road.serving_version == (int(version) if verb == "promote" else 1)
