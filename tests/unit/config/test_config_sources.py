"""Where values come from: default < file < environment < flag, and `explain` says which."""

from pathlib import Path

import pytest

from mmcicd_jenkins.config.explain import Explained, explain
from mmcicd_jenkins.config.load import load, load_config
from mmcicd_jenkins.config.overrides import VARIABLES
from mmcicd_jenkins.errors import ConfigInvalid, UsageError

FILE = "models: {m: {train: ./t, evaluate: {command: ./e}}}\n"


def one(
    root: Path, key: str, environ: dict[str, str] | None = None, flags: dict[str, str] | None = None
) -> Explained:
    (found,) = explain(load(root, environ=environ or {}, flags=flags or {}), key)
    return found


def test_each_source_wins_over_the_one_before(write) -> None:
    variable = {"MMCICD_STORE_PATH": "/from/environment"}
    flag = {"store.path": "/from/flag"}
    assert load_config(write(FILE), environ={}).store.path == "../checkout.store"
    root = write(FILE + "store: {path: from/file}\n")
    assert load_config(root, environ={}).store.path == "from/file"
    assert load_config(root, environ=variable).store.path == "/from/environment"
    assert load_config(root, environ=variable, flags=flag).store.path == "/from/flag"
    assert load_config(root, environ={"MMCICD_STORE_PATH": ""}).store.path == "from/file"


def test_explain_says_which(write) -> None:
    root = write(FILE)
    assert (one(root, "store.path").source, one(root, "store.path").value) == ("default", "../checkout.store")
    root = write(FILE + "store: {path: from/file}\n")
    assert (one(root, "store.path").source, one(root, "store.path").where) == ("file", "mmcicd.yaml:2:15")
    told = one(root, "store.path", {"MMCICD_STORE_PATH": "/e"})
    assert (told.source, told.where) == ("environment", "$MMCICD_STORE_PATH (overrides mmcicd.yaml:2)")
    told = one(root, "store.path", {"MMCICD_STORE_PATH": "/e"}, {"store.path": "/f"})
    assert (told.source, told.value) == ("flag", "/f")


def test_explain_shows_what_stands_alone_and_what_was_derived(churn: Path) -> None:
    (churn / "requirements.txt").touch()
    assert one(churn, "models.churn.train.command").where == "mmcicd.yaml:10:12"
    assert one(churn, "models.churn.train.requirements").value == "requirements.txt"
    assert one(churn, "models.churn.train.requirements").source == "default"
    assert one(churn, "ledger.url").value == "../checkout.ledger.git"
    assert one(churn, "environments.staging.rest_port").value == 8601
    assert one(churn, "models.churn.gates.1").value == "roc_auc >= champion - 0.01"


def test_explain_without_a_key_shows_everything_and_each_line_can_be_asked_for(platform: Path) -> None:
    loaded = load(platform, environ={})
    everything = explain(loaded, "")
    assert len(everything) > 100
    for line in everything:
        assert explain(loaded, line.key) == (line,)


def test_explain_of_a_section_shows_what_is_in_it(platform: Path) -> None:
    shown = explain(load(platform, environ={}), "environments.production.approval")
    assert [e.key.rpartition(".")[2] for e in shown] == ["by", "four_eyes", "expires"]


@pytest.mark.parametrize(
    "key", ["store.pth", "models.nope", "models.m.train.command.x", "...", ".", "x" * 5000, "store.path.0"]
)
def test_an_unknown_key_is_a_wrong_usage(key: str, write) -> None:
    with pytest.raises(UsageError):
        explain(load(write(FILE), environ={}), key)


def test_every_variable_reaches_its_key(write) -> None:
    text = FILE + "jenkins: {url: https://j}\n"
    for key, pattern in VARIABLES.items():
        value = {"_port": "4711", "s.url": "https://elsewhere", "istry": "elsewhere.example/ml"}.get(
            key[-5:], "elsewhere"
        )
        variable = pattern.replace("NAME", "PRODUCTION")
        real = key.replace("*", "production")
        assert str(one(write(text), real, {variable: value}).value) == value
        assert one(write(text), real, {variable: value}).variable == variable


def test_a_port_may_differ_on_this_machine(write) -> None:
    root = write(FILE + "environments: {eu-west: {}, production: {}}\n")
    config = load_config(root, environ={"MMCICD_ENVIRONMENTS_EU_WEST_REST_PORT": "9000"})
    assert config.environments["eu-west"].rest_port == 9000
    assert config.mark("environments.eu-west.rest_port") == "$MMCICD_ENVIRONMENTS_EU_WEST_REST_PORT"


def test_a_port_for_the_environments_nobody_wrote(write) -> None:
    config = load_config(write(FILE), environ={"MMCICD_ENVIRONMENTS_PRODUCTION_REST_PORT": "9000"})
    assert [e.rest_port for e in config.environments.values()] == [8601, 9000]


@pytest.mark.parametrize("text", ["http", "0", "70000", "1.5"])
def test_a_wrong_variable_is_named(text: str, write) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        load_config(write(FILE), environ={"MMCICD_ENVIRONMENTS_STAGING_GRPC_PORT": text})
    (problem,) = caught.value.problems
    assert problem.file == "$MMCICD_ENVIRONMENTS_STAGING_GRPC_PORT"
    assert "whole number" in problem.what


def test_what_a_commit_says_cannot_be_changed_from_outside(write) -> None:
    with pytest.raises(UsageError, match="cannot be set from outside"):
        load_config(write(FILE), environ={}, flags={"models.m.train.command": "id"})
    config = load_config(write(FILE), environ={"MMCICD_MODELS_M_TRAIN_COMMAND": "id"})
    assert config.models["m"].train.command == "./t"
