"""Each key is documented, changes the configuration, and has the default that the model says."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_core import CoreConfig, SchemaValidator, core_schema

from mmcicd_jenkins.config import model, platform
from mmcicd_jenkins.config.catalogue import Key, all_keys, find
from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.config.lock import Lock, lock_bytes

BASE = {
    "models": {
        "m": {
            "data": {"d": {"url": "d.csv", "label": "y", "test_size": 0.2}},
            "train": {"command": "./t"},
            "evaluate": {"problem": "binary"},
        }
    },
    "environments": {
        "e": {"kind": "kubernetes", "cluster": "https://k:6443", "namespace": "n", "replicas": 2}
    },
    "jenkins": {"url": "https://j"},
}
BUILT = {"context", "build_args"}
LOCAL = {"folder", "host", "rest_port", "grpc_port"}
# Another valid value where the example of the documentation is what BASE has, or needs another key beside it.
OTHER = {
    "models.MODEL.path": "m",
    "models.MODEL.data.SOURCE.url": "e.csv",
    "models.MODEL.data.SOURCE.role": None,
    "models.MODEL.data.SOURCE.test_size": 0.3,
    "models.MODEL.data.SOURCE.schema": "schema.yaml",
    "models.MODEL.data": {"e": {"url": "e.csv", "label": "y", "test_size": 0.5}},
    "models.MODEL.evaluate.problem": "multilabel",
    "models.MODEL.evaluate.command": None,
    "models.MODEL.evaluate": {"problem": "regression"},
    "models.MODEL.evaluate.signature": "other",
    "models.MODEL.gates": ["recall >= 0.5"],
    "models.MODEL.train": "./u",
    "models.MODEL.train.command": "./u",
    "models.MODEL.train.requirements": "other.txt",
    "models.MODEL.train.job.gpu_resource": "amd.com/gpu",
    "models.MODEL.train.job.tolerations.N.operator": "Equal",
    "models": {"n": {"train": "./t", "evaluate": {"command": "./e"}}},
    "environments": {"f": {}},
    "environments.ENVIRONMENT.kind": None,
    "environments.ENVIRONMENT.host": "::1",
    "environments.ENVIRONMENT.rest_port": 9001,
    "environments.ENVIRONMENT.grpc_port": 9000,
    "environments.ENVIRONMENT.monitor.every": "7m",
    "environments.ENVIRONMENT.monitor": {"every": "7m"},
    "environments.ENVIRONMENT.monitor.watch": "2h",
    "environments.ENVIRONMENT.monitor.slo.availability": "99%",
    "environments.ENVIRONMENT.monitor.bad_windows": 4,
    "environments.ENVIRONMENT.monitor.good_windows": 4,
    "environments.ENVIRONMENT.monitor.drift_min_predictions": 4,
    "environments.ENVIRONMENT.monitor.cooldown": "1h",
    "environments.ENVIRONMENT.monitor.windows.N.rate": 2,
    "environments.ENVIRONMENT.monitor.windows.N.long": "2h",
    "environments.ENVIRONMENT.monitor.windows.N.short": "2m",
    "environments.ENVIRONMENT.autoscale.cpu": "50%",
    "environments.ENVIRONMENT.pods.gpu_resource": "amd.com/gpu",
    "environments.ENVIRONMENT.pods.tolerations.N.operator": "Equal",
    "environments.ENVIRONMENT.ingress.host": "other.acme.example",
    "environments.ENVIRONMENT.strategy": "blue-green",
    "jenkins": {"url": "https://other"},
    "jenkins.pull_requests": {"train": "none"},
    "jenkins.url": "https://other",
    "jenkins.agents.STAGE.label": None,
    "jenkins.agents.STAGE.pod": None,
    "extends.file": "other.yaml",
    # One is nothing without the other: test_image_mistakes.
    "image.builder": None,
    "image.dockerfile": None,
    "image.context": ".",
}  # fmt: skip
# A key that needs its whole section written.
SECTIONS: dict[str, Any] = {
    "autoscale": {"max": 9},
    "canary": {"steps": ["50% for 1h"]},
    "windows": {"rate": 3, "long": "1h", "short": "1m"},
    "tolerations": {"key": "gpu", "effect": "NoExecute"},
    "service": {"type": "NodePort"},
    "job": {"cluster": "https://g:6443", "namespace": "t"},
    "ingress": {"host": "MODEL.acme.example"},
    "proxy": {"image": f"nginx@sha256:{'1' * 64}", "tls_secret": "tls"},
    "pod": {"image": "acme/base:1"},
    "extends": {"url": "ssh://git@h/p.git"},
}
NAMES = {"MODEL": "m", "SOURCE": "d", "ENVIRONMENT": "e", "N": 0, "STAGE": "train"}


def loaded(tree: dict, root: Path) -> dict:
    if tree.get("extends"):
        (root / platform.COPY).write_text("{}")
        pin = platform.pin_of("ssh://git@h/p.git", "a" * 40, b"{}")
        (root / "mmcicd.lock").write_bytes(lock_bytes(Lock(platform=pin)))
    text = yaml.safe_dump(tree, sort_keys=False)
    (root / "mmcicd.yaml").write_text(text)
    document = dataclasses.asdict(load_config(root, environ={}))
    del document["marks"]
    return document


def test_every_key_says_what_it_is_for_and_shows_an_example() -> None:
    for key in all_keys():
        assert key.meaning.endswith((".", "...")), key.dotted
        assert key.example is not None, key.dotted


def test_every_example_is_valid_where_it_stands() -> None:
    for key in all_keys():
        parent = find(tuple(NAMES.get(str(p), p) for p in key.path[:-1]))
        section = parent.section if parent else None
        if section is None:
            continue
        field = section.fields[key.name]
        one = core_schema.model_fields_schema({field.name: field.core_schema()})
        SchemaValidator(one, CoreConfig(strict=True)).validate_python({key.name: key.example})


@pytest.mark.parametrize(
    "key", [k for k in all_keys() if OTHER.get(k.dotted, k.example) is not None], ids=lambda k: k.dotted
)
def test_every_key_changes_the_configuration(key: Key, tmp_path: Path) -> None:
    for name in ("t", "schema.yaml", "requirements.txt", "other.txt", "d.csv", "e.csv"):
        (tmp_path / name).touch()
    (tmp_path / "m").mkdir()
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / "Dockerfile").touch()
    before, after = yaml.safe_load(yaml.safe_dump(BASE)), yaml.safe_load(yaml.safe_dump(BASE))
    for tree in (before, after):
        if key.name in LOCAL and key.path[-2] == "ENVIRONMENT":
            tree["environments"]["e"] = {"kind": "local"}
        if key.path[0] == "image" and key.name in BUILT:
            tree["image"] = {"builder": "docker", "dockerfile": "serving/Dockerfile"}
        if "job" in key.path:
            tree["models"]["m"]["train"]["image"] = "acme/train:1"
            tree["store"] = {"registry": "acme.example/ml"}
        if key.name == "image" and "train" in key.path:
            tree["models"]["m"]["train"]["requirements"] = ""
    place(before, key, None)
    place(after, key, OTHER.get(key.dotted, key.example))
    assert loaded(before, tmp_path) != loaded(after, tmp_path)


def place(tree: Any, key: Key, value: object) -> None:
    """Set `key`, or with None only make the sections that it needs."""
    for part, follows in zip(key.path[:-1], key.path[1:], strict=True):
        if part == "N":
            tree = tree[0]
            continue
        name = NAMES.get(str(part), part)
        if not tree.get(name):
            inside = dict(SECTIONS.get(str(part), {}))
            tree[name] = [inside] if follows == "N" else inside
        tree = tree[name]
    if value is not None:
        tree[key.name] = value


def test_the_defaults_of_the_schema_are_those_of_the_model(tmp_path: Path) -> None:
    """Two places say them: the schema for people, the records for everyone who makes one in a test."""
    (tmp_path / "mmcicd.yaml").write_text("models: {m: {train: ./t, evaluate: {command: ./e}}}\n")
    config = load_config(tmp_path, environ={})
    m = config.models["m"]
    assert m == model.Model(
        name="m", data=(), train=model.Training(command="./t"), evaluate=model.Evaluation(command="./e")
    )
    assert config.production == model.Environment(name="production")
    assert config.store == model.StoreSettings(path=f"../{tmp_path.name}.store")
    assert config.image == model.ImageSettings()


def test_known_metrics_are_those_that_are_measured() -> None:
    from mmcicd_jenkins.config.metrics import METRICS
    from mmcicd_jenkins.reports.metrics import BinaryTally, MulticlassTally, MultilabelTally, RegressionTally

    measured = {
        "binary": BinaryTally().measures(),
        "multiclass": MulticlassTally(3).measures(),
        "multilabel": MultilabelTally(3).measures(),
        "regression": RegressionTally().measures(),
    }
    assert {problem: sorted(names) for problem, names in METRICS.items()} == {
        problem: sorted(names) for problem, names in measured.items()
    }


def test_stages_are_those_of_the_pipeline() -> None:
    from mmcicd_jenkins.config.schema import STAGES
    from mmcicd_jenkins.stages import STAGES as PIPELINE

    assert tuple(PIPELINE) == STAGES
