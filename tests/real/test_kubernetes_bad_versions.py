"""A version that is bad in the ways of real life never takes over from one that is good.

Each is released as any other (its faults show in pods alone), then promoted by the real command. We look at: the exit
code and what the sentence says, the pointer of the ledger, copies of the good version that take requests at every
moment, and what a client saw that opened connections all the while.
"""

import json
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from cluster import cluster, namespaces, serving  # noqa: F401 - fixtures
from cluster_road import MODEL, Road
from load import asking

from mmcicd_jenkins.adapters.kubernetes import annotations, looking

pytestmark = pytest.mark.real

REPLICAS = 2
QUOTA = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "full"},
    "spec": {"hard": {"pods": str(REPLICAS)}},
}


def nothing(road, version):
    """It is bad enough by itself."""


def _image(road, version):
    """Documents of a version's image in the registry, and where its blobs lie."""
    manifest = json.loads(
        road.serving.registry.ask(
            f"/v2/ml/{MODEL}/manifests/{version}", Accept="application/vnd.oci.image.manifest.v1+json"
        )
    )
    return [road.serving.registry.blob(layer["digest"]) for layer in manifest["layers"]]


def without_image(road, version):
    """Somebody cleaned the registry up: the version's own layer is gone."""
    _image(road, version)[-1].unlink()


def with_other_bytes(road, version):
    """One byte of the model's layer is another one, and the size is as before."""
    path = _image(road, version)[1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def without_statements(road, version):
    """What was signed about the version is gone."""
    store = road.bench().store
    image = store.find_image(MODEL, version)
    for artifact in store.attached(MODEL, image.digest):
        road.serving.registry.ask(f"/v2/ml/{MODEL}/manifests/{artifact.manifest.digest}", "DELETE")
    for name in ("sha256-", image.digest.replace(":", "-")):
        tag = road.serving.registry.tag(f"ml/{MODEL}", name)
        if tag.exists():
            road.serving.registry.ask(f"/v2/ml/{MODEL}/manifests/{tag.read_text()}", "DELETE")


def with_a_quota(road, version):
    road.cluster.apply(road.namespace, QUOTA)
    return lambda: road.cluster("delete", "resourcequota", "full", f"--namespace={road.namespace}")


def thrown_out(road, version):
    """A node under pressure: what its kubelet would say is said of every copy of the version."""
    ended, api = threading.Event(), road.api
    low = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}

    def evict():
        while not ended.wait(0.3):
            for pod in api.list("Pod", {annotations.NAME: MODEL, annotations.POD_VERSION: str(version)}):
                if pod["status"].get("phase") not in {"Failed", "Succeeded"}:
                    words = ("patch", "pod", pod["metadata"]["name"], f"--namespace={road.namespace}")
                    road.cluster.run(
                        *words,
                        "--subresource=status",
                        "--type=merge",
                        f"--patch={json.dumps({'status': low})}",
                    )

    thread = threading.Thread(target=evict)
    thread.start()

    def end():
        ended.set()
        thread.join()

    return end


# No node has pulled it before, as it has of a test that ran an hour ago.
UNSEEN = secrets.token_hex(8)
# name -> (what the pods do, what happens meanwhile, exit code, a word of the sentence, what clients may see)
KINDS = {
    "image-missing": ({}, without_image, 7, "does not hold", set()),
    "crash-loop": ({"fault": "exit"}, nothing, 5, "dies whenever it loads", set()),
    "never-ready": ({"fault": "never"}, nothing, 5, "not ready within", set()),
    "slow": ({"load_seconds": 90}, nothing, 5, "not ready within", set()),
    "loads-never": ({"fault": "error"}, nothing, 5, "not ready within", set()),
    "out-of-memory": ({"fault": "memory"}, nothing, 5, "more memory", set()),
    "wrong-digest": ({"never": UNSEEN}, with_other_bytes, 7, "not what its digest says", set()),
    "errors": ({"fault": "errors"}, nothing, 4, "answers otherwise", {"status 500"}),
    "nan": ({"fault": "nan"}, nothing, 4, "answers otherwise", set()),
    "other-by-grpc": ({"factor_grpc": 77}, nothing, 4, "answers otherwise", set()),
    "statements-missing": ({}, without_statements, 7, "not what was released", set()),
    "quota": ({}, with_a_quota, 5, "quota", set()),
    "evicted": ({"fault": "never"}, thrown_out, 5, "evicted", set()),
}
LANES = 3
GOOD = 1


class Watch:
    """Looks at the copies that take requests, all the time: the fewest that were seen, by version."""

    def __init__(self, api):
        self.api, self.ended, self.fewest = api, threading.Event(), 99
        self.thread = threading.Thread(target=self.look)

    def look(self):
        while not self.ended.wait(0.3):
            copies = [looking.copy(pod) for pod in self.api.list("Pod", {annotations.NAME: MODEL})]
            self.fewest = min(self.fewest, sum(one.ready and not one.leaving for one in copies))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def tried(road, kind, version):
    """What happened when a bad version was promoted."""
    end = KINDS[kind][1](road, version)
    begun = time.time()
    with Watch(road.api) as watch, asking(road.address, MODEL, "new:20") as load:
        done = road.promote("--version", str(version))
        time.sleep(0.5)
        seen = load.end()["new"]
    if end:
        end()
    return {
        "exit": done.returncode,
        "said": done.stderr,
        "serving": road.serving_version,
        "fewest": watch.fewest,
        "failures": seen["failures"],
        "last": max(seen["versions"], key=lambda name: seen["versions"][name]["last"]),
        "seconds": time.time() - begun,
    }


@pytest.fixture(scope="module")
def results(cluster, namespaces, serving, tmp_path_factory):  # noqa: F811
    """kind -> what happened; each lane takes one after the other, in a namespace of its own."""
    top = tmp_path_factory.mktemp("bad")
    first = Road(top / "lane-0", cluster, namespaces(), serving).make(replicas=REPLICAS)
    versions = {}
    first.release(GOOD)
    for factor, (kind, (double, *_)) in enumerate(KINDS.items(), GOOD + 1):
        versions[kind] = first.release(factor, **double)
    lanes = [first, *(first.copy(top / f"lane-{n}") for n in range(1, LANES))]
    for road in lanes[1:]:
        road.move_to(namespaces())

    def walk(number):
        road = lanes[number]
        done = road.promote("--version", str(GOOD))
        assert done.returncode == 0, done.stderr
        return {kind: tried(road, kind, versions[kind]) for kind in list(KINDS)[number::LANES]}

    with ThreadPoolExecutor(LANES) as running:
        return {kind: one for lane in running.map(walk, range(LANES)) for kind, one in lane.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_it_does_not_take_over(results, kind):
    _, _, code, word, allowed = KINDS[kind]
    found = results[kind]
    assert found["exit"] == code, found["said"]
    assert word in found["said"], found["said"]
    assert "Traceback" not in found["said"]
    assert found["serving"] == GOOD
    assert found["fewest"] >= REPLICAS, "copies that took requests"
    assert set(found["failures"]) <= allowed, found["failures"]
    assert found["last"] == str(GOOD)
