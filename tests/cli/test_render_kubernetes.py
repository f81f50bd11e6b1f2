"""`render kubernetes`: what a deployment would apply, of a release of the ledger or of an image that is named."""

import dataclasses
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from released import authority, layout, put_release, small_model

from mmcicd_jenkins.cli.config import command as config_command
from mmcicd_jenkins.cli.lint import command as lint_command
from mmcicd_jenkins.cli.render import command
from mmcicd_jenkins.errors import InputError, MmcicdError, UsageError
from mmcicd_jenkins.release.documents import to_document
from mmcicd_jenkins.release.ledger import Change, Head, release_path
from mmcicd_jenkins.render.files import OWN_TEMPLATES
from mmcicd_jenkins.wiring import open_bench

IMAGE = f"registry.example/ml/churn@sha256:{'a' * 64}"
FILE = """\
models: {churn: {train: ./t, evaluate: {command: ./e}, gates: [accuracy >= 0.5]}}
environments:
  lab: {kind: local}
  live: {kind: kubernetes, cluster: "https://k:6443", namespace: ml, replicas: 2}
store: {registry: registry.example/ml}
ledger: {url: ledger.git}
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    subprocess.run(["git", "init", "-q"], check=True, cwd=tmp_path)
    (tmp_path / "mmcicd.yaml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def render(*arguments: str) -> str:
    done = CliRunner().invoke(command, ["kubernetes", *arguments], standalone_mode=False)
    if done.exception:
        raise done.exception
    return done.stdout


def documents(text: str) -> list[Any]:
    return list(yaml.safe_load_all(text))


def release(folder: Path, *versions: int) -> str:
    """Releases in the ledger; the digest of the last one's image."""
    made = put_release(layout(folder / "layout"), small_model(folder / "model"), authority(folder / "keys"))
    bench = open_bench(folder, shared=True)
    files = {
        release_path(version): to_document(dataclasses.replace(made, version=version)) for version in versions
    }
    change = Change(
        kind="released", at="2026-01-02T03:04:05+00:00", actor="a", detail={},
        head=Head(model="churn", versions=max(versions) + 1), files=files,
    )  # fmt: skip
    bench.ledger.commit("churn", lambda _snapshot: change)
    return made.image_digest


def test_the_newest_release_is_shown_with_the_address_of_its_image(repository: Path) -> None:
    digest = release(repository, 1, 3)

    shown = documents(render())

    assert [d["kind"] for d in shown] == ["NetworkPolicy", "Service", "PodDisruptionBudget", "Deployment"]
    pod = shown[-1]["spec"]["template"]
    assert pod["metadata"]["labels"]["app.kubernetes.io/version"] == "3"
    assert pod["spec"]["containers"][0]["image"] == f"registry.example/ml/churn@{digest}"


def test_a_release_may_be_named(repository: Path) -> None:
    release(repository, 1, 3)

    told = json.loads(render("--version", "1", "--json"))

    assert (told["model"], told["environment"], told["version"]) == ("churn", "live", 1)
    assert told["digest"].startswith("sha256:")
    assert told["documents"] == documents(render("--version", "1"))
    with pytest.raises(UsageError, match="has no release 2"):
        render("--version", "2")


def test_before_the_first_release_there_is_a_sentence(repository: Path) -> None:
    with pytest.raises(UsageError, match="churn has no release yet") as told:
        render()
    assert "--image" in told.value.fix


def test_an_image_that_is_named_needs_neither_ledger_nor_store(repository: Path) -> None:
    (repository / "mmcicd.yaml").write_text(FILE.replace("ledger.git", "ssh://nobody.invalid/l.git"))

    (deployment,) = [d for d in documents(render("--image", IMAGE)) if d["kind"] == "Deployment"]

    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == IMAGE


def test_a_folder_is_no_place_to_pull_from(repository: Path) -> None:
    (repository / "mmcicd.yaml").write_text(FILE.replace("{registry: registry.example/ml}", "{path: store}"))
    release(repository, 1)

    with pytest.raises(InputError, match="cannot pull version 1"):
        render()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--env", "lab"], "'lab' is no environment of kind kubernetes"),
        (["--env", "nowhere"], "'nowhere' is no environment"),
        (["--model", "other"], "there is no model 'other'"),
        (["--image", "churn:7"], "names no digest"),
        (["--template", "service"], "--template belongs to --eject"),
        (["--eject", "--template", "../../x"], "there is no template"),
    ],
)
def test_wrong_usage_is_told(repository: Path, arguments: list[str], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        render(*arguments, *([] if "--image" in arguments or "--eject" in arguments else ["--image", IMAGE]))


def test_several_clusters_must_be_told_apart(repository: Path) -> None:
    text = FILE.replace(
        "  lab: {kind: local}", "  lab: {kind: kubernetes, cluster: 'https://l', namespace: ml}"
    )
    (repository / "mmcicd.yaml").write_text(text)

    with pytest.raises(UsageError, match="which environment") as told:
        render("--image", IMAGE)
    assert told.value.fix == "--env lab or --env live"


def test_an_owned_template_wins_and_a_dangerous_one_is_refused_everywhere(repository: Path) -> None:
    render("--eject", "--template", "deployment")
    own = repository / OWN_TEMPLATES / "kubernetes/deployment.j2"
    text = own.read_text()
    own.write_text(text.replace("revisionHistoryLimit: 3", "revisionHistoryLimit: 7"))
    assert "revisionHistoryLimit: 7" in render("--image", IMAGE)

    own.write_text(text.replace("drop: [ALL]", "drop: []"))
    for group, arguments in (
        (command, ["kubernetes", "--image", IMAGE]),
        (config_command, ["check"]),
        (lint_command, []),
    ):
        done = CliRunner().invoke(group, arguments, standalone_mode=False)
        assert isinstance(done.exception, MmcicdError), group
        assert done.exception.exit_code == 3
        assert "capabilities.drop" in done.exception.what
        assert done.exception.where == f"{OWN_TEMPLATES}/kubernetes/deployment.j2"
    assert json.loads(render("--eject", "--template", "deployment", "--json")) == {"copied": []}
