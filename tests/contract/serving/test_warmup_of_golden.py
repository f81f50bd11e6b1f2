"""The warm-up layer that images get, in front of the server: golden requests are run on load, and bad ones refused."""

import pytest

from mmcicd_jenkins.adapters.layout.store import OciLayoutStore
from mmcicd_jenkins.adapters.local.target import LocalTarget
from mmcicd_jenkins.adapters.models.client import HttpModelClient
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.errors import OutsideFailed
from mmcicd_jenkins.image.version_layer import warmup_layer
from mmcicd_jenkins.image.warmup import warmup_requests
from mmcicd_jenkins.ports import Switch

pytestmark = pytest.mark.tensorflow

SCALED = {"inputs": {"x": {"dtype": "float32"}}, "instances": [[1.0, 2.0], [0.5, 0.25]]}
TWO = {
    "inputs": {"count": {"dtype": "int64"}, "point": {"dtype": "float64"}},
    "instances": [{"count": 3, "point": [1.0, 2.0]}],
}
TEXT = {"inputs": {"text": {"dtype": "string"}}, "instances": ["ü", {"b64": "AP8="}, "c"]}


class Shelf:
    """A server, and models of its store with a warm-up layer that was put there as `package` puts it."""

    def __init__(self, folder, models):
        self.folder, self.models, self.epoch = folder, models, 0
        self.store = OciLayoutStore(folder / "store")
        place = Environment(name="staging", rest_port=0, grpc_port=0)
        self.target = LocalTarget(place, folder / "state", self.store, deadline_seconds=60)

    def switch(self, name, records):
        blob, layer = warmup_layer(records)
        # The store takes blobs with the image whose they are; alone they come as a file of something.
        self.store.put_artifact(layer.diff_id[7:], "application/x.test", {}, files={"warm": blob})
        layers = [one.blob for one in self.store.put_model(self.models / name).layers]
        self.epoch += 1
        order = Switch(
            model=name.partition("/")[0],
            version=1,
            epoch=self.epoch,
            op_id=str(self.epoch),
            layers=(*layers, layer.blob),
        )
        self.target.switch(order)


@pytest.fixture(scope="module")
def shelf(models, tmp_path_factory):
    made = Shelf(tmp_path_factory.mktemp("warm"), models)
    yield made
    made.target.stop()


@pytest.mark.parametrize(("name", "golden"), [("scaled/1", SCALED), ("two", TWO), ("text", TEXT)])
def test_each_golden_request_is_run_on_load(shelf, name, golden):
    model = name.partition("/")[0]
    records, count = warmup_requests(model, golden)
    assert count == len(golden["instances"])
    shelf.switch(name, records)
    assert shelf.target.observe(model).state == "AVAILABLE"
    told = HttpModelClient().metrics(shelf.target.endpoint("m"))
    (line,) = [
        line
        for line in told.splitlines()
        if "warmup_latency_count" in line and f'"{model}"' in line and '"OK"' in line
    ]
    assert int(float(line.rpartition(" ")[2])) == count


@pytest.mark.parametrize("how", ["a changed byte", "cut", "another input", "another shape", "no record"])
def test_a_version_whose_requests_cannot_be_run_does_not_load(shelf, how):
    records = {
        "a changed byte": flipped(warmup_requests("m", SCALED)[0]),
        "cut": warmup_requests("m", SCALED)[0][:-3],
        "another input": warmup_requests("m", {"inputs": {"z": {"dtype": "float32"}}, "instances": [1.0]})[0],
        "another shape": warmup_requests("m", SCALED | {"instances": [[1.0, 2.0, 3.0]]})[0],
        "no record": b"\x00" * 40,
    }[how]
    with pytest.raises(OutsideFailed, match="does not load"):
        shelf.switch("scaled/2", records)


def flipped(content):
    return content[:40] + bytes([content[40] ^ 1]) + content[41:]
