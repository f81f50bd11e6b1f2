"""A platform file under a repository's own: whose value holds, who may not set what, and what each mistake says.

We test these aspects: order of precedence and of environments; shorthands that meet mappings; locked keys by
file, variable and flag; mistakes of both files with the place in each; a copy that is not what was pinned.
"""

import json
from pathlib import Path

import pytest

from mmcicd_jenkins.config import platform
from mmcicd_jenkins.config.explain import explain
from mmcicd_jenkins.config.load import load, load_config
from mmcicd_jenkins.config.lock import Lock, lock_bytes, read_lock
from mmcicd_jenkins.errors import ConfigInvalid, InputError, IntegrityFailed

URL = "ssh://git@git.acme.example/ml/platform.git"
OWN = """\
extends: ssh://git@git.acme.example/ml/platform.git
models:
  churn:
    train: python train.py
    evaluate: {command: ./evaluate.sh}
    gates: [accuracy >= 0.9]
"""
SHARED = """\
environments:
  staging: {kind: local}
  production:
    kind: local
    approval: {by: [ml-approvers], four_eyes: true}
ledger: ../ledger.git
jenkins:
  url: https://jenkins.acme.example
  agents: {default: linux, train: gpu}
locked: [environments.production.approval, ledger.url]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text("")
    return tmp_path


def write(root: Path, own: str = OWN, shared: str = SHARED) -> Path:
    (root / "mmcicd.yaml").write_text(own)
    (root / platform.COPY).write_text(shared)
    pin = platform.pin_of(URL, "a" * 40, shared.encode())
    (root / "mmcicd.lock").write_bytes(lock_bytes(Lock(platform=pin)))
    return root


def mistakes(root: Path, **given) -> list[str]:
    with pytest.raises(ConfigInvalid) as caught:
        load_config(root, environ={}, **given)
    return [f"{p.file}:{p.line}:{p.column} {p.what} | {p.fix}" for p in caught.value.problems]


def test_what_the_file_does_not_say_comes_from_the_platform(root):
    config = load_config(write(root), environ={})
    assert config.jenkins.url == "https://jenkins.acme.example"
    assert config.ledger.url == "../ledger.git"
    assert config.production.approval.by == ("ml-approvers",)
    assert config.mark("jenkins.url") == "mmcicd.platform.yaml:8:8"
    assert config.mark("models.churn.train") == "mmcicd.yaml:4:12"


def test_the_files_own_value_holds_and_the_order_of_environments_is_the_platforms(root):
    own = (
        OWN + "environments:\n  production: {host: 10.0.0.1}\n  canada: {}\njenkins: {agents: {train: tpu}}\n"
    )
    config = load_config(write(root, own), environ={})
    assert list(config.environments) == ["staging", "production", "canada"]
    assert config.environments["production"].host == "10.0.0.1"
    assert config.environments["production"].approval.four_eyes
    assert config.jenkins.agents == {"default": "linux", "train": "tpu"}


@pytest.mark.parametrize(
    ("shared", "own"),
    [("image: acme/serving:2\n", "image: {base: acme/serving:3}\n"),
     ("image: {base: acme/serving:2}\n", "image: acme/serving:3\n")],
)  # fmt: skip
def test_a_text_for_a_section_meets_the_section(root, shared, own):
    assert load_config(write(root, OWN + own, SHARED + shared), environ={}).image.base == "acme/serving:3"


def test_explain_names_the_platform_as_the_source(root):
    loaded = load(write(root), environ={})
    [found] = explain(loaded, "jenkins.url")
    assert (found.source, found.where) == ("platform", "mmcicd.platform.yaml:8:8")
    [found] = explain(loaded, "ledger.url")
    assert (found.source, found.where) == ("platform", "mmcicd.platform.yaml:6:9")
    [found] = explain(loaded, "models.churn.evaluate.command")
    assert found.source == "file"


def test_a_locked_key_is_refused_at_its_place_with_where_it_is_set(root):
    own = OWN + "environments: {production: {approval: {four_eyes: false}}}\nledger: ../mine.git\n"
    assert mistakes(write(root, own)) == [
        (
            "mmcicd.yaml:7:29 environments.production.approval: the platform has locked "
            "environments.production.approval | delete it here; it is set at mmcicd.platform.yaml:5"
        ),
        "mmcicd.yaml:8:1 ledger: the platform has locked ledger.url | delete it here",
    ]


def test_a_locked_key_is_refused_from_outside_too(root):
    assert "the platform has locked ledger.url" in mistakes(write(root), flags={"ledger.url": "../x.git"})[0]
    with pytest.raises(ConfigInvalid, match="locked"):
        load_config(root, environ={"MMCICD_LEDGER_URL": "../x.git"})


def test_every_mistake_of_both_files_is_told_with_its_place(root):
    shared = SHARED.replace("four_eyes: true", "four_eyes: perhaps").replace(
        "default: linux", "defualt: linux"
    )
    shared = shared.replace("ledger.url]", "ledger.uri, models]") + "models: {}\nstorr: {}\n"
    told = mistakes(write(root, OWN.replace("gates:", "gatez:"), shared))
    assert told[0].startswith("mmcicd.yaml:6:")
    rest = "\n".join(told[1:])
    assert (
        "mmcicd.platform.yaml:5:47 environments.production.approval.four_eyes: expected true or false" in rest
    )
    assert "mmcicd.platform.yaml:9:12 jenkins.agents.defualt" in rest
    assert "locked.1: there is no key 'ledger.uri' to lock | did you mean `ledger.url`?" in rest
    assert "locked.2: there is no key 'models'" in rest
    assert "models: does not belong into a platform file" in rest
    assert "mmcicd.platform.yaml:12:1 storr: unknown key | did you mean `store`?" in rest


@pytest.mark.parametrize("shared", ["- a list\n", "just text\n", "", "locked: ledger\n", "a: &x 1\nb: *x\n"])
def test_a_platform_file_of_the_wrong_shape_is_told(root, shared):
    assert all("mmcicd.platform.yaml:" in line for line in mistakes(write(root, OWN, shared)))


def test_a_copy_that_was_edited_is_an_integrity_error(root):
    write(root)
    (root / platform.COPY).write_text(SHARED.replace("four_eyes: true", "four_eyes: false"))
    with pytest.raises(
        IntegrityFailed, match=r"mmcicd\.platform\.yaml is not what mmcicd\.lock pins"
    ) as caught:
        load_config(root, environ={})
    assert "generate --extends" in caught.value.fix


def test_a_copy_that_was_never_fetched_is_told_with_the_command(root):
    (root / "mmcicd.yaml").write_text(OWN)
    with pytest.raises(InputError, match="platform file is not here") as caught:
        load_config(root, environ={})
    assert caught.value.fix.startswith("mmcicd-jenkins generate --extends")
    (root / platform.COPY).write_text(SHARED)
    with pytest.raises(InputError, match="platform file is not here"):
        load_config(root, environ={})


def test_the_pin_survives_the_lock_file_and_a_wrong_one_is_refused(root):
    pin = platform.pin_of(URL, "b" * 40, b"x")
    content = lock_bytes(Lock(platform=pin))
    assert read_lock(content).platform == pin
    document = json.loads(content)
    document["platform"]["digest"] = "md5:1"
    with pytest.raises(InputError, match=r"mmcicd\.lock"):
        read_lock(json.dumps(document).encode())


def test_without_extends_nothing_of_it_is_read(root):
    (root / "mmcicd.yaml").write_text(OWN.partition("\n")[2])
    (root / platform.COPY).write_text("not: [what")
    assert load_config(root, environ={}).jenkins is None
