"""A model on further serving versions, in a real engine: tried, judged alike, never stored, never released.

We test: all that are listed pass and are told; one that answers otherwise refuses the release though the first passed; so
does one on which the model does not load; without an engine it is undecided; nothing of it stays in store or engine.
"""

import http.client
import json
import os

import pytest
from registry import plain_registry  # noqa: F401 - a fixture
from test_docker_road import road  # noqa: F401 - a fixture

pytestmark = pytest.mark.real
FIRST, SECOND = "mmcicd-test/serving:1", "mmcicd-test/serving:2"
LISTED = f"  verify_with: [docker:{SECOND}]\n"


@pytest.fixture
def second(networked):
    """Makes a second serving version in the engine, whose server does what is given whatever the model says."""

    def make(**double):
        name = networked("create", FIRST, "x").decode().strip()
        networked(
            "commit", "--change", f"ENV DOUBLE={json.dumps(double, separators=(',', ':'))!r}", name, SECOND
        )
        networked("rm", name)

    yield make
    networked.run("rmi", SECOND)


def verify(road, code=0, **variables):  # noqa: F811
    return road.run("stage", "verify", "--model", "churn", "--json", code=code, **variables)


def test_every_listed_version_is_tried_and_told_and_none_is_kept(road, second, networked):  # noqa: F811
    second(load_seconds=1)
    seen = road(LISTED)["verify"]
    (tried,) = seen["verified"]["tried"]
    assert (tried["base"], tried["verdict"]) == (f"docker:{SECOND}", "passed")
    assert tried["golden"]["matched_grpc"] == 3
    assert tried["how"].startswith("in a container")
    assert f"docker:{SECOND}: loads; 3 of 3 golden answers" in seen["sentence"]
    assert tried["image"] != seen["image"]
    lock = (road.root / "mmcicd.lock").read_text()
    assert tried["digest"] in lock
    assert not (road.root.parent / "repo.store/blobs/sha256" / tried["image"][7:]).exists()
    assert networked("images", "--quiet", "mmcicd-verify/churn/joined") == b""
    assert networked("images", "--quiet", "mmcicd-verify/churn") != b""
    assert verify(road)["found"]
    assert sorted(path.name[:8] for path in road.root.glob(".mmcicd/runs/*/serving*.log")) == [
        "serving-",
        "serving.",
    ]


@pytest.mark.parametrize(
    ("double", "said"),
    [({"factor": 0.75}, "expected 0.5, got 0.75"), ({"fault": "error"}, "the model does not load")],
)
def test_what_another_version_answers_otherwise_is_not_released(road, second, double, said):  # noqa: F811
    second(**double)
    road(LISTED, stages=("prepare", "train", "evaluate", "package"))
    refused = verify(road, code=4)
    (tried,) = refused["verified"]["tried"]
    assert refused["sentence"].startswith(f"refused: docker:{SECOND}: ")
    assert said in refused["sentence"]
    assert "3 of 3 golden answers" in refused["sentence"]
    assert "serving churn 1" in (road.root / tried["log"]).read_text()
    kept = road.run("stage", "deploy", "--model", "churn", "--json", "--env", "staging", code=3)
    assert "has not passed verify" in kept["error"]
    undecided = verify(road, code=6, DOCKER_HOST="unix:///nowhere/docker.sock")
    assert undecided["sentence"].startswith("inconclusive: ")
    assert "there is no Docker engine" in undecided["sentence"]
    config = road.root / "mmcicd.yaml"
    config.write_text(config.read_text().replace(LISTED, ""))
    road.git("commit", "-qam", "that version is gone")
    assert verify(road)["found"]


def test_killed_beside_its_container_the_same_command_goes_on(road, second, networked):  # noqa: F811
    second()
    road(LISTED, stages=())
    config = road.root / "mmcicd.yaml"
    listed = config.read_text()
    config.write_text(listed.replace(LISTED, ""))
    road.git("commit", "-qam", "without it")
    for stage in ("train", "evaluate", "package", "verify"):
        road.run("stage", stage, "--model", "churn", "--json")
    config.write_text(listed)
    road.git("commit", "-qam", "with it again")
    verify(road, code=-9, MMCICD_TESTING="1", MMCICD_FAILPOINTS="docker.container-made=kill")
    assert networked("images", "--quiet", "mmcicd-verify/churn/joined") != b""
    seen = verify(road)
    assert [one["verdict"] for one in seen["verified"]["tried"]] == ["passed"]
    assert networked("images", "--quiet", "mmcicd-verify/churn/joined") == b""


def test_with_a_registry_as_store_the_joined_image_is_pushed_nowhere(road, second, plain_registry, networked):  # noqa: F811
    second()
    road(LISTED, stages=())
    place = f"{plain_registry.host}/team-{os.getpid()}"
    config = road.root / "mmcicd.yaml"
    written = config.read_text().replace("store: {insecure", f"store: {{registry: {place}, insecure")
    config.write_text(written)
    road.git("commit", "-qam", "a registry")
    for stage in ("train", "evaluate", "package"):
        road.run("stage", stage, "--model", "churn", "--json")
    seen = road.run("stage", "verify", "--model", "churn", "--json")
    (tried,) = seen["verified"]["tried"]
    assert tried["verdict"] == "passed"
    assert manifest(plain_registry, place, seen["image"]) == 200
    assert manifest(plain_registry, place, tried["image"]) == 404
    assert networked("images", "--quiet", "mmcicd-verify/churn/joined") == b""


def manifest(registry, place, digest):
    """The status of asking the registry for an image of the model."""
    connection = http.client.HTTPConnection(registry.host, timeout=30)
    kinds = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"
    path = f"/v2/{place.partition('/')[2]}/churn/manifests/{digest}"
    connection.request("GET", path, headers={"Accept": kinds})
    status = connection.getresponse().status
    connection.close()
    return status
