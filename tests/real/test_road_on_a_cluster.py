"""The whole road on a real cluster, by the commands that a person types: staging, smoke, promotion, the way back.

Aspects: staging and production are namespaces; the same bytes in both; pressed twice; what the ledger says and what the
cluster says; a drift put right; settings alone; back without the ledger, learnt by reconcile; a laptop asks no cluster.
"""

import json

import pytest
from cluster import cluster, namespaces, serving  # noqa: F401 - fixtures
from cluster_road import MODEL, Road

pytestmark = pytest.mark.real


class TwoPlaces(Road):
    """A road whose staging is a namespace too."""

    def config(self, **production):
        document = super().config(**production)
        document["environments"]["staging"] |= {"namespace": self.other, "progress_timeout": "30s"}
        return document


@pytest.fixture(scope="module")
def road(cluster, namespaces, serving, tmp_path_factory):  # noqa: F811 - fixtures
    """Versions 1 and 2 serve in production, one after the other; staging serves 2."""
    road = TwoPlaces(tmp_path_factory.mktemp("road"), cluster, namespaces(), serving, staging="kubernetes")
    road.other = namespaces()
    road.make()
    for factor in (1, 2):
        if factor > 1:
            road.edit(factor)
        walked(road)
        assert f"production serves {factor}" in good(road.promote())
    return road


def walked(road):
    done = road.stage("road")
    assert done.returncode == 0, done.stderr
    *_, deploy, smoke, propose = json.loads(done.stdout)
    assert smoke["sentence"] == "2 of 2 by REST, 2 of 2 by gRPC"
    return deploy, propose


def good(done):
    assert done.returncode == 0, f"{done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def told(done):
    good(done)
    return json.loads(done.stdout)


def status(road, code=0):
    done = road.command("status", "--shared", "--json")
    assert done.returncode == code, done.stdout + done.stderr
    lines = json.loads(done.stdout)["status"]
    return {line["environment"]: (line["recorded"], line["observed"]) for line in lines}


def deployment(road, namespace=""):
    return json.loads(
        kubectl(road, "get", "deployment", f"{MODEL}-stable", "--output=json", namespace=namespace)
    )


def kubectl(road, *words, namespace=""):
    return road.cluster(*words, f"--namespace={namespace or road.namespace}")


def image(document):
    return document["spec"]["template"]["spec"]["containers"][0]["image"]


def test_the_same_bytes_serve_in_both_and_status_agrees(road):
    assert image(deployment(road)) == image(deployment(road, road.other))
    assert image(deployment(road)).startswith(f"{road.serving.root}/{MODEL}@sha256:")
    assert status(road) == {"staging": (2, 2), "production": (2, 2)}
    pointer = road.bench().ledger.snapshot(MODEL).pointer("production")
    noted = deployment(road)["metadata"]["annotations"]
    assert noted["mmcicd.io/epoch"] == str(pointer.epoch)
    assert [bool(stretch.manifest) for stretch in pointer.served] == [True, True]
    assert "events hold" in good(road.command("ledger", "verify", "--shared"))


def test_what_stands_is_found(road):
    generation = deployment(road)["metadata"]["generation"]
    assert "serves 2 already" in good(road.promote())
    (found,) = told(road.stage("deploy"))
    assert found["found"]
    assert deployment(road)["metadata"]["generation"] == generation


def test_a_drift_is_shouted_and_put_right(road):
    kubectl(road, "scale", "deployment", f"{MODEL}-stable", "--replicas=1")
    kubectl(road, "set", "image", f"deployment/{MODEL}-stable", f"serving={image(deployment(road))[:-4]}0000")
    good(road.command("serve", "--shared", "--env", "production"))
    after = deployment(road)
    assert after["spec"]["replicas"] == 2
    assert image(after) == image(deployment(road, road.other))


def test_back_and_pressed_twice_and_back_without_the_ledger(road):
    back = told(road.command("rollback", "--shared", "--env", "production", "--json"))
    assert (back["from"], back["to"]) == (2, 1)
    again = told(road.command("rollback", "--shared", "--env", "production", "--json"))
    assert again["found"]
    assert status(road) == {"staging": (2, 2), "production": (1, 1)}
    road.edit(3)
    walked(road)
    good(road.promote())
    ledger = road.base / "ledger.git"
    ledger.rename(road.base / "away")
    down = road.command("stage", "rollback", "--env", "production", "--or-offline", "--json")
    assert json.loads(down.stdout)["to"] == 1, down.stderr
    (road.base / "away").rename(ledger)
    assert status(road, code=5)["production"] == (3, 1)
    good(road.command("reconcile", "--shared", "--env", "production"))
    assert status(road) == {"staging": (3, 3), "production": (1, 1)}
    snapshot = road.bench().ledger.snapshot(MODEL)
    assert set(snapshot.head.revoked) == {"2", "3"}
    assert road.promote("--version", "3").returncode == 4


def test_other_settings_alone(road):
    config = road.repo / "mmcicd.yaml"
    kept = config.read_text()
    config.write_text(json.dumps(road.config(replicas=1), indent=1))
    good(road.promote("--version", "1"))
    assert deployment(road)["spec"]["replicas"] == 1
    config.write_text(kept)


def test_a_laptop_asks_no_cluster(road):
    done = road.command("status", "--json", KUBECONFIG="/nonexistent")
    assert done.returncode == 0, done.stderr
    assert all(line["observed"] is None for line in json.loads(done.stdout)["status"])
