"""Several processes in one layout, and killed ones: the same command again always ends in the same state."""

import json
import os
import signal
import subprocess
import sys

import pytest
from folders import read_folder
from layout_program import MODEL, PROGRAM, finish, start, state

from mmcicd_jenkins.adapters.layout.store import OciLayoutStore
from mmcicd_jenkins.failpoints import FAILPOINTS


def test_the_state_after_a_good_run_is_the_layout_and_nothing_else(undisturbed):
    assert {path for path in undisturbed if not path.startswith(("store/blobs/sha256/", "out/"))} == {
        "store/oci-layout",
        "store/index.json",
        "store/.mmcicd/lock",
        "store/.mmcicd/temporary",
    }
    assert {
        path.removeprefix("out/"): data for path, data in undisturbed.items() if path.startswith("out/")
    } == MODEL


def failpoints_and_visits():
    blobs = [("store.blob-written", visit) for visit in range(1, 9)]
    tags = [(name, visit) for name in ("store.before-tag", "store.after-tag") for visit in (1, 2)]
    return [*blobs, *tags, ("store.unpacked", 1)]


@pytest.mark.parametrize(("name", "visit"), failpoints_and_visits())
def test_killed_anywhere_and_run_again_ends_the_same(tmp_path, model, undisturbed, name, visit):
    assert name in FAILPOINTS
    folder = tmp_path / "work"
    folder.mkdir()
    status, _ = finish(start(folder, model, MMCICD_FAILPOINTS=f"{name}:{visit}=kill"))
    assert status == -signal.SIGKILL
    assert finish(start(folder, model))[0] == 0
    assert state(folder) == undisturbed


def test_killed_while_writing_a_blob_leaves_only_what_the_next_run_removes(tmp_path, model, undisturbed):
    folder = tmp_path / "work"
    folder.mkdir()
    assert finish(start(folder, model, SIGNAL_WHILE_READING="SIGKILL"))[0] == -signal.SIGKILL
    assert os.listdir(folder / "store" / "blobs" / "sha256") == []  # noqa: PTH208
    assert len(list((folder / "store" / ".mmcicd" / "temporary").iterdir())) == 1
    assert finish(start(folder, model))[0] == 0
    assert state(folder) == undisturbed


def test_processes_at_once_with_the_same_layers_end_the_same(tmp_path, model, undisturbed):
    folder = tmp_path / "work"
    (folder / "away").mkdir(parents=True)
    processes = []
    for number in range(4):
        process = subprocess.Popen(
            [sys.executable, PROGRAM, folder / "store", model, folder / "away" / str(number)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
    answers = {finish(process) for process in processes}
    assert len(answers) == 1
    assert answers.pop()[0] == 0
    for number in range(4):
        assert read_folder(folder / "away" / str(number)) == dict(sorted(MODEL.items()))
    store = {path: data for path, data in state(folder).items() if path.startswith("store/")}
    expected = {path: data for path, data in undisturbed.items() if path.startswith("store/")}
    # The order of the two tags is a matter of who came first.
    for one in (store, expected):
        index = json.loads(one.pop("store/index.json"))
        one["index"] = sorted(index["manifests"], key=json.dumps)
    assert store == expected


def test_a_stopped_writer_keeps_its_file_while_another_run_cleans_up(tmp_path, model):
    folder = tmp_path / "work"
    folder.mkdir()
    slow = start(folder, model, SIGNAL_WHILE_READING="SIGSTOP")
    os.waitpid(slow.pid, os.WUNTRACED)
    assert finish(start(folder, model))[0] == 0
    slow.send_signal(signal.SIGCONT)
    assert finish(slow)[0] == 0


def test_what_a_killed_process_left_of_one_folder_is_removed_by_the_next(tmp_path, model):
    (tmp_path / "work").mkdir()
    killed = start(tmp_path / "work", model, MMCICD_FAILPOINTS="store.unpacked=kill")
    assert finish(killed)[0] == -signal.SIGKILL
    assert len(list((tmp_path / "work").iterdir())) == 2
    store = OciLayoutStore(tmp_path / "work" / "store")
    store.extract([layer.blob for layer in store.put_model(model).layers], tmp_path / "work" / "other")
    assert {path.name for path in (tmp_path / "work").iterdir()} == {"store", "other"}


def test_unpacking_the_same_twice_at_once_keeps_the_first(tmp_path, model):
    (tmp_path / "work").mkdir()
    slow = start(tmp_path / "work", model, MMCICD_FAILPOINTS="store.unpacked=stop")
    os.waitpid(slow.pid, os.WUNTRACED)
    assert finish(start(tmp_path / "work", model))[0] == 0
    inode = (tmp_path / "work" / "out").stat().st_ino
    slow.send_signal(signal.SIGCONT)
    status, out = finish(slow)
    assert status == 3
    assert "empty folder" in json.loads(out)["error"]
    assert (tmp_path / "work" / "out").stat().st_ino == inode
    assert {path.name for path in (tmp_path / "work").iterdir()} == {"store", "out"}
