"""The scanner beside TensorFlow's own parser, on models as TensorFlow and Keras export them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mmcicd_jenkins.adapters.models import graph_wire
from mmcicd_jenkins.adapters.models import proto_wire as wire
from mmcicd_jenkins.adapters.models.scan import scan_model
from mmcicd_jenkins.release.operations import known

pytestmark = pytest.mark.tensorflow
BUILDER = Path(__file__).with_name("real_models.py")
REFUSED = {
    "reads": {"ReadFile"},
    "hidden": {"ReadFile"},
    "python": {"PyFunc", "PyFuncStateless", "EagerPyFunc"},
    "mapped": {"ReadFile"},
    "prints": {"PrintV2"},
    "records": {"TFRecordDataset", "TFRecordDatasetV2"},
}


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("real-models")
    done = subprocess.run([sys.executable, BUILDER, root], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return root


@pytest.fixture(scope="session")
def truth(models):
    return json.loads((models / "operations.json").read_text())


def test_every_operation_is_seen_that_tensorflow_sees(models, truth):
    for name, expected in truth.items():
        if name == "registered":
            continue
        with wire.mapped(models / name / "saved_model.pb") as buffer:
            seen = {
                node.operation
                for meta in wire.messages(buffer, (0, len(buffer)), 2)
                for body in graph_wire.graphs(buffer, meta)
                for node in graph_wire.nodes(buffer, body)
            }
        assert sorted(seen) == expected, name


def test_models_that_only_compute_are_let_through(models, truth):
    for name in truth:
        if name not in REFUSED and name != "registered":
            assert scan_model(models / name) == (), name


@pytest.mark.parametrize("name", REFUSED)
def test_models_that_do_more_are_refused(models, name):
    found = {concern.operation for concern in scan_model(models / name)}
    assert found
    assert found <= REFUSED[name]


def test_the_list_has_every_operation_that_tensorflow_registers(truth):
    listed = known()
    names = listed.allowed | listed.savers | listed.refused.keys()
    here = {name for name in truth["registered"] if not name.startswith("_")}
    # A newer TensorFlow has more of them; operations.txt says how each one finds its section.
    assert sorted(here - names) == []
