"""What a command in a container sees, and when it needs none. No engine is asked here."""

from pathlib import Path

import pytest

from mmcicd_jenkins.adapters.commands import ShellCommands
from mmcicd_jenkins.adapters.docker.commands import ImageCommands, inside, is_here, mounted
from mmcicd_jenkins.adapters.docker.containers import used_memory

DIGEST = "sha256:" + "a" * 64
IMAGE = f"registry.example/ml/train@{DIGEST}"


@pytest.mark.parametrize(
    ("here", "expected"),
    [
        ("", False),
        ("registry.example/ml/train:3", True),
        (IMAGE, True),
        (DIGEST, True),
        (f"mirror.example/train@{DIGEST}", True),
        ("registry.example/ml/train:4", False),
        ("mirror.example/train@sha256:" + "b" * 64, False),
        ("train", False),
    ],
)
def test_it_runs_where_it_is_when_that_is_the_image(here, expected):
    assert is_here(IMAGE, "registry.example/ml/train:3", here) is expected


def test_a_name_without_digest_never_counts_as_the_same_as_nothing():
    assert not is_here("train:1", "", "other:2")


def test_variables_of_the_machine_and_our_credentials_stay_out():
    ours = {
        "PATH": "/usr/bin",
        "HOME": "/home/ada",
        "LD_PRELOAD": "x.so",
        "PYTHONPATH": "/x",
        "DOCKER_HOST": "unix:///x",
        "MMCICD_SIGNING_KEY": "secret",
        "MMCICD_LEDGER_PASSWORD": "secret",
        "AWS_ACCESS_KEY_ID": "key",
        "WANDB_MODE": "offline",
        "TF_CONFIG": "theirs",
    }
    seen = inside(ours, {"MMCICD_SEED": "7", "HOME": "/given"}, {"TF_CONFIG"})
    assert seen["AWS_ACCESS_KEY_ID"] == "key"
    assert (seen["WANDB_MODE"], seen["MMCICD_SEED"], seen["HOME"]) == ("offline", "7", "/given")
    assert {"PATH", "LD_PRELOAD", "PYTHONPATH", "DOCKER_HOST", "TF_CONFIG"}.isdisjoint(seen)
    assert not any("secret" in value for value in seen.values())


def test_folders_that_variables_name_are_mounted_once_and_ours_only_read(tmp_path):
    root, kept, ours = tmp_path / "repo", tmp_path / "kept" / "run", tmp_path / "ours"
    for folder in (root / "x", kept, ours):
        folder.mkdir(parents=True)
    found = mounted(
        root,
        {
            "MMCICD_MODEL_DIR": str(root / "x"),
            "MMCICD_CHECKPOINT_DIR": str(kept),
            "MMCICD_METRICS": str(kept / "metrics.jsonl"),
            "MMCICD_SCORER": str(ours / "scorer.py"),
            "MMCICD_SEED": "7",
            "MMCICD_NOWHERE": "/does/not/exist/at/all",
            "OTHER": str(tmp_path),
        },
    )
    assert found == {root: True, kept: True, ours: False}


def test_a_command_without_an_image_asks_no_engine(tmp_path):
    def engine():
        raise AssertionError("no engine is needed")

    commands = ImageCommands(ShellCommands(), engine, tmp_path)
    finished = commands.run(
        "echo here", directory=tmp_path, variables={}, log=tmp_path / "log", timeout_seconds=30
    )
    assert finished.last_lines == ("here",)


@pytest.mark.parametrize(
    ("stats", "used"),
    [
        ({}, 0),
        ({"usage": 100, "stats": {"total_inactive_file": 30}}, 70),
        ({"usage": 100, "stats": {"inactive_file": 40}}, 60),
        ({"usage": 10, "stats": {"inactive_file": 40}}, 0),
        ({"usage": 10, "stats": None}, 10),
    ],
)
def test_memory_is_what_cannot_be_given_back(stats, used):
    assert used_memory(stats) == used


def test_paths_are_paths(tmp_path):
    assert all(isinstance(path, Path) for path in mounted(tmp_path, {}))
