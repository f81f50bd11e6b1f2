"""`image update-base`: the lock moves to what the names stand for, says from what to what, and is never moved by a check."""

import json

import pytest
from base_documents import Documents, two_platforms, write_layout
from click.testing import CliRunner

from mmcicd_jenkins.cli.image import command
from mmcicd_jenkins.config.lock import load_lock
from mmcicd_jenkins.errors import InputError

BASE, GPU = "oci:../layout:2.20.0", "oci:../layout:2.20.0-gpu"
MODEL = "models: {m: {train: ./t, evaluate: {command: ./e}, serving: {gpus: 1}}}\n"


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """A function that puts images under tags into the layout beside the repository."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "repo"
    root.mkdir()
    (root / "mmcicd.yaml").write_text(MODEL + f'image: {{base: "{BASE}", gpu_base: "{GPU}"}}\n')
    monkeypatch.chdir(root)

    def put(**tags):
        documents = Documents()
        entries = {tag: make(documents) for tag, make in tags.items()}
        write_layout(tmp_path / "layout", documents, {"2.20.0": entries["cpu"], "2.20.0-gpu": entries["gpu"]})
        return entries

    return put


def update(*arguments, code=0):
    done = CliRunner().invoke(command, ["update-base", *arguments], standalone_mode=False)
    if done.exception:
        raise done.exception
    assert done.return_value == code
    return done.output


def gpu(documents):
    return documents.image(text=b"gpu", config={"created": "2025-09-01T00:00:00Z"})


def test_first_pins_then_nothing_new(layout, tmp_path):
    made = layout(cpu=two_platforms, gpu=gpu)
    told = update()
    assert f"{BASE}\n  old  not pinned yet\n  new  {made['cpu']['digest'][:19]}, version 2.20.0" in told
    assert "linux/amd64 linux/arm64/v8" in told
    assert "made 2025-09-01" in told
    assert dict(load_lock(tmp_path / "repo").images) == {
        BASE: made["cpu"]["digest"],
        GPU: made["gpu"]["digest"],
    }
    before = (tmp_path / "repo/mmcicd.lock").read_bytes()
    assert update().startswith(f"{BASE}: unchanged, {made['cpu']['digest'][:19]}")
    assert "unchanged" in update("--check")
    assert (tmp_path / "repo/mmcicd.lock").read_bytes() == before


def test_a_moved_name_says_from_what_to_what(layout, tmp_path):
    old = layout(cpu=two_platforms, gpu=gpu)
    update()
    layout(cpu=lambda d: d.image(text=b"newer", config={"created": "2026-01-02T00:00:00Z"}), gpu=gpu)
    found = json.loads(update("--json"))
    (cpu, same) = found["images"]
    assert (cpu["moved"], same["moved"], found["written"]) == (True, False, True)
    assert cpu["old"]["digest"] == old["cpu"]["digest"]
    assert cpu["old"]["platforms"] == ["linux/amd64", "linux/arm64/v8"]
    assert (cpu["new"]["platforms"], cpu["new"]["created"]) == (["linux/amd64"], "2026-01-02T00:00:00")
    assert cpu["new"]["labels"] == {"tensorflow_serving_github_branchtag": "2.20.0"}
    assert cpu["keys"] == ["image.base"]
    assert load_lock(tmp_path / "repo").images[BASE] == cpu["new"]["digest"]


def test_a_check_writes_nothing_and_exits_3(layout, tmp_path):
    layout(cpu=two_platforms, gpu=gpu)
    with pytest.raises(InputError, match="is behind") as e:
        update("--check")
    assert "image update-base" in e.value.fix
    found = json.loads(update("--check", "--json", code=3))
    assert (found["written"], found["images"][0]["old"]) == (False, None)
    assert not (tmp_path / "repo/mmcicd.lock").exists()


def test_what_nothing_names_any_more_is_dropped(layout, tmp_path):
    layout(cpu=two_platforms, gpu=gpu)
    update()
    (tmp_path / "repo/mmcicd.yaml").write_text(MODEL + f'image: "{BASE}"\n')
    assert f"{GPU}: no longer named" in update()
    assert set(load_lock(tmp_path / "repo").images) == {BASE}


def test_a_platform_that_the_base_lacks_moves_nothing(layout, tmp_path):
    layout(cpu=two_platforms, gpu=gpu)
    (tmp_path / "repo/mmcicd.yaml").write_text(
        MODEL + f'image: {{base: "{GPU}", platforms: [linux/arm64]}}\n'
    )
    with pytest.raises(InputError, match="no image for linux/arm64"):
        update()
    assert not (tmp_path / "repo/mmcicd.lock").exists()


def test_without_images_there_is_nothing_to_do(layout, tmp_path):
    (tmp_path / "repo/mmcicd.yaml").write_text(MODEL)
    assert "names no image" in update()
    assert not (tmp_path / "repo/mmcicd.lock").exists()
