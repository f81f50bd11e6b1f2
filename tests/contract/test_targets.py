"""The contract of targets: on the stand-in of the system tests, on that of a cluster, and on the embedded server."""

import importlib.util
import shutil
import sys
from pathlib import Path

import cluster_paper
import pytest

from mmcicd_jenkins.adapters.layout.store import OciLayoutStore
from mmcicd_jenkins.adapters.local.target import LocalTarget
from mmcicd_jenkins.config.model import Environment
from mmcicd_jenkins.ports import Switch

HERE = Path(__file__).parent


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = loaded
    spec.loader.exec_module(loaded)
    return loaded


TargetContract = module(HERE / "target_contract.py").TargetContract
paper = module(HERE.parent / "system" / "paper.py")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return OciLayoutStore(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def orders(store, tmp_path_factory):
    bad = tmp_path_factory.mktemp("bad") / "model"
    shutil.copytree(paper.MODEL, bad)
    (bad / "saved_model.pb").write_bytes(b"this is not a model")
    stored = {True: store.put_model(paper.MODEL), False: store.put_model(bad)}

    def order(version, epoch, good=True):
        layers = tuple(layer.blob for layer in stored[good].layers)
        return Switch(
            model="double", version=version, epoch=epoch, op_id=f"op-{version}-{epoch}", layers=layers
        )

    return order


class TestFileTarget(TargetContract):
    @pytest.fixture
    def target(self, tmp_path, store):
        return paper.FileTarget(tmp_path / "target.json", store)


class TestKubernetesTarget(TargetContract):
    @pytest.fixture(params=["rolling", "blue-green"])
    def paper(self, tmp_path, request):
        with cluster_paper.place(tmp_path, strategy=request.param) as paper:
            paper.model = "double"
            yield paper

    @pytest.fixture
    def target(self, paper):
        return paper.target()

    @pytest.fixture
    def orders(self, paper):
        return lambda version, epoch, good=True: paper.order(version, epoch, good=good)


@pytest.mark.tensorflow
class TestLocalTarget(TargetContract):
    @pytest.fixture
    def target(self, tmp_path, store):
        place = Environment(name="production", rest_port=0, grpc_port=0)
        target = LocalTarget(place, tmp_path / "state", store, deadline_seconds=60)
        yield target
        target.stop()
