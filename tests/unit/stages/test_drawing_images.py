"""What an image says of its source, and on which base a model stands."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from base_documents import Documents, named, two_platforms

from mmcicd_jenkins.config.load import load_config
from mmcicd_jenkins.config.lock import Lock
from mmcicd_jenkins.errors import InputError
from mmcicd_jenkins.image.base_image import read_base
from mmcicd_jenkins.stages.context import Job
from mmcicd_jenkins.stages.drawing import base_image, source_url
from mmcicd_jenkins.stages.pins import named_images, pinned_verify_with
from mmcicd_jenkins.stages.workspace import Workspace

CPU, GPU = "acme/serving:2.20.0", "acme/serving:2.20.0-gpu"
MODELS = """\
models:
  fraud: {train: ./t, evaluate: {command: ./e}}
  receipts: {train: {command: ./t, image: acme/train:3}, evaluate: {command: ./e}, serving: {gpus: 1}}
"""


class Bases:
    """`ports.images.BaseImages` with two bases of one registry."""

    def __init__(self):
        documents = Documents()
        cuda = {"config": {"Env": ["NVIDIA_VISIBLE_DEVICES=all"]}}
        self.entries = {CPU: two_platforms(documents), GPU: documents.image(config=cuda)}
        self.documents = documents

    def read(self, base, digest):
        assert self.entries[base]["digest"] == digest
        return read_base(named(self.entries[base]), self.documents.read, base)


@pytest.fixture
def ports():
    said = []
    return SimpleNamespace(bases=Bases(), progress=SimpleNamespace(line=said.append), said=said)


def job(folder, model, text, images=None):
    (folder / "mmcicd.yaml").write_text(MODELS + text)
    config = load_config(folder, environ={})
    return Job(
        config=config,
        lock=Lock(images=images or {}),
        model=config.models[model],
        workspace=Workspace(root=Path(folder) / ".mmcicd", kept=None),
        actor="a",
        builder="b",
    )


def pins(ports):
    return {name: entry["digest"] for name, entry in ports.bases.entries.items()}


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("", ""),
        ("jenkins: {source: {github: acme/ml}}", "https://github.com/acme/ml.git"),
        ("jenkins: {source: {git: 'ssh://git@git.example:2222/ml.git'}}", "ssh://git.example:2222/ml.git"),
        ("jenkins: {source: {git: 'git@git.example:ml/churn.git'}}", "git.example:ml/churn.git"),
        (
            "jenkins: {source: {git: 'https://bot@git.example/ml.git?token=x#y'}}",
            "https://git.example/ml.git",
        ),
    ],
)
def test_the_source_is_told_without_a_login(tmp_path, source, url):
    assert source_url(job(tmp_path, "fraud", source)) == url


def test_models_on_gpus_and_others_stand_on_their_own(tmp_path, ports):
    text = f"image: {{base: '{CPU}', gpu_base: '{GPU}'}}"
    assert base_image(job(tmp_path, "fraud", text, pins(ports)), ports).name == CPU
    assert base_image(job(tmp_path, "receipts", text, pins(ports)), ports).name == GPU
    assert ports.said == []


def test_a_base_that_cannot_use_gpus_is_warned_of(tmp_path, ports):
    base_image(job(tmp_path, "receipts", f"image: '{CPU}'", pins(ports)), ports)
    assert len(ports.said) == 1
    assert "image.gpu_base" in ports.said[0]


def test_platforms_are_those_that_are_asked_for(tmp_path, ports):
    text = f"image: {{base: '{CPU}', platforms: linux/arm64}}"
    base = base_image(job(tmp_path, "fraud", text, pins(ports)), ports)
    assert [str(one.platform) for one in base.platforms] == ["linux/arm64/v8"]


def test_what_is_not_pinned_is_an_error_at_its_line(tmp_path, ports):
    text = f"image: {{base: '{CPU}', gpu_base: '{GPU}'}}"
    with pytest.raises(InputError, match="does not have the image") as e:
        base_image(job(tmp_path, "receipts", text, {CPU: pins(ports)[CPU]}), ports)
    assert e.value.where.startswith("mmcicd.yaml:4:")
    assert "image update-base" in e.value.fix


def test_every_image_of_the_file_is_named_with_its_keys(tmp_path):
    config = job(tmp_path, "fraud", f"image: {{base: '{CPU}', gpu_base: '{CPU}'}}").config
    assert named_images(config) == {
        CPU: ("image.base", "image.gpu_base"),
        "acme/train:3": ("models.receipts.train.image",),
    }


def test_a_further_version_is_pinned_and_the_models_own_base_is_none(tmp_path, ports):
    text = f"image: {{base: '{CPU}', gpu_base: '{GPU}', verify_with: ['{CPU}', '{GPU}']}}"
    known = pins(ports)
    assert pinned_verify_with(job(tmp_path, "fraud", text, known)) == ((GPU, known[GPU]),)
    assert pinned_verify_with(job(tmp_path, "receipts", text, known)) == ((CPU, known[CPU]),)
    with pytest.raises(InputError, match="does not have the image") as e:
        pinned_verify_with(job(tmp_path, "fraud", text, {CPU: known[CPU]}))
    assert e.value.where.startswith("mmcicd.yaml:4:")
