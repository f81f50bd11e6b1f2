"""`jenkins.credentials`: wrong uses with their place, secrets that cannot serve, and what ops lacks."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mmcicd_jenkins.config.load import load, load_config
from mmcicd_jenkins.errors import ConfigInvalid

Write = Callable[..., Path]

MODEL = """\
models:
  m:
    data: {d: {url: "%s", label: y, test_size: 0.2}}
    train: {command: ./train.sh, requirements: ""}
    evaluate: binary
    gates: [accuracy >= 0.5]
environments:
  staging: {}
  production: {kind: kubernetes, cluster: "https://k:6443", namespace: ml, approval: {by: [a]}}
"""
# Stands on line 10.
CREDENTIALS = "jenkins: {credentials: {%s}}\n"
S3 = "s3://b/t.csv"


def text(credentials: str, more: str = "", url: str = S3) -> str:
    return MODEL % url + CREDENTIALS % credentials + more


@pytest.mark.parametrize(
    ("credentials", "place", "what", "fix"),
    [
        ("ci: {leger: x}", "10:30", "ci.leger: there is no such use", "did you mean `ledger`?"),
        (
            "ops: {prodution: x}",
            "10:31",
            "no such use, and no such environment",
            "did you mean `production`?",
        ),
        ("ops: {qa: x}", "10:31", "no such use, and no such environment", "write one of ledger, signing"),
        ("ci: {signing: x}", "10:30", "whoever can push a branch", "move it to ops"),
        ("ci: {production: x}", "10:30", "whoever can push a branch", "move it to ops"),
        ("prod: {ledger: x}", "10:25", "the folders are ci and ops", "write ci or ops"),
    ],
)
def test_a_use_that_is_none(write: Write, credentials: str, place: str, what: str, fix: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        load_config(write(text(credentials), "train.sh"), environ={})

    (problem,) = caught.value.problems
    assert problem.where == f"mmcicd.yaml:{place}"
    assert what in problem.what
    assert fix in problem.fix


def test_one_id_for_data_of_two_kinds(write: Write) -> None:
    both = text("ci: {data: x}").replace("data: {d:", "data: {e: {url: https://h/e.csv}, d:")
    with pytest.raises(ConfigInvalid, match="data come from s3 and https") as caught:
        load_config(write(both, "train.sh"), environ={})

    assert "data-s3: ID, data-https: ID" in caught.value.fix


def test_an_environment_with_the_name_of_a_use(write: Write) -> None:
    named = text("ops: {}").replace("production:", "ledger:")
    with pytest.raises(ConfigInvalid, match="is the credential of something else"):
        load_config(write(named, "train.sh"), environ={})


@pytest.mark.parametrize(
    ("credentials", "more", "url", "what"),
    [
        ("ops: {staging: x, production: x}", "", S3, "staging is local"),
        ("ops: {production: x, ledger: x}", "", S3, "no address that asks"),
        ("ops: {production: x, registry: x}", "", S3, "there is no registry"),
        ("ops: {production: x}, ci: {data-gs: x}", "", S3, "no data come from gs"),
        ("ops: {production: x}, ci: {data: x}", "", "t.csv", "no data come from"),
        ("ops: {production: x, ledger: x}", "ledger: http://h/l\n", S3, "goes over the network as it is"),
        ("ops: {production: x}", "ledger: https://h/l\n", S3, "ops has no credential ledger"),
        ("ops: {production: x}", "store: {registry: h.example/ml}\n", S3, "ops has no credential registry"),
        ("ci: {data: x}", "", S3, "ops has no credential production"),
    ],
)
def test_a_warning(write: Write, credentials: str, more: str, url: str, what: str) -> None:
    (warning,) = load(write(text(credentials, more, url), "train.sh", "t.csv"), environ={}).warnings

    assert warning.where.startswith("mmcicd.yaml:10:")
    assert what in warning.what
    assert warning.fix


def test_keys_that_are_trusted_want_a_key_in_ops(write: Write) -> None:
    (warning,) = load(write(text("ops: {production: x}"), "train.sh", "mmcicd.keys"), environ={}).warnings
    assert "ops has no credential signing" in warning.what


def test_a_password_for_several_servers_is_said(write: Write) -> None:
    two = text("ops: {production: x}, ci: {data: x}", url="https://h/t.csv").replace(
        "data: {d:", "data: {e: {url: https://other/e.csv}, d:"
    )
    (warning,) = load(write(two, "train.sh"), environ={}).warnings
    assert "each of h, other that asks" in warning.what


def test_who_names_no_credentials_is_not_bothered(write: Write) -> None:
    silent = MODEL % S3 + "jenkins: {}\nledger: https://h/l\n"
    assert load(write(silent, "train.sh"), environ={}).warnings == ()
