"""The two files that the project promises to read, word for word."""

from pathlib import Path

from mmcicd_jenkins.config.load import load, load_config


def test_the_ml_engineers_file(churn: Path) -> None:
    config = load_config(churn, environ={})
    model = config.models["churn"]
    assert model.data[0].url == "s3://acme-ml/churn/customers.csv"
    assert (model.data[0].label, model.data[0].test_size, model.data[0].group_by) == (
        "churned",
        0.2,
        "customer_id",
    )
    assert model.train.command == "python train.py"
    assert model.evaluate.problem == "binary"
    assert [rule.text for rule in model.gates] == ["roc_auc >= 0.80", "roc_auc >= champion - 0.01"]


def test_without_environments_two_local_ones_stand(churn: Path) -> None:
    config = load_config(churn, environ={})
    assert list(config.environments) == ["staging", "production"]
    assert [(e.kind, e.rest_port, e.grpc_port) for e in config.environments.values()] == [
        ("local", 8601, 8600),
        ("local", 8501, 8500),
    ]
    assert config.production.name == "production"
    assert config.ledger.url == "../checkout.ledger.git"
    assert config.store.path == "../checkout.store"


def test_marks_point_where_the_transcripts_say(churn: Path) -> None:
    config = load_config(churn, environ={})
    assert config.mark("models.churn.train") == "mmcicd.yaml:10:12"
    assert config.mark("models.churn.train.command") == "mmcicd.yaml:10:12"
    assert config.mark("models.churn.gates.1") == "mmcicd.yaml:14:9"
    assert config.mark("store.path") == "mmcicd.yaml"


def test_the_platform_engineers_file(platform: Path) -> None:
    loaded = load(platform, environ={})
    config = loaded.config
    assert loaded.warnings == ()
    fraud, receipts = config.models["fraud"], config.models["receipts"]
    assert fraud.train.params == {"epochs": 40, "learning_rate": 0.001}
    assert fraud.train.timeout_seconds == 8 * 3600
    assert fraud.serving.memory_bytes == 4 * 2**30
    assert fraud.columns_to_slice == ("country",)
    assert fraud.gates[3].limit.number == 0.04
    assert receipts.data[1].role == "test"
    assert receipts.evaluate.command == "./evaluate.sh"
    assert receipts.train.image == "registry.acme.example/ml/train-vision:3.2"


def test_the_platform_engineers_production(platform: Path) -> None:
    production = load_config(platform, environ={}).production
    assert (production.replicas, production.autoscale_max, production.autoscale_cpu) == (9, 18, 0.7)
    assert production.strategy.kind == "canary"
    assert [(s.share, s.hold_seconds) for s in production.strategy.steps] == [
        (0.1, 900),
        (0.25, 1800),
        (0.5, 1800),
    ]
    assert production.approval.by == ("ml-approvers",)
    assert production.approval.four_eyes
    assert production.approval.expires_seconds == 3 * 86400
    assert production.rollback.by == ("ml-oncall",)
    assert production.monitor.availability == 0.999
    assert production.monitor.latency_p99_seconds == 0.08


def test_the_platform_engineers_jenkins(platform: Path) -> None:
    config = load_config(platform, environ={})
    assert config.jenkins is not None
    assert config.jenkins.source == {"github": "acme/ml-models"}
    assert config.jenkins.credentials["ops"]["staging"] == "kubeconfig-staging"
    assert config.hooks == {"before_promote": "./ops/change-ticket.sh"}
    assert config.store.registry == "registry.acme.example/ml"
    assert config.ledger.url == "ssh://git@git.acme.example/ml/ledger.git"


def test_defaults_come_from_what_lies_in_the_checkout(churn: Path) -> None:
    (churn / "requirements.txt").touch()
    (churn / "tests").mkdir()
    model = load_config(churn, environ={}).models["churn"]
    assert model.train.requirements == "requirements.txt"
    assert model.test == "python -m pytest -q tests"


def test_an_empty_text_switches_a_default_off(write) -> None:
    text = "models:\n  a:\n    test: ''\n    train: {command: ./t, requirements: ''}\n    evaluate: {command: ./e}\n"
    root = write(text, "requirements.txt", "tests/test_a.py")
    model = load_config(root, environ={}).models["a"]
    assert (model.test, model.train.requirements) == ("", "")


def test_a_models_own_requirements_come_before_the_roots(write) -> None:
    text = "models:\n  a:\n    path: m\n    train: ./t\n    evaluate: {command: ./e}\n"
    root = write(text, "requirements.txt", "m/requirements.txt", "m/t")
    assert load_config(root, environ={}).models["a"].train.requirements == "m/requirements.txt"


def test_the_file_is_found_from_a_folder_below(churn: Path) -> None:
    below = churn / "src" / "deep"
    below.mkdir(parents=True)
    assert load_config(below, environ={}).root == churn
