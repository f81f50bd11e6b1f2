"""Two decisions at the same moment, and one from the past: on a real API server one wins, and everything is as it says.

We look at: orders of different epochs (a promotion and the rollback that aborts it), orders of one epoch (a rollback
without the ledger, and whoever had the same idea), and processes that were stopped before a write and went on after a
newer decision was carried out. Copies are none: what is tried are the writes. MMCICD_TEST_LONG=1 makes 1,000 races and
200 frozen processes of it; without it there are fewer.
"""

import contextlib
import dataclasses
import json
import multiprocessing
import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cluster import cluster, namespace, serving  # noqa: F401 - fixtures
from cluster_place import Lines, Place

from mmcicd_jenkins.adapters.kubernetes import annotations
from mmcicd_jenkins.adapters.kubernetes.api import Api
from mmcicd_jenkins.adapters.kubernetes.connection import connect
from mmcicd_jenkins.adapters.kubernetes.errors import Conflict
from mmcicd_jenkins.adapters.kubernetes.target import KubernetesTarget
from mmcicd_jenkins.errors import MmcicdError

pytestmark = pytest.mark.real

LONG = bool(os.environ.get("MMCICD_TEST_LONG"))
RACES = 1000 if LONG else 24
FROZEN_EACH = 23 if LONG else 1
# At once, each in a namespace of its own.
LANES = 4
SOME = 987654321
IMAGE = "127.0.0.1:1/ml/churn@sha256:{:064x}"
# Before each write of a switch, and between two looks of its wait.
POINTS = (
    "kubernetes.before-patch:1",
    "kubernetes.after-patch:1",
    "kubernetes.before-apply:1",
    "kubernetes.after-apply:1",
    "kubernetes.before-apply:2",
    "kubernetes.before-apply:3",
    "kubernetes.after-apply:3",
    "kubernetes.waiting:1",
    "kubernetes.before-patch:2",
)


class Lane:
    """A namespace with a target of ours, and orders for it."""

    def __init__(self, place):
        self.place = place
        self.environment = place.environment()
        self.api = place.api
        self.target = place.target()
        self.text = json.dumps(
            [
                {**one, "spec": {**one["spec"], "replicas": 0}} if one["kind"] == "Deployment" else one
                for one in place.manifest(SOME, IMAGE.format(SOME))
                if one["kind"] in {"Deployment", "Service", "NetworkPolicy"}
            ]
        )

    def order(self, version, epoch, op_id, *, takes_back=False):
        """Of a version without any copy; nobody pulls its image."""
        text = self.text.replace(IMAGE.format(SOME), IMAGE.format(version)).replace(str(SOME), str(version))
        told = self.place.order(version, epoch, tuple(json.loads(text)), takes_back=takes_back)
        return dataclasses.replace(told, op_id=op_id)


def ended(lane, told, delay=0.0):
    """How an order ended: "" or the name of its error."""
    time.sleep(delay)
    try:
        lane.target.switch(told)
    except MmcicdError as e:
        return type(e).__name__
    return ""


def standing(lane):
    """What the cluster says: (version, epoch, operation) of every object, and the image that would run."""
    found = set()
    deployment = lane.api.get("Deployment", "churn-stable")
    for one in (deployment, lane.api.get("Service", "churn"), lane.api.get("NetworkPolicy", "churn")):
        fence = annotations.fence_of(one)
        found.add((fence.epoch, fence.op_id))
    told = annotations.read(deployment).told
    image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    return found, told.version, int(image.rpartition(":")[2], 16)


def lanes_of(cluster, namespace, serving, folder, count):  # noqa: F811
    made = [Lane(Place(cluster, namespace(), serving, folder / f"lane-{n}")) for n in range(count)]
    for lane in made:
        assert ended(lane, lane.order(1, 1, "first")) == ""
    return made


def race(lane, number, chance):
    """One race; a sentence for each thing that is not as it must be."""
    epoch, version = 3 * number + 2, 2 + number
    aborts = number % 2 == 0
    promote = lane.order(version, epoch, f"promote {number}")
    back = lane.order(1, epoch + aborts, f"rollback {number}", takes_back=True)
    with ThreadPoolExecutor(2) as both:
        delays = [chance.uniform(0, 0.06), chance.uniform(0, 0.06)]
        first = both.submit(ended, lane, promote, delays[0])
        second = both.submit(ended, lane, back, delays[1])
        ends = (first.result(), second.result())
    wrong = []
    if aborts:
        winner = back
        if ends[1] or ends[0] not in {"", "Superseded"}:
            wrong.append(f"race {number}: promote {ends[0] or 'done'}, rollback {ends[1] or 'done'}")
    else:
        winner = back if not ends[1] else promote
        if sorted(ends) != ["", "Superseded"]:
            wrong.append(f"race {number} of one epoch: {ends}")
    found = standing(lane)
    if found != ({(winner.epoch, winner.op_id)}, winner.version, winner.version):
        wrong.append(f"race {number}: {found}, won by {winner.version} with {winner.op_id} of {winner.epoch}")
    return wrong, ends


def test_one_of_two_decisions_wins_and_everything_says_so(cluster, namespace, serving, tmp_path):  # noqa: F811
    lanes = lanes_of(cluster, namespace, serving, tmp_path, LANES)

    def walk(number):
        chance = random.Random(number)
        return [race(lanes[number], each, chance) for each in range(RACES // LANES)]

    with ThreadPoolExecutor(LANES) as running:
        walked = [one for one_lane in running.map(walk, range(LANES)) for one in one_lane]
    assert [sentence for wrong, _ in walked for sentence in wrong] == []
    assert len(walked) == RACES
    # Both ways to lose were seen, or the races were none.
    assert {ends[0] for _, ends in walked} == {"", "Superseded"}


def zombie(kubeconfig, environment, told, point):
    """A process that stops itself at `point` of this order; exits with what the command would."""
    os.environ |= {"MMCICD_TESTING": "1", "MMCICD_FAILPOINTS": f"{point}=stop", "KUBECONFIG": kubeconfig}
    api = Api(connect(environment, os.environ, ""), environment.namespace)
    try:
        KubernetesTarget(environment, api, Lines()).switch(told)
    except MmcicdError as e:
        os._exit(e.exit_code)
    os._exit(0)


def is_stopped(pid):
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    return False


def frozen(lane, number, point):
    """A process frozen at `point`, a newer decision carried out, and the process revived: what is wrong then."""
    old = lane.order(100 + number, 2 * number + 2, f"old {number}")
    new = lane.order(1, 2 * number + 3, f"new {number}", takes_back=True)
    process = multiprocessing.get_context("forkserver").Process(
        target=zombie, args=(lane.place.cluster.kubeconfig, lane.environment, old, point)
    )
    process.start()
    try:
        end = time.monotonic() + 60
        while process.is_alive() and not is_stopped(process.pid) and time.monotonic() < end:
            time.sleep(0.01)
        if not process.is_alive():
            # A Deployment without copies may be done at the first look, and then nobody waits.
            done = process.exitcode == 0 and "waiting" in point
            return [] if done else [f"{point} was not reached: exit {process.exitcode}"]
        said = ended(lane, new)
        if said:
            return [f"{point}: the newer decision ended with {said}"]
        before = standing(lane)
        os.kill(process.pid, signal.SIGCONT)
        process.join(60)
    finally:
        if process.is_alive():
            process.kill()
            process.join()
    wrong = [] if process.exitcode == 75 else [f"{point}: the revived process exits {process.exitcode}"]
    if standing(lane) != before or before != ({(new.epoch, new.op_id)}, 1, 1):
        wrong.append(f"{point}: {before} became {standing(lane)}")
    return wrong


def test_a_process_that_was_frozen_changes_nothing_when_it_is_revived(cluster, namespace, serving, tmp_path):  # noqa: F811
    lanes = lanes_of(cluster, namespace, serving, tmp_path, 2)
    rounds = [(n, point) for n in range(FROZEN_EACH) for point in POINTS]

    def walk(place):
        mine = rounds[place :: len(lanes)]
        return [s for number, (_, point) in enumerate(mine) for s in frozen(lanes[place], number, point)]

    with ThreadPoolExecutor(len(lanes)) as running:
        wrong = [sentence for told in running.map(walk, range(len(lanes))) for sentence in told]
    assert wrong == []


def test_an_object_that_was_made_anew_is_not_the_one_that_was_read(cluster, namespace, serving, tmp_path):  # noqa: F811
    (lane,) = lanes_of(cluster, namespace, serving, tmp_path, 1)
    place, api = lane.place, lane.api
    read = api.get("Deployment", "churn-stable")
    place.cluster("delete", "deployment", "churn-stable", f"--namespace={place.namespace}")
    (stale,) = [one for one in lane.order(9, 9, "").manifest if one["kind"] == "Deployment"]
    metadata = read["metadata"]
    with pytest.raises(Conflict):
        api.apply(stale, uid=metadata["uid"], resource_version=metadata["resourceVersion"])
    assert api.get("Deployment", "churn-stable") is None
    with ThreadPoolExecutor(2) as both:
        ends = list(both.map(lambda v: ended(lane, lane.order(v, 5, f"new {v}")), (7, 8)))
    assert sorted(ends) == ["", "Superseded"]
    winner = (7, 8)[ends.index("")]
    assert standing(lane) == ({(5, f"new {winner}")}, winner, winner)
