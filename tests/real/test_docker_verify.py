"""The exact image in a real container: what `verify` starts, what it is allowed, what it says when it fails.

We test: golden answers by REST and gRPC; wrong answers; early ends, models that do not load, that never load, that eat
their memory at once or under requests; rights and limits of the container; nothing is left, also after a kill.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from docker_serving import GOLDEN
from registry import plain_registry  # noqa: F401 - a fixture

from mmcicd_jenkins.adapters.docker.containers import CannotStartError, Wanted, create
from mmcicd_jenkins.adapters.docker.images import EngineImages
from mmcicd_jenkins.adapters.docker.target import DockerTrial
from mmcicd_jenkins.adapters.models.client import HttpModelClient
from mmcicd_jenkins.errors import GateRefused, IntegrityFailed, OutsideFailed
from mmcicd_jenkins.ports.trial import TrialOrder
from mmcicd_jenkins.wiring import Silent

pytestmark = pytest.mark.real
LABEL = "io.mmcicd.container=verify"


class Site:
    """A place to verify images of a shelf."""

    def __init__(self, engine, shelf, folder):
        self.engine, self.shelf, self.folder = engine, shelf, folder
        self.log = folder / "logs" / "serving.log"

    def trial(self, seconds=60.0):
        images = EngineImages(self.engine, self.shelf.store)
        return DockerTrial(self.engine, images, self.folder / "verify", Silent(), seconds)

    def order(self, version, put, memory=512 * 2**20):
        digest, layers = put
        return TrialOrder(
            model="churn",
            version=version,
            image=digest,
            layers=layers,
            log=self.log,
            memory_bytes=memory,
            cpu=1.0,
        )


@pytest.fixture
def site(networked, engine, shelf, tmp_path):
    yield Site(engine, shelf, tmp_path)
    assert containers(networked) == []


def containers(docker):
    return docker("ps", "--all", "--quiet", "--filter", f"label={LABEL}").decode().split()


def test_golden_answers_by_both_protocols_and_nothing_is_left(site):
    trial = site.trial()
    endpoint = trial.start(site.order(1, site.shelf.put(1, load_seconds=1)))
    result = HttpModelClient().ask_golden(endpoint, "churn", GOLDEN)
    assert (result.asked, result.matched_rest, result.matched_grpc) == (3, 3, 3)
    assert trial.memory() > 10 * 2**20
    assert trial.death() == ""
    assert trial.stop()
    assert "serving churn 1 as 10001:10001" in site.log.read_text()
    assert not site.trial().stop()


def test_answers_that_differ_are_seen_by_protocol(site):
    trial = site.trial()
    endpoint = trial.start(site.order(2, site.shelf.put(2, factor_grpc=0.75)))
    result = HttpModelClient().ask_golden(endpoint, "churn", GOLDEN)
    trial.stop()
    assert (result.matched_rest, result.matched_grpc) == (3, 0)
    assert "by gRPC: expected 0.5, got 0.75" in result.differences[0]


def test_the_container_may_do_nothing_but_serve(site, networked):
    trial = site.trial()
    trial.start(site.order(3, site.shelf.put(3)))
    (identity,) = containers(networked)
    seen = json.loads(networked("inspect", identity))[0]
    ran = networked.run("exec", identity, "/bin/sh", "-c", "touch /models/x; touch /tmp/x && echo written")
    trial.stop()
    limits = seen["HostConfig"]
    assert (limits["ReadonlyRootfs"], limits["CapDrop"], limits["Privileged"]) == (True, ["ALL"], False)
    assert limits["SecurityOpt"] == ["no-new-privileges"]
    assert (limits["Memory"], limits["MemorySwap"], limits["NanoCpus"]) == (512 * 2**20, 512 * 2**20, 10**9)
    assert {b["HostIp"] for ports in seen["NetworkSettings"]["Ports"].values() for b in ports} == {
        "127.0.0.1"
    }
    assert seen["Config"]["User"] == "10001:10001"
    assert not seen["Mounts"]
    assert (b"Read-only file system" in ran.stderr, ran.stdout) == (True, b"written\n")


@pytest.mark.parametrize(
    ("version", "fault", "said"),
    [
        (11, "exit", "its server ended with status 1"),
        (12, "error", "the model does not load"),
        (13, "memory", "needs more memory than serving.memory gives it"),
    ],
)
def test_an_image_that_does_not_serve_is_refused_with_its_own_words(site, version, fault, said):
    trial = site.trial()
    with pytest.raises(GateRefused, match=said) as error:
        trial.start(site.order(version, site.shelf.put(version, fault=fault), memory=256 * 2**20))
    trial.stop()
    assert error.value.where == str(site.log)
    assert f"serving churn {version}" in site.log.read_text()
    assert {"exit": "teapot", "error": "the graph is broken", "memory": "serving churn"}[
        fault
    ] in error.value.why


def test_a_server_that_dies_under_requests_says_of_what(site):
    trial = site.trial()
    endpoint = trial.start(site.order(14, site.shelf.put(14, fault="memory-later"), memory=256 * 2**20))
    with pytest.raises(OutsideFailed):
        HttpModelClient().ask_golden(endpoint, "churn", GOLDEN)
    assert "needs more memory than serving.memory gives it (0.25 Gi)" in trial.death()
    trial.stop()


def test_a_model_that_loads_for_ever_ends_at_the_deadline(site):
    trial = site.trial(seconds=4)
    with pytest.raises(OutsideFailed, match="was not AVAILABLE within 4 s") as error:
        trial.start(site.order(15, site.shelf.put(15, fault="never")))
    trial.stop()
    assert error.value.retryable


def test_an_image_whose_program_is_missing_says_so(site):
    wanted = Wanted(image="mmcicd-test/serving:1", owner="verify", entrypoint=("/nothing",))
    container = create(site.engine, wanted)
    try:
        with pytest.raises(CannotStartError, match="/nothing"):
            container.start()
    finally:
        container.remove()


def test_the_engine_keeps_one_image_of_a_model(site, networked):
    for version in (21, 22):
        trial = site.trial()
        trial.start(site.order(version, site.shelf.put(version)))
        trial.stop()
    tags = networked("images", "--format", "{{.Tag}}", "mmcicd-verify/churn").decode().split()
    assert len(tags) == 1


def test_a_wrong_byte_in_a_layer_is_refused(site):
    digest, layers = site.shelf.put(31)
    blob = site.shelf.folder / "blobs/sha256" / layers[0].digest.removeprefix("sha256:")
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(content)
    with pytest.raises(IntegrityFailed):
        site.trial().start(site.order(31, (digest, layers)))


KILLED = """
import os, sys
sys.path[:0] = {paths!r}
from pathlib import Path
from docker_serving import Shelf
from test_docker_verify import Site
from mmcicd_jenkins.adapters.docker.engine import DockerEngine
site = Site(DockerEngine.open(os.environ), Shelf(Path({shelf!r})), Path({folder!r}))
site.trial().start(site.order(41, ({digest!r}, ())))
"""


def test_what_a_killed_verify_left_is_removed_by_the_next(site, docker):
    digest, layers = site.shelf.put(41)
    here = Path(__file__).parent
    code = KILLED.format(
        paths=[str(here), str(here.parent / "support")],
        shelf=str(site.shelf.folder),
        folder=str(site.folder),
        digest=digest,
    )
    environment = {
        **os.environ,
        **({"DOCKER_HOST": docker.host} if docker.host else {}),
        "MMCICD_TESTING": "1",
        "MMCICD_FAILPOINTS": "docker.container-made=kill",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == -9, done.stderr
    assert len(containers(docker)) == 1
    trial = site.trial()
    assert trial.stop()
    assert containers(docker) == []
    trial.start(site.order(41, (digest, layers)))
    trial.stop()


def test_from_a_registry_the_engine_pulls_by_digest(site, networked, plain_registry, tmp_path):  # noqa: F811
    digest, layers = site.shelf.put(51)
    address = f"{plain_registry.host}/ml/churn"
    subprocess.run(
        ["skopeo", "--insecure-policy", "copy", "-q", "--preserve-digests", "--dest-tls-verify=false",
         f"oci:{site.shelf.folder}:churn-51", f"docker://{address}:51"],
        check=True,
    )  # fmt: skip
    pulled = f"{address}@{digest}"
    networked.run("rmi", f"mmcicd-verify/churn:{digest[7:39]}")

    class Addressed(type(site.shelf.store)):
        def address(self, model, digest):  # noqa: ARG002 - the port's
            return f"{address}@{digest}"

    images = EngineImages(site.engine, Addressed(site.shelf.folder))
    trial = DockerTrial(site.engine, images, tmp_path / "v", Silent(), 60)
    endpoint = trial.start(site.order(51, (digest, layers)))
    result = HttpModelClient().ask_golden(endpoint, "churn", GOLDEN)
    trial.stop()
    assert result.matched_grpc == 3
    assert networked.run("image", "inspect", pulled).returncode != 0
