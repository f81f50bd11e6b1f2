"""`train.job`: what it needs of the rest of the file, and what a laptop makes of it."""

import pytest

from mmcicd_jenkins.config.laptop import on_this_machine
from mmcicd_jenkins.config.load import load
from mmcicd_jenkins.errors import ConfigInvalid
from mmcicd_jenkins.render.agents import agent_of

FILE = """\
models:
  churn:
    train:
      command: ./train.sh
      {image}
      gpus: 2
      job: {{cluster: https://g.example:6443, namespace: {namespace}{more}}}
    evaluate: {{command: 'true'}}
    gates: [accuracy >= 0.9]
environments:
  production: {{kind: kubernetes, cluster: https://g.example:6443, namespace: ml, replicas: 2}}
{store}
"""
STORE = "store: {registry: r.example/ml}"


@pytest.fixture
def loaded(tmp_path):
    (tmp_path / "train.sh").touch()

    def make(*, image="image: r.example/t:1", namespace="ml-training", more="", store=STORE):
        text = FILE.format(image=image, namespace=namespace, more=more, store=store)
        (tmp_path / "mmcicd.yaml").write_text(text)
        return load(tmp_path, environ={})

    return make


def warnings(found):
    return [warning.what for warning in found.warnings]


def test_a_training_in_a_cluster(loaded):
    job = loaded(more=", memory: 32Gi, checkpoints: kept, start_timeout: 2h").config.models["churn"].train.job
    assert (job.memory_bytes, job.checkpoints, job.start_timeout_seconds) == (32 * 2**30, "kept", 7200.0)
    assert (job.workers, job.stop_on_abort) == (1, False)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"image": "seed: 1"}, "needs an image"),
        ({"store": ""}, "there is none"),
        ({"more": ", workers: 0"}, "workers"),
    ],
)
def test_what_it_cannot_be_without(loaded, changed, word):
    with pytest.raises(ConfigInvalid) as caught:
        loaded(**changed)
    assert any(word in problem.what for problem in caught.value.problems)


def test_a_training_where_models_serve_is_warned_of(loaded):
    assert any("production serves in this namespace" in each for each in warnings(loaded(namespace="ml")))
    assert not any("serves in this namespace" in each for each in warnings(loaded()))


def test_gpus_without_checkpoints_are_warned_of(loaded):
    assert any("begins anew" in each for each in warnings(loaded()))
    assert not any("begins anew" in each for each in warnings(loaded(more=", checkpoints: kept")))


def test_the_build_waits_on_an_agent_without_gpus(loaded):
    jenkins = "jenkins: {url: https://j.example, agents: {default: linux, train: gpu-a100}}"
    config = loaded(store=f"{STORE}\n{jenkins}").config
    assert agent_of(config, "train", config.models["churn"]).label == "linux"
    here = on_this_machine(config)
    assert agent_of(here, "train", here.models["churn"]).label == "gpu-a100"


def test_a_laptop_trains_itself(loaded):
    own = on_this_machine(loaded().config).models["churn"].train
    assert (own.job, own.image) == (None, "r.example/t:1")
