"""What a laptop uses instead of what is shared."""

import dataclasses

import pytest

from mmcicd_jenkins.config.laptop import is_address, on_this_machine
from mmcicd_jenkins.config.load import load_config

SHARED = """\
models:
  churn:
    data: {customers: {url: s3://acme-ml/customers.csv, label: churned, test_size: 0.2}}
    train: python -m churn
    evaluate: binary
    gates: [roc_auc >= 0.8]
environments:
  staging: {kind: kubernetes, cluster: "https://k8s-staging.acme.example:6443", namespace: ml, replicas: 2}
  production:
    kind: kubernetes
    cluster: https://k8s-production.acme.example:6443
    namespace: ml
    replicas: 9
    approval: {by: [ml-approvers], four_eyes: true}
    rollback: {by: [ml-oncall], automatic: false}
    monitor: {every: 1m, prometheus: "https://prometheus.acme.example"}
store: {registry: registry.acme.example/ml}
ledger: {url: "ssh://git@git.acme.example/ml/ledger.git"}
image: {base: "registry.acme.example/mirror/tensorflow-serving:2.20.0"}
"""


def test_nothing_shared_is_left(tmp_path):
    root = tmp_path / "churn"
    root.mkdir()
    (root / "mmcicd.yaml").write_text(SHARED)
    own = on_this_machine(load_config(root, environ={}))
    assert "acme" not in repr(
        [own.ledger, own.store, own.image, [dataclasses.asdict(place) for place in own.environments.values()]]
    )
    assert own.ledger.url == "../churn.ledger.git"
    assert [(p.name, p.kind, p.rest_port) for p in own.environments.values()] == [
        ("staging", "local", 8601),
        ("production", "local", 8501),
    ]


def test_what_was_said_about_watching_stays(tmp_path):
    (tmp_path / "mmcicd.yaml").write_text(SHARED)
    own = on_this_machine(load_config(tmp_path, environ={})).production
    assert (own.monitor.every_seconds, own.rollback.automatic, own.approval.by) == (60.0, False, ())


def test_what_is_local_already_is_left_alone(tmp_path):
    text = (
        SHARED[: SHARED.index("environments:")] + "ledger: {url: /srv/ledger.git}\nstore: {path: elsewhere}\n"
    )
    (tmp_path / "mmcicd.yaml").write_text(text)
    config = load_config(tmp_path, environ={})
    assert on_this_machine(config) == config


def test_a_path_that_holds_the_history_of_a_cluster_is_not_written_to(tmp_path):
    """What serves on this machine has epochs and versions of its own."""
    root = tmp_path / "churn"
    root.mkdir()
    (root / "mmcicd.yaml").write_text(
        SHARED.replace("ssh://git@git.acme.example/ml/ledger.git", "/srv/ml.git")
    )
    config = load_config(root, environ={})
    assert config.ledger.url == "/srv/ml.git"
    assert on_this_machine(config).ledger.url == "../churn.laptop.ledger.git"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("ssh://git@host/x.git", True),
        ("https://host/x.git", True),
        ("git@host:x.git", True),
        ("file:///srv/x.git", False),
        ("/srv/x.git", False),
        ("../x:y/z.git", False),
    ],
)
def test_addresses_and_paths(url, address):
    assert is_address(url) is address


@pytest.mark.parametrize("base", ["oci:../base:2.20", "docker:tensorflow/serving:2.20.0"])
def test_a_base_that_lies_here_stays(tmp_path, base):
    (tmp_path / "mmcicd.yaml").write_text(
        SHARED.split("image: ", maxsplit=1)[0] + f'image: {{base: "{base}", user: "7"}}\n'
    )
    assert on_this_machine(load_config(tmp_path, environ={})).image.base == base


def test_serving_versions_of_a_registry_are_not_fetched_and_named(tmp_path):
    text = SHARED[: SHARED.rindex("image:")]
    listed = "'docker:serving:1', 'registry.acme.example/serving:2'"
    (tmp_path / "mmcicd.yaml").write_text(text + f"image: {{base: 'oci:a:b', verify_with: [{listed}]}}")
    image = on_this_machine(load_config(tmp_path, environ={})).image
    assert (image.verify_with, image.elsewhere) == (
        ("docker:serving:1",),
        ("registry.acme.example/serving:2",),
    )
